"""Experiments by the thousand: drawn, estimated as registered, and judged.

Knows no registration and no data frame: `design_diagnosis` says what is registered in the terms of
this module. Answers depend on the cell of the design alone; then counts, means and sums of squares
of the cells hold everything that HC2 needs. Where analyses use covariates or weights, people are
held fixed, and each person is a cell of one.

Effects are added as constants. A constant that the design can express moves the estimate by exactly
its size and leaves every residual as it is, so one set of experiments serves a whole grid of true
effects without loss. What is left out: answers near the ends of their scale leave less room for an
effect, and an effect may differ between people.

What is kept of the experiments is sums only, so that memory does not grow with their number.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context

import numpy as np
from scipy import special

from claimledger.errors import LedgerError
from claimledger.simulation.calibration import normals
from claimledger.statistics.clustered import df_of_mean
from claimledger.statistics.decision import HYPOTHESIS, Decision, decide, false_claims
from claimledger.statistics.linear import LeastSquares

Tally = dict[str, np.ndarray]
Moments = tuple[np.ndarray, np.ndarray, np.ndarray]
BLOCK = 12_000   # respondents drawn at a time: the arrays stay in the processor's cache


@dataclass(frozen=True)
class RegisteredTest:
    """One registered test, over the n cells of the design or over n people.

    rows : (n,) bool, the n' that are analyzed; design : (n', k); contrast : (k,) weights over its
    coefficients. outcome : (items,) weights that make the outcome. within : whether it is the mean
    of a contrast of items, whose weights sum to zero within respondents; design and contrast are
    then ones. direction : a code of `decision.DIRECTIONS`. bound : smallest effect of interest (or
    margin), in SD of the outcome where `in_sd`, else in its units; NaN where there is none.
    weights : (n',) or None. leans : whether the analysis uses the background, so that answers must
    lean on it.

    With complete answers a mean of a contrast of items is the regression of the stacked items with
    CR2 by respondent: HC2 and n - 1 degrees of freedom without weights; with weights the
    identity is the working covariance, not the inverse weights as in HC2 of a WLS fit.
    """

    id: str
    family: str
    rows: np.ndarray
    design: np.ndarray
    contrast: np.ndarray
    outcome: np.ndarray
    direction: int
    bound: float
    in_sd: bool = True
    weights: np.ndarray | None = None
    within: bool = False
    leans: bool = False

    @property
    def pooled(self) -> np.ndarray:
        """Outcomes (p, items) whose common SD is the unit: the outcome, or the items compared."""
        items = np.eye(len(self.outcome))[np.flatnonzero(self.outcome)]
        return items if self.within else self.outcome[None]


@dataclass(frozen=True)
class Family:
    """Tests that are corrected together.

    own : row of each member's outcome in the drawn outcomes; pooled : rows of the outcomes whose
    spread is its unit; sd : (m,) that spread without effects; shift : [h][k] what a unit effect of
    h adds to the pooled outcomes of k, (pooled, rows of k).
    """

    name: str
    alpha: float
    correction: str
    tests: tuple[RegisteredTest, ...]
    own: tuple[int, ...]
    pooled: tuple[list[int], ...]
    sd: np.ndarray
    shift: list[list[np.ndarray]]

    def bounds(self, sd: np.ndarray) -> np.ndarray:
        """Smallest effects of interest (..., m) in units of outcomes with these SDs; or NaN."""
        bound, in_sd = np.array([(t.bound, t.in_sd) for t in self.tests]).T
        return bound * np.where(in_sd, sd, 1.0)


def families(
    tests: Sequence[RegisteredTest], rules: dict[str, tuple[float, str]], covariance: np.ndarray
) -> tuple[tuple[Family, ...], np.ndarray]:
    """Families of tests, and the outcomes (o, items) that they use.

    rules : alpha and correction by family; covariance : (items, items) of answers without effects.
    """
    rows: dict[bytes, np.ndarray] = {}

    def place(outcome: np.ndarray) -> int:
        rows.setdefault(outcome.tobytes(), outcome)
        return list(rows).index(outcome.tobytes())

    found = []
    for name in dict.fromkeys(t.family for t in tests):
        members = tuple(t for t in tests if t.family == name)
        sd = [np.sqrt(np.mean([r @ covariance @ r for r in t.pooled])) for t in members]
        found.append(Family(
            name, *rules[name], members, tuple(place(t.outcome) for t in members),
            tuple([place(row) for row in t.pooled] for t in members), np.array(sd),
            _shifts(members),
        ))
    return tuple(found), np.array([*rows.values()])


def _shifts(members: Sequence[RegisteredTest]) -> list[list[np.ndarray]]:
    """What a unit effect of each member h adds to the pooled outcomes of each member k.

    The smallest change (least squares) that moves the estimand of h by one and those of the other
    members, where they rest on the same answers, by nothing.
    """
    shift = [[np.zeros((len(k.pooled), int(k.rows.sum()))) for k in members] for _ in members]
    groups: dict[tuple, list[int]] = {}
    for i, t in enumerate(members):
        outcome = b"items" if t.within else t.outcome.tobytes()
        groups.setdefault((t.rows.tobytes(), outcome, t.design.tobytes()), []).append(i)
    twice = len({key[1] for key in groups}) < len(groups)  # two models of one outcome
    for at in groups.values():
        within = members[at[0]].within
        weights = np.array([members[i].outcome if within else members[i].contrast for i in at])
        if twice or np.linalg.matrix_rank(weights) < len(at):
            raise LedgerError(
                f"family {members[0].family}",
                found=", ".join(t.id for t in members) + ", of which one cannot change alone",
                expected="one model for each outcome, and no hypothesis that follows from others",
                mend="such a family cannot be diagnosed one effect at a time")
        change = np.linalg.pinv(weights)
        for j, h in enumerate(at):
            for k in at:
                t = members[k]
                moved = (t.pooled @ change[:, j])[:, None] if within else t.design @ change[:, j]
                shift[h][k] = np.broadcast_to(moved, shift[h][k].shape)
    return shift


def draw_moments(
    rng: np.random.Generator, count, root, thresholds, mix=None, recodes=(), lean=None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and sum of squares about it, of simulated answers in every cell: (s, o, c) each.

    count (s, c) respondents of each cell and experiment, every experiment of the same size; root
    (i, i) of the latent correlation; thresholds (i, categories - 1), or (c, i, categories - 1)
    where cells differ; both float32. mix (o, items) makes outcomes of the answers, which are
    counted from 0 (None: the answers themselves), and of `recodes`: (item, values by answer).
    Respondents of a cell are alike, so they may stand in the order of their cells. Empty cells
    are 0. lean : of cells of one, slopes (i, background) and where the background of each person
    lies (2, background, c), as `respondents.intervals` has it; None: the background is part of
    the variation between people.
    """
    (size, cells), items = count.shape, len(root)
    mix = np.eye(items) if mix is None else mix
    total, squares = np.zeros((2, size, len(mix), cells))
    # Cells of one are drawn one experiment at a time: their thresholds are those of the people.
    same = np.all(count == count[0])
    alone = thresholds.ndim == 3 and np.all(count == 1)
    each = int(count[0].sum())
    step = 1 if alone else max(1, BLOCK // max(1, each))
    by_cell = np.ascontiguousarray(thresholds.T).reshape(thresholds.shape[-1], items, -1)
    cuts = by_cell
    # Written over for each block: fresh memory would cost as much as the arithmetic.
    wide = min(step, size) * each
    answers, values = np.empty((mix.shape[1], wide)), np.empty((len(mix), wide + 1))
    for first in range(0, size, step):
        part = count[first : first + step]
        n = len(part) * each
        latent = root @ normals(rng, (items, n))
        if lean is not None:
            latent += lean[0] @ normals(rng, lean[1].shape[1:], lean[1])
        if thresholds.ndim == 3 and not alone and not (same and first):
            cuts = by_cell[..., np.repeat(np.tile(np.arange(cells), len(part)), part.ravel())]
        codes = (latent > cuts[0, :, :n]).view(np.int8)
        for cut in cuts[1:, :, :n]:
            codes += latent > cut
        answers[:items, :n] = codes
        for place, (item, worth) in enumerate(recodes, items):
            answers[place, :n] = np.asarray(worth)[codes[item]]
        if alone:  # each is its mean, and nothing varies about it
            np.matmul(mix, answers[:, :n], out=total[first])
            continue
        np.matmul(mix, answers[:, :n], out=values[:, :n])
        values[:, n] = 0  # lets a last cell be empty
        starts = np.r_[0, np.cumsum(part)[:-1]]
        for sums in (total, squares):
            found = np.add.reduceat(values[:, : n + 1], starts, axis=1)
            sums[first : first + step] = found.reshape(len(mix), len(part), cells).swapaxes(0, 1)
            np.multiply(values, values, out=values)
    if alone:
        return total, squares
    occupied = count[:, None, :]
    mean = np.where(occupied, total, 0.0) / np.maximum(occupied, 1)
    return mean, np.maximum(np.where(occupied, squares - total * mean, 0.0), 0.0)


@dataclass(frozen=True)
class Experiments:
    """Experiments that can be drawn and estimated, here or by a worker.

    families : over the c cells (or people). probabilities : (c,) of the cells, whose sizes are
    drawn anew; or fixed : (c,) sizes. roots : by `leans` that of the latent correlation, or of
    what the background leaves of it: people's answers lean on their background where analyses use
    covariates; else it is part of the variation between people, as it is in a new sample. lean,
    and the rest : see `draw_moments`. lowest : (items,) value of an answer counted as 0.
    """

    families: tuple[Family, ...]
    probabilities: np.ndarray
    fixed: np.ndarray | None
    roots: dict[bool, np.ndarray]
    thresholds: np.ndarray
    lean: tuple[np.ndarray, np.ndarray] | None
    mix: np.ndarray
    recodes: tuple
    lowest: np.ndarray

    def draw(self, rng: np.random.Generator, n: int, size: int, leans: bool) -> Moments:
        """Count of every cell (size, c), or (c,) where it is the same in all experiments.

        And mean, and sum of squares about it, of the outcomes: (size, o, c).
        """
        count = self.fixed if self.fixed is not None else rng.multinomial(
            n, self.probabilities, size)
        mean, within = draw_moments(
            rng, np.broadcast_to(count, (size, count.shape[-1])), self.roots[leans],
            self.thresholds, self.mix, self.recodes, self.lean if leans else None)
        mean += np.where(count[..., None, :], (self.mix @ self.lowest)[:, None], 0.0)
        return count, mean, within

    @cached_property
    def _groups(self) -> list[list[tuple[int, int, RegisteredTest]]]:
        """Place in families and the test, of tests that share a design."""
        groups: dict[tuple, list] = {}
        for f, family in enumerate(self.families):
            for k, t in enumerate(family.tests):
                weights = b"" if t.weights is None else t.weights.tobytes()
                key = t.rows.tobytes(), t.design.tobytes(), weights, t.leans, t.within
                groups.setdefault(key, []).append((f, k, t))
        return list(groups.values())

    def estimates(self, rng: np.random.Generator, n: int, size: int) -> tuple[list, dict]:
        """Of each family estimates, errors and df (3, size, m); what was drawn, by `leans`."""
        drawn = {leans: self.draw(rng, n, size, leans)
                 for leans in sorted({t.leans for f in self.families for t in f.tests})}
        found = [np.empty((3, size, len(family.tests))) for family in self.families]
        for uses in self._groups:
            t = uses[0][2]
            count, mean, within = drawn[t.leans]
            cells, own = count[..., t.rows], [self.families[f].own[k] for f, k, _ in uses]
            weighted_mean = t.within and t.weights is not None
            design = LeastSquares.of(
                t.design, np.array([one.contrast for _, _, one in uses]), t.weights, count=cells,
                working="identity" if weighted_mean else "weights",
            )
            df = df_of_mean(t.weights) if weighted_mean else cells.sum(-1) - t.design.shape[1]
            outcomes = sorted(set(own))
            coef, se = design.estimate(*(x[:, outcomes][:, :, t.rows] for x in (mean, within)))
            for q, (f, k, _) in enumerate(uses):
                place = outcomes.index(own[q])
                found[f][:, :, k] = coef[:, place, q], se[:, place, q], np.broadcast_to(df, size)
        return found, drawn


# Judging -----------------------------------------------------------------------------------------


def judge(family: Family, scenarios: np.ndarray, base, se, df, drawn: dict) -> tuple:
    """Estimates (s, S, m), errors and df (s, 1, m) and the decision of a family under scenarios.

    scenarios : (S, m) true effects, in SD of the outcomes, added to the experiments as drawn.
    base, se, df : (s, m) as drawn; drawn : by `leans` count, mean, within (s, o, c).
    """
    # A constant effect moves the estimate and leaves its error; what it changes besides is the SD
    # of the outcome, in which bounds are registered.
    t = scenarios * family.sd
    sd, p = np.empty((2, len(base), *t.shape))
    for k, test in enumerate(family.tests):
        values, place = np.unique(t[:, k], return_inverse=True)  # most scenarios move others
        own = (base[:, k, None] + values) / se[:, k, None]
        p[..., k] = (2 * special.stdtr(df[:, k, None], -np.abs(own)))[:, place]
        count, *moments = drawn[test.leans]
        count = np.broadcast_to(count, (len(base), count.shape[-1]))[:, test.rows]
        used = (part[:, family.pooled[k]][..., test.rows] for part in moments)
        shift = np.tensordot(t, np.stack([family.shift[h][k] for h in range(t.shape[1])]), 1)
        sd[..., k] = _spreads(count, *used, shift)
    se, df = se[:, None], df[:, None]
    estimate = base[:, None] + t
    decision = decide(estimate, se, df, family.bounds(sd), [one.direction for one in family.tests],
                      family.alpha, family.correction, p)
    return estimate, se, df, decision


def _spreads(count, mean, within, shift) -> np.ndarray:
    """SD (ddof 1) of the pooled outcomes (s, S) when `shift` (S, pooled, c) is added to them.

    count (s, c); mean, within (s, pooled, c). Sums of squares about the common mean: those as
    drawn, twice the products of deviations and shift, and those of the shift about its own mean.
    """
    total = (count.sum(axis=1) * mean.shape[1]).astype(float)
    center = np.einsum("sc,spc->s", count, mean) / total
    deviation = (mean - center[:, None, None]) * count[:, None]
    squares = within.sum(axis=(1, 2)) + np.einsum("spc,spc->s", deviation, mean)
    cross = np.tensordot(deviation, shift, ([1, 2], [1, 2]))
    own = count @ (shift**2).sum(axis=1).T - (count @ shift.sum(axis=1).T) ** 2 / total[:, None]
    return np.sqrt((squares[:, None] + 2 * cross + own) / (total[:, None] - 1))


def tally(estimate, se, df, decision: Decision, truth, alpha: float = 0.05) -> Tally:
    """Sums over experiments (first axis) of what `summarize` needs; truth : (S, m) true values."""
    significant = decision.p_adjusted < alpha
    error = estimate - truth
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(significant & (truth != 0), estimate / truth, 0.0)
    kept = {
        "error": error, "error_2": error**2, "error_4": error**4, "se": se, "se_2": se**2,
        "power": significant, "equivalence": decision.tost_p_adjusted < alpha,
        "coverage": np.abs(error) <= special.stdtrit(df, 1 - alpha / 2) * se,
        "wrong_sign": ratio < 0, "exaggeration": np.abs(ratio), "exaggeration_2": ratio**2,
        **{name: decision.verdict == code for code, name in enumerate(HYPOTHESIS)},
    }
    sums = {name: np.broadcast_to(v.sum(axis=0), estimate.shape[1:]) for name, v in kept.items()}
    return sums | {"simulations": np.array(len(estimate))}


def batch(
    design: Experiments, n: int, scenarios: dict[str, np.ndarray],
    seed: np.random.SeedSequence, size: int,
) -> Tally:
    """Draw, estimate and judge `size` experiments of n respondents under every scenario.

    scenarios : (S, m) by family, S the same for all; they are the truth where no other effects are
    at work. Results (S, members of all families), and by family (S, f), with all families together
    in the last column, in how many experiments a true null was rejected (`false_null`), a verdict
    was false (`false_claim`) and something was supported (`any_supported`).
    """
    found, drawn = design.estimates(np.random.default_rng(seed), n, size)
    sums, hits = [], {"false_null": [], "false_claim": [], "any_supported": []}
    for family, estimates in zip(design.families, found, strict=True):
        # Some are alike for a family: each is judged once.
        own, again = np.unique(scenarios[family.name], axis=0, return_inverse=True)
        truth, again = own * family.sd, again.ravel()
        estimate, se, df, decision = judge(family, own, *estimates, drawn)
        sums.append({name: value[again] if value.ndim else value for name, value in
                     tally(estimate, se, df, decision, truth, family.alpha).items()})
        hits["any_supported"].append((decision.verdict == 0).any(axis=-1)[:, again])
        rejected = (decision.p_adjusted < family.alpha) & (truth == 0)
        hits["false_null"].append(rejected.any(axis=-1)[:, again])
        bound = family.bounds(family.sd)  # of the drawn answers, without effects
        false = false_claims(decision, truth, np.where(np.isnan(bound), np.inf, bound))
        hits["false_claim"].append(false.any(axis=-1)[:, again])
    total = {name: sums[0][name] if name == "simulations" else np.concatenate(
        [part[name] for part in sums], axis=-1) for name in sums[0]}
    for name, each in hits.items():
        total[name] = np.stack([*each, np.any(each, axis=0)], axis=-1).sum(axis=0)
    return total


@contextmanager
def processes(workers: int) -> Iterator[Callable | None]:
    """What computes chunks side by side, started once; None for one worker.

    Copies of this process, which need not import anything, where it has no other thread: a copy can
    wait forever for a lock that a thread held (that of a progress bar, say). Otherwise joblib's
    fresh ones; with -1 those of an enclosing `joblib.parallel_config`, such as Dask's.
    """
    if workers == 1:
        yield None
    elif workers > 1 and sys.platform == "linux" and threading.active_count() == 1:
        with ProcessPoolExecutor(workers, get_context("fork")) as pool:
            yield lambda job, arguments: pool.map(job, *zip(*arguments, strict=True))
    else:
        from joblib import Parallel, delayed

        with Parallel(n_jobs=workers, return_as="generator") as many:
            yield lambda job, arguments: many(delayed(job)(*one) for one in arguments)


def run(
    job: Callable[[np.random.SeedSequence, int], Tally], simulations: int, seed, *,
    chunk: int = 100, many: Callable | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Run `job(seed, size)` on chunks of experiments and add the tallies, in order.

    Each chunk has its own seed, spawned from `seed`: the result depends on `chunk`, not on `many`,
    which is what `processes` gives. progress : called with experiments done and their total.
    """
    if simulations < 2:
        raise LedgerError("diagnose", found=f"{simulations} simulations",
                          expected="two simulations or more", mend="ask for more simulations")
    sizes = [min(chunk, simulations - at) for at in range(0, simulations, chunk)]
    jobs = zip(np.random.SeedSequence(seed).spawn(len(sizes)), sizes, strict=True)
    total, done = {}, 0
    for part in many(job, jobs) if many else (job(*one) for one in jobs):
        total = {name: total.get(name, 0) + value for name, value in part.items()}
        done += int(part["simulations"])
        if progress is not None:
            progress(done, simulations)
    return total


def proportion(hits, n) -> tuple[np.ndarray, np.ndarray]:
    """Share of experiments, and its Monte Carlo standard error."""
    rate = hits / n
    return rate, np.sqrt(rate * (1 - rate) / n)


def average(total, squares, n) -> tuple[np.ndarray, np.ndarray]:
    """Mean over experiments, and its Monte Carlo standard error."""
    mean = total / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0) / np.maximum(n - 1, 1))


def summarize(sums: Tally, truth) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each quantity with its Monte Carlo standard error.

    power (significant after correction), equivalence (shown after correction), mean_se, the rate of
    each verdict, bias, rmse, coverage (of the unadjusted interval), type_s and type_m
    (Gelman and Carlin 2014): among the significant, the share of the wrong sign and the mean of
    |estimate / truth|; missing where the truth is zero or fewer than two were significant.
    """
    n = int(sums["simulations"])  # errors: Morris, White and Crowther (2019), table 6
    found = {name: proportion(sums[name], n)
             for name in ("power", "equivalence", "coverage", *HYPOTHESIS)}
    found["mean_se"] = average(sums["se"], sums["se_2"], n)
    found["bias"] = average(sums["error"], sums["error_2"], n)
    rmse = np.sqrt(sums["error_2"] / n)
    hits = sums["power"].astype(float)
    enough = (hits > 1) & (np.asarray(truth) != 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["rmse"] = rmse, average(sums["error_2"], sums["error_4"], n)[1] / (2 * rmse)
        for name, pair in {
            "type_s": proportion(sums["wrong_sign"], hits),
            "type_m": average(sums["exaggeration"], sums["exaggeration_2"], hits),
        }.items():
            found[name] = tuple(np.where(enough, value, np.nan) for value in pair)
    return found
