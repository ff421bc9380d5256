"""Was the assignment carried out as registered: balance of the background over the arms."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration


class Balance(NamedTuple):
    """Statistic and permutation p value of a joint balance test."""

    statistic: float
    p: float


def covariate_matrix(frame: pd.DataFrame, registration: Registration) -> pd.DataFrame:
    """Registered covariates as numbers (n, k): ordinal codes and numbers as they are, others 0/1.

    Columns are standardised over the whole sample; their names are labels for people.
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
    if X.isna().any().any():
        raise LedgerError(
            "balance", found="missing values in " + ", ".join(X.columns[X.isna().any()]),
            expected="complete background variables", mend="drop or impute the incomplete rows",
        )
    spread = X.std()
    if (spread == 0).any():
        X = X.loc[:, spread > 0]
    return (X - X.mean()) / X.std()


def omnibus_balance(
    X: pd.DataFrame, arm: pd.Series, draws: int, rng: np.random.Generator
) -> Balance:
    """Joint test over all covariates (n, k) and arms.

    The statistic is the sum over arms and covariates of n_a times the squared mean of the
    standardised covariate in the arm, after the covariates are made orthogonal to each other
    (so it is n times Pillai's trace); p = (1 + hits) / (1 + draws) over permuted arms.
    """
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


def standardised_differences(
    X: pd.DataFrame, frame: pd.DataFrame, registration: Registration
) -> pd.DataFrame:
    """Differences in standard deviations, reference level against all others, for each factor.

    Columns: contrast, variable, difference, se (of a difference of means of unit variance).
    """
    rows = []
    for name, factor in sorted(
        registration.design.factors.items(), key=lambda pair: -len(pair[1].levels)
    ):
        treated = frame[name].ne(factor.reference).to_numpy()
        difference = X[treated].mean() - X[~treated].mean()
        se = np.sqrt(1 / treated.sum() + 1 / (~treated).sum())
        rows.append(pd.DataFrame({
            "contrast": factor.label, "variable": X.columns, "difference": difference.to_numpy(),
            "se": se,
        }))
    return pd.concat(rows, ignore_index=True)
