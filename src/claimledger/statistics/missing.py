"""Covariates with missing answers: left out, marked, or imputed, as registered.

Rows without an outcome are left out before, whatever the rule. Conditioning on having answered a
question asked before the treatment keeps the comparison of randomized groups; `indicator` keeps all
rows in it as well (Lin, Green and Coppock 2016); `impute` uses what other answers tell.
"""

import re

import numpy as np
import pandas as pd
from statsmodels.imputation.mice import MICEData

from claimledger.errors import LedgerError
from claimledger.registration.models import Analysis

IMPUTATIONS, BURN_IN = 20, 10


def covariates_of(analysis: Analysis, rows: pd.DataFrame) -> list[str]:
    """Variables on the right side of a model that have missing values."""
    named = re.findall(r"[A-Za-z_]\w*", analysis.model.partition("~")[2])
    return [name for name in dict.fromkeys(named) if name in rows and rows[name].isna().any()]


def completed(analysis: Analysis, rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Formula and rows with missing covariates marked, where that is the registered rule.

    A number becomes the mean of the rows, with a column `NAME_missing` added to the model; a
    group becomes the group `missing`.
    """
    formula = analysis.model
    if analysis.missing != "indicator":
        return formula, rows
    rows = rows.copy()
    for name in covariates_of(analysis, rows):
        gone = rows[name].isna()
        if isinstance(rows[name].dtype, pd.CategoricalDtype) or rows[name].dtype == object:
            groups = rows[name].astype("category").cat.add_categories("missing")
            rows[name] = groups.fillna("missing")
            continue
        rows[f"{name}_missing"] = gone.astype(float)
        rows[name] = rows[name].astype(float).fillna(rows[name].mean())
        formula += f" + {name}_missing"
    return formula, rows


def imputations(analysis: Analysis, rows: pd.DataFrame, seed: int = 1) -> list[pd.DataFrame]:
    """Rows with the covariates filled in, IMPUTATIONS times, by chained equations (statsmodels).

    Predictive mean matching, each incomplete variable on all variables of the model, the outcome
    among them (White, Royston and Wood 2011); groups by their codes. The same seed gives the same
    values.
    """
    rows = rows.dropna(subset=analysis.stack or [analysis.outcome])
    incomplete = covariates_of(analysis, rows)
    if not incomplete:
        return [rows]
    named = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", analysis.model))
    numbers = {}
    for name in [*named, *analysis.stack]:
        if name not in rows:
            continue
        values = rows[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.cat.codes.where(values.notna())
        if not pd.api.types.is_numeric_dtype(values):
            raise LedgerError(
                f"{analysis.id}: {name}", found="text", expected="numbers or groups",
                mend="derive a number or a group from it in the registration",
            )
        numbers[name] = values.to_numpy(dtype=float)
    before = np.random.get_state()  # noqa: NPY002: the library draws from it
    try:
        np.random.seed(seed)
        chain = MICEData(pd.DataFrame(numbers))
        chain.update_all(BURN_IN)
        found = []
        for _ in range(IMPUTATIONS):
            chain.update_all(1)
            found.append(chain.data[incomplete].copy())
    finally:
        np.random.set_state(before)
    filled = []
    for values in found:
        one = rows.copy()
        for name in incomplete:
            column = values[name].to_numpy()
            if isinstance(rows[name].dtype, pd.CategoricalDtype):
                one[name] = pd.Categorical.from_codes(
                    column.astype(int), dtype=rows[name].dtype)
            else:
                one[name] = column
        filled.append(one)
    return filled


def rubin(estimates, variance, df) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pooled estimate, standard error and degrees of freedom (q,) of m imputations.

    estimates : (m, q); variance : (q,) mean of the squared standard errors; df : (q,) of complete
    data. Rubin (1987), degrees of freedom of Barnard and Rubin (1999), as R's mice.
    """
    Q = np.asarray(estimates, dtype=float)
    m, within = len(Q), np.asarray(variance, dtype=float)
    if m == 1:
        return Q[0], np.sqrt(within), np.asarray(df, dtype=float)
    between = (1 + 1 / m) * Q.var(axis=0, ddof=1)
    total = within + between
    share = np.maximum(between / total, 1e-12)
    old = (m - 1) / share**2
    observed = (df + 1) / (df + 3) * df * (1 - share)
    return Q.mean(axis=0), np.sqrt(total), np.where(np.isinf(df), old, old * observed / (
        old + observed))
