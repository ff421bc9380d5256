"""What a fitted statsmodels model says of itself: formula, variance estimator, contrasts."""

from dataclasses import dataclass
from textwrap import shorten

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import CORRECTIONS, checked_fit, of_fit

_ROBUST = {"HC0", "HC1", "HC2", "HC3"}


@dataclass(frozen=True)
class Fitted:
    """One fit with its variance estimator; `clusters` (n,) switches to a cluster correction."""

    fit: object
    clusters: pd.Series | None = None
    correction: str = "CR2"

    def __post_init__(self):
        """Refuse normal p values (see `use_t` of statsmodels), and a fit that `checked_fit` does.

        statsmodels fits singular designs, constant outcomes and zero weights without a word.
        """
        if self.clusters is None and not self.fit.use_t:
            raise LedgerError(
                f"fit of {shorten(self.formula, 100)}",
                found="p values from the normal distribution",
                expected="the t distribution", mend="fit(cov_type=..., use_t=True)",
            )
        checked_fit(self.fit)

    @property
    def formula(self) -> str:
        """The model's formula, or the names of its columns where it has none."""
        return getattr(self.fit.model, "formula", None) or " + ".join(self.fit.model.exog_names)

    @property
    def vcov(self) -> str:
        """Name of the variance estimator."""
        return self.correction if self.clusters is not None else self.fit.cov_type

    @property
    def weighted(self) -> bool:
        """Whether weights that differ were used."""
        weights = getattr(self.fit.model, "weights", 1.0)
        return bool(np.ptp(np.asarray(weights, dtype=float)) > 0)

    @property
    def n(self) -> int:
        """Number of independent units: clusters where there are any, else rows."""
        return int(self.fit.nobs if self.clusters is None else self.clusters.nunique())

    def vector(self, contrast: dict[str, float]) -> np.ndarray:
        """The contrast as weights (k,) on the coefficients."""
        names = list(self.fit.params.index)
        for term in contrast:
            if term not in names:
                raise LedgerError(
                    f"fit of {shorten(self.formula, 100)}", found=f"no coefficient {term!r}",
                    expected="one of " + ", ".join(names), mend="correct the contrast or the model",
                )
        return np.array([contrast.get(name, 0.0) for name in names])

    def contrast(self, contrast: dict[str, float]) -> tuple[float, float, float]:
        """Estimate, standard error and degrees of freedom of one contrast."""
        weights = self.vector(contrast)
        if self.clusters is not None:
            result = of_fit(self.fit, self.clusters, self.correction).contrast(weights)
            return float(result.estimate), float(result.se), float(result.df)
        estimate = float(weights @ self.fit.params.to_numpy())
        variance = float(weights @ np.asarray(self.fit.cov_params()) @ weights)
        if not np.isfinite(variance) or variance <= 0:
            raise LedgerError(
                f"fit of {shorten(self.formula, 100)}", found=f"a variance of {variance}",
                expected="above zero", mend="look for a constant outcome or an empty cell",
            )
        return estimate, float(np.sqrt(variance)), float(self.fit.df_resid)

    def joint(self, names: list[str]) -> tuple[float, float, float, float]:
        """F of several coefficients at once, its two degrees of freedom, and p."""
        C = np.array([self.vector({name: 1.0}) for name in names])
        if self.clusters is not None:
            return of_fit(self.fit, self.clusters, self.correction).wald(C)
        found = self.fit.f_test(C)
        return float(found.fvalue), found.df_num, float(found.df_denom), float(found.pvalue)

    def sd(self, contrast: dict[str, float]) -> float:
        """Standard deviation (ddof 1) of the analysed outcome, the unit of the smallest effect.

        Of stacked items (one mean each, no intercept), those that the contrast weighs, pooled.
        """
        outcome = np.asarray(self.fit.model.endog, dtype=float)
        if self.clusters is not None and "Intercept" not in self.fit.params.index:
            outcome = outcome[np.asarray(self.fit.model.exog) @ self.vector(contrast) != 0]
        return float(np.std(outcome, ddof=1))


def check_vcov(fitted: Fitted) -> None:
    """Refuse a variance estimator that no conclusion here should rest on."""
    if fitted.vcov not in _ROBUST | set(CORRECTIONS):
        raise LedgerError(
            f"fit of {shorten(fitted.formula, 100)}", found=f"variance estimator {fitted.vcov}",
            expected="HC2, HC3 or CR2", mend='fit(cov_type="HC2", use_t=True)',
        )
