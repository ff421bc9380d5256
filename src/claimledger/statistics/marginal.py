"""Marginal means of a factor, their differences, and average marginal component effects.

Hainmueller, Hopkins and Yamamoto (2014) for the effects; Leeper, Hobolt and Tilley (2020) for the
means and for subgroup comparisons. Every table names its variance: HC2 where rows are independent
(no clusters), else one of the corrections of `cluster`.

An effect is averaged over the profiles as they were shown. In a design with forbidden combinations
that is not the effect over the shared support: leave the rows outside the support out first.
"""

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats
from statsmodels.regression.linear_model import RegressionResults

from claimledger.errors import LedgerError
from claimledger.statistics.cluster import (
    Contrast,
    checked_fit,
    cluster_robust,
    contrast_rows,
)
from claimledger.statistics.linear import check_design

_WHERE = "statistics.marginal"


def estimates(fit, weights, clusters=None, correction: str = "CR2") -> Contrast:
    """Contrasts of a fitted OLS or WLS: HC2 without clusters (df n - k), else cluster-robust.

    weights : as `cluster.contrast_rows` takes them: name, mapping, (k,) or (q, k).
    """
    if clusters is not None:
        return cluster_robust(fit, clusters, correction).contrast(weights)
    rows = contrast_rows(fit.model.exog_names, weights)
    checked_fit(fit)
    with np.errstate(divide="ignore", invalid="ignore"):  # a row of leverage one: refused below
        test = fit.get_robustcov_results("HC2", use_t=True).t_test(np.atleast_2d(rows))
    if not np.all(np.isfinite(test.sd) & (test.sd > 0)):
        raise LedgerError(
            f"{_WHERE}.estimates",
            found="an estimate without a positive, finite standard error",
            expected="an outcome that varies, and two rows or more in each cell compared",
            mend="look for a constant outcome or a cell with a single row",
        )
    parts = [np.atleast_1d(np.squeeze(a)) for a in (test.effect, test.sd, test.tvalue, test.pvalue)]
    estimate, se, t, p = parts if rows.ndim == 2 else (float(a[0]) for a in parts)
    df = np.full(len(rows), float(fit.df_resid)) if rows.ndim == 2 else float(fit.df_resid)
    return Contrast(estimate, se, df, t, p)


def table(fit, rows, labels: pd.DataFrame, clusters=None, correction="CR2", level=0.95):
    """One line a contrast: labels, estimate, se, df, statistic, p, ci_low, ci_high, vcov."""
    found = estimates(fit, np.atleast_2d(rows), clusters, correction)
    low, high = found.ci(level)
    vcov = "HC2" if clusters is None else f"{correction} by cluster"
    columns = {
        "estimate": found.estimate,
        "se": found.se,
        "df": found.df,
        "statistic": found.t,
        "p": found.p,
        "ci_low": low,
        "ci_high": high,
        "vcov": vcov,
    }
    return pd.concat([labels.reset_index(drop=True), pd.DataFrame(columns)], axis=1)


def _fit(outcome, X: pd.DataFrame, weights):
    """Weighted or unweighted fit, after checking that nothing is missing and no cell is empty."""
    y = np.asarray(outcome, dtype=float)
    w = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=float)
    if len(y) != len(X) or len(w) != len(X) or not np.all(np.isfinite(y)):
        found, expected = "missing outcomes, or parts of different length", "complete rows"
    elif not np.all(np.isfinite(w) & (w > 0)):
        found, expected = "a weight that is zero, negative or missing", "weights above 0"
    elif np.ptp(y) == 0:
        found, expected = "a constant outcome", "an outcome that varies"
    else:
        check_design(_WHERE, X)
        return sm.OLS(y, X).fit() if weights is None else sm.WLS(y, X, weights=w).fit()
    raise LedgerError(
        _WHERE, found=found, expected=expected, mend="select the rows of the analysis first"
    )


def _factor(values, name: str) -> pd.Series:
    """Categorical without missing values and without empty levels."""
    factor = pd.Series(values).reset_index(drop=True)
    if not isinstance(factor.dtype, pd.CategoricalDtype):
        factor = factor.astype("category")
    empty = [level for level in factor.cat.categories if not (factor == level).any()]
    if factor.isna().any() or empty:
        raise LedgerError(
            f"{_WHERE}: {name}",
            found=f"{int(factor.isna().sum())} missing values, empty levels {empty}",
            expected="a level in every row and a row in every level",
            mend="drop the incomplete rows and the unused levels",
        )
    return factor


