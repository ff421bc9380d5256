"""Experiments simulated from the registration: drawn, analysed as registered, and judged.

Assignment and answers are drawn anew for every experiment, without any effect, and reduced to the
counts, means and sums of squares of the design's cells (`Plan`). With covariates or weights one
survey is simulated; its people, their background and weights, and the assignment are held fixed,
and their answers are drawn anew (`fixed`).

Effects are added as constants. A constant that the design can express moves the estimate by exactly
its size and leaves every residual as it is, so one set of experiments serves a whole grid of
effects without loss. What is left out: answers near the ends of their scale leave less room for an
effect, and an effect may differ between people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Simulation, World
from claimledger.simulation.calibration import calibrate, matrix, normals
from claimledger.statistics.batch import Analysis
from claimledger.statistics.decision import Decision, decide
from claimledger.statistics.linear import of_counts
from claimledger.statistics.rates import index_weights, registered_analyses
from claimledger.statistics.tally import Tally, tally


@dataclass(frozen=True)
class Family:
    """Members of one family, as analyses over the c cells of the design (or c respondents).

    own : position of each member's outcome in the drawn stack; pooled : positions of the outcomes
    whose spread is its unit; sd : (m,) that spread without effects; shift : [h][k] what a unit
    effect of h adds to the pooled outcomes of k, (pooled, cells of k).
    """

    name: str
    alpha: float
    members: tuple[Analysis, ...]
    own: tuple[int, ...]
    pooled: tuple[list[int], ...]
    sd: np.ndarray
    shift: list[list[np.ndarray]]


@dataclass(frozen=True)
class Plan:
    """What it takes to draw and analyse an experiment of any size; can be sent to a worker.

    probabilities (c,) of the cells; root (items, items) of the latent correlation; thresholds
    (items, categories - 1); lowest (items,) code; mix (outcomes, items) makes the stack of
    outcomes: items, indices, contrasts of items.
    """

    probabilities: np.ndarray
    root: np.ndarray
    thresholds: np.ndarray
    lowest: np.ndarray
    mix: np.ndarray
    families: tuple[Family, ...]

    @classmethod
    def of(cls, registration: Registration, simulation: Simulation) -> "Plan":
        """From the registration, and the assumed answers of a world without effects."""
        latent = calibrate(registration, simulation, World(label="no effect", default=0))
        cells = pd.DataFrame(list(product(*latent.factors.values())), columns=list(latent.factors))
        for name, levels in latent.factors.items():
            cells[name] = pd.Categorical(cells[name], levels)
        analyses = registered_analyses(registration, simulation, cells)
        mix = np.vstack([np.eye(len(latent.items)), index_weights(registration, simulation)])
        own = []
        for a in analyses:
            if np.ndim(a.outcome):
                own.append(len(mix))
                mix = np.vstack([mix, a.outcome[: len(latent.items)]])
            else:
                own.append(int(a.outcome))
            check_asked(a, mix[own[-1]] != 0, latent.asked)
        families = families_of(registration, simulation, analyses, own, mix)
        first = np.argmax(latent.asked, axis=0)  # without effects all cells that are asked agree
        thresholds = latent.thresholds[first, np.arange(len(first))]
        return cls(
            latent.probabilities, np.linalg.cholesky(latent.correlation).astype(np.float32),
            thresholds.astype(np.float32), latent.lowest, mix, families,
        )

    def draw(
        self, rng: np.random.Generator, n: int, size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Experiments of n respondents without effects.

        Returns count (size, c), mean and sum of squares about it (size, o, c) of every cell.
        """
        count = rng.multinomial(n, self.probabilities, size)
        mean, within = draw_moments(rng, count, self.root, self.thresholds, self.mix)
        level = (self.mix @ self.lowest)[:, None]
        return count, mean + np.where(count[:, None], level, 0.0), within

    def results(self, rng: np.random.Generator, n: int, size: int, effects) -> list[tuple]:
        """What `judge` returns of each family; see `Design`."""
        drawn = self.draw(rng, n, size)
        return [judge(f, effects, *_from_cells(f, *drawn), *drawn) for f in self.families]


