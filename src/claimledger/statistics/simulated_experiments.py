"""Experiments by the thousand: drawn, estimated as registered, and judged.

Knows no registration and no data frame: `design_diagnosis` says what is registered in the terms of
this module. An experiment is drawn in one of two forms.

- `Cells`: answers depend on the cell of the design alone. Then counts, means and sums of squares of
  the cells hold everything that HC2 needs. The cells' sizes are drawn anew, or held fixed.
- `People`: analyses use covariates or weights. Then people, their background and weights and their
  assignment are held fixed, and their answers are drawn anew.

Effects are added as constants. A constant that the design can express moves the estimate by exactly
its size and leaves every residual as it is, so one set of experiments serves a whole grid of true
effects without loss. What is left out: answers near the ends of their scale leave less room for an
effect, and an effect may differ between people.

What is kept of the experiments is sums only, so that memory does not grow with their number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from joblib import Parallel, delayed
from scipy import special

from claimledger.errors import LedgerError
from claimledger.simulation.calibration import normals
from claimledger.statistics.clustered import df_of_mean
from claimledger.statistics.decision import Decision, decide, false_claims
from claimledger.statistics.linear import LeastSquares, of_counts

Tally = dict[str, np.ndarray]
ROUND = 32       # chunks handed out at a time: bounds the memory
BLOCK = 12_000   # respondents drawn at a time: the arrays stay in the processor's cache


@dataclass(frozen=True)
class RegisteredTest:
    """One registered test, over the n cells of the design or over n people.

    X : (n, k) design, or None for a mean of a contrast of items within respondents. contrast :
    (k,) weights over the coefficients; (1,) for a mean. rows : (n,) bool, what is analyzed.
    outcome : (items,) weights that make the outcome; they sum to zero within respondents.
    direction : a code of `decision.DIRECTIONS`. bound : smallest effect of interest (or margin), in
    SD of the outcome where `in_sd`, else in its units; None where there is none. weights : (n,) or
    None. leans : whether the analysis uses the background, so that answers lean on it (`People`).

    With complete answers a mean of a contrast of items is the regression of the stacked items with
    CR2 by respondent: HC2 and n - 1 degrees of freedom without weights; with weights the
    identity is the working covariance, not the inverse weights as in HC2 of a WLS fit.
    """

    id: str
    family: str
    X: np.ndarray | None
    contrast: np.ndarray
    rows: np.ndarray
    outcome: np.ndarray
    direction: int
    bound: float | None
    in_sd: bool = True
    weights: np.ndarray | None = None
    leans: bool = False

    @cached_property
    def design(self) -> np.ndarray:
        """Design (n', k) of the analyzed rows."""
        return np.ones((int(self.rows.sum()), 1)) if self.X is None else self.X[self.rows]

    @property
    def used(self) -> np.ndarray | None:
        """Weights of the analyzed rows, if any."""
        return None if self.weights is None else self.weights[self.rows]

    @property
    def pooled(self) -> np.ndarray:
        """Outcomes (p, items) whose common SD is the unit: the outcome, or the items compared."""
        if self.X is not None:
            return self.outcome[None]
        return np.eye(len(self.outcome))[np.flatnonzero(self.outcome)]


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

    def effects(self, scenarios: np.ndarray) -> np.ndarray:
        """True effects (S, m) in units of the outcomes, from multiples of the SD (S, m)."""
        return scenarios * self.sd

    def decide(self, estimate, se, df, sd) -> Decision:
        """The registered rule; arrays (..., m)."""
        bound = [np.full(sd.shape[:-1], np.nan if t.bound is None else t.bound) * (
            sd[..., k] if t.in_sd else 1.0) for k, t in enumerate(self.tests)]
        return decide(estimate, se, df, np.stack(bound, axis=-1),
                      [t.direction for t in self.tests], self.alpha, self.correction)

    def false_claims(self, decision: Decision, truth: np.ndarray) -> np.ndarray:
        """Which verdicts are false by true effects (S, m); the bound is one of the drawn SD."""
        bound = [np.inf if t.bound is None else t.bound * (sd if t.in_sd else 1.0)
                 for t, sd in zip(self.tests, self.sd, strict=True)]
        return false_claims(decision, truth, np.array(bound))


def families(
    tests: Sequence[RegisteredTest], rules: dict[str, tuple[float, str]], covariance: np.ndarray
) -> tuple[tuple[Family, ...], np.ndarray]:
    """Families of tests, and the outcomes (o, items) that they use.

    rules : alpha and correction by family; covariance : (items, items) of answers without effects.
    """
    rows: list[np.ndarray] = []

    def place(outcome: np.ndarray) -> int:
        for i, known in enumerate(rows):
            if np.array_equal(known, outcome):
                return i
        rows.append(outcome)
        return len(rows) - 1

    found = []
    for name in dict.fromkeys(t.family for t in tests):
        members = tuple(t for t in tests if t.family == name)
        sd = [np.sqrt(np.mean([r @ covariance @ r for r in t.pooled])) for t in members]
        found.append(Family(
            name, *rules[name], members, tuple(place(t.outcome) for t in members),
            tuple([place(row) for row in t.pooled] for t in members), np.array(sd),
            _shifts(members),
        ))
    return tuple(found), np.array(rows)


def _shifts(members: Sequence[RegisteredTest]) -> list[list[np.ndarray]]:
    """What a unit effect of each member h adds to the pooled outcomes of each member k.

    The smallest change (least squares) that moves the estimand of h by one and those of the other
    members, where they rest on the same answers, by nothing.
    """
    shift = [[np.zeros((len(k.pooled), int(k.rows.sum()))) for k in members] for _ in members]
    groups: dict[tuple, list[int]] = {}
    for i, t in enumerate(members):
        outcome = b"items" if t.X is None else t.outcome.tobytes()
        groups.setdefault((t.rows.tobytes(), outcome, t.design.tobytes()), []).append(i)
    twice = len({key[1] for key in groups}) < len(groups)  # two models of one outcome
    for at in groups.values():
        within = members[at[0]].X is None
        weights = np.array([members[i].outcome if within else members[i].contrast for i in at])
        if twice or np.linalg.matrix_rank(weights) < len(at):
            raise LedgerError(
                f"family {members[0].family}",
                found=", ".join(t.id for t in members) + ", of which one cannot change alone",
                expected="one model for each outcome, and no hypothesis that follows from others",
                mend="such a family cannot be diagnosed one effect at a time",
            )
        change = np.linalg.pinv(weights)
        for j, h in enumerate(at):
            for k in at:
                t = members[k]
                moved = (t.pooled @ change[:, j])[:, None] if within else t.design @ change[:, j]
                shift[h][k] = np.broadcast_to(moved, shift[h][k].shape)
    return shift


def draw_moments(
    rng: np.random.Generator, count, root, thresholds, mix=None, recodes=()
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and sum of squares about it, of simulated answers in every cell: (s, o, c) each.

    count (s, c) respondents of each cell and experiment, every experiment of the same size; root
    (i, i) of the latent correlation; thresholds (i, categories - 1), or (c, i, categories - 1)
    where cells differ; both float32. mix (o, items) makes outcomes of the answers, which are
    counted from 0 (None: the answers themselves), and of `recodes`: (item, values by answer).
    Respondents of a cell are alike, so they may stand in the order of their cells. Empty cells
    are 0.
    """
    (size, cells), items = count.shape, len(root)
    outcomes = items if mix is None else len(mix)
    total, squares = np.empty((2, size, outcomes, cells))
    step = max(1, BLOCK // max(1, int(count[0].sum())))
    for first in range(0, size, step):
        part = count[first : first + step]
        n = int(part.sum())
        latent = root @ normals(rng, (items, n))
        values = np.zeros((outcomes, n + 1))  # the zero at the end lets a last cell be empty
        if thresholds.ndim == 2:
            cuts = thresholds.T[..., None]
        else:
            place = np.repeat(np.tile(np.arange(cells), len(part)), part.ravel())
            cuts = thresholds.transpose(2, 1, 0)[..., place]
        answers = np.zeros((items, n), dtype=np.int8)
        for cut in cuts:
            answers += latent > cut
        values[:, :n] = _outcomes(answers, mix, recodes)
        starts = np.r_[0, np.cumsum(part)[:-1]]
        for sums in (total, squares):
            found = np.add.reduceat(values, starts, axis=1).reshape(outcomes, len(part), cells)
            sums[first : first + step] = found.swapaxes(0, 1)
            np.multiply(values, values, out=values)
    occupied = count[:, None, :]
    mean = np.where(occupied, total, 0.0) / np.maximum(occupied, 1)
    return mean, np.maximum(np.where(occupied, squares - total * mean, 0.0), 0.0)


def _outcomes(answers: np.ndarray, mix, recodes) -> np.ndarray:
    """Outcomes (o, n) from answers (items, n), counted from 0."""
    if recodes:
        answers = np.vstack([answers, *(np.asarray(v)[answers[item]] for item, v in recodes)])
    return answers if mix is None else mix @ answers


@dataclass(frozen=True)
class Cells:
    """Experiments whose answers depend on the cell of the design alone.

    families : over the c cells; mix : (o, items) of `families`; probabilities (c,) of the cells;
    fixed : (c,) sizes of the cells, or None: drawn anew. root, thresholds, recodes : as
    `draw_moments` takes them; lowest (items,) value of an answer counted as 0.
    """

    families: tuple[Family, ...]
    mix: np.ndarray
    probabilities: np.ndarray
    root: np.ndarray
    thresholds: np.ndarray
    lowest: np.ndarray
    recodes: tuple = ()
    fixed: np.ndarray | None = None

    def moments(self, rng: np.random.Generator, n: int, size: int) -> tuple[np.ndarray, ...]:
        """Count (size, c), mean and sum of squares about it (size, o, c) of every cell."""
        if self.fixed is None:
            count = rng.multinomial(n, self.probabilities, size)
        else:
            count = np.broadcast_to(self.fixed, (size, len(self.fixed)))
        drawn = draw_moments(rng, count, self.root, self.thresholds, self.mix, self.recodes)
        level = (self.mix @ self.lowest)[:, None]
        return count, drawn[0] + np.where(count[:, None], level, 0.0), drawn[1]

    def experiments(self, rng: np.random.Generator, n: int, size: int) -> list[tuple]:
        """Of each family what `judge` takes: base, se, df, and the moments for each test."""
        count, mean, within = self.moments(rng, n, size)
        found = []
        for family in self.families:
            base, se, df = np.empty((3, size, len(family.tests)))
            for k, t in enumerate(family.tests):
                own, cells = family.own[k], count[:, t.rows]
                used = (part[:, own, t.rows] for part in (mean, within))
                same = cells if self.fixed is None else cells[0]  # then one design serves all
                result = of_counts(t.design, same, *used, t.contrast)
                base[:, k], se[:, k] = result.coef[:, 0], result.se[:, 0]
                df[:, k] = cells.sum(axis=1) - t.design.shape[1]
            found.append((base, se, df, [(count, mean, within)] * len(family.tests)))
        return found


@dataclass(frozen=True)
class People:
    """Experiments on the same people, assigned as they were.

    draw : draw(rng, size, leans) -> answers (size, items, n) counted from 0, of fresh people, or of
    these people, whose answers lean on their background. Analyses with covariates take the latter;
    without, the background is part of the variation between people, as it is in a new sample.
    """

    families: tuple[Family, ...]
    mix: np.ndarray
    lowest: np.ndarray
    draw: Callable[[np.random.Generator, int, bool], np.ndarray]
    recodes: tuple = ()
    _groups: dict = field(default_factory=dict)

    def experiments(self, rng: np.random.Generator, n: int, size: int) -> list[tuple]:
        """Of each family what `judge` takes; see `Cells.experiments`."""
        level = (self.mix @ self.lowest)[:, None]
        drawn = {}
        for leans in sorted({t.leans for f in self.families for t in f.tests}):
            answers = self.draw(rng, size, leans)
            drawn[leans] = np.stack([_outcomes(a, self.mix, self.recodes) for a in answers]) + level
        found = []
        for family in self.families:
            base, se, df = np.empty((3, size, len(family.tests)))
            for k, t in enumerate(family.tests):
                design, df[:, k] = self._design(t)
                own = drawn[t.leans][:, family.own[k], t.rows]
                base[:, k], se[:, k] = (part[:, 0] for part in design.estimate(own))
            # Each person is a cell of one: the spread needs no other formula.
            values = [drawn[t.leans] for t in family.tests]
            found.append((base, se, df, [
                (np.ones((size, v.shape[2])), v, np.broadcast_to(0.0, v.shape)) for v in values
            ]))
        return found

    def _design(self, t: RegisteredTest) -> tuple[LeastSquares, float]:
        """A test's design, made ready once, and its degrees of freedom."""
        if t.id not in self._groups:
            working = "identity" if t.X is None else "weights"
            design = LeastSquares.of(t.design, t.contrast, t.used, working=working)
            mean = t.X is None and t.used is not None
            df = df_of_mean(t.used) if mean else float(np.subtract(*t.design.shape))
            self._groups[t.id] = design, df
        return self._groups[t.id]


# Judging -----------------------------------------------------------------------------------------


def judge(family: Family, scenarios: np.ndarray, base, se, df, moments) -> tuple:
    """Estimates (s, S, m), errors and df (s, 1, m) and the decision of a family under scenarios.

    scenarios : (S, m) true effects, in SD of the outcomes, added to the experiments as drawn.
    base, se, df : (s, m) as drawn; moments : for each test count (s, c), mean, within (s, o, c).
    """
    t = family.effects(scenarios)
    sd = np.empty((len(base), *t.shape))
    for k, test in enumerate(family.tests):
        count, *drawn = moments[k]
        used = (part[:, family.pooled[k]][..., test.rows] for part in drawn)
        shift = np.tensordot(t, np.stack([family.shift[h][k] for h in range(t.shape[1])]), 1)
        sd[..., k] = _spreads(count[:, test.rows], *used, shift)
    se, df = se[:, None], df[:, None]
    estimate = base[:, None] + t
    return estimate, se, df, family.decide(estimate, se, df, sd)


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


def tally(estimate, se, df, decision: Decision, truth=None, alpha: float = 0.05) -> Tally:
    """Sums over experiments (first axis) of what `summarize` needs.

    truth : (S, m) true values, or None where they are not known. Estimates are summed as deviations
    from the truth.
    """
    significant = decision.p_adjusted < alpha
    error = estimate - (0.0 if truth is None else truth)
    kept: Tally = {
        "simulations": np.array(len(estimate)),
        "error": error, "error_2": error**2, "se": se, "se_2": se**2,
        "power": significant, "equivalence": decision.tost_p_adjusted < alpha,
        **{f"verdict_{code}": decision.verdict == code for code in range(4)},
    }  # fmt: skip
    if truth is not None:
        half = special.stdtrit(df, 1 - alpha / 2) * se
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(significant & (truth != 0), estimate / truth, 0.0)
        kept |= {
            "error_4": error**4, "coverage": np.abs(error) <= half,
            "wrong_sign": ratio < 0, "exaggeration": np.abs(ratio), "exaggeration_2": ratio**2,
        }  # fmt: skip
    shape = estimate.shape[1:]
    return {k: v if k == "simulations" else np.broadcast_to(v.sum(axis=0), shape)
            for k, v in kept.items()}


def batch(
    design: Cells | People, n: int, scenarios: dict[str, np.ndarray], known: bool,
    seed: np.random.SeedSequence, size: int,
) -> Tally:
    """Draw, estimate and judge `size` experiments of n respondents under every scenario.

    scenarios : (S, m) by family, S the same for all. known : whether no other effects are at work,
    so that the scenarios are the truth. Results (S, members of all families), and by family (S, f)
    or over all of them (S,) in how many experiments a true null was rejected (`false_null`), a
    verdict was false (`false_claim`) and something was supported.
    """
    rng = np.random.default_rng(seed)
    sums, drawn = [], design.experiments(rng, n, size)
    by_family: dict[str, list] = {"false_null": [], "false_claim": [], "supported": []}
    for family, parts in zip(design.families, drawn, strict=True):
        given = scenarios[family.name]
        truth = family.effects(given) if known else None
        estimate, se, df, decision = judge(family, given, *parts)
        sums.append(tally(estimate, se, df, decision, truth, family.alpha))
        hits = {"supported": decision.verdict == 0}
        if known:
            hits["false_null"] = (decision.p_adjusted < family.alpha) & (truth == 0)
            hits["false_claim"] = family.false_claims(decision, truth)
        for name, hit in hits.items():
            by_family[name].append(hit.any(axis=-1))
    total = {k: sums[0][k] if k == "simulations" else np.concatenate(
        [part[k] for part in sums], axis=-1) for k in sums[0]}
    for name, hits in by_family.items():
        if hits:
            total[name] = np.stack([hit.sum(axis=0) for hit in hits], axis=-1)
            total[f"any_{name}"] = np.any(hits, axis=0).sum(axis=0)
    return total


def run(
    job: Callable[[np.random.SeedSequence, int], Tally], simulations: int, seed, *,
    chunk: int = 100, workers: int = 1, progress: Callable[[int, int], None] | None = None,
) -> Tally:
    """Run `job(seed, size)` on chunks of experiments and add the tallies, in order.

    Each chunk has its own seed, spawned from `seed`: the result depends on `chunk`, not on
    `workers`. An enclosing `joblib.parallel_config` names another backend, such as Dask. Workers
    are fresh processes: a copy of this one can wait forever for a lock that a thread of it held
    (that of a progress bar, say).
    progress : called with the number of experiments done and their total.
    """
    if simulations < 2 or chunk < 1:
        raise LedgerError(
            "diagnose", found=f"{simulations} simulations in chunks of {chunk}",
            expected="two simulations or more, in chunks of one or more",
            mend="ask for more simulations",
        )
    root, total, done = np.random.SeedSequence(seed), None, 0
    with Parallel(n_jobs=workers) as many:
        while done < simulations:
            left = simulations - done
            sizes = [min(chunk, left - at) for at in range(0, min(left, chunk * ROUND), chunk)]
            jobs = list(zip(root.spawn(len(sizes)), sizes, strict=True))
            parts = many(delayed(job)(*one) for one in jobs) if workers != 1 else (
                job(*one) for one in jobs)
            for part in parts:
                total = part if total is None else {k: total[k] + part[k] for k in total}
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


def summarize(sums: Tally, truth=None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each quantity with its Monte Carlo standard error.

    power (significant after correction), equivalence (shown after correction), mean_se, the rate
    of each verdict by its code; and where the truth is given bias, rmse, coverage (of the
    unadjusted interval), type_s and type_m (Gelman and Carlin 2014): among the significant, the
    share of the wrong sign and the mean of |estimate / truth|; missing where the truth is zero or
    fewer than two were significant.
    """
    n = int(sums["simulations"])
    found = {
        "power": proportion(sums["power"], n),
        "equivalence": proportion(sums["equivalence"], n),
        "mean_se": average(sums["se"], sums["se_2"], n),
        **{f"verdict_{code}": proportion(sums[f"verdict_{code}"], n) for code in range(4)},
    }
    if truth is None:
        return found
    rmse = np.sqrt(sums["error_2"] / n)
    _, squared_mcse = average(sums["error_2"], sums["error_4"], n)
    with np.errstate(divide="ignore", invalid="ignore"):
        found |= {
            "bias": average(sums["error"], sums["error_2"], n),
            "rmse": (rmse, squared_mcse / (2 * rmse)),
            "coverage": proportion(sums["coverage"], n),
        }
        hits = sums["power"].astype(float)
        enough = (hits > 1) & (np.asarray(truth) != 0)
        for name, pair in {
            "type_s": proportion(sums["wrong_sign"], hits),
            "type_m": average(sums["exaggeration"], sums["exaggeration_2"], hits),
        }.items():
            found[name] = tuple(np.where(enough, value, np.nan) for value in pair)
    return found
