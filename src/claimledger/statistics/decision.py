"""The rule that turns an estimate into a verdict: one rule for real and for simulated data.

Within a family, two sets of p values are corrected, each over the whole family: those of the tests
(two-sided against zero) and those of the equivalence tests (against the smallest effect of
interest). Then, in this order, for a claim with a direction:

1. significant (corrected p < alpha) in the registered direction: supported (or higher);
2. significant in the opposite direction: refuted (or lower);
3. equivalence shown (corrected TOST p < alpha): negligible;
4. otherwise: undecided.

An effect that is significant and also within the bounds is therefore supported or refuted, not
negligible; its equivalence result is reported beside the verdict. Claims of another kind:

- two-sided: significant is supported, whatever the sign; the rest as above;
- null (an effect smaller than the bound): equivalence is supported; else significant is refuted;
- non-inferiority (an effect above minus the margin): the first p value is that of the one-sided
  test against minus the margin, which is supported where it rejects; the second p value that of
  the opposite one-sided test, refuted where it rejects.

Each of the two corrections holds the family-wise error of its own set at alpha: at most alpha for a
claim of an effect where there is none, and at most alpha for a claim of equivalence where the
effect is at the bound or beyond. Where a family mixes both, a false claim of either kind can occur
with up to twice alpha (notebook 08 says how often).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from claimledger.errors import LedgerError

DIRECTIONS = {"negative": -1, "comparison": 0, "positive": 1, "two-sided": 2, "null": 3,
              "non-inferiority": 4}
HYPOTHESIS = ("supported", "refuted", "negligible", "undecided")
COMPARISON = ("higher", "lower", "negligible", "undecided")


@dataclass(frozen=True)
class Decision:
    """Tests and verdicts of one family (last axis), for any number of leading axes.

    p, tost_p : unadjusted; p_adjusted, tost_p_adjusted : adjusted over the family; verdict :
    integer codes, positions in HYPOTHESIS or COMPARISON; direction : as given, (..., m).
    """

    p: np.ndarray
    p_adjusted: np.ndarray
    tost_p: np.ndarray
    tost_p_adjusted: np.ndarray
    verdict: np.ndarray
    direction: np.ndarray

    @property
    def names(self) -> list[str]:
        """Verdicts in words, for one family (a one-dimensional decision)."""
        return [verdict_name(c, d) for c, d in zip(self.verdict, self.direction, strict=True)]


def verdict_name(code: int, direction: int) -> str:
    """Name of a verdict code: of a comparison where the direction is 0, else of a hypothesis."""
    return (COMPARISON if direction == 0 else HYPOTHESIS)[code]


def decide(
    estimate, se, df, bound, direction, alpha: float = 0.05, correction: str = "holm", p=None
) -> Decision:
    """Decide a family of tests; arrays (..., m) whose last axis is the members of the family.

    Parameters
    ----------
    estimate, se, df : estimates, standard errors (> 0), degrees of freedom (infinite: normal).
    bound : smallest effect of interest in the units of the estimate (> 0); of non-inferiority the
        margin. None, for all or for a member, where none is registered: its equivalence p is 1, so
        it is never called negligible.
    direction : codes of DIRECTIONS: +1 or -1 as registered; 0 for a comparison; 2, 3 and 4.
    correction : holm, bh or none.
    p : (..., m) two-sided p values where they are known (joint tests have no estimate), else NaN.

    Raises
    ------
    LedgerError : a value that is not finite, se or bound not above 0, an unknown direction.
    """
    where = "statistics.decision.decide"
    estimate, se, df = check_estimates(where, estimate, se, df)
    check_alpha(where, alpha)
    direction, known = np.asarray(direction), list(DIRECTIONS.values())
    if not np.all(np.isin(direction, known)):
        raise LedgerError(
            where=where, found=f"direction {direction[~np.isin(direction, known)][:3]}",
            expected="+1, -1, 0 for a comparison, 2 (two-sided), 3 (null) or 4 (non-inferiority)",
            mend="correct the direction in the registration",
        )
    shape = np.broadcast_shapes((1,), *(a.shape for a in (estimate, se, df, direction)))
    p = np.full((), np.nan) if p is None else np.asarray(p, dtype=float)
    tested = np.broadcast_to(p, shape)
    if np.isnan(p).any():
        two_sided = np.minimum(1.0, 2 * special.stdtr(df, -np.abs(estimate / se)))
        tested = np.where(np.isnan(p), two_sided, p)
    direction = np.broadcast_to(direction, shape)
    bound = np.broadcast_to(np.asarray(bound, dtype=float), shape)  # None becomes NaN
    registered = ~np.isnan(bound)
    if not np.all(np.isnan(bound) | ((bound > 0) & np.isfinite(bound))):
        raise LedgerError(
            where, found="an equivalence bound that is zero or negative",
            expected="a finite bound above 0, in the units of the estimate, or none",
            mend="register a smallest effect of interest, or look for a constant outcome",
        )
    # The larger of the two one-sided p values of `tost` is that of the nearer bound.
    nearer = special.stdtr(df, (np.abs(estimate) - np.where(registered, bound, 1.0)) / se)
    tost_p = np.where(registered, nearer, 1.0)
    margin = direction == 4
    if margin.any():
        if not registered[margin].all():
            raise LedgerError(where, found="non-inferiority without a margin", expected="a margin",
                              mend="register how much worse is still acceptable")
        above = special.stdtr(df, -(estimate + np.where(margin, bound, 0.0)) / se)
        tested, tost_p = np.where(margin, above, tested), np.where(margin, 1 - above, tost_p)
    p_adjusted, tost_p_adjusted = adjust(tested, correction), adjust(tost_p, correction)
    verdict = verdict_codes(
        np.sign(estimate), direction, p_adjusted < alpha, tost_p_adjusted < alpha)
    return Decision(tested, p_adjusted, tost_p, tost_p_adjusted, verdict, direction)


def verdict_codes(sign, direction, significant, equivalent) -> np.ndarray:
    """The rule itself, once both corrections are made: positions in HYPOTHESIS or COMPARISON.

    sign : of the estimates; direction : codes of DIRECTIONS; significant, equivalent : whether the
    corrected p value of the test, and of the equivalence test, is below alpha (of non-inferiority
    those of its two one-sided tests).
    """
    null, margin = direction == 3, direction == 4
    right = np.isin(direction, (2, 4)) | (sign == np.where(direction == 0, 1, direction))
    first = np.where(null, equivalent, significant & right)
    second = np.where(margin, equivalent, significant)
    third = equivalent & ~null & ~margin
    return np.select([first, second, third], [0, 1, 2], default=3)


def false_claims(decision: Decision, truth, bound) -> np.ndarray:
    """Which verdicts of a decision (..., m) are false, by true effects and bounds (they broadcast).

    A claim of an effect where it is absent or has the other sign; of equivalence where the effect
    is as large as the bound. Undecided claims nothing. bound : infinite where there is none.
    """
    truth, direction = np.asarray(truth, dtype=float), decision.direction
    signed = truth * np.where(direction == -1, -1, 1)
    nearly = bound * (1 - 1e-9)
    small, acceptable = np.abs(truth) < nearly, truth > -nearly
    true = [  # by verdict: supported (or higher), refuted (or lower), negligible
        np.select([direction == 2, direction == 3, direction == 4],
                  [truth != 0, small, acceptable], signed > 0),
        np.select([direction == 3, direction == 4], [truth != 0, ~acceptable], signed < 0),
        small,
    ]
    return np.any([(decision.verdict == code) & ~known for code, known in enumerate(true)], axis=0)


# Corrections for several tests at once, over the last axis, so that one call corrects the families
# of thousands of simulated experiments. (`statsmodels.stats.multitest.multipletests` takes one
# family a call and runs the garbage collector each time: 100 ms a call.)


def _p_values(p, function: str) -> np.ndarray:
    """Check p values: at least one, all finite, all within 0 and 1."""
    p = np.atleast_1d(np.asarray(p, dtype=float))
    if p.shape[-1] == 0 or not np.all((p >= 0) & (p <= 1)):
        raise LedgerError(
            where=f"statistics.decision.{function}",
            found="an empty family"
            if p.shape[-1] == 0
            else f"p values {p[~((p >= 0) & (p <= 1))][:3]}",
            expected="at least one p value, each between 0 and 1",
            mend="look at the test whose p value is missing or outside the range",
        )
    return p


def holm(p) -> np.ndarray:
    """Holm (1979) step-down adjusted p values over the last axis; shape of `p` (..., m).

    Controls the family-wise error rate under any dependence.
    """
    p = _p_values(p, "holm")
    order = np.argsort(p, axis=-1, kind="stable")
    ordered = np.take_along_axis(p, order, axis=-1)
    stepped = np.maximum.accumulate(ordered * np.arange(p.shape[-1], 0, -1), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), axis=-1)
    return adjusted


def benjamini_hochberg(p) -> np.ndarray:
    """Benjamini-Hochberg (1995) step-up adjusted p values over the last axis; shape (..., m).

    Controls the false discovery rate of independent or positively dependent tests.
    """
    p = _p_values(p, "benjamini_hochberg")
    m = p.shape[-1]
    order = np.argsort(p, axis=-1, kind="stable")
    ordered = np.take_along_axis(p, order, axis=-1) * (m / np.arange(1, m + 1))
    stepped = np.minimum.accumulate(ordered[..., ::-1], axis=-1)[..., ::-1]
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), axis=-1)
    return adjusted


ADJUSTMENTS = {"holm": holm, "bh": benjamini_hochberg, "none": lambda p: _p_values(p, "none")}


def adjust(p, method: str) -> np.ndarray:
    """Adjusted p values over the last axis by the method of that name: holm, bh or none."""
    if method not in ADJUSTMENTS:
        raise LedgerError(
            where="statistics.decision.adjust",
            found=f"correction {method!r}",
            expected=f"one of {', '.join(ADJUSTMENTS)}",
            mend="name one of these in the registration",
        )
    return ADJUSTMENTS[method](p)


# Equivalence of any estimand that has an estimate, a standard error and degrees of freedom, so that
# a null is shown or left undecided and never read off a large p value.


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
    estimate, se, df = check_estimates("statistics.decision.tost", estimate, se, df)
    check_alpha("statistics.decision.tost", alpha)
    bound = np.asarray(bound, dtype=float)
    if not np.all((bound > 0) & np.isfinite(bound)):
        raise LedgerError(
            where="statistics.decision.tost",
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
    where = "statistics.decision.jzs_bayes_factor"
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
