"""From a fitted model to a table of tests, in pandas: what a notebook computes in plain sight.

    h3 = study.results(fit, "H3")                    # estimate, se, df, p, low, high, n, bound
    h3["p_adjusted"] = multipletests(h3["p"], method="holm")[1]
    h3["p_equivalence"] = multipletests(tost(h3), method="holm")[1]
    h3["verdict"] = verdicts(h3)
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.ledger.contrasts import Fitted, check_vcov
from claimledger.statistics import decision


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
                mend='smf.ols("...", data=rows).fit(cov_type="HC2", use_t=True)',
            )
        fitted = Fitted(fits[id], groups, correction)
        check_vcov(fitted)
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
            "sd": fitted.sd(contrast),
        }
    table = pd.DataFrame(rows).T
    first = ["estimate", "se", "df", "p", "low", "high", "n", "sd"]  # NaN in a joint test
    return table.reindex(columns=[*first, *table.columns.difference(first)]).astype({"n": int})


def tost(table: pd.DataFrame) -> np.ndarray:
    """p values of two one-sided t tests of each estimate against its bound (Schuirmann 1987).

    The larger of the two: of "not above -bound" and of "not below +bound". One where there is no
    bound; in a claim of non-inferiority that of "not below -margin", which would refute it.
    """
    estimate, se, df, bound = table[["estimate", "se", "df", "bound"]].to_numpy(float).T
    p, known = np.ones(len(table)), np.isfinite(bound)
    if known.any():
        found = decision.tost(*(column[known] for column in (estimate, se, df, bound)))
        margin = np.broadcast_to(table["direction"] == 4 if "direction" in table else False,
                                 len(table))[known]
        p[known] = np.where(margin, 1 - found.lower_p, found.p)
    return p


def verdicts(table: pd.DataFrame, alpha: float = 0.05) -> list[str]:
    """The registered rule: significant first, then equivalent, else undecided.

    `direction` of a row is +1 or -1 for a hypothesis, 0 for a comparison (higher or lower); other
    kinds of claims have the codes of `decision.DIRECTIONS`.
    """
    direction = table["direction"].to_numpy()
    significant = table["p_adjusted"].to_numpy(float) < alpha
    equivalent = np.zeros(len(table), dtype=bool)
    if "p_equivalence" in table:
        equivalent = table["p_equivalence"].to_numpy(float) < alpha
    codes = decision.verdict_codes(
        np.sign(table["estimate"].to_numpy(float)), direction, significant, equivalent)
    return [decision.verdict_name(int(c), int(d)) for c, d in zip(codes, direction, strict=True)]
