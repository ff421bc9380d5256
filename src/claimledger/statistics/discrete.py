"""Models of answers that are no numbers: logit, probit and ordered logit, as average effects.

Coefficients of these models are not comparable across samples or models; what is reported is the
average change of the probability (or of the expected score), with standard errors by the delta
method: se^2 = g' V g, with g the derivative of the effect in the coefficients.
"""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats
from statsmodels.miscmodels.ordinal_model import OrderedModel
from statsmodels.tools.numdiff import approx_fprime
from statsmodels.tools.sm_exceptions import ConvergenceWarning, HessianInversionWarning

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import clustered_scores
from claimledger.statistics.linear import check_design


class Binary(NamedTuple):
    """A fitted logit or probit: params (k,), covariance (k, k), link."""

    params: np.ndarray
    cov: np.ndarray
    link: str

    def probability(self, X) -> np.ndarray:
        """P(y = 1) of rows (n, k)."""
        return _links(self.link, X @ self.params)[0]

    def density(self, X) -> np.ndarray:
        """Derivative of the probability in the linear predictor."""
        return _links(self.link, X @ self.params)[1]

    def slope_of_density(self, X) -> np.ndarray:
        """Second derivative of the probability in the linear predictor."""
        eta = X @ self.params
        p, d = _links(self.link, eta)
        return d * (1 - 2 * p) if self.link == "logit" else -eta * d


def _links(link: str, eta) -> tuple[np.ndarray, np.ndarray]:
    if link == "logit":
        p = special.expit(eta)
        return p, p * (1 - p)
    return special.ndtr(eta), np.exp(-(eta**2) / 2) / np.sqrt(2 * np.pi)


def binary_fit(
    y, X, link: str, vcov: str, *, weights=None, clusters=None, strata=None
) -> Binary:
    """Maximum likelihood of a 0/1 outcome (n,) on X (n, k), by Fisher scoring.

    vcov : HC2 or HC3 as sandwich's vcovHC of a glm (leverages of the last weighted least squares
    step); stata (scores summed by cluster, times G / (G - 1)) or survey (centered in strata). CR2
    is not defined here. weights : sampling weights (pseudo maximum likelihood).

    Raises LedgerError for an outcome of other values than 0 and 1, and where there is no maximum
    (a column that separates the answers).
    """
    where = f"{link} model"
    X, y = check_design(where, X), np.asarray(y, dtype=float)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    if not np.all(np.isin(y, (0, 1))) or len(np.unique(y)) < 2:
        raise LedgerError(where, found="an outcome of other values than 0 and 1, or of one of them",
                          expected="0 and 1", mend="register a yes/no outcome, or `estimator: ols`")
    if vcov not in ("HC2", "HC3", "stata", "survey"):
        raise LedgerError(where, found=f"variance estimator {vcov}",
                          expected="HC2, HC3, stata or survey", mend="name one of these")
    beta = np.zeros(X.shape[1])
    for _ in range(100):
        p, d = _links(link, X @ beta)
        p = np.clip(p, 1e-12, 1 - 1e-12)
        work = w * d**2 / (p * (1 - p))
        score = X.T @ (w * d * (y - p) / (p * (1 - p)))
        try:
            step = np.linalg.solve((X.T * work) @ X, score)
        except np.linalg.LinAlgError:
            step = np.full(len(beta), np.inf)
        beta = beta + step
        if np.abs(step).max() < 1e-11 or not np.all(np.isfinite(beta)):
            break
    if not np.all(np.isfinite(beta)) or np.abs(step).max() > 1e-8 or np.abs(X @ beta).max() > 30:
        raise LedgerError(where, found="no maximum of the likelihood",
                          expected="answers that overlap between the groups compared",
                          mend="look for a column that separates the answers")
    p, d = _links(link, X @ beta)
    work = w * d**2 / (p * (1 - p))
    bread = np.linalg.inv((X.T * work) @ X)
    scores = X * (w * d * (y - p) / (p * (1 - p)))[:, None]
    return Binary(beta, bread @ _meat(scores, X, work, bread, vcov, clusters, strata) @ bread, link)


def _meat(scores, X, work, bread, vcov, clusters, strata) -> np.ndarray:
    """Middle of the sandwich (k, k)."""
    if vcov in ("HC2", "HC3"):
        leverage = np.einsum("nk,nk->n", X @ bread, X) * work
        scores = scores / np.sqrt((1 - leverage) ** (1 if vcov == "HC2" else 2))[:, None]
        return scores.T @ scores
    scores, _, _ = clustered_scores(scores, clusters, strata if vcov == "survey" else None,
                                    centered=vcov == "survey")
    return scores.T @ scores


def average_effect(fit: Binary, high, low=None, derivative=None) -> tuple[float, np.ndarray]:
    """Average effect on the probability and its derivative in the coefficients (k,).

    high, low : designs (n, k) with the variable at one value and at the other, all else as it is;
    or, of a number, high : the design, derivative : (n, k) of the design in the variable.
    """
    if derivative is None:
        effect = fit.probability(high) - fit.probability(low)
        gradient = fit.density(high)[:, None] * high - fit.density(low)[:, None] * low
        return float(effect.mean()), gradient.mean(axis=0)
    slope = derivative @ fit.params
    gradient = (fit.slope_of_density(high) * slope)[:, None] * high
    gradient += fit.density(high)[:, None] * derivative
    return float((fit.density(high) * slope).mean()), gradient.mean(axis=0)


