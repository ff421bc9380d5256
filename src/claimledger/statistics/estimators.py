"""Registered analyses, computed from rows: the design by patsy, the rest by matrix algebra.

Notebooks fit with statsmodels. The audit computes the same once more, from the registration and the
rows alone; so nothing here uses a fit of statsmodels. Specification curves use it too.

A standard error is HC2 or HC3 where rows are independent (n - k degrees of freedom), and one of the
corrections of `clustered` where they are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from patsy import PatsyError, dmatrices
from scipy import special

from claimledger.errors import LedgerError
from claimledger.registration.models import Analysis, Comparison, Hypothesis
from claimledger.statistics.clustered import CORRECTIONS, cluster_robust, contrast_rows, f_test
from claimledger.statistics.linear import LeastSquares, adjusted
from claimledger.survey.recoding import stack

ROBUST = ("HC2", "HC3")
COLUMNS = ("estimate", "se", "df", "statistic", "p", "n", "sd")


@dataclass(frozen=True)
class Model:
    """A linear model of n rows, with its variance estimator.

    y : (n,); X : (n, k) with the names of the coefficients; weights, clusters, strata : (n,) or
    None; vcov : HC2, HC3, CR2, stata or survey.
    """

    y: np.ndarray
    X: pd.DataFrame
    vcov: str
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    strata: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of independent units: clusters where there are any, else rows."""
        return len(self.y) if self.clusters is None else len(pd.unique(self.clusters))

    def contrasts(self, wanted: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
        """One row for each contrast (by its id), with the columns COLUMNS; p is two-sided."""
        names = list(self.X)
        C = np.array([contrast_rows(names, contrast) for contrast in wanted.values()])
        if self.clusters is not None:
            found = self._clustered().contrast(C)
            estimate, se, df = found.estimate, found.se, found.df
        else:
            estimate, se = self._independent(C).estimate(self.y)
            df = np.full(len(C), float(len(self.y) - len(names)))
            if np.any(se == 0):
                raise LedgerError(
                    "variance", found="a standard error of zero", expected="above zero",
                    mend="look for a constant outcome or an empty cell",
                )
        return pd.DataFrame({
            "estimate": estimate, "se": se, "df": df, "statistic": estimate / se,
            "p": np.minimum(1.0, 2 * special.stdtr(df, -np.abs(estimate / se))), "n": self.n,
            "sd": [self.sd(contrast) for contrast in C],
        }, index=pd.Index(list(wanted), name="id"))

    def joint(self, contrasts) -> tuple[float, int, float, float]:
        """Test that several contrasts are zero at once: F, its two degrees of freedom, p.

        contrasts : mappings of names to weights, or (q, k). HC2 and HC3: Wald's statistic over q
        on n - k degrees of freedom; with clusters see `ClusterRobust.wald`.
        """
        C = np.array([contrast_rows(list(self.X), one) for one in contrasts])
        if self.clusters is not None:
            return self._clustered().wald(C)
        prepared = self._independent(C)
        value = prepared.estimate(self.y).coef
        return f_test(value, prepared.covariance(self.y), float(len(self.y) - self.X.shape[1]))

    def sd(self, contrast: np.ndarray) -> float:
        """Standard deviation (ddof 1) of the analyzed outcome, the unit of the smallest effect.

        Of stacked items (one mean each, no intercept), those that the contrast weighs, pooled.
        """
        used = np.ones(len(self.y), dtype=bool)
        if self.clusters is not None and "Intercept" not in self.X:
            used = self.X.to_numpy() @ contrast != 0
        return float(np.std(self.y[used], ddof=1))

    def _independent(self, C) -> LeastSquares:
        return LeastSquares.of(self.X.to_numpy(), C, self.weights, vcov=self.vcov)

    def _clustered(self):
        return cluster_robust(
            self.X.to_numpy(), self.y, self.clusters, self.vcov, weights=self.weights,
            strata=self.strata, names=list(self.X),
        )


def model_of(
    analysis: Analysis, rows: pd.DataFrame, *, weights: pd.Series | None = None,
    clusters: pd.Series | None = None, strata: pd.Series | None = None, vcov: str | None = None,
    covariates: pd.DataFrame | None = None,
) -> Model:
    """Build outcome and design of a registered analysis.

    Parameters
    ----------
    rows : of the registered sample, one for each respondent (or profile), with a unique index.
        Those without an outcome (or without one of the stacked items), or with a missing variable
        of the model, are left out.
    weights, clusters, strata : by the index of `rows`. Clusters are the respondents by default
        where a respondent has several rows.
    vcov : in place of the registered one. covariates : (rows, c) joined to the design as Lin (2013)
        does, centered and interacted; complete.

    Raises
    ------
    LedgerError : a formula that cannot be read or names what is not there; an outcome that is a
        category; weights that are not above 0; see `Model.contrasts` for the rest.
    """
    where, vcov = f"{analysis.id}: {analysis.model}", vcov or analysis.vcov
    if vcov not in (*ROBUST, *CORRECTIONS):
        raise LedgerError(where, found=f"variance estimator {vcov}",
                          expected=", ".join((*ROBUST, *CORRECTIONS)), mend="correct the name")
    data = rows.dropna(subset=analysis.stack or [analysis.outcome])
    place = np.arange(len(data))
    if analysis.frame == "stacked":
        place = np.repeat(place, len(analysis.stack))
        data = stack(data, analysis.stack)
    index = rows.dropna(subset=analysis.stack or [analysis.outcome]).index[place]
    data = data.assign(**{"_row": np.arange(len(data))}).set_index("_row")
    try:
        y, X = dmatrices(analysis.model, data, return_type="dataframe")
    except PatsyError as error:
        raise LedgerError(
            where, found=str(error).splitlines()[0], expected="a model of the survey's variables",
            mend="correct the model in the registration",
        ) from None
    if y.shape[1] != 1:
        raise LedgerError(where, found="an outcome that is a category", expected="numbers",
                          mend="register an outcome of numbers")
    index = index[X.index]

    def aligned(values: pd.Series | None) -> np.ndarray | None:
        return None if values is None else values.loc[index].to_numpy()

    if covariates is not None:
        C = covariates.loc[index].set_axis(X.index)
        X = adjusted(X, C, aligned(weights))
    if clusters is None and vcov in CORRECTIONS:
        clusters = rows["respondent"]
    return Model(
        y.to_numpy(dtype=float)[:, 0], X, vcov, aligned(weights),
        aligned(clusters) if vcov in CORRECTIONS else None, aligned(strata),
    )


def contrasts_of(analysis: Analysis) -> dict[str, dict[str, float]]:
    """Registered contrasts by the id of their result: one of a hypothesis, each of a comparison."""
    if isinstance(analysis, Hypothesis):
        return {analysis.id: dict(analysis.contrast)}
    if not isinstance(analysis, Comparison):
        raise TypeError(type(analysis).__name__)
    term = {level: analysis.term.format(level=level) for level in analysis.levels}
    if analysis.pairs == "reference":
        return {f"{analysis.id}.{a}": {term[a]: 1.0} for a in analysis.levels}
    return {
        f"{analysis.id}.{a}.{b}": {term[a]: 1.0, term[b]: -1.0}
        for i, a in enumerate(analysis.levels) for b in analysis.levels[i + 1:]
    }


def estimate(
    analysis: Analysis, rows: pd.DataFrame, *, weights: pd.Series | None = None,
    clusters: pd.Series | None = None, strata: pd.Series | None = None,
) -> pd.DataFrame:
    """Every registered contrast of an analysis: a row each, by id; columns COLUMNS.

    n counts independent units; sd is the standard deviation of the analyzed outcome, of which the
    registered smallest effect is a multiple. See `model_of` for the arguments.
    """
    model = model_of(analysis, rows, weights=weights, clusters=clusters, strata=strata)
    return model.contrasts(contrasts_of(analysis))