def families_of(
    registration: Registration, simulation: Simulation, analyses: Sequence[Analysis], own, mix
) -> tuple[Family, ...]:
    """Families of analyses; own: the place of each one's outcome; mix (outcomes, items)."""
    items = list(simulation.outcomes)
    spread = [simulation.outcomes[item].sd for item in items]
    covariance = matrix(items, simulation.correlations) * np.outer(spread, spread)
    variance = np.einsum("oi,ij,oj->o", mix, covariance, mix)
    families = []
    for name in dict.fromkeys(a.family for a in analyses):
        at = [i for i, a in enumerate(analyses) if a.family == name]
        members = tuple(analyses[i] for i in at)
        pooled = tuple(a.items for a in members)
        families.append(Family(
            name, registration.families[name].alpha, members, tuple(own[i] for i in at), pooled,
            np.sqrt([variance[p].mean() for p in pooled]), _shifts(members),
        ))
    return tuple(families)


_BLOCK = 12_000  # respondents drawn at a time: the arrays stay in the processor's cache


def draw_moments(
    rng: np.random.Generator, count, root, thresholds, mix=None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and sum of squares about it, of simulated answers in every cell: (s, o, c) each.

    count (s, c) respondents of each cell and experiment, every experiment of the same size; root
    (i, i) of the latent correlation and thresholds (i, categories - 1), float32; mix (o, i) makes
    outcomes of the items' codes, which are counted from 0 (None: the items themselves).
    Respondents are alike, so they may stand in the order of their cells. Empty cells are 0.
    """
    (size, cells), items = count.shape, len(root)
    outcomes = items if mix is None else len(mix)
    total, squares = np.empty((2, size, outcomes, cells))
    step = max(1, _BLOCK // max(1, int(count[0].sum())))
    for first in range(0, size, step):
        part = count[first : first + step]
        n = int(part.sum())
        latent = root @ normals(rng, (items, n))
        answers = np.zeros((items, n), dtype=np.int8)
        for threshold in thresholds.T:
            answers += latent > threshold[:, None]
        values = np.zeros((outcomes, n + 1))  # the zero at the end lets a last cell be empty
        values[:, :n] = answers if mix is None else mix @ answers
        starts = np.r_[0, np.cumsum(part)[:-1]]
        for sums in (total, squares):
            found = np.add.reduceat(values, starts, axis=1).reshape(outcomes, len(part), cells)
            sums[first : first + step] = found.swapaxes(0, 1)
            np.multiply(values, values, out=values)
    occupied = count[:, None, :]
    mean = np.where(occupied, total, 0.0) / np.maximum(occupied, 1)
    return mean, np.maximum(np.where(occupied, squares - total * mean, 0.0), 0.0)


def check_asked(a: Analysis, used: np.ndarray, asked: np.ndarray) -> None:
    """An error unless all analysed rows are asked the items used; asked (rows or cells, items)."""
    if not asked[np.ix_(a.rows, used)].all():
        raise LedgerError(
            f"hypothesis {a.id}", found="an item that part of its sample is not asked",
            expected="items that everyone in the sample is asked",
            mend="register the sample in which the item is asked",
        )


def _shifts(members: Sequence[Analysis]) -> list[list[np.ndarray]]:
    """What a unit effect of each member h adds to the pooled outcomes of each member k.

    The smallest change (least squares) that moves the estimand of h by one and those of the other
    members, where they rest on the same answers, by nothing.
    """
    shift = [[np.zeros((len(k.items), int(k.rows.sum()))) for k in members] for _ in members]
    groups: dict[tuple, list[int]] = {}
    for i, a in enumerate(members):
        key = (a.rows.tobytes(), "items" if np.ndim(a.outcome) else a.outcome, a.design.tobytes())
        groups.setdefault(key, []).append(i)
    outcomes = [key[1] for key in groups]
    for at in groups.values():
        within = np.ndim(members[at[0]].outcome) > 0
        weights = np.array([members[i].outcome if within else members[i].contrast for i in at])
        if np.linalg.matrix_rank(weights) < len(at) or len(set(outcomes)) < len(outcomes):
            raise LedgerError(
                f"family {members[0].family}",
                found=", ".join(a.id for a in members) + ", of which one cannot change alone",
                expected="one model for each outcome, and no hypothesis that follows from others",
                mend="such a family cannot be diagnosed one effect at a time",
            )
        change = np.linalg.pinv(weights)
        for j, h in enumerate(at):
            for k in at:
                a = members[k]
                moved = change[a.items, j][:, None] if within else a.design @ change[:, j]
                shift[h][k] = np.broadcast_to(moved, shift[h][k].shape)
    return shift


class Design(Protocol):
    """What is simulated: `Plan`, or `fixed.Fixed`."""

    families: tuple[Family, ...]

    def results(self, rng: np.random.Generator, n: int, size: int, effects) -> list[tuple]:
        """What `judge` returns of each family, over `size` experiments of n respondents."""


def truth(plan: Design, effects) -> np.ndarray:
    """True values (hypotheses, effects) in the units of the outcomes."""
    directions = [a.direction for family in plan.families for a in family.members]
    sd = np.concatenate([family.sd for family in plan.families])
    return (np.array(directions) * sd)[:, None] * np.array(effects)


def experiments(
    plan: Design, n: int, effects, seed: np.random.SeedSequence, size: int
) -> Tally:
    """Draw, analyse and judge `size` experiments of n respondents under every effect."""
    parts = plan.results(np.random.default_rng(seed), n, size, effects)
    estimate, se, df, false, *fields = (
        np.concatenate(part, axis=1) for part in zip(*parts, strict=True)
    )
    alpha = np.repeat([f.alpha for f in plan.families], [len(f.members) for f in plan.families])
    sums = tally(estimate, se, df, Decision(*fields), truth(plan, effects), alpha[:, None])
    return sums | {"false": false.sum(axis=0)}


def _from_cells(family: Family, count, mean, within) -> np.ndarray:
    """Estimate, standard error and df of each member without effects (3, simulations, members)."""
    out = np.empty((3, len(count), len(family.members)))
    for k, a in enumerate(family.members):
        own, cells = family.own[k], count[:, a.rows]
        used = (part[:, own, a.rows] for part in (mean, within))
        found = of_counts(a.design, cells, *used, a.contrast)
        out[:, :, k] = found.coef[:, 0], found.se[:, 0], cells.sum(axis=1) - a.design.shape[1]
    return out


def judge(
    family: Family, effects, base, error, df, count, mean, within
) -> tuple[np.ndarray, ...]:
    """Each member's results when it alone has an effect: arrays (simulations, members, effects).

    estimate, se, df, whether a true null of the family was rejected, and the fields of `Decision`.
    base, error, df : (simulations, members), without effects; count (simulations, c); mean, within
    (simulations, outcomes, c).
    """
    m = len(family.members)
    sds = np.empty((len(count), m, len(effects), m))
    direction = np.array([a.direction for a in family.members])
    t = (direction * family.sd)[:, None] * np.array(effects)                # (members, effects)
    for k, a in enumerate(family.members):
        used = (part[:, family.pooled[k]][..., a.rows] for part in (mean, within))
        shifts = [family.shift[h][k] for h in range(m)]
        sds[..., k] = _spreads(count[:, a.rows], *used, shifts, t)
    alone = np.eye(m)[:, None, :]
    estimates = base[:, None, None, :] + alone * t[:, :, None]
    sesoi = np.array([a.sesoi_sd for a in family.members])
    decision = decide(
        estimates, error[:, None, None, :], df[:, None, None, :], sesoi * sds, direction,
        family.alpha, family.members[0].correction,
    )
    null = (alone == 0) | (t == 0)[:, :, None]
    false = ((decision.p_adjusted < family.alpha) & null).any(axis=-1)

    def own_of(values) -> np.ndarray:
        values = np.broadcast_to(values, estimates.shape)
        return np.diagonal(values, axis1=1, axis2=3).swapaxes(1, 2)

    rest = (own_of(value) for value in vars(decision).values())
    return (
        own_of(estimates), own_of(error[:, None, None, :]), df[..., None], false, *rest,
    )


def _spreads(count, mean, within, shifts, t) -> np.ndarray:
    """SD (ddof 1) of the pooled outcomes (simulations, members, effects) under each effect.

    count (s, c); mean, within (s, pooled, c); shifts: by member (pooled, c); t (members, effects).
    """
    total = (count.sum(axis=1) * mean.shape[1]).astype(float)
    centre = np.einsum("sc,spc->s", count, mean) / total
    deviation = mean - centre[:, None, None]
    squares = within.sum(axis=(1, 2)) + np.einsum("sc,spc->s", count, deviation**2)
    out = np.empty((len(count), *t.shape))
    for h, shift in enumerate(shifts):
        cross = np.einsum("sc,spc,pc->s", count, deviation, shift)
        own = np.einsum("sc,pc->s", count, shift**2)
        own = own - np.einsum("sc,pc->s", count, shift) ** 2 / total
        moved = squares[:, None] + 2 * cross[:, None] * t[h] + own[:, None] * t[h] ** 2
        out[:, h] = np.sqrt(moved / (total[:, None] - 1))
    return out
