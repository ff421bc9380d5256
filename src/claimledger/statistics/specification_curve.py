"""Joint inference on a specification curve: all specifications at once, under permuted treatments.

Simonsohn, Simmons and Nelson (2020): had the treatment done nothing to anyone, how often would the
whole curve look as it does? The factor that a hypothesis is about is permuted over the respondents
of its sample; answers, background, weights, recall and all other factors stay with them. Where the
comparison is within respondents, each respondent's answers are permuted among the items compared.
One permutation serves every specification. The verdicts of the specifications are counted in
`multiverse`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from patsy import dmatrices
from scipy import linalg, special

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis
from claimledger.statistics.balance import covariate_matrix
from claimledger.statistics.cluster import df_of_mean
from claimledger.statistics.linear import Rows
from claimledger.statistics.specifications import adjusted, specifications, specified_rows

Statistics = tuple[np.ndarray, np.ndarray]  # standardised estimates and t, by specification


class CurveTest(NamedTuple):
    """Result of `curve_test`.

    median : of the standardised estimates of all specifications; share : of specifications that
    are significant (unadjusted) in the registered direction; median_p (two-sided) and share_p :
    p = (1 + hits) / (1 + draws); estimates, t : (specifications,), NaN where not estimable.
    """

    median: float
    median_p: float
    share: float
    share_p: float
    draws: int
    estimates: np.ndarray
    t: np.ndarray


def curve_test(
    study, hypothesis: Hypothesis, draws: int, seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> CurveTest:
    """Test that the treatment did nothing to anyone, by the specification curve as a whole."""
    within = hypothesis.frame == "stacked"
    evaluate = (_Within if within else _Between)(study, hypothesis)
    rng = np.random.default_rng(seed)
    sign = 1 if hypothesis.direction == "positive" else -1
    alpha = study.registration.families[hypothesis.family].alpha

    def summary(found: Statistics, df) -> tuple[float, float]:
        estimates, t = found
        known = np.isfinite(t)
        if not known.any():
            raise LedgerError(
                f"specification curve of {hypothesis.id}", found="nothing that can be estimated",
                expected="at least one specification", mend="look for a constant outcome",
            )
        reached = sign * t[known] > special.stdtrit(df[known], 1 - alpha / 2)
        return float(np.median(estimates[known])), float(reached.mean())

    observed = evaluate(None)
    median, share = summary(observed, evaluate.df)
    hits = np.zeros(2, dtype=int)
    for done in range(1, draws + 1):
        other, other_share = summary(evaluate(rng), evaluate.df)
        # A tie up to rounding is a hit.
        hits += [abs(other) >= abs(median) * (1 - 1e-9), other_share >= share - 1e-9]
        if progress is not None:
            progress(done, draws)
    p = (1 + hits) / (1 + draws)
    return CurveTest(median, float(p[0]), share, float(p[1]), draws, *observed)


def weighted_hc(
    X: np.ndarray, Y: np.ndarray, weights, contrast, basis: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    """Estimates (m,), HC2 and HC3 standard errors (m,) of one contrast by weighted least squares.

    X (n, k), Y (n, m), weights (n,) or None. basis (n, q), from `orthonormal`: further columns of
    the design, which the contrast does not use and which are partialled out (Frisch and Waugh
    1933). NaN where the design is singular, or a row that the contrast uses is alone in its cell.
    """
    root = np.ones(len(X)) if weights is None else np.sqrt(np.asarray(weights, dtype=float))
    A, Z = X * root[:, None], Y * root[:, None]
    missing = np.full(Y.shape[1], np.nan)
    scale = np.sqrt(np.einsum("nk,nk->k", A, A))
    taken = np.zeros(len(X))
    if basis is not None:
        A, Z = A - basis @ (basis.T @ A), Z - basis @ (basis.T @ Z)
        taken = np.einsum("nq,nq->n", basis, basis)
    used = X.shape[1] + (0 if basis is None else basis.shape[1])
    found = _factor(A, scale) if len(X) > used else None
    if found is None:
        return missing, missing, missing
    H, factor = found
    influence = H @ linalg.solve_triangular(factor, np.asarray(contrast) / scale, lower=True)
    free = 1 - taken - np.einsum("nk,nk->n", H, H)
    if np.any((free < 1e-10) & (np.abs(influence) > 1e-10)):
        return missing, missing, missing
    free = np.maximum(free, 1e-10)
    squares = (influence[:, None] * (Z - H @ (H.T @ Z))) ** 2
    hc2, hc3 = (np.sqrt((1 / free**power) @ squares) for power in (1, 2))
    return influence @ Z, hc2, hc3


def orthonormal(X: np.ndarray, weights) -> np.ndarray | None:
    """Orthonormal columns (n, q) that span those of X, each row times the root of its weight.

    None where X is singular.
    """
    A = X if weights is None else X * np.sqrt(np.asarray(weights, dtype=float))[:, None]
    found = _factor(A, np.sqrt(np.einsum("nk,nk->k", A, A)))
    return None if found is None else found[0]


def _factor(A: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """An orthonormal basis of the columns over their scale, and its Cholesky factor (lower)."""
    if not np.all(scale > 0):
        return None
    A = A / scale
    try:
        factor = linalg.cholesky(A.T @ A, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    if np.diag(factor).min() < 1e-6:
        return None
    return linalg.solve_triangular(factor, A.T, lower=True, check_finite=False).T, factor


class _Curve:
    """What both kinds share: the specifications, and the rows of each."""

    def __init__(self, study, hypothesis: Hypothesis):
        self.specs = specifications(study.registration, hypothesis.frame)
        self.df = np.full(len(self.specs), np.nan)
        registered, _ = specified_rows(study, hypothesis, {})
        self.n = len(registered)
        # Specifications that differ only in coding or variance estimator share a design.
        self.designs: dict[tuple, dict] = {}
        for i, spec in enumerate(self.specs):
            rows, weights = specified_rows(study, hypothesis, spec)
            key = tuple(spec.get(name) for name in ("weights", "covariates", "exclusions"))
            if key not in self.designs:
                at = registered.index.get_indexer(rows.index)
                self.designs[key] = {"at": at, "rows": rows, "weights": weights, "uses": []}
            self.designs[key]["uses"].append((i, spec, rows))


class _Between(_Curve):
    """Between respondents: permutes the contrast's factor over the rows of the sample."""

    def __init__(self, study, hypothesis: Hypothesis):
        super().__init__(study, hypothesis)
        for key, one in list(self.designs.items()):
            try:
                self._prepare(study, hypothesis, one, key[1] == "lin")
            except LedgerError:  # as in `multiverse`: an alternative that these data do not allow
                if one is next(iter(self.designs.values())):
                    raise
                del self.designs[key]
        first = next(iter(self.designs.values()))  # the registered one: all rows, no covariates
        self.treatment = first["main"]

    def _prepare(self, study, hypothesis: Hypothesis, one: dict, lin: bool) -> None:
        """Arrays of one design, and where the permuted columns and their products stand."""
        rows, weights = one["rows"], one["weights"]
        _, X = dmatrices(hypothesis.model, rows, return_type="dataframe")
        moved, names = _columns_of_factor(hypothesis, X), list(X)
        if lin:
            X = adjusted(X, covariate_matrix(rows, study.registration), weights)
        one["products"] = []
        for name in moved:  # product columns are the moved column times a centred covariate
            pairs = [c for c in X if c.startswith(f"{name}:") and c not in names]
            places = X.columns.get_indexer([name, *pairs])
            covariate = X[[c.removeprefix(f"{name}:") for c in pairs]].to_numpy()
            one["products"].append((places, np.column_stack([np.ones(len(X)), covariate])))
        one["weights"] = None if weights is None else weights.to_numpy()
        moving = np.concatenate([places for places, _ in one["products"]])
        values = X.to_numpy()
        one["main"] = values[:, X.columns.get_indexer(moved)]
        one["basis"] = orthonormal(np.delete(values, moving, axis=1), one["weights"])
        one["df"] = len(X) - X.shape[1]
        one["contrast"] = np.array([hypothesis.contrast.get(X.columns[i], 0.0) for i in moving])
        one["Y"] = np.column_stack([part[hypothesis.outcome] for _, _, part in one["uses"]])
        one["sd"] = one["Y"].std(axis=0, ddof=1)

    def __call__(self, rng: np.random.Generator | None) -> Statistics:
        order = np.arange(self.n) if rng is None else rng.permutation(self.n)
        estimates, t = np.full((2, len(self.specs)), np.nan)
        for one in self.designs.values():
            if one["basis"] is None:
                continue
            drawn = self.treatment[order][one["at"]]
            moving = np.column_stack([
                column[:, None] * covariates
                for column, (_, covariates) in zip(drawn.T, one["products"], strict=True)
            ])
            found = weighted_hc(moving, one["Y"], one["weights"], one["contrast"], one["basis"])
            for column, (i, spec, _) in enumerate(one["uses"]):
                estimate, hc2, hc3 = (part[column] for part in found)
                se, spread = hc3 if spec.get("vcov") == "HC3" else hc2, one["sd"][column]
                if se > 0 and spread > 0:
                    estimates[i], t[i] = estimate / spread, estimate / se
                    self.df[i] = one["df"]
        return estimates, t


