"""Draw respondents: who they are, what they are shown, what they answer, what they recall.

Where each respondent sees several profiles (`design.rows` of them), what is shown and answered has
a column for each: arrays (n, rows) in place of (n,).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from claimledger.errors import LedgerError
from claimledger.registration.models import Exclusion, Registration, Scale
from claimledger.simulation.assumptions import Margin, Simulation, World
from claimledger.simulation.calibration import calibrate
from claimledger.survey.recoding import outside

BLOCK = 4096          # respondents drawn at a time; part of what a seed means, so never changed
NOT_ASKED, SKIPPED = -98, -99      # codes in blocks; -99 is also what a survey platform writes
RESPONDENTS, EXTRAS, PLATFORM, GROUPS = range(4)      # purposes: each has its own random numbers
SCREENS = ("consent", "attention")


class Block(dict[str, np.ndarray]):
    """Respondents as arrays by name, their rows first.

    Level codes of factors (from 0), codes of items, and of further columns texts.
    """

    @property
    def n(self) -> int:
        """How many respondents."""
        return len(next(iter(self.values())))

    def take(self, which: slice | np.ndarray) -> "Block":
        """Some of the respondents."""
        return Block({name: values[which] for name, values in self.items()})

    @classmethod
    def joined(cls, blocks: "list[Block]") -> "Block":
        """The respondents of several blocks, in their order."""
        return cls({name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


class Simulator:
    """One world, calibrated once, from which blocks are drawn by seed and number."""

    def __init__(self, registration: Registration, simulation: Simulation, world: str | World):
        """Calibrate the world."""
        self.registration = registration
        self.simulation = simulation
        self.world = simulation.world(world)
        self.latent = calibrate(registration, simulation, self.world)
        self.rows = registration.design.rows
        items = registration.instrument.items
        self.rules = [
            rule for rule in registration.exclusions if rule.column in items and not rule.repeats
            and items[rule.column].role not in (*SCREENS, "comment")
            and registration.scale_of(rule.column).kind != "text"]

    def size(self, n: int | None) -> int:
        """How many respondents: as asked, else of the world, else as registered."""
        return n or self.world.size or self.registration.study.size

    def generator(self, seed: int | list[int], purpose: int, block: int) -> np.random.Generator:
        """Independent random numbers for each purpose and block of a seed."""
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, block)))

    def blocks(self, seed: int, n: int) -> Iterator[Block]:
        """Blocks that hold n respondents; the same first ones for every n."""
        for number, start in enumerate(range(0, n, BLOCK)):
            yield self.block(seed, RESPONDENTS, number).take(slice(n - start))

    def block(self, seed: int, purpose: int, number: int, n: int = BLOCK) -> Block:
        """A block of respondents, all of whom pass the registered exclusions on items."""
        rng = self.generator(seed, purpose, number)
        parts: list[Block] = []
        while sum(part.n for part in parts) < n:
            drawn = self.draw(rng, n, seed)
            kept = np.ones(n, dtype=bool)
            for rule in self.rules:
                scale = self.registration.scale_of(rule.column)
                stays = ~breaks(drawn[rule.column], rule, scale)
                kept &= stays.reshape(n, -1).all(axis=1)
            parts.append(drawn.take(kept))
            if len(parts) > 500:
                raise LedgerError(
                    "simulation", found="hardly anybody whom no exclusion drops", mend="correct "
                    + ", ".join(rule.id for rule in self.rules), expected="people who stay")
        return Block.joined(parts).take(slice(n))

    def draw(self, rng: np.random.Generator, n: int, seed: int = 0) -> Block:
        """Fresh respondents, all of whom pass the checks on attention and consent."""
        latent, design, total = self.latent, self.registration.design, n * self.rows
        codes = self._assigned(rng, total)
        normal = latent.background_root @ rng.standard_normal((len(latent.background), n))
        answers = self._background(normal, rng)
        columns, places, common = self._groups(rng, n, seed)
        if design.clusters:      # assigned whole: every seed assigns each group once
            group, number = self._clusters(places, answers)
            whole = self._assigned(self.generator(seed, GROUPS, 0), number * self.rows)
            codes = whole[:, (group[:, None] * self.rows + np.arange(self.rows)).ravel()]
        cells = latent.cell(codes)
        own = latent.residual_root @ rng.standard_normal((len(latent.items), total))
        shared = latent.slopes @ normal
        if self.rows > 1:
            alike = self.simulation.repeated
            person = latent.residual_root @ rng.standard_normal((len(latent.items), n))
            shared = np.repeat(shared + np.sqrt(alike) * person, self.rows, axis=1)
            latents = shared + np.sqrt(1 - alike) * own
        else:
            latents = shared + own
        if common is not None:
            share, effect = common
            latents = np.sqrt(1 - share) * latents + np.repeat(effect, self.rows, axis=1)
        skips = rng.random((len(latent.items), total)) < self.simulation.fieldwork.skipped
        thresholds = latent.thresholds[cells]
        for j, item in enumerate(latent.items):
            if self.simulation.outcomes[item].choice:
                spread = np.linalg.norm(latent.residual_root[j])
                answer = self._chosen(own[j] / spread - thresholds[:, j, 0])
            else:
                answer = latent.lowest[j] + (latents[j][:, None] > thresholds[:, j]).sum(1)
            answer[skips[j]] = SKIPPED
            answer[~latent.asked[cells, j]] = NOT_ASKED
            answers[item] = answer.astype(np.int16)
        levels = dict(zip(design.factors, codes, strict=True))
        answers |= self._recall(levels, rng)
        answers |= {
            name: np.full(n, self._passing(name), dtype=np.int16)
            for name, item in self.registration.instrument.items.items() if item.role in SCREENS}
        several = {*latent.items, *self.simulation.recall.right}
        if self.rows > 1:
            levels = {k: v.reshape(n, self.rows) for k, v in levels.items()}
            answers = {k: v.reshape(n, self.rows) if k in several else v
                       for k, v in answers.items()}
        return Block(levels | answers | columns)

    def _assigned(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Level codes (factors, n), drawn with their chances; restricted ones never together."""
        design = self.registration.design
        if design.restrictions:
            cells = rng.choice(len(self.latent.probabilities), n, p=self.latent.probabilities)
            return np.array(np.unravel_index(cells, [len(f.levels)
                                                     for f in design.factors.values()]))
        return np.array([
            rng.choice(len(f.levels), n, p=[x.probability for x in f.levels.values()])
            for f in design.factors.values()])

    def _chosen(self, utility: np.ndarray) -> np.ndarray:
        """1 for the best profile of each task, 0 for the others (respondents x rows,)."""
        sides = utility.reshape(-1, self.registration.design.profiles or 1)
        return (sides == sides.max(axis=1, keepdims=True)).astype(int).ravel()

    def _groups(
        self, rng: np.random.Generator, n: int, seed: int
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], tuple[float, np.ndarray] | None]:
        """Further columns (texts); groups by number; their share and effect (items, n), if any."""
        assumed = self.simulation.columns
        places = {name: rng.integers(0, c.groups, n) for name, c in assumed.items() if c.groups}
        for name, one in assumed.items():
            if one.inside:
                places[one.inside] = places[name] % assumed[one.inside].groups
        columns = {name: np.array([f"g{g + 1}" for g in at], dtype=object)
                   for name, at in places.items()}
        effects, share = np.zeros((len(self.latent.items), n)), 0.0
        for number, (name, one) in enumerate(assumed.items(), 1):
            if one.alike:
                drawn = self.generator(seed, GROUPS, number).standard_normal(
                    (len(effects), one.groups))
                effects = effects + np.sqrt(one.alike) * drawn[:, places[name]]
                share += one.alike
            elif one.log_sd is not None:
                weight = np.exp(one.log_sd * rng.standard_normal(n) - one.log_sd**2 / 2)
                columns[name] = np.array([f"{w:.4f}" for w in weight], dtype=object)
            elif one.value is not None:
                columns[name] = np.full(n, one.value if isinstance(one.value, str)
                                        else f"{one.value:g}", dtype=object)
        return columns, places, (min(share, 0.99), effects) if share else None

    def _clusters(self, places: dict, answers: dict) -> tuple[np.ndarray, int]:
        """Number (n,) of the group with which each respondent is assigned, and their number."""
        name = str(self.registration.design.clusters)
        if name in places:
            return places[name], int(self.simulation.columns[name].groups or 1)
        scale = self.registration.scale_of(name)
        if name not in answers or scale is None:
            raise LedgerError(
                "simulation", found=f"clusters by {name!r}, a derived variable",
                expected="an item that is asked before the treatment, or a column of the export",
                mend="derive nothing: register the item as design.clusters")
        codes = list(scale.labels) or [int(scale.minimum or 0), int(scale.maximum or 0)]
        return answers[name].astype(int) - min(codes), max(codes) - min(codes) + 1

    def _background(self, normal: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Codes of the background variables from their latent normals (variables, n)."""
        result = {}
        for name, position in zip(self.latent.background, normal, strict=True):
            margin = self.simulation.background[name]
            for other, moves in margin.shift.items():
                position = position + _lookup(moves, result[other])
            result[name] = _from_margin(margin, position)
        return result

    def _recall(
        self, levels: dict[str, np.ndarray], rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Right with the assumed share; else another level, or a code that stands for none."""
        recall, instrument = self.simulation.recall, self.registration.instrument
        n = len(next(iter(levels.values())))
        common = rng.standard_normal(n) * np.sqrt(recall.correlation)
        result = {}
        for name, share in recall.right.items():
            item = instrument.items[name]
            order = list(self.registration.design.factors[item.recalls].levels)
            right = np.array([next(c for c, x in item.answers.items() if x == level)
                              for level in order])[levels[item.recalls]]
            own = rng.standard_normal(n) * np.sqrt(1 - recall.correlation)
            none = [c for c in instrument.scales[item.scale].labels if c not in item.answers]
            wrong = np.array(list(item.answers))
            step = rng.integers(1, len(wrong), n) if len(wrong) > 1 else np.zeros(n, dtype=int)
            other = wrong[(np.searchsorted(wrong, right) + step) % len(wrong)]
            if none:
                unsure = rng.random(n) < recall.unsure
                other = np.where(unsure, rng.choice(none, n), other)
            result[name] = np.where(common + own < ndtri(share), right, other).astype(np.int16)
        return result

    def _passing(self, name: str) -> int:
        """A code of a screening item that no registered exclusion drops."""
        scale = self.registration.scale_of(name)
        codes = np.array(list(scale.labels))
        for rule in self.registration.exclusions:
            if rule.column == name:
                codes = codes[~breaks(codes, rule, scale)]
        if not len(codes):
            raise LedgerError(f"item {name}", found="exclusions that drop every answer",
                              expected="an answer that stays", mend="correct the exclusions")
        return int(codes[0])


def breaks(answers: np.ndarray, rule: Exclusion, scale: Scale) -> np.ndarray:
    """Whether answers (codes, of any shape) are dropped by an exclusion, as when it is applied."""
    if rule.by_number:
        return outside(answers, rule.below, rule.above) & (answers > NOT_ASKED)
    named = {code for code, label in scale.labels.items()
             if label in (rule.equals or rule.differs_from)}
    listed = np.isin(answers, [*named, *(x for x in (rule.equals or rule.differs_from)
                                         if not isinstance(x, str))])
    return listed if rule.equals else ~listed


def intervals(
    registration: Registration, simulation: Simulation, frame: pd.DataFrame
) -> np.ndarray:
    """In which interval each latent normal of people lies, by their answers, as probabilities.

    frame : n people as `recode` makes them. Returns (2, background variables, n) float32: the
    probabilities below both ends; 0 and 1 where there is no answer.
    """
    codes, ends = {}, []
    for name, margin in simulation.background.items():
        item = registration.instrument.items[name]
        labels = list(registration.instrument.scales[item.scale].labels)
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.cat.codes.map(dict(enumerate(labels)))
        elif item.reverse:
            values = min(labels) + max(labels) - values
        codes[name] = values.to_numpy(dtype=float)
        moved = np.zeros(len(frame))
        for other, moves in margin.shift.items():
            moved += _lookup(moves, np.nan_to_num(codes[other]).astype(int))
        ends.append(ndtr(_interval(margin, codes[name]) - moved))
    return np.stack(ends, axis=1).astype(np.float32)


def _interval(margin: Margin, codes: np.ndarray) -> np.ndarray:
    """Where the standard normal of each code begins and ends (2, n); a missing one is anywhere."""
    if margin.bands:
        ends = np.interp([codes, codes + 1], [*margin.bands, margin.top + 1], margin.edges())
    else:
        order = {code: place for place, code in enumerate(margin.shares)}
        place = np.array([order.get(code, 0) for code in codes.tolist()])
        ends = margin.edges()[[place, place + 1]]
    return ndtri(np.where(np.isfinite(codes), ends, [[0.0], [1.0]]))


def _lookup(values: dict[int, float], codes: np.ndarray) -> np.ndarray:
    table = np.zeros(max([*values, int(codes.max())]) + 1)
    table[list(values)] = list(values.values())
    return table[codes]


def _from_margin(margin: Margin, normal: np.ndarray) -> np.ndarray:
    """Standard normals to codes (or whole numbers) with the shares of the margin."""
    if margin.bands:
        number = np.interp(ndtr(normal), margin.edges(), [*margin.bands, margin.top + 1])
        kind = np.int16 if margin.top < 2**15 else np.int32
        return np.minimum(number, margin.top).astype(kind)
    places = np.searchsorted(ndtri(margin.edges()[1:-1]), normal)
    return np.array(list(margin.shares), dtype=np.int16)[places]


def to_frame(block: Block, registration: Registration, start: int = 0) -> pd.DataFrame:
    """A block as a frame: factors as Categoricals of level ids, items as codes (NaN: no answer).

    A row for each respondent, or for each profile that a respondent sees.
    """
    rows = registration.design.rows

    def flat(values: np.ndarray) -> np.ndarray:
        return values.ravel() if values.ndim == 2 else np.repeat(values, rows)

    design, items = registration.design, registration.instrument.items
    columns: dict[str, object] = {
        name: flat(texts) for name, texts in block.items() if name not in {*design.factors, *items}}
    if design.respondent:
        columns[design.respondent] = flat(np.arange(start, start + block.n))
    for name, factor in design.factors.items():
        columns[name] = pd.Categorical.from_codes(flat(block[name]), list(factor.levels))
    for name in items:
        if name in block:
            answer = flat(block[name])
            columns[name] = np.where(answer > NOT_ASKED, answer, np.nan)
    return pd.DataFrame(
        columns, index=pd.RangeIndex(start * rows, (start + block.n) * rows))


def simulate(
    registration: Registration, simulation: Simulation, world: str | World, seed: int,
    n: int | None = None,
) -> pd.DataFrame:
    """Answers of n respondents (the world's or the registered number by default).

    Columns: the factors (Categoricals of level ids) and the items (codes as floats; NaN where an
    item was not asked or not answered). The first k rows are the same for every n >= k.
    """
    simulator = Simulator(registration, simulation, world)
    blocks = [*simulator.blocks(seed, simulator.size(n))]
    return pd.concat([to_frame(block, registration, BLOCK * number)
                      for number, block in enumerate(blocks)])
