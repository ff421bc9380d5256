"""Draw respondents: who they are, what they are shown, what they answer, what they recall."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Margin, Simulation, World
from claimledger.simulation.calibration import calibrate

BLOCK = 4096          # respondents drawn at a time; part of what a seed means, so never changed
NOT_ASKED, SKIPPED = -98, -99      # codes in blocks; -99 is also what a survey platform writes
RESPONDENTS, EXTRAS, PLATFORM = range(3)      # purposes: each has its own random numbers


@dataclass(frozen=True)
class Block:
    """Respondents as arrays: level codes by factor (from 0), answers by item (codes)."""

    levels: dict[str, np.ndarray]
    answers: dict[str, np.ndarray]

    def __len__(self) -> int:
        """How many respondents."""
        return len(next(iter(self.levels.values())))

    def head(self, n: int) -> "Block":
        """The first n respondents."""
        return Block({k: v[:n] for k, v in self.levels.items()},
                     {k: v[:n] for k, v in self.answers.items()})


class Simulator:
    """One world, calibrated once, from which blocks are drawn by seed and number."""

    def __init__(self, registration: Registration, simulation: Simulation, world: str | World):
        """Calibrate the world."""
        self.registration = registration
        self.simulation = simulation
        self.world = simulation.world(world)
        self.latent = calibrate(registration, simulation, self.world)

    def size(self, n: int | None) -> int:
        """How many respondents: as asked, else of the world, else as registered."""
        return n or self.world.size or self.registration.study.size

    def generator(self, seed: int, purpose: int, block: int) -> np.random.Generator:
        """Independent random numbers for each purpose and block of a seed."""
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose, block)))

    def blocks(self, seed: int, n: int, purpose: int = RESPONDENTS) -> Iterator[Block]:
        """Blocks that hold n respondents; the same first ones for every n."""
        for number, start in enumerate(range(0, n, BLOCK)):
            yield self.draw(self.generator(seed, purpose, number), BLOCK).head(n - start)

    def draw(self, rng: np.random.Generator, n: int) -> Block:
        """Fresh respondents, all of whom pass the checks on attention and consent."""
        latent, design = self.latent, self.registration.design
        codes = np.array([
            rng.choice(len(f.levels), n, p=[x.probability for x in f.levels.values()])
            for f in design.factors.values()
        ])
        cells = latent.cell(codes)
        normal = latent.background_root @ rng.standard_normal((len(latent.background), n))
        answers = self._background(normal, rng)
        latents = latent.slopes @ normal
        latents += latent.residual_root @ rng.standard_normal((len(latent.items), n))
        skips = rng.random((len(latent.items), n)) < self.simulation.fieldwork.skipped
        thresholds = latent.thresholds[cells]
        for j, item in enumerate(latent.items):
            answer = latent.lowest[j] + (latents[j][:, None] > thresholds[:, j]).sum(1)
            answer[skips[j]] = SKIPPED
            answer[~latent.asked[cells, j]] = NOT_ASKED
            answers[item] = answer.astype(np.int16)
        levels = dict(zip(design.factors, codes, strict=True))
        answers |= self._recall(levels, rng)
        answers |= {
            name: np.full(n, self._passing(name), dtype=np.int16)
            for name, item in self.registration.instrument.items.items()
            if item.role in ("consent", "attention")
        }
        return Block(levels, answers)

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
        codes = list(self.registration.instrument.scales[
            self.registration.instrument.items[name].scale].labels)
        for rule in self.registration.exclusions:
            if rule.column == name:
                codes = [c for c in codes if c not in rule.equals
                         and (not rule.differs_from or c in rule.differs_from)]
        return codes[0]


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
        shares = np.cumsum([0, *margin.bands.values()])
        edges = [*margin.bands, margin.top + 1]
        ends = np.interp([codes, codes + 1], edges, shares / shares[-1])
    else:
        shares = np.cumsum([0, *margin.shares.values()])
        order = {code: place for place, code in enumerate(margin.shares)}
        place = np.array([order.get(code, 0) for code in codes.tolist()])
        ends = shares[[place, place + 1]] / shares[-1]
    return ndtri(np.where(np.isfinite(codes), ends, [[0.0], [1.0]]))


def _lookup(values: dict[int, float], codes: np.ndarray) -> np.ndarray:
    table = np.zeros(max([*values, int(codes.max())]) + 1)
    table[list(values)] = list(values.values())
    return table[codes]


def _from_margin(margin: Margin, normal: np.ndarray) -> np.ndarray:
    """Standard normals to codes (or whole numbers) with the shares of the margin."""
    if margin.bands:
        shares = np.cumsum([0, *margin.bands.values()])
        edges = [*margin.bands, margin.top + 1]
        number = np.interp(ndtr(normal), shares / shares[-1], edges)
        return np.minimum(number, margin.top).astype(np.int16)
    shares = np.cumsum(list(margin.shares.values()))
    places = np.searchsorted(ndtri(shares[:-1] / shares[-1]), normal)
    return np.array(list(margin.shares), dtype=np.int16)[places]
