"""Equivalence tests of any estimand that has an estimate, a standard error and degrees of freedom.

Two one-sided t tests (Schuirmann 1987; Lakens 2017) and the JZS Bayes factor of Rouder et al.
(2009), so that a null is shown or left undecided and never read off a large p value.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from claimledger.errors import LedgerError


def check_estimates(where: str, estimate, se, df) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three as arrays of floats; an error unless finite, se > 0 and df > 0."""
    estimate, se, df = (np.asarray(a, dtype=float) for a in (estimate, se, df))
    if not np.all(np.isfinite(estimate)):
        found, expected = "an estimate that is not a finite number", "finite estimates"
    elif not np.all((se > 0) & np.isfinite(se)):
        found, expected = "a standard error that is zero or not a finite number", "se > 0"
    elif not np.all(df > 0):
        found, expected = "degrees of freedom that are not positive", "df > 0 (infinite allowed)"
    else:
        return estimate, se, df
    raise LedgerError(
        where=where,
        found=found,
        expected=expected,
        mend="look for a constant outcome, an empty cell or too few rows in the analysis",
    )


def check_alpha(where: str, alpha: float) -> None:
    """An error unless 0 < alpha < 0.5."""
    if not 0 < alpha < 0.5:
        raise LedgerError(
            where=where,
            found=f"alpha {alpha}",
            expected="a level above 0 and below 0.5",
            mend="write the level as a proportion, such as 0.05",
        )


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests.

    ci : (lower, upper) limits of the 1 - 2 alpha interval; p : the larger of the two p values;
    lower_p : p of "not above -bound"; upper_p : p of "not below +bound"; lower_t, upper_t : their
    statistics.
    """

    ci: tuple[np.ndarray, np.ndarray]
    p: np.ndarray
    lower_p: np.ndarray
    upper_p: np.ndarray
    lower_t: np.ndarray
    upper_t: np.ndarray


def tost(estimate, se, df, bound, alpha: float = 0.05) -> Equivalence:
    """Two one-sided t tests of -bound < effect < bound; all arguments broadcast.

    Equivalence is shown at `alpha` where p < alpha, which is where the interval of level
    1 - 2 alpha lies within the bounds. Units of `bound` are those of the estimate.
    """
    estimate, se, df = check_estimates("statistics.equivalence.tost", estimate, se, df)
    check_alpha("statistics.equivalence.tost", alpha)
    bound = np.asarray(bound, dtype=float)
    if not np.all((bound > 0) & np.isfinite(bound)):
        raise LedgerError(
            where="statistics.equivalence.tost",
            found="an equivalence bound that is zero, negative or missing",
            expected="a finite bound above 0, in the units of the estimate",
            mend="register a smallest effect of interest, or look for a constant outcome",
        )
    lower_t, upper_t = (estimate + bound) / se, (estimate - bound) / se
    lower_p, upper_p = special.stdtr(df, -lower_t), special.stdtr(df, upper_t)
    half = special.stdtrit(df, 1 - alpha) * se
    return Equivalence(
        (estimate - half, estimate + half),
        np.maximum(lower_p, upper_p),
        lower_p,
        upper_p,
        lower_t,
        upper_t,
    )


def equivalence_curve(estimate: float, se: float, df: float, bounds, alpha: float = 0.05):
    """Return TOST p values (b,) over bounds (b,), and the smallest bound at which it succeeds.

    That bound is the larger end of the 1 - 2 alpha interval in absolute value: the smallest effect
    that the data can exclude at `alpha`.
    """
    found = tost(float(estimate), float(se), float(df), np.asarray(bounds, dtype=float), alpha)
    return found.p, float(np.max(np.abs(found.ci)))


def jzs_bayes_factor(t, df, n_effective, scale: float = np.sqrt(0.5)) -> np.ndarray:
    """Bayes factor of an effect against none, BF10, from a t statistic (Rouder et al. 2009).

    Parameters
    ----------
    t, df : t statistic and its degrees of freedom (finite); broadcast.
    n_effective : n for one sample, n1 n2 / (n1 + n2) for two, so that the standardised effect has
        the standard error 1 / sqrt(n_effective).
    scale : of the Cauchy prior on the standardised effect; sqrt(1/2) = .707 is R's "medium".

    The prior is a normal mixed over its variance g, inverse gamma (1/2, 1/2). The integral runs
    over log g by the trapezoidal rule, which converges geometrically for such an integrand; it is
    summed in logarithms, and a factor above 1e308 is infinite.
    """
    where = "statistics.equivalence.jzs_bayes_factor"
    t, n, df = check_estimates(where, t, n_effective, df)
    if not (np.all(np.isfinite(df)) and scale > 0):
        raise LedgerError(
            where,
            found=f"degrees of freedom {df}, scale {scale}",
            expected="finite degrees of freedom and a scale above 0",
            mend="give the degrees of freedom of the t statistic",
        )
    log_g = np.linspace(-7.0, 60.0, 2001)
    t, n, df = t[..., None], n[..., None], df[..., None]
    spread = 1 + n * scale**2 * np.exp(log_g)
    likelihood = -0.5 * np.log(spread) - (df + 1) / 2 * np.log1p(t * t / (spread * df))
    prior = -0.5 * np.log(2 * np.pi) - 0.5 * log_g - 0.5 * np.exp(-log_g)
    null = -(df + 1) / 2 * np.log1p(t * t / df)
    log_factor = special.logsumexp(likelihood + prior - null, axis=-1)
    with np.errstate(over="ignore"):
        return np.exp(log_factor + np.log(log_g[1] - log_g[0]))
