"""What a simulated world assumes: calibration and worlds as typed data, read from one file."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from claimledger.errors import LedgerError
from claimledger.registration.models import Identifier, Probability, Registration, Scale
from claimledger.survey.qualtrics import further
from claimledger.yaml_files import (
    Key,
    Mistake,
    Model,
    Source,
    about,
    complain,
    near,
    one_of,
    unknown,
    validated,
)

FILE = "data/simulation.yml"
UNSURE = re.compile(      # labels of those who did not say
    r"(?i)don.?t know|not sure|unsure|no opinion|prefer not|refuse|no answer|haven.?t thought")
Share = Annotated[float, Field(ge=0, lt=1)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]


class Margin(Model):
    """The shares of a background variable, in the order of its codes on the latent axis.

    `shares` maps codes to percentages (they need not sum to 100). `bands` maps the lowest number
    of each band to its percentage; numbers are uniform within a band, and the last ends at `top`.
    `shift` moves the latent position of those with certain codes of another variable, in SD, where
    one correlation cannot reproduce the means of its groups.
    """

    shares: dict[int, Annotated[float, Field(gt=0)]] = about(
        "Code to its share.", {1: 60, 2: 40}, default={})
    bands: dict[int, Annotated[float, Field(gt=0)]] = about(
        "Lowest number of a band to its share.", {18: 30, 35: 70}, default={})
    top: int | None = about("Highest number of the last band.", 90, default=None)
    shift: dict[Identifier, dict[int, float]] = about(
        "Other variable, its codes, and by how much they move this one, in SD.",
        {"region": {3: 0.2}}, default={})

    @model_validator(mode="after")
    def _one_rule(self) -> "Margin":
        if bool(self.shares) + bool(self.bands) != 1:
            raise ValueError("give exactly one of shares, bands")
        if self.bands and (self.top is None or list(self.bands) != sorted(self.bands)):
            raise ValueError("bands need `top` and rising lower bounds")
        return self

    def edges(self) -> np.ndarray:
        """Where each answer, or band, begins in the order of respondents, and the last ends."""
        below = np.cumsum([0, *(self.shares or self.bands).values()])
        return below / below[-1]


class Pairs(Model):
    """One correlation for all pairs within `between`, or across `between` and `across`."""

    between: Annotated[list[Identifier], Field(min_length=1)] = about(
        "These with each other, or with `across`.", ["trust", "warmth"])
    across: list[Identifier] = about("The others.", ["age"], default=[])
    value: Correlation = about("The correlation.", 0.3)

    def pairs(self) -> list[tuple[str, str]]:
        """Every pair that the value is for."""
        if self.across:
            return [(a, b) for a in self.between for b in self.across]
        return [(a, b) for i, a in enumerate(self.between) for b in self.between[:i]]


class Outcome(Model):
    """Mean and SD of an item's answers over those who are asked it, in points of its scale.

    An item with two answers needs no SD: its mean says what it is.
    """

    mean: float = about("Its mean, in points of the scale.", 3.2)
    sd: Annotated[float, Field(gt=0)] | None = about("Its SD.", 1.1, default=None)
    choice: bool = about(
        "Whether one profile of each task is chosen (1), the others not (0).", default=False)


class Column(Model):
    """A column of the export that no question makes: groups, weights, or one value for all."""

    groups: Annotated[int, Field(gt=1, le=100_000)] | None = about(
        "How many groups respondents belong to, at random.", 40, default=None)
    inside: str | None = about("Another column, whose groups hold these whole.", "region",
                               default=None)
    alike: Annotated[float, Field(ge=0, lt=1)] = about(
        "Correlation of the latent answers within a group.", 0.05, default=0)
    log_sd: Annotated[float, Field(ge=0, lt=3)] | None = about(
        "Weights: lognormal numbers with this SD of their logarithm.", 0.3, default=None)
    value: float | str | None = about("The same for everybody.", 1, default=None)

    @model_validator(mode="after")
    def _one_rule(self) -> "Column":
        if sum(one is not None for one in (self.groups, self.log_sd, self.value)) != 1:
            raise ValueError("exactly one of groups, log_sd, value")
        if self.groups is None and (self.inside or self.alike):
            raise ValueError("`inside` and `alike` with `groups` only")
        return self


class Effect(Model):
    """What the levels of a factor do to items, against its reference, in SD of the item."""

    items: list[Identifier] = about("The items that it moves.", ["willing"])
    factor: Identifier = about("The factor.", "letter")
    levels: dict[Identifier, float] = about(
        "Each level but the reference to its effect, in SD of the item.", {"neighbors": 0.25})


class Slopes(Model):
    """How items lean on background variables: SD of the item's latent answer for one SD of each.

    A variable of `gaps` has no slope here for the gap's items: it gets the one that the gap needs.
    """

    items: list[Identifier] = about("The items.", ["willing"])
    slopes: dict[Identifier, float] = about("Background variable to its slope.", {"age": 0.1})


class Gap(Model):
    """How far two groups of respondents lie apart in their answers, as it comes out.

    `high` and `low` are codes of the background variable `of`; `sd` is the difference of the two
    groups in the mean of `items`, in SD of that mean over all who are asked. The slopes of the
    items on `of` are solved for it (see `calibrate`).
    """

    items: Annotated[list[Identifier], Field(min_length=1)] = about("The items.", ["trust"])
    of: Identifier = about("The background variable that makes the groups.", "party")
    high: Annotated[list[int], Field(min_length=1)] = about("Codes of one group.", [1, 2])
    low: Annotated[list[int], Field(min_length=1)] = about("Codes of the other.", [6, 7])
    sd: Annotated[float, Field(gt=-2, lt=2)] = about("The gap, in SD.", 0.5)


class Recall(Model):
    """Share of right answers to each recall item, and the latent correlation among them."""

    right: dict[Identifier, Probability] = about("Recall item to its share.", {"recalled": 0.9})
    correlation: Annotated[float, Field(ge=0, lt=1)] = about("The correlation.", 0.3)
    unsure: Share = about("Share of wrong answers in codes of no level.", 0.5)


class Fieldwork(Model):
    """What a survey platform adds: when, how long, what else is in the file."""

    start: str = about("First day.", "2025-05-05")
    days: Annotated[int, Field(gt=0)] = about("For how many days.", 7)
    median_seconds: Annotated[float, Field(gt=0)] = about("Median duration of an interview.", 400)
    log_sd: Annotated[float, Field(gt=0)] = about("SD of the logarithm of durations.", 0.4)
    extra: dict[Identifier, Share] = about(
        "Exclusion to the rows that it will drop, as a share of those that stay.", {"speed": 0.02})
    skipped: Share = about("Share of questions left unanswered.", 0.01)
    comments: Share = about("Share of respondents with a comment.", 0.1)
    texts: list[str] = about("What comments say.", ["None."])


class World(Model):
    """Which effects hold: a factor on each, by name; `default` for those that are not named.

    `sizes` gives an effect other sizes by level, which no factor changes.
    """

    label: str = about("What holds in it, in words.", "nothing has an effect")
    default: float = about("The factor on effects that are not named.", 0, default=1)
    scale: dict[Identifier, float] = about("Effect or spread to its factor.", {"letter": -1},
                                           default={})
    sizes: dict[Identifier, dict[str, float]] = about(
        "Effect to sizes by level.", {"letter": {"neighbors": 0.5}}, default={})
    size: int | None = about("Respondents, where not as registered.", 60, default=None)

    def factor(self, effect: str) -> float:
        """What an effect is multiplied by here."""
        return self.scale.get(effect, self.default)


class Simulation(Model):
    """The assumed calibration, and the worlds that scale its effects."""

    note: str = about("What the assumptions rest on.", "Everything here is invented.")
    background: dict[Identifier, Margin] = about("Every background item to its shares.",
                                                 {"sex": {"shares": {1: 49, 2: 51}}})
    background_correlations: list[Pairs] = about("Correlations of background variables.", [])
    outcomes: dict[Identifier, Outcome] = about("Every outcome item to its mean and SD.",
                                                {"willing": {"mean": 3, "sd": 1.2}})
    spreads: dict[Identifier, list[Identifier]] = about(
        "Groups of items whose means worlds may draw together (factor 0).", {"items": ["a", "b"]})
    effects: dict[Identifier, Effect] = about("Effects by names that worlds use.")
    correlations: list[Pairs] = about("Correlations of outcome items within an arm.", [])
    slopes: list[Slopes] = about("How items lean on the background.", [])
    gaps: list[Gap] = about("Gaps between groups of respondents.", default=[])
    repeated: Annotated[float, Field(ge=0, lt=1)] = about(
        "Correlation of a respondent's latent answers on several profiles, beyond what the "
        "background explains.", 0.2, default=0)
    columns: dict[str, Column] = about(
        "Further columns that the registration names: blocks, clusters, weights, strata.",
        {"classroom": {"groups": 40, "alike": 0.05}}, default={})
    recall: Recall = about("Answers to recall items.")
    fieldwork: Fieldwork = about("What the platform adds.")
    worlds: dict[Identifier, World] = about("Worlds by their names.", {"null": {
        "label": "nothing has an effect", "default": 0}})

    def world(self, name: "str | World") -> World:
        """A world by its name (or itself)."""
        if isinstance(name, World):
            return name
        if name not in self.worlds:
            raise LedgerError(
                f"world {name}", found="no such world", expected=one_of(self.worlds),
                mend=near(name, self.worlds) or f"correct the name, or add it to {FILE}")
        return self.worlds[name]


def load_simulation(path: Path, registration: Registration) -> Simulation:
    """Read and validate; names must be those of the registration.

    Raises
    ------
    LedgerError : every mistake with its line and key.
    """
    source = Source.read(path, "a simulation file")
    simulation = validated(source, Simulation, source.content)
    if mistakes := [*_mistakes(simulation, registration)]:
        raise complain(source, mistakes)
    return simulation


def implied_sd(mean: float, codes: list[int]) -> float:
    """The SD of two answers that have a mean."""
    return max((mean - codes[0]) * (codes[-1] - mean), 0) ** 0.5


def _mistakes(s: Simulation, registration: Registration) -> Iterator[Mistake]:
    """Names that the registration does not have, and answers that cannot be."""
    items, factors = registration.instrument.items, registration.design.factors
    scales = {name: registration.instrument.scales[item.scale] for name, item in items.items()}

    def role(name: str) -> list[str]:
        return [key for key, item in items.items() if item.role == name]

    # Where names stand, the names, and what they may be; first where none of these may be left out.
    whole: list[tuple[Key, Collection, Collection]] = [
        (("background",), s.background, role("background")),
        (("outcomes",), s.outcomes, [n for n in role("outcome") if scales[n].kind != "text"]),
        (("columns",), s.columns,
         [n for n in further(registration) if n != registration.design.respondent]),
        (("recall", "right"), s.recall.right, role("recall")),
        (("fieldwork", "extra"), s.fieldwork.extra, [rule.id for rule in registration.exclusions]),
        *((("background", n), margin.shares, scales[n].labels)
          for n, margin in s.background.items() if margin.shares and n in items),
        *((("effects", n, "levels"), effect.levels, list(factors[effect.factor].levels)[1:])
          for n, effect in s.effects.items() if effect.factor in factors)]
    groups = [name for name, column in s.columns.items() if column.groups]
    some: list[tuple[Key, Collection, Collection]] = [
        *((("columns", n, "inside"), [one.inside], [g for g in groups if g != n])
          for n, one in s.columns.items() if one.inside),
        *((("background", n, "shift"), one.shift, s.background) for n, one in s.background.items()),
        *((("effects", n, "factor"), [one.factor], factors) for n, one in s.effects.items()),
        *((("effects", n, "items"), one.items, s.outcomes) for n, one in s.effects.items()),
        *((("spreads", n), group, s.outcomes) for n, group in s.spreads.items()),
        *((("slopes", n, "items"), one.items, s.outcomes) for n, one in enumerate(s.slopes)),
        *((("slopes", n, "slopes"), one.slopes, s.background) for n, one in enumerate(s.slopes)),
        *((("gaps", n, "items"), one.items, s.outcomes) for n, one in enumerate(s.gaps)),
        *((("gaps", n, "of"), [one.of], s.background) for n, one in enumerate(s.gaps)),
        *((("gaps", n), [*one.high, *one.low], s.background[one.of].shares)
          for n, one in enumerate(s.gaps) if one.of in s.background),
        *(((part, n), [*one.between, *one.across], names) for part, names in (
            ("background_correlations", s.background), ("correlations", s.outcomes))
          for n, one in enumerate(getattr(s, part))),
        *((("worlds", n, "scale"), one.scale, [*s.effects, *s.spreads])
          for n, one in s.worlds.items()),
        *((("worlds", n, "sizes"), one.sizes, s.effects) for n, one in s.worlds.items())]
    for key, found, names in [*whole, *some]:
        yield from unknown(key, found, names)
    for key, found, names in whole:
        if missing := [str(name) for name in names if name not in found]:
            yield Mistake(key, "nothing on " + ", ".join(missing),
                          "every such name of the registration", "add them")
    for place, gap in enumerate(s.gaps):
        key = ("gaps", place, "of")
        if gap.of in s.background and s.background[gap.of].shift:
            yield Mistake(key, f"{gap.of!r}, whose answers other answers shift",
                          "a background variable without `shift`", "name another variable")
        if any(set(one.items) & set(gap.items) and gap.of in one.slopes for one in s.slopes):
            yield Mistake(key, f"{gap.of!r}, which has a slope for these items",
                          "a gap or a slope", "leave one of them out")
    sides = registration.design.profiles or 1
    for name, outcome in s.outcomes.items():
        if name in items:
            yield from _answers(("outcomes", name), outcome, drawn(scales[name]))
            if outcome.choice and (sides < 2 or abs(outcome.mean * sides - 1) > 0.01):
                yield Mistake(("outcomes", name, "choice"), f"a mean of {outcome.mean:g}, and "
                              f"{sides} profiles in a task", "two or more profiles, and the mean "
                              "1 / profiles: one of them is chosen", "correct the mean")


def drawn(scale: Scale | None) -> list[int]:
    """The codes that simulated answers have: the longest run without a gap.

    Codes beyond a gap, such as 9, and those at an end whose labels say that one does not know are
    not drawn; of a range, its whole numbers.
    """
    if scale is None or not scale.labels:
        ends = (scale.minimum, scale.maximum) if scale else (None, None)
        return [] if None in ends else list(range(int(ends[0]), int(ends[1]) + 1))
    kept = sorted(scale.labels)
    for end in (-1, 0):
        while len(kept) > 2 and UNSURE.search(scale.labels[kept[end]]):
            kept.pop(end)
    codes = np.array(kept)
    runs = np.split(codes, np.flatnonzero(np.diff(codes) > 1) + 1)
    return max(runs, key=len).tolist()


def _answers(key: Key, outcome: Outcome, codes: list[int]) -> Iterator[Mistake]:
    """Mean and SD that an item with these codes cannot have."""
    if not 2 <= len(codes) <= 120:
        yield Mistake(key, f"{len(codes)} codes that follow each other",
                      "an outcome of 2 to 120 labels or whole numbers, from `minimum` to `maximum`",
                      "number the codes of its scale without a break, or in larger units")
        return
    implied = implied_sd(outcome.mean, codes)
    if outcome.choice and codes != [0, 1]:
        yield Mistake((*key, "choice"), f"codes {codes}", "0 and 1", "correct the item's scale")
    elif len(codes) > 2 and outcome.sd is None:
        yield Mistake((*key, "sd"), "nothing", "the SD of the item", "give it under `sd:`")
    elif len(codes) == 2 and abs((outcome.sd or implied) - implied) > 0.01:
        yield Mistake((*key, "sd"), f"{outcome.sd:g}", f"{implied:.3f}, as the mean of a yes/no "
                      "item implies, or no SD", "leave `sd:` out")