def marginal_means(
    outcome, factor, by=None, clusters=None, weights=None, correction="CR2", level=0.95
) -> pd.DataFrame:
    """Mean of the outcome at each level of a factor, within each level of `by` where given.

    outcome, factor, by, clusters, weights : (n,), complete. A categorical keeps its order.
    Returns one line a cell: level, by, n and the columns of `table`.
    """
    fit, cells = _cell_fit(outcome, factor, by, weights)
    return table(fit, np.eye(len(cells)), cells, clusters, correction, level)


def mean_differences(
    outcome, factor, by, clusters=None, weights=None, correction="CR2", level=0.95
) -> pd.DataFrame:
    """Differences of marginal means between levels of `by`, at each level of the factor.

    Each later level of `by` against its first. The covariance of the two means is kept, so that
    `by` may vary within clusters (realdata point 6: variances may not be added then).
    """
    fit, cells = _cell_fit(outcome, factor, by, weights)
    later = cells.index[cells["by"] != cells["by"].iloc[0]]
    rows = np.zeros((len(later), len(cells)))
    for row, position in zip(rows, later, strict=True):
        same = cells["level"] == cells.at[position, "level"]
        row[position] = 1.0
        row[np.flatnonzero(same & (cells["by"] == cells["by"].iloc[0]))] = -1.0
    return table(fit, rows, cells.loc[later], clusters, correction, level)


def _cell_fit(outcome, factor, by, weights):
    """Fit of one mean a cell, and the cells: level, by, n."""
    factor = _factor(factor, "factor")
    group = None if by is None else _factor(by, "by")
    cells, columns = [], []
    for second in [None] if group is None else group.cat.categories:
        for first in factor.cat.categories:
            inside = (factor == first) if group is None else (factor == first) & (group == second)
            cells.append({"level": first, "by": second, "n": int(inside.sum())})
            columns.append(inside.to_numpy(dtype=float))
    cells = pd.DataFrame(cells) if group is not None else pd.DataFrame(cells).drop(columns="by")
    return _fit(outcome, pd.DataFrame(np.column_stack(columns)), weights), cells


def amce(
    outcome, features: pd.DataFrame, clusters=None, weights=None, correction="CR2", level=0.95
) -> pd.DataFrame:
    """Average marginal component effects: each level of each feature against its first level.

    One additive regression on indicators of all features, as cregg and projoint fit it.
    Returns one line an effect: feature, level, baseline and the columns of `table`.
    """
    columns, labels = [np.ones(len(features))], []
    for name in features:
        factor = _factor(features[name], name)
        for later in factor.cat.categories[1:]:
            columns.append((factor == later).to_numpy(dtype=float))
            labels.append({"feature": name, "level": later, "baseline": factor.cat.categories[0]})
    fit = _fit(outcome, pd.DataFrame(np.column_stack(columns)), weights)
    rows = np.eye(len(columns))[1:]
    return table(fit, rows, pd.DataFrame(labels), clusters, correction, level)


def mean_rows(fit, factor: str, levels, weights=None) -> np.ndarray:
    """Contrast rows (levels, k) of model-based marginal means, for a fit made with a formula.

    Row l is the design row averaged over the fitted data with the factor set to level l in every
    row: `estimates(fit, rows)` then gives adjusted means, and differences of rows effects.
    """
    frame = fit.model.data.frame
    if frame is None or factor not in frame:
        raise LedgerError(
            f"{_WHERE}.mean_rows",
            found=f"a fit without a column {factor!r}",
            expected="a fit made with statsmodels.formula.api, and a variable of its data",
            mend="fit the model with a formula, or name one of its variables",
        )
    used = frame.loc[fit.model.data.row_labels]
    k = len(fit.params)
    rows = np.empty((len(levels), k))
    for i, value in enumerate(levels):
        column = pd.Series([value] * len(used), index=used.index, dtype=used[factor].dtype)
        changed = used.assign(**{factor: column})
        for j in range(k):  # a prediction with the j-th unit vector returns the j-th column
            predicted = RegressionResults(fit.model, np.eye(k)[j]).predict(changed)
            rows[i, j] = np.average(predicted, weights=weights)
    return rows


def joint_f(
    fit, weights, clusters=None, correction: str = "CR2"
) -> tuple[float, int, float, float]:
    """Omnibus test that several contrasts are zero: F, df1, df2, p (HC2 without clusters)."""
    if clusters is not None:
        return cluster_robust(fit, clusters, correction).wald(weights)
    rows = np.atleast_2d(contrast_rows(fit.model.exog_names, weights))
    found = fit.get_robustcov_results("HC2", use_t=True).f_test(rows)
    f = float(np.squeeze(found.fvalue))
    return f, len(rows), float(fit.df_resid), float(stats.f.sf(f, len(rows), fit.df_resid))
