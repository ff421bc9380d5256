"""Inference from the assignment itself.

The test of the sharp null that no treatment changes anyone's outcome, with the HC2 t statistic:
studentized, it is also valid in large samples for the null of no average effect (Wu and Ding 2021).
The factor that a hypothesis is about is assigned again as it was: among respondents (or whole
clusters, where the design has some) who agree in the block and in all other factors, so that blocks
and restrictions hold in every draw; answers, background, weights and all other factors stay with
them. Within respondents nothing was assigned: each one's answers change places among the items
that the contrast weighs, as if the items were alike.

A whole specification curve is tested alike (Simonsohn, Simmons and Nelson 2020): had the treatment
done nothing to anyone, how often would all specifications look as they do? One permutation serves
every specification.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from claimledger.errors import LedgerError, errors_of
from claimledger.registration.models import Hypothesis, Registration
from claimledger.statistics.clustered import cluster_robust, df_of_mean
from claimledger.statistics.estimators import Model
from claimledger.statistics.linear import LeastSquares, orthonormal
from claimledger.statistics.specification_curve import Specified, specifications
from claimledger.survey.recoding import BLOCK, CLUSTER

TIE = 1 - 1e-9     # ordinal outcomes tie exactly: a tie up to rounding is a hit
CHUNK = 200_000    # numbers of permuted columns at a time: they stay in the processor's cache
_error = errors_of("randomization test")


class Randomized(NamedTuple):
    """Observed t statistic, two-sided p = (1 + hits) / (1 + draws), and what was drawn again."""

    statistic: float
    p: float
    drawn: str


def randomization_tests(specified: Specified, *, draws: int, seed: int) -> dict[str, Randomized]:
    """Test the contrast of each hypothesis by drawing the assignment of its factor again."""
    hypotheses, found = specified.registration.hypotheses, {}
    for group in _groups(specified, hypotheses):
        for id, one in _permuted(specified, group, [{}], draws, seed).items():
            t = np.abs(one.t[:, 0])
            p = _share(t[1:] >= t[0] * TIE)
            found[id] = Randomized(float(one.t[0, 0]), p, one.drawn)
    return {h.id: found[h.id] for h in hypotheses}


class CurveTest(NamedTuple):
    """Result of `curve_test`.

    median : of the standardized estimates of all specifications; share : of specifications that
    are significant (unadjusted) in the registered direction, or in either where it has none;
    median_p (two-sided) and share_p : p = (1 + hits) / (1 + draws); estimates, t :
    (specifications,), NaN where not estimable.
    """

    median: float
    median_p: float
    share: float
    share_p: float
    estimates: np.ndarray
    t: np.ndarray


def curve_tests(specified: Specified, *, draws: int, seed: int) -> dict[str, CurveTest]:
    """Test that the treatment did nothing to anyone, by each specification curve as a whole."""
    registration, found = specified.registration, {}
    for group in _groups(specified, registration.hypotheses):
        specs = specifications(registration, group[0].frame)
        drawn = _permuted(specified, group, specs, draws, seed)
        found |= {h.id: _curve(registration, h, drawn[h.id]) for h in group}
    return {h.id: found[h.id] for h in registration.hypotheses}


def _curve(registration: Registration, h: Hypothesis, found: "_Permuted") -> CurveTest:
    alpha = registration.families[h.family].alpha
    sign = {"positive": 1, "negative": -1}.get(h.direction, np.sign(found.t))  # or in either one
    known = np.isfinite(found.t)
    if not known.any(axis=1).all():
        raise LedgerError(
            f"specification curve of {h.id}", found="nothing that can be estimated",
            expected="at least one specification", mend="look for a constant outcome")
    reached = known & (sign * found.t > special.stdtrit(found.df, 1 - alpha / 2))
    share = reached.sum(axis=1) / known.sum(axis=1)
    median = np.nanmedian(found.estimates, axis=1)
    far = np.abs(median)
    return CurveTest(
        float(median[0]), _share(far[1:] >= far[0] * TIE), float(share[0]),
        _share(share[1:] >= share[0] - 1e-9), found.estimates[0], found.t[0])


def _groups(specified: Specified, hypotheses: list[Hypothesis]) -> list[list[Hypothesis]]:
    """Hypotheses about the same factor in the same design and rows share their permutations."""
    groups: dict[tuple, list[Hypothesis]] = {}
    for h in hypotheses:
        about = sorted({term.partition("[")[0] for term in h.contrast})
        rows = specified.rows(h, {}).index.to_numpy().tobytes()
        alone = h.id if h.frame == "stacked" else ""
        key = (h.model.partition("~")[2], h.sample, h.vcov, rows, alone, *about)
        groups.setdefault(key, []).append(h)
    return list(groups.values())


def _share(hits: np.ndarray) -> float:
    return float((1 + hits.sum()) / (1 + len(hits)))


class _Permuted:
    """Standardized estimates and t (1 + draws, specifications), the first as observed; df of each.

    NaN where a specification, or what a permutation leaves of it, is not estimable.
    """

    def __init__(self, draws: int, specs: int):
        """Nothing is estimated yet."""
        self.estimates, self.t = np.full((2, 1 + draws, specs), np.nan)
        self.df, self.drawn = np.full(specs, np.nan), ""

    def put(self, spec: int, value, se, sd: float, df: float) -> None:
        """Estimates and errors (1 + draws,) of one specification, and the SD of its outcome."""
        with np.errstate(divide="ignore", invalid="ignore"):
            for kept, by in ((self.estimates, sd), (self.t, se)):
                kept[:, spec] = np.where((se > 0) & (sd > 0), value / by, np.nan)
        self.df[spec] = df


def _permuted(
    specified: Specified, group: list[Hypothesis], specs: list[dict[str, str]], draws: int,
    seed: int,
) -> dict[str, _Permuted]:
    """Every specification (the first is the registered one) under the same permutations."""
    found = {h.id: _Permuted(draws, len(specs)) for h in group}
    permute = _within if group[0].frame == "stacked" else _between
    drawn = permute(specified, group, specs, draws, np.random.default_rng(seed), found)
    for id, one in found.items():
        one.drawn = drawn
        if not np.isfinite(one.t[0, 0]):
            raise _error("an outcome without variation", "outcomes that vary within cells",
                         f"look at the outcome of {id}")
    return found


# Within respondents ------------------------------------------------------------------------------


def _within(
    specified: Specified, group: list[Hypothesis], specs: list, draws: int, rng, results: dict
) -> str:
    """The mean of the contrast of items over its standard error, answers changing places."""
    h, = group
    weigh = {term.removeprefix("item[").removesuffix("]"): w for term, w in h.contrast.items() if w}
    first = specified.rows(h, specs[0]).index
    order = np.tile(np.arange(len(weigh)), (1 + draws, len(first), 1))
    order[1:] = rng.permuted(order[1:], axis=-1)
    # A respondent's answers under permuted weights are the same as permuted answers.
    W = np.array(list(weigh.values()))[order]
    for i, spec in enumerate(specs):
        rows, weights = specified.rows(h, spec), specified.weights_of(spec)
        answers = rows[list(weigh)].to_numpy(dtype=float)
        own = None if weights is None else weights.loc[rows.index].to_numpy()
        mean = LeastSquares.of(np.ones((len(rows), 1)), weights=own, working="identity")
        at = first.get_indexer(rows.index)
        found = mean.estimate(np.einsum("dni,ni->dn", W[:, at], answers))
        df = len(rows) - 1 if own is None else df_of_mean(own)
        results[h.id].put(i, found.coef[:, 0], found.se[:, 0], answers.std(ddof=1), df)
    return "answers within respondents"


# Between respondents -----------------------------------------------------------------------------


def _between(
    specified: Specified, group: list[Hypothesis], specs: list, draws: int, rng, results: dict
) -> str:
    """The factor of the contrasts changes places among the respondents of the sample."""
    h = group[0]
    plain = specified.model(h, specs[0]).X
    moved = _columns_of_factor(h, plain)
    rows = specified.rows(h, specs[0]).iloc[np.asarray(plain.index)]
    orders, drawn = _orders(specified.registration, h, rows, moved[0].partition("[")[0], draws, rng)
    treatment = plain[moved].to_numpy()
    designs: dict[int, list[tuple[int, int, Model]]] = {}  # by what specifications share
    for i, spec in enumerate(specs):
        for j, one in enumerate(group):
            try:
                model = specified.model(one, spec)
            except LedgerError:  # as in the curve: an alternative that these data do not allow
                if i == 0:
                    raise
                continue
            designs.setdefault(id(model.X), []).append((j, i, model))
    for uses in designs.values():
        _, first, model = uses[0]
        used = specified.rows(h, specs[first]).iloc[np.asarray(model.X.index)]
        own = orders[:, rows.index.get_indexer(used.index)]
        outcomes = {one.y.tobytes(): one.y for _, _, one in uses}  # HC3 has that of HC2
        place = {key: column for column, key in enumerate(outcomes)}
        value, se = _evaluated(model, np.stack([*outcomes.values()]), moved, set(plain),
                               [one.contrast for one in group], treatment, own)
        for j, i, one in uses:
            at = place[one.y.tobytes()]
            df = one.n - 1 if model.clusters is not None else len(one.y) - model.X.shape[1]
            results[group[j].id].put(i, value[:, at, j], se[int(one.vcov == "HC3"), :, at, j],
                                     one.y.std(ddof=1), df)
    return drawn


def _orders(
    registration: Registration, h: Hypothesis, rows: pd.DataFrame, about: str, draws: int, rng
) -> tuple[np.ndarray, str]:
    """Whose treatment each row has (1 + draws, n), the first as it was; what changes places."""
    design, n = registration.design, len(rows)
    others = [name for name in design.factors if name != about and name in rows]
    if h.frame == "profiles":  # attributes are drawn apart, but for those that exclude each other
        tied = set().union(*(rule for rule in design.restrictions if about in rule))
        others = [name for name in others if name in tied]
    keys = others + [BLOCK] * (BLOCK in rows)
    stratum = rows.groupby(keys, observed=True).ngroup().to_numpy() if keys else np.zeros(n, int)
    clustered = CLUSTER in rows
    place, labels = pd.factorize(rows[CLUSTER]) if clustered else (np.arange(n), np.arange(n))
    first = np.zeros(len(labels), dtype=int)  # a row of each unit
    first[place[::-1]] = np.arange(n)[::-1]
    own = stratum[first]
    if np.any(own[place] != stratum):
        own = np.zeros(len(labels), dtype=int)  # other factors vary within clusters
    strata = [np.flatnonzero(own == code) for code in np.unique(own)]
    if all(len(units) < 2 for units in strata):
        raise _error("nothing to permute in any block", "blocks that hold several units",
                     "look at design.blocks and design.clusters")
    units = np.tile(np.arange(len(labels), dtype=np.int32), (1 + draws, 1))
    for these in strata:
        units[1:, these] = rng.permuted(units[1:, these], axis=1)
    within = f" within blocks of {', '.join(others + ['the design'] * (BLOCK in rows))}"
    what = "clusters" if clustered else "respondents" if h.frame == "respondents" else "profiles"
    return first[units][:, place], what + (within if keys else "")


def _evaluated(
    model: Model, Y: np.ndarray, moved: list[str], plain: set[str], contrasts: list,
    treatment: np.ndarray, orders: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates (total, m, q) of outcomes (m, n), and by HC2 and HC3 their errors (2, total, m, q).

    treatment : the moved columns (rows, columns); orders : (total, n) whose each row has. All other
    columns are partialled out once (Frisch and Waugh 1933); product columns are a moved column
    times a centered covariate, so they are made anew from both.
    """
    X, n, total = model.X, len(model.y), len(orders)
    names, factors = [], []
    for name in moved:
        pairs = [c for c in X if c.startswith(f"{name}:") and c not in plain]
        names += [name, *pairs]
        covariates = X[[c.removeprefix(f"{name}:") for c in pairs]].to_numpy()
        factors.append(np.column_stack([np.ones(n), covariates]))
    C = np.array([[contrast.get(name, 0.0) for name in names] for contrast in contrasts])
    # b of the moved columns is that of their residuals on all others: those are projected out once.
    fixed = X.drop(columns=names).to_numpy()
    root = np.ones(n) if model.weights is None else np.sqrt(model.weights)
    basis = orthonormal(fixed * root[:, None])[0] if fixed.shape[1] else np.zeros((n, 0))
    value = np.full((total, len(Y), len(C)), np.nan)
    se = np.full((2, *value.shape), np.nan)

    def evaluate(part: slice) -> None:
        columns = treatment[orders[part]]
        M = np.concatenate([columns[..., [j]] * factor for j, factor in enumerate(factors)], -1)
        if model.clusters is not None:
            whole = np.hstack([C, np.zeros((len(C), fixed.shape[1]))])
            for d, one in zip(range(part.start, part.stop), M, strict=True):
                both = np.column_stack([one, fixed])
                fits = [cluster_robust(both, y, model.clusters, "stata", weights=model.weights)
                        for y in Y]
                value[d], se[0, d] = np.stack([fit.contrast(whole)[:2] for fit in fits], axis=1)
            return
        design = LeastSquares.of(M, C, model.weights, beside=basis)
        both = replace(design, free=np.stack([design.free, design.free**2])[:, :, None])
        value[part], se[:, part] = both.estimate(Y)

    step = max(1, CHUNK // (n * len(names)))
    for start in range(0, total, step):
        try:
            evaluate(slice(start, min(start + step, total)))
        except LedgerError:  # a permutation leaves a cell empty: which of them?
            for d in range(start, min(start + step, total)):
                try:
                    evaluate(slice(d, d + 1))
                except LedgerError:
                    if d == 0 and X.shape[1] <= len(plain):
                        raise
    return value, se


def _columns_of_factor(hypothesis: Hypothesis, X: pd.DataFrame) -> list[str]:
    """Columns of the one factor that the contrast is about."""
    info, named = X.design_info, set(hypothesis.contrast)
    about = {factor for term in info.terms for factor in term.factors
             if named & set(info.column_names[info.slice(term)])}
    terms = [term for term in info.terms if about & set(term.factors)]
    if len(about) != 1 or len(terms) != 1:
        raise _error(f"a contrast in {hypothesis.model}",
                     "a contrast of one factor that enters without products",
                     f"{hypothesis.id} cannot be tested by permuting one factor")
    return list(info.column_names[info.slice(terms[0])])
