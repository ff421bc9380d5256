"""Was the assignment carried out as registered, and did who answers depend on it.

Balance of the background over the arms; attrition by arm, with bounds of an effect where attrition
differs (Lee 2009).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, special

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration


class Balance(NamedTuple):
    """Statistic and permutation p value of a joint balance test."""

    statistic: float
    p: float


def covariate_matrix(frame: pd.DataFrame, registration: Registration) -> pd.DataFrame:
    """Registered covariates as numbers (n, k): ordinal codes and numbers as they are, others 0/1.

    Columns are standardized over the whole sample; their names are labels for people.
    """
    columns = {}
    items = registration.instrument.items
    for name in registration.instrument.covariates:
        scale = registration.instrument.scales[items[name].scale] if name in items else None
        if scale is not None and scale.kind in ("ordinal", "numeric"):
            columns[registration.label(name)] = frame[name].astype(float)
            continue
        for category in frame[name].cat.categories[1:]:
            columns[str(category)] = frame[name].eq(category).astype(float)
        if frame[name].isna().any():
            columns[registration.label(name)] = frame[name].isna().map({True: np.nan, False: 0.0})
    X = pd.DataFrame(columns, index=frame.index)
    if gaps := list(X.columns[X.isna().any()]):
        raise LedgerError(
            "balance", found="missing values in " + ", ".join(gaps),
            expected="complete background variables", mend="drop or impute the incomplete rows")
    X = X.loc[:, X.std() > 0]
    return (X - X.mean()) / X.std()


def omnibus_balance(
    X: pd.DataFrame, arm: pd.Series, draws: int, rng: np.random.Generator
) -> Balance:
    """Joint test over all covariates (n, k) and arms.

    The statistic is the sum over arms and covariates of n_a times the squared mean of the
    standardized covariate in the arm, after the covariates are made orthogonal to each other
    (so it is n times Pillai's trace); p = (1 + hits) / (1 + draws) over permuted arms.
    """
    # Orthogonal covariates of variance one: then Pillai's trace is a sum of squared means.
    left, values, _ = np.linalg.svd(X.to_numpy() - X.to_numpy().mean(axis=0), full_matrices=False)
    Z = left[:, values > values[0] * 1e-9] * np.sqrt(len(X))
    arms = pd.get_dummies(arm, dtype=float).to_numpy()
    arms = arms[:, arms.sum(axis=0) > 0]
    size = arms.sum(axis=0)

    def statistic(assigned: np.ndarray) -> float:
        means = (assigned.T @ Z) / size[:, None]
        return float((size[:, None] * means**2).sum())

    observed = statistic(arms)
    hits = sum(statistic(arms[rng.permutation(len(arms))]) >= observed for _ in range(draws))
    return Balance(observed, (1 + hits) / (1 + draws))


def standardized_differences(
    X: pd.DataFrame, frame: pd.DataFrame, registration: Registration
) -> pd.DataFrame:
    """Differences in standard deviations, reference level against all others, for each factor.

    Columns: contrast, variable, difference, se (of a difference of means of unit variance).
    """
    rows = []
    for name, factor in sorted(
        registration.design.factors.items(), key=lambda pair: -len(pair[1].levels)):
        treated = frame[name].ne(factor.reference).to_numpy()
        difference = X[treated].mean() - X[~treated].mean()
        se = np.sqrt(1 / treated.sum() + 1 / (~treated).sum())
        rows.append(pd.DataFrame({
            "contrast": factor.label, "variable": X.columns, "difference": difference.to_numpy(),
            "se": se}))
    return pd.concat(rows, ignore_index=True)


class Attrition(NamedTuple):
    """Who gave no outcome, by arm.

    table : by arm n, missing, share; p : of Fisher's exact test of two arms, else of the chi-square
    test that all shares are the same.
    """

    table: pd.DataFrame
    p: float


def attrition_by_arm(outcome: pd.Series, arm: pd.Series) -> Attrition:
    """Whether the outcome is missing more often in some arms than in others.

    outcome : (n,) of all who were assigned; arm : (n,) categorical, the first is the reference.
    """
    if arm.isna().any() or arm.nunique() < 2:
        raise LedgerError("attrition", found="rows without an arm, or one arm",
                          expected="the arm of each row", mend="take all who were assigned")
    by = outcome.isna().groupby(arm, observed=True)
    table = pd.DataFrame({"n": by.size(), "missing": by.sum(), "share": by.mean()})
    from scipy import stats  # slow to import, needed here alone

    counts = np.array([table["missing"], table["n"] - table["missing"]])
    if not counts.sum(axis=1).all():
        p = 1.0  # nobody, or everybody
    elif len(table) == 2:
        p = stats.fisher_exact(counts).pvalue
    else:
        p = stats.chi2_contingency(counts).pvalue
    return Attrition(table, float(p))


class LeeBounds(NamedTuple):
    """Bounds of the effect on the always-observed.

    ci : limits of the Imbens and Manski (2004) interval for the effect itself, from bootstrap
    standard errors of the two bounds.
    """

    lower: float
    upper: float
    ci: tuple[float, float]
    lower_se: float
    upper_se: float


def lee_bounds(outcome, treated, *, seed: int, draws: int = 500) -> LeeBounds:
    """Lee (2009) bounds under selective attrition that treatment moves in one direction only.

    outcome : (n,), missing where not observed. treated : (n,) of 0 and 1 (or bool), all assigned.
    The arm with the larger share observed loses the excess from its top (for a lower bound, where
    that arm is the treated one) or its bottom; the last row is trimmed in part, so the share is
    exact with ties too.
    """
    y, d = np.asarray(outcome, dtype=float), np.asarray(treated)
    if not np.all(np.isin(d, (0, 1))):
        raise LedgerError("lee_bounds", found="treatment other than 0 and 1",
                          expected="0 and 1 for all assigned", mend="code the two arms 0 and 1")
    d = d.astype(bool)
    lower, upper = _lee(y, d)
    rng = np.random.default_rng(seed)
    se = np.std([_lee(*_resample(rng, y, d)) for _ in range(draws)], axis=0, ddof=1)
    critical = _imbens_manski(upper - lower, se.max())
    ci = float(lower - critical * se[0]), float(upper + critical * se[1])
    return LeeBounds(lower, upper, ci, float(se[0]), float(se[1]))


def _resample(rng: np.random.Generator, y, d) -> tuple[np.ndarray, np.ndarray]:
    """Draw units with replacement within arms; again where an arm keeps under two answers."""
    arms = np.flatnonzero(d), np.flatnonzero(~d)
    while True:
        drawn = [rng.choice(arm, len(arm)) for arm in arms]
        if all(np.isfinite(y[arm]).sum() >= 2 for arm in drawn):
            at = np.concatenate(drawn)
            return y[at], d[at]


def _lee(y, d) -> tuple[float, float]:
    seen = np.isfinite(y)
    rate1, rate0 = seen[d].mean(), seen[~d].mean()
    y1, y0 = np.sort(y[d & seen]), np.sort(y[~d & seen])
    if len(y1) < 2 or len(y0) < 2:
        raise LedgerError("lee_bounds", found="an arm with fewer than two observed outcomes",
                          expected="two or more in each arm",
                          mend="bounds need outcomes in both arms")
    # Lee (2009), proposition 1: the excess of the arm that answers more is cut off at either end.
    if rate1 < rate0:
        lower, upper = _lee(y, ~d)
        return -upper, -lower
    share = 1 - rate0 / rate1
    low, high = _kept_mean(y1, share), -_kept_mean(-y1[::-1], share)
    return float(low - y0.mean()), float(high - y0.mean())


def _kept_mean(ascending, share: float) -> float:
    """Mean after the top `share` is cut off, the last row in part."""
    keep = (1 - share) * len(ascending)
    weight = np.clip(keep - np.arange(len(ascending)), 0, 1)
    return float(weight @ ascending / weight.sum())


def _imbens_manski(width: float, se: float) -> float:
    """Critical value c with Phi(c + width / se) - Phi(-c) = 0.95."""
    if se == 0:
        return 0.0
    return optimize.brentq(
        lambda c: special.ndtr(c + width / se) - special.ndtr(-c) - 0.95, 0.0, 10.0)
