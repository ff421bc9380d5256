"""Models of answers that are no numbers: logit, probit and ordered logit, as average effects.

Coefficients of these models are not comparable across samples or models; what is reported is the
average change of the probability (or of the expected score), with standard errors by the delta
method: se^2 = g' V g, with g the derivative of the effect in the coefficients.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, special

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import clustered_scores
from claimledger.statistics.linear import check_design

_ORDERED = "ordered logit"


class Binary(NamedTuple):
    """A fitted logit or probit: params (k,), covariance (k, k), link."""

    params: np.ndarray
    cov: np.ndarray
    link: str


def _probability(link: str, eta) -> tuple[np.ndarray, np.ndarray]:
    """P(y = 1), and its derivative in the linear predictor eta."""
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
    # Fisher scoring: step = (X'DX)^-1 X'u, D = w d^2 / (p (1 - p)), u = w d (y - p) / (p (1 - p)),
    # with d the derivative of p; D is also the working weight whose leverage HC2 and HC3 use.
    def weighed(beta) -> tuple[np.ndarray, np.ndarray]:
        p, d = _probability(link, X @ beta)
        p = np.clip(p, 1e-12, 1 - 1e-12)
        ratio = w * d / (p * (1 - p))
        return ratio * d, X * (ratio * (y - p))[:, None]

    beta = np.zeros(X.shape[1])
    for _ in range(100):
        work, scores = weighed(beta)
        try:
            step = np.linalg.solve((X.T * work) @ X, scores.sum(axis=0))
        except np.linalg.LinAlgError:
            step = np.full(len(beta), np.inf)
        beta = beta + step
        if np.abs(step).max() < 1e-11 or not np.all(np.isfinite(beta)):
            break
    if not np.all(np.isfinite(beta)) or np.abs(step).max() > 1e-8 or np.abs(X @ beta).max() > 30:
        raise LedgerError(where, found="no maximum of the likelihood",
                          expected="answers that overlap between the groups compared",
                          mend="look for a column that separates the answers")
    work, scores = weighed(beta)
    bread = np.linalg.inv((X.T * work) @ X)
    if vcov in ("HC2", "HC3"):
        leverage = np.einsum("nk,nk->n", X @ bread, X) * work
        scores = scores / np.sqrt((1 - leverage) ** (1 if vcov == "HC2" else 2))[:, None]
    else:
        scores = clustered_scores(scores, clusters, strata, centered=vcov == "survey")
    return Binary(beta, bread @ scores.T @ scores @ bread, link)


def average_effect(fit: Binary, high, low) -> tuple[float, np.ndarray]:
    """Average effect on the probability and its derivative in the coefficients (k,).

    high, low : designs (n, k) with the variable at one value and at the other, all else as it is.
    """
    (p, d), (q, e) = (_probability(fit.link, X @ fit.params) for X in (high, low))
    return float((p - q).mean()), (d[:, None] * high - e[:, None] * low).mean(axis=0)


class OrdinalEffect(NamedTuple):
    """Average effect on the scale of the outcome, with delta-method standard error; n rows."""

    estimate: float
    se: float
    p: float
    n: int


def ordered_logit(outcome, X: pd.DataFrame, contrast: dict[str, float]) -> OrdinalEffect:
    """Fit an ordered logit and return the average effect of a contrast of terms.

    Parameters
    ----------
    outcome : (n,) numeric scores of the answers (say 1 to 5); the scores give the effect its unit.
    X : (n, k) design without intercept (the thresholds take its place).
    contrast : weights on columns of 0 and 1. Each counts with the average difference of the
        expected score at 1 and at 0, all columns of the same factor (`factor[T.level]`) being 0
        but for it. A product column is not followed.
    """
    y, names, design = np.asarray(outcome, dtype=float), list(X), X.to_numpy(dtype=float)
    if unknown := set(contrast) - set(names):
        raise LedgerError(_ORDERED, found=f"term {', '.join(map(repr, sorted(unknown)))}",
                          expected=f"one of {', '.join(names)}", mend="name a column of the design")
    check_design(_ORDERED, np.column_stack([np.ones(len(design)), design, y]))
    scores, codes = np.unique(y, return_inverse=True)
    params, cov = _ordered_fit(codes, design, len(scores))
    rows, many = np.unique(design, axis=0, return_counts=True)
    share = many / len(y)

    def expected(X) -> tuple[float, np.ndarray]:
        """Mean expected score of rows (c, k), and its derivative in the coefficients.

        E(y) = s_1 + sum_j (s_{j+1} - s_j) (1 - F(t_j - x'b)), with s the scores.
        """
        F = special.expit(params[len(names):] - (X @ params[:len(names)])[:, None])
        steps = np.diff(scores) * F * (1 - F) * share[:, None]
        slope = np.r_[steps.sum(axis=1) @ X, -steps.sum(axis=0)]
        return float(scores[-1] - share @ (F @ np.diff(scores))), slope

    estimate, gradient = 0.0, np.zeros(len(params))
    for term, weight in contrast.items():
        own = term.partition("[")[0] + "["
        low = rows.copy()
        low[:, [name == term or name.startswith(own) for name in names]] = 0.0
        high = low.copy()
        high[:, names.index(term)] = 1.0
        (up, rise), (down, fall) = expected(high), expected(low)
        estimate, gradient = estimate + weight * (up - down), gradient + weight * (rise - fall)
    se = float(np.sqrt(gradient @ cov @ gradient))
    return OrdinalEffect(estimate, se, float(2 * special.ndtr(-abs(estimate / se))), len(y))


def _ordered_fit(codes, X, answers: int) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood of P(y <= j) = F(t_j - x'b), F logistic.

    Returns coefficients and thresholds (k + answers - 1,) and the inverse of the information. The
    likelihood of a row, F(u) - F(l) with u and l linear in the parameters, is log-concave (Pratt
    1981): a maximum is the only one. Equal rows count together.
    """
    cells, count = np.unique(np.column_stack([codes, X]), axis=0, return_counts=True)
    j, X = cells[:, 0].astype(int), cells[:, 1:]
    marks = np.eye(answers + 1)[:, 1:-1]  # the thresholds below and above an answer
    U, L = np.hstack([-X, marks[j + 1]]), np.hstack([-X, marks[j]])
    ends = np.where(j == answers - 1, np.inf, 0.0), np.where(j == 0, -np.inf, 0.0)

    def likelihood(params) -> tuple[float, np.ndarray, np.ndarray]:
        up, low = special.expit(U @ params + ends[0]), special.expit(L @ params + ends[1])
        p = np.maximum(up - low, 1e-300)
        # log p = log(F(u) - F(l)), with F' = F (1 - F) and F'' = F' (1 - 2 F).
        fu, fl = up * (1 - up) / p, low * (1 - low) / p
        score = fu[:, None] * U - fl[:, None] * L
        curve = (U.T * (count * fu * (1 - 2 * up))) @ U - (L.T * (count * fl * (1 - 2 * low))) @ L
        return float(count @ np.log(p)), count @ score, (score.T * count) @ score - curve

    below = np.bincount(j, weights=count).cumsum()[:-1] / count.sum()
    params = np.r_[np.zeros(X.shape[1]), special.logit(below)]
    found = optimize.minimize(
        lambda b: [-one for one in likelihood(b)[:2]], params, jac=True,
        hess=lambda b: likelihood(b)[2], method="trust-exact", options={"gtol": 1e-6 * len(codes)})
    params = found.x
    for _ in range(2):  # Newton's steps, to the last digits
        _, score, information = likelihood(params)
        cov = np.linalg.pinv(information, hermitian=True)
        params = params + cov @ score
    if not found.success or np.abs(U @ params).max() > 30 or not np.all(np.diag(cov) > 0):
        raise LedgerError(
            _ORDERED, found="an ordered logit without a maximum",
            expected="answers that overlap between the groups compared",
            mend="look for a column that separates the answers, or merge rare answers")
    return params, cov
