"""From a fitted model to a table of tests, in pandas: what a notebook computes in plain sight."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten

import numpy as np
import pandas as pd
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics import decision
from claimledger.statistics.clustered import checked_fit, of_fit

_ROBUST = {"HC0", "HC1", "HC2", "HC3"}


@dataclass(frozen=True)
class Fitted:
    """One fit with its variance estimator; `clusters` (n,) switches to a cluster correction."""

    fit: object
    clusters: pd.Series | None = None
    correction: str = "CR2"

    def __post_init__(self):
        """Refuse a variance that no conclusion here should rest on, and what `checked_fit` does.

        statsmodels fits singular designs, constant outcomes and zero weights without a word.
        """
        if self.clusters is None and not (self.fit.use_t and self.vcov in _ROBUST):
            kind = "t" if self.fit.use_t else "normal"
            raise self._error(f"{self.vcov} variance, p values from the {kind} distribution",
                              "HC2 or HC3 and the t distribution, or groups",
                              'fit(cov_type="HC2", use_t=True)')
        checked_fit(self.fit)

    def _error(self, found: str, expected: str, mend: str) -> LedgerError:
        return LedgerError(f"fit of {shorten(self.formula, 100)}", found=found, expected=expected,
                           mend=mend)

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
                raise self._error(f"no coefficient {term!r}", "one of " + ", ".join(names),
                                  "correct the contrast or the model")
        return np.array([contrast.get(name, 0.0) for name in names])

    def contrast(self, contrast: dict[str, float]) -> tuple[float, float, float]:
        """Estimate, standard error and degrees of freedom of one contrast."""
        weights = self.vector(contrast)
        if self.clusters is not None:
            return tuple(map(float, of_fit(
                self.fit, self.clusters, self.correction).contrast(weights)))
        test = self.fit.t_test(weights)
        if not np.isfinite(test.sd).all() or not (test.sd > 0).all():
            raise self._error(f"a standard error of {test.sd.item()}", "above zero",
                              "look for a constant outcome or an empty cell")
        return test.effect.item(), test.sd.item(), float(self.fit.df_resid)

    def joint(self, names: list[str]) -> tuple[float, float, float, float]:
        """F of several coefficients at once, its two degrees of freedom, and p."""
        C = np.array([self.vector({name: 1.0}) for name in names])
        if self.clusters is not None:
            return of_fit(self.fit, self.clusters, self.correction).wald(C)
        found = self.fit.f_test(C)
        return float(found.fvalue), found.df_num, float(found.df_denom), float(found.pvalue)

    def sd(self, contrast: dict[str, float]) -> float:
        """Standard deviation (ddof 1) of the analyzed outcome, the unit of the smallest effect.

        Of stacked items (one mean each, no intercept), those that the contrast weighs, pooled.
        """
        outcome = np.asarray(self.fit.model.endog, dtype=float)
        if self.clusters is not None and "Intercept" not in self.fit.params.index:
            outcome = outcome[np.asarray(self.fit.model.exog) @ self.vector(contrast) != 0]
        return float(np.std(outcome, ddof=1))


def results(
    fits: Mapping, contrasts: Mapping[str, Mapping[str, float] | str | list[str]], *,
    level: float = 0.95, groups: pd.Series | None = None, correction: str = "CR2",
) -> pd.DataFrame:
    """One row for each contrast: estimate, se, df, p (two-sided), low, high, n, sd.

    Parameters
    ----------
    fits : id of each contrast: statsmodels OLS or WLS results, fitted with `cov_type="HC2",
        use_t=True`. A fit that has one coefficient gives that one, whatever the contrast.
    contrasts : id: the name of a coefficient, weights on coefficients by name, or a list of
        coefficients that are tested together: that row has `statistic` (F), `df1`, `df` and p.
    groups : (n,) whose each row is, where one respondent gives several: the variance is then
        `correction` (CR2, stata or survey), and n counts respondents.
    """
    rows = {}
    for id, contrast in contrasts.items():
        if not hasattr(fits[id], "params"):
            raise LedgerError(
                id, found=f"a {type(fits[id]).__name__}", expected="a fitted statsmodels model",
                mend='smf.ols("...", data=rows).fit(cov_type="HC2", use_t=True)')
        fitted = Fitted(fits[id], groups, correction)
        if isinstance(contrast, list):
            f, q, df, p = fitted.joint(contrast)
            rows[id] = {"statistic": f, "df1": q, "df": df, "p": p, "n": fitted.n,
                        "sd": float(np.std(np.asarray(fitted.fit.model.endog, float), ddof=1))}
            continue
        names = list(fitted.fit.params.index)
        if len(names) == 1:
            contrast = {names[0]: 1.0}
        contrast = {contrast: 1.0} if isinstance(contrast, str) else dict(contrast)
        estimate, se, df = fitted.contrast(contrast)
        half = stats.t.ppf((1 + level) / 2, df) * se
        rows[id] = {
            "estimate": estimate, "se": se, "df": df, "p": 2 * stats.t.sf(abs(estimate / se), df),
            "low": estimate - half, "high": estimate + half, "n": fitted.n,
            "sd": fitted.sd(contrast)}
    table = pd.DataFrame(rows).T
    first = ["estimate", "se", "df", "p", "low", "high", "n", "sd"]  # NaN in a joint test
    return table.reindex(columns=[*first, *table.columns.difference(first)]).astype({"n": int})


def tost(table: pd.DataFrame) -> np.ndarray:
    """p values of two one-sided t tests of each estimate against its bound (Schuirmann 1987).

    The larger of the two: of "not above -bound" and of "not below +bound". One where there is no
    bound; in a claim of non-inferiority that of "not below -margin", which would refute it.
    """
    numbers = table[["estimate", "se", "df", "bound"]].to_numpy(float).T
    return decision.equivalence_p(*numbers, table.get("direction", 0))


def verdicts(table: pd.DataFrame, alpha: float = 0.05) -> list[str]:
    """The registered rule: significant first, then equivalent, else undecided.

    `direction` of a row is +1 or -1 for a hypothesis, 0 for a comparison (higher or lower); other
    kinds of claims have the codes of `decision.DIRECTIONS`.
    """
    direction = table["direction"].to_numpy()
    significant = table["p_adjusted"].to_numpy(float) < alpha
    equivalence = table.get("p_equivalence", np.full(len(table), np.nan))
    codes = decision.verdict_codes(np.sign(table["estimate"].to_numpy(float)), direction,
                                   significant, np.asarray(equivalence, float) < alpha)
    return decision.verdict_names(codes, direction)