def _columns_of_factor(hypothesis: Hypothesis, X: pd.DataFrame) -> list[str]:
    """Columns of the one factor that the contrast is about."""
    info = X.design_info
    terms = [term for term in info.terms
             if set(info.column_names[info.slice(term)]) & set(hypothesis.contrast)]
    about = {factor for term in terms for factor in term.factors}
    mixed = [term for term in info.terms if set(term.factors) & about and len(term.factors) > 1]
    if len(about) != 1 or mixed:
        raise LedgerError(
            f"specification curve of {hypothesis.id}", found=f"a contrast in {hypothesis.model}",
            expected="a contrast of one factor that enters without products",
            mend="such a contrast cannot be tested by permuting one factor",
        )
    return list(info.column_names[info.slice(terms[0])])


class _Within(_Curve):
    """Within respondents: permutes each one's answers among the items that the contrast weighs."""

    def __init__(self, study, hypothesis: Hypothesis):
        super().__init__(study, hypothesis)
        names = {f"item[{item}]": item for item in hypothesis.stack}
        weigh = {names[term]: weight for term, weight in hypothesis.contrast.items() if weight}
        self.weights = np.array(list(weigh.values()))
        for one in self.designs.values():
            one["Y"] = [part[list(weigh)].to_numpy(dtype=float) for _, _, part in one["uses"]]
            weights = one["weights"]
            n = len(one["at"])
            one["mean"] = Rows.of(np.ones((n, 1)), weights=weights, working="identity")
            one["df"] = n - 1 if weights is None else df_of_mean(weights.to_numpy())

    def __call__(self, rng: np.random.Generator | None) -> Statistics:
        order = np.tile(np.arange(len(self.weights)), (self.n, 1))
        if rng is not None:
            order = rng.permuted(order, axis=1)
        estimates, t = np.full((2, len(self.specs)), np.nan)
        for one in self.designs.values():
            for (i, _, _), answers in zip(one["uses"], one["Y"], strict=True):
                each = np.take_along_axis(answers, order[one["at"]], axis=1) @ self.weights
                estimate, se = (float(part[0]) for part in one["mean"].estimate(each))
                spread = answers.std(ddof=1)
                if se > 0 and spread > 0:
                    estimates[i], t[i] = estimate / spread, estimate / se
                    self.df[i] = one["df"]
        return estimates, t