class OrdinalEffect(NamedTuple):
    """One term of an ordered logit.

    estimate, se, p : average effect on the scale of the outcome, with delta-method standard error.
    log_odds, log_odds_se, log_odds_p : the coefficient. n : rows.
    """

    estimate: float
    se: float
    p: float
    log_odds: float
    log_odds_se: float
    log_odds_p: float
    n: int


def ordered_logit(outcome, X: pd.DataFrame, contrast: dict[str, float] | str) -> OrdinalEffect:
    """Fit an ordered logit and return the average effect of a contrast of terms.

    Parameters
    ----------
    outcome : (n,) numeric scores of the answers (say 1 to 5); the scores give the effect its unit.
    X : (n, k) design without intercept (the thresholds take its place).
    contrast : a column of X, or weights on columns. A column of 0 and 1 counts with the average
        difference of the expected score at 1 and at 0, all columns of the same factor
        (`factor[T.level]`) being 0 but for it; another with the average slope. A product column is
        not followed.

    Fitted by Newton's method: the default of statsmodels stops 6e-5 short of the maximum.
    """
    where, y = "ordered logit", np.asarray(outcome, dtype=float)
    contrast = {contrast: 1.0} if isinstance(contrast, str) else dict(contrast)
    unknown = set(contrast) - set(X.columns)
    if unknown or len(y) != len(X) or not np.all(np.isfinite(y)):
        raise LedgerError(
            where, found=f"term {', '.join(map(repr, sorted(unknown))) or 'known'}, {len(y)} "
            f"outcomes, {int(np.sum(~np.isfinite(y)))} missing",
            expected=f"one of {', '.join(map(str, X.columns))}, and complete outcomes of its rows",
            mend="name a column of the design, and select the complete rows",
        )
    scores, codes = np.unique(y, return_inverse=True)
    if len(scores) < 3:
        raise LedgerError(
            where, found=f"{len(scores)} different answers",
            expected="an ordinal outcome of three answers or more",
            mend="compare means or proportions instead",
        )
    design = X.to_numpy(dtype=float)
    check_design(where, np.column_stack([np.ones(len(design)), design]))
    # Equal rows count together: few distinct rows carry the same likelihood.
    cells, many = np.unique(np.column_stack([codes.ravel(), design]), axis=0, return_counts=True)
    model = _Counted(cells[:, 0].astype(int), cells[:, 1:], distr="logit", count=many)
    fit = _fitted(model)
    spread = {name: values.std() for name, values in zip(X, design.T, strict=True)}
    design, many = np.unique(design, axis=0, return_counts=True)
    share = many / len(y)
    weights = np.array([contrast.get(name, 0.0) for name in X])
    names = [str(name) for name in X]

    def effect(params: np.ndarray) -> float:
        total = 0.0
        for position in np.flatnonzero(weights):
            values = design[:, position]
            binary = bool(np.all(np.isin(values, (0, 1))))
            # A slope is the symmetric difference over a small step of the column.
            step = 1.0 if binary else 1e-4 * spread[X.columns[position]]
            high, low = design.copy(), design.copy()
            if binary:
                own = names[position].partition("[")[0] + "["
                same = [i for i, name in enumerate(names) if name.startswith(own)]
                high[:, [*same, position]] = low[:, [*same, position]] = 0.0
            high[:, position] = 1.0 if binary else values + step / 2
            low[:, position] = 0.0 if binary else values - step / 2
            change = model.predict(params, exog=high) - model.predict(params, exog=low)
            total += weights[position] * float(share @ (change @ scores) / step)
        return total

    gradient = approx_fprime(fit.params, effect, centered=True)
    estimate, se = effect(fit.params), float(np.sqrt(gradient @ fit.cov_params() @ gradient))
    own, cov = slice(0, len(weights)), np.asarray(fit.cov_params())
    log_odds = float(weights @ fit.params[own])
    log_odds_se = float(np.sqrt(weights @ cov[own, own] @ weights))
    p, log_odds_p = (2 * stats.norm.sf(abs(v)) for v in (estimate / se, log_odds / log_odds_se))
    return OrdinalEffect(estimate, se, float(p), log_odds, log_odds_se, float(log_odds_p), len(y))


class _Counted(OrderedModel):
    """An ordered model of distinct rows, each of which stands for `count` (n,) equal ones."""

    def __init__(self, endog, exog, distr, count):
        self.count = np.asarray(count)
        super().__init__(endog, exog, distr=distr)

    def loglikeobs(self, params):
        """Log-likelihood (n,) of each distinct row, all of its equals together."""
        return self.count * super().loglikeobs(params)

    @property
    def start_params(self):
        """No effects, and the thresholds of the answers as they are."""
        share = np.bincount(self.endog, weights=self.count) / self.count.sum()
        ends = self.distr.ppf(np.clip(share.cumsum(), 0, 1))
        return np.r_[np.zeros(self.k_vars), self.transform_reverse_threshold_params(ends)]


def _fitted(model: OrderedModel):
    """Maximum likelihood by Newton's method; an error where there is no maximum."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("error", HessianInversionWarning)
            fit = model.fit(method="newton", disp=False, maxiter=100)
        sound = np.all(np.isfinite(fit.bse)) and np.max(np.abs(model.score(fit.params))) < 1e-4
    except (ConvergenceWarning, HessianInversionWarning, np.linalg.LinAlgError):
        sound = False
    if not sound:
        raise LedgerError(
            "ordered logit",
            found="an ordered logit without a maximum",
            expected="answers that overlap between the groups compared",
            mend="look for a column that separates the answers, or merge rare answers",
        )
    return fit
