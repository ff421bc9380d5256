"""What a simulated world assumes: calibration and worlds as typed data, read from one file."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from claimledger.errors import LedgerError
from claimledger.project import load_yaml
from claimledger.registration.models import Identifier, Model, Probability, Registration

FILE = "data/simulation.yml"
Share = Annotated[float, Field(ge=0, lt=1)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]


class Margin(Model):
    """The shares of a background variable, in the order of its codes on the latent axis.

    `shares` maps codes to percentages (they need not sum to 100). `bands` maps the lowest number
    of each band to its percentage; numbers are uniform within a band, and the last ends at `top`.
    `shift` moves the latent position of those with certain codes of another variable, in SD, where
    one correlation cannot reproduce the means of its groups.
    """

    shares: dict[int, Annotated[float, Field(gt=0)]] = {}
    bands: dict[int, Annotated[float, Field(gt=0)]] = {}
    top: int | None = None
    shift: dict[Identifier, dict[int, float]] = {}

    @model_validator(mode="after")
    def _one_rule(self) -> "Margin":
        if bool(self.shares) + bool(self.bands) != 1:
            raise ValueError("give exactly one of shares, bands")
        if self.bands and (self.top is None or list(self.bands) != sorted(self.bands)):
            raise ValueError("bands need `top` and rising lower bounds")
        return self


class Pairs(Model):
    """One correlation for all pairs within `between`, or across `between` and `across`."""

    between: Annotated[list[Identifier], Field(min_length=1)]
    across: list[Identifier] = []
    value: Correlation

    def pairs(self) -> list[tuple[str, str]]:
        """Every pair that the value is for."""
        if self.across:
            return [(a, b) for a in self.between for b in self.across]
        return [(a, b) for i, a in enumerate(self.between) for b in self.between[:i]]


class Outcome(Model):
    """Mean and SD of an item's answers over those who are asked it, in points of its scale.

    An item with two answers needs no SD: its mean says what it is.
    """

    mean: float
    sd: Annotated[float, Field(gt=0)] | None = None


class Effect(Model):
    """What the levels of a factor do to items, against its reference, in SD of the item."""

    items: list[Identifier]
    factor: Identifier
    levels: dict[Identifier, float]


class Slopes(Model):
    """How items lean on background variables: SD of the item's latent answer for one SD of each.

    A variable of `gaps` has no slope here for the gap's items: it gets the one that the gap needs.
    """

    items: list[Identifier]
    slopes: dict[Identifier, float]


class Gap(Model):
    """How far two groups of respondents lie apart in their answers, as it comes out.

    `high` and `low` are codes of the background variable `of`; `sd` is the difference of the two
    groups in the mean of `items`, in SD of that mean over all who are asked. The slopes of the
    items on `of` are solved for it (see `calibrate`).
    """

    items: Annotated[list[Identifier], Field(min_length=1)]
    of: Identifier
    high: Annotated[list[int], Field(min_length=1)]
    low: Annotated[list[int], Field(min_length=1)]
    sd: Annotated[float, Field(gt=-2, lt=2)]


class Recall(Model):
    """Share of right answers to each recall item, and the latent correlation among them."""

    right: dict[Identifier, Probability]
    correlation: Annotated[float, Field(ge=0, lt=1)]
    unsure: Annotated[Share, Field(description="share of wrong answers in codes of no level")]


class Fieldwork(Model):
    """What a survey platform adds: when, how long, what else is in the file."""

    start: str
    days: Annotated[int, Field(gt=0)]
    median_seconds: Annotated[float, Field(gt=0)]
    log_sd: Annotated[float, Field(gt=0)]
    extra: dict[Identifier, Share]
    skipped: Share
    comments: Share
    texts: list[str]


class World(Model):
    """Which effects hold: a factor on each, by name; `default` for those that are not named.

    `sizes` gives an effect other sizes by level, which no factor changes.
    """

    label: str
    default: float = 1
    scale: dict[Identifier, float] = {}
    sizes: dict[Identifier, dict[str, float]] = {}
    size: int | None = None

    def factor(self, effect: str) -> float:
        """What an effect is multiplied by here."""
        return self.scale.get(effect, self.default)


class Simulation(Model):
    """The assumed calibration, and the worlds that scale its effects."""

    note: str
    background: dict[Identifier, Margin]
    background_correlations: list[Pairs]
    outcomes: dict[Identifier, Outcome]
    spreads: dict[Identifier, list[Identifier]]
    effects: dict[Identifier, Effect]
    correlations: list[Pairs]
    slopes: list[Slopes]
    gaps: list[Gap] = []
    recall: Recall
    fieldwork: Fieldwork
    worlds: dict[Identifier, World]

    def world(self, name: "str | World") -> World:
        """A world by its name (or itself)."""
        if isinstance(name, World):
            return name
        if name not in self.worlds:
            near = get_close_matches(name, self.worlds, n=3) or list(self.worlds)
            raise LedgerError(
                f"world {name}", found="no such world", expected="one of " + ", ".join(near),
                mend="correct the name, or add the world to the simulation file",
            )
        return self.worlds[name]


def load_simulation(path: Path, registration: Registration) -> Simulation:
    """Read and validate; names must be those of the registration."""
    path = Path(path)
    content = load_yaml(path, "a simulation file")
    try:
        simulation = Simulation.model_validate(content)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise LedgerError(
            path, found="; ".join(found), expected="keys and values as in its models",
            mend="correct the keys named above",
        ) from None
    _check_names(path, simulation, registration)
    return _with_sds(simulation, registration)


def _with_sds(simulation: Simulation, registration: Registration) -> Simulation:
    """The same with the SD of items with two answers, which their mean implies."""
    outcomes = {}
    for name, outcome in simulation.outcomes.items():
        scale = registration.instrument.scales[registration.instrument.items[name].scale]
        low, high = min(scale.labels), max(scale.labels)
        implied = max((outcome.mean - low) * (high - outcome.mean), 0) ** 0.5
        outcomes[name] = outcome if high - low > 1 else outcome.model_copy(update={"sd": implied})
    return simulation.model_copy(update={"outcomes": outcomes})


def _check_names(path: Path, simulation: Simulation, registration: Registration) -> None:
    items, factors = registration.instrument.items, registration.design.factors

    def same(key: str, found: object, expected: object) -> None:
        found, expected = set(found), set(expected)
        if found != expected:
            missing, strange = sorted(expected - found), sorted(found - expected)
            raise LedgerError(
                f"{path}: {key}",
                found="; ".join(filter(None, [
                    missing and "missing: " + ", ".join(map(str, missing)),
                    strange and "unknown: " + ", ".join(map(str, strange)),
                ])),
                expected="the names of the registration", mend="correct the names",
            )

    def role(name: str) -> list[str]:
        return [key for key, item in items.items() if item.role == name]

    def subset(key: str, found: object, known: object) -> None:
        same(key, set(found) - set(known), ())

    same("background", simulation.background, role("background"))
    same("outcomes", simulation.outcomes, role("outcome"))
    same("recall.right", simulation.recall.right, role("recall"))
    same("fieldwork.extra", simulation.fieldwork.extra, [e.id for e in registration.exclusions])
    for name, margin in simulation.background.items():
        if margin.shares:
            labels = registration.instrument.scales[items[name].scale].labels
            same(f"background.{name}", margin.shares, labels)
    for name, effect in simulation.effects.items():
        subset(f"effects.{name}.factor", [effect.factor], factors)
        levels = list(factors[effect.factor].levels)
        same(f"effects.{name}.levels", effect.levels, levels[1:])
        subset(f"effects.{name}.items", effect.items, simulation.outcomes)
    for name, group in simulation.spreads.items():
        subset(f"spreads.{name}", group, simulation.outcomes)
    for i, slopes in enumerate(simulation.slopes):
        subset(f"slopes.{i}.items", slopes.items, simulation.outcomes)
        subset(f"slopes.{i}.slopes", slopes.slopes, simulation.background)
    for i, gap in enumerate(simulation.gaps):
        subset(f"gaps.{i}.items", gap.items, simulation.outcomes)
        subset(f"gaps.{i}.of", [gap.of], simulation.background)
        subset(f"gaps.{i}", [*gap.high, *gap.low], simulation.background[gap.of].shares)
        if simulation.background[gap.of].shift:
            raise LedgerError(
                f"{path}: gaps.{i}.of", found=f"{gap.of!r}, whose answers other answers shift",
                expected="a background variable without `shift`", mend="name another variable",
            )
        for slopes in simulation.slopes:
            if set(slopes.items) & set(gap.items):
                subset(f"gaps.{i}: slopes", {gap.of} & set(slopes.slopes), ())
    for name, outcome in simulation.outcomes.items():
        codes = sorted(registration.instrument.scales[items[name].scale].labels)
        if not codes or codes != list(range(codes[0], codes[-1] + 1)):
            raise LedgerError(
                f"{path}: outcomes.{name}", found=f"codes {codes}",
                expected="an outcome with labelled codes that follow each other",
                mend="number the codes of its scale without a break",
            )
        implied = max((outcome.mean - codes[0]) * (codes[-1] - outcome.mean), 0) ** 0.5
        wrong = abs((outcome.sd or implied) - implied) > 0.01
        if outcome.sd is None if len(codes) > 2 else wrong:
            raise LedgerError(
                f"{path}: outcomes.{name}.sd", found=outcome.sd or "nothing",
                expected="the SD of the item" if len(codes) > 2 else
                f"{implied:.3f}, as the mean of a yes/no item implies, or no SD",
                mend="give it under `sd:`" if len(codes) > 2 else "leave `sd:` out",
            )
    for key, pairs, known in (
        ("background_correlations", simulation.background_correlations, simulation.background),
        ("correlations", simulation.correlations, simulation.outcomes),
    ):
        for i, entry in enumerate(pairs):
            subset(f"{key}.{i}", [*entry.between, *entry.across], known)
    named = set(simulation.effects) | set(simulation.spreads)
    for name, world in simulation.worlds.items():
        subset(f"worlds.{name}.scale", world.scale, named)
        subset(f"worlds.{name}.sizes", world.sizes, simulation.effects)
