"""Ordered logit as a robustness check of a mean comparison of ordinal items."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.miscmodels.ordinal_model import OrderedModel
from statsmodels.tools.numdiff import approx_fprime
from statsmodels.tools.sm_exceptions import ConvergenceWarning, HessianInversionWarning

from claimledger.errors import LedgerError
from claimledger.statistics.linear import check_design

_WHERE = "statistics.ordinal.ordered_logit"


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


def ordered_logit(outcome, X: pd.DataFrame, term: str) -> OrdinalEffect:
    """Fit an ordered logit and return the average effect of one term.

    Parameters
    ----------
    outcome : (n,) numeric scores of the answers (say 1 to 5); the scores give the effect its unit.
    X : (n, k) design without intercept (the thresholds take its place).
    term : column of X. Of 0 and 1: the average difference of the expected score at 1 and at 0;
        else the average slope of the expected score. A product column is not followed: a term that
        enters an interaction needs its own contrast.

    Fitted by Newton's method: the default of statsmodels stops 6e-5 short of the maximum.
    """
    y = np.asarray(outcome, dtype=float)
    if term not in X.columns or len(y) != len(X) or not np.all(np.isfinite(y)):
        raise LedgerError(
            _WHERE,
            found=f"term {term!r}, {len(y)} outcomes, {int(np.sum(~np.isfinite(y)))} missing",
            expected=f"one of {', '.join(map(str, X.columns))}, and complete outcomes of its rows",
            mend="name a column of the design, and select the complete rows",
        )
    scores, codes = np.unique(y, return_inverse=True)
    if len(scores) < 3:
        raise LedgerError(
            _WHERE,
            found=f"{len(scores)} different answers",
            expected="an ordinal outcome of three answers or more",
            mend="compare means or proportions instead",
        )
    design = X.to_numpy(dtype=float)
    check_design(_WHERE, np.column_stack([np.ones(len(design)), design]))
    model = OrderedModel(codes.ravel(), design, distr="logit")
    fit = _fitted(model)
    position = list(X.columns).index(term)
    values = design[:, position]
    binary = bool(np.all(np.isin(values, (0, 1))))

    def effect(params: np.ndarray) -> float:
        # A slope is the symmetric difference over a small step of the column.
        step = 1.0 if binary else 1e-4 * values.std()
        high, low = design.copy(), design.copy()
        high[:, position] = 1.0 if binary else values + step / 2
        low[:, position] = 0.0 if binary else values - step / 2
        change = model.predict(params, exog=high) - model.predict(params, exog=low)
        return float((change @ scores).mean() / step)

    gradient = approx_fprime(fit.params, effect, centered=True)
    estimate, se = effect(fit.params), float(np.sqrt(gradient @ fit.cov_params() @ gradient))
    log_odds, log_odds_se = float(fit.params[position]), float(fit.bse[position])
    p, log_odds_p = (2 * stats.norm.sf(abs(v)) for v in (estimate / se, log_odds / log_odds_se))
    return OrdinalEffect(estimate, se, float(p), log_odds, log_odds_se, float(log_odds_p), len(y))


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
            _WHERE,
            found="an ordered logit without a maximum",
            expected="answers that overlap between the groups compared",
            mend="look for a column that separates the answers, or merge rare answers",
        )
    return fit
