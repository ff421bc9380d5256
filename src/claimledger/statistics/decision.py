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
        return verdict_names(self.verdict, self.direction)


def verdict_names(codes, direction) -> list[str]:
    """Names of verdict codes: of a comparison where the direction is 0, else of a hypothesis."""
    return [(HYPOTHESIS if d else COMPARISON)[c] for c, d in zip(codes, direction, strict=True)]


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
    LedgerError : a value that is not finite, se or df not above 0.
    """
    estimate, se, df = (np.asarray(given, dtype=float) for given in (estimate, se, df))
    if not (np.all(np.isfinite(estimate) & (se > 0) & np.isfinite(se) & (df > 0))
            and 0 < alpha < 0.5):
        raise LedgerError(
            "decide", found="an estimate, standard error or degrees of freedom that is none, or "
            f"alpha {alpha}", expected="finite estimates, standard errors and degrees of freedom "
            "above 0, alpha below 0.5",
            mend="look for a constant outcome, an empty cell or too few rows in the analysis")
    p, bound = (np.asarray(given, dtype=float) for given in (p, bound))  # None becomes NaN
    tested, direction, bound, *_ = np.broadcast_arrays(
        p, direction, bound, estimate, se, df, np.zeros(1))
    if np.isnan(p).any():
        two_sided = np.minimum(1.0, 2 * special.stdtr(df, -np.abs(estimate / se)))
        tested = np.where(np.isnan(p), two_sided, p)
    tost_p = equivalence_p(estimate, se, df, bound, direction)
    margin = direction == 4
    if margin.any():
        above = special.stdtr(df, -(estimate + np.where(margin, bound, 0.0)) / se)
        tested = np.where(margin, above, tested)
    p_adjusted, tost_p_adjusted = adjust(tested, correction), adjust(tost_p, correction)
    verdict = verdict_codes(
        np.sign(estimate), direction, p_adjusted < alpha, tost_p_adjusted < alpha)
    return Decision(tested, p_adjusted, tost_p, tost_p_adjusted, verdict, direction)


def equivalence_p(estimate, se, df, bound, direction=0) -> np.ndarray:
    """p values of two one-sided t tests of -bound < effect < bound (Schuirmann 1987).

    The larger of the two, which is that of the nearer bound. One where there is no bound (NaN); of
    non-inferiority that of "not below -bound", which would refute it. All arguments broadcast.
    """
    bound = np.asarray(bound, dtype=float)
    margin = np.equal(direction, 4)
    nearer = np.where(margin, estimate + bound, np.abs(estimate) - bound)
    return np.where(np.isnan(bound), 1.0, special.stdtr(df, nearer / se))


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


def holm(p) -> np.ndarray:
    """Holm (1979) step-down adjusted p values over the last axis; shape of `p` (..., m).

    Controls the family-wise error rate under any dependence.
    """
    # The i-th smallest times m - i + 1, at least as large as those before it.
    order = np.argsort(p, axis=-1, kind="stable")
    ordered = np.take_along_axis(p, order, axis=-1)
    stepped = np.maximum.accumulate(ordered * np.arange(p.shape[-1], 0, -1), axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(stepped, 1.0), axis=-1)
    return adjusted


def adjust(p, method: str) -> np.ndarray:
    """Adjusted p values (..., m) over the last axis by the method of that name.

    holm; bh, Benjamini and Hochberg (1995), which controls the false discovery rate of independent
    or positively dependent tests; or none.
    """
    p = np.atleast_1d(np.asarray(p, dtype=float))
    if method not in ("holm", "bh", "none") or not np.all((p >= 0) & (p <= 1)):
        raise LedgerError(
            "correction for several tests", found=f"{method}, p values {p[:3]}",
            expected="one of holm, bh, none; p values between 0 and 1",
            mend="correct the name, or look at the test whose p value is missing")
    if method == "bh":
        from scipy.stats import false_discovery_control  # slow to import: not for every worker

        return false_discovery_control(p, axis=-1, method="bh")
    return holm(p) if method == "holm" else p


def jzs_bayes_factor(t, df, n_effective, scale: float = np.sqrt(0.5)) -> np.ndarray:
    """Bayes factor of an effect against none, BF10, from a t statistic (Rouder et al. 2009).

    Parameters
    ----------
    t, df : t statistic and its degrees of freedom (finite); broadcast.
    n_effective : n for one sample, n1 n2 / (n1 + n2) for two, so that the standardized effect has
        the standard error 1 / sqrt(n_effective).
    scale : of the Cauchy prior on the standardized effect; sqrt(1/2) = .707 is R's "medium".

    The prior is a normal mixed over its variance g, inverse gamma (1/2, 1/2). The integral runs
    over log g by the trapezoidal rule, which converges geometrically for such an integrand; it is
    summed in logarithms, and a factor above 1e308 is infinite.
    """
    log_g = np.linspace(-7.0, 60.0, 2001)
    t, n, df = (np.asarray(given, dtype=float)[..., None] for given in (t, n_effective, df))
    # Rouder et al. (2009), equation 1, with g times scale^2, and dg = g d(log g).
    spread = 1 + n * scale**2 * np.exp(log_g)
    likelihood = -0.5 * np.log(spread) - (df + 1) / 2 * np.log1p(t * t / (spread * df))
    prior = -0.5 * np.log(2 * np.pi) - 0.5 * log_g - 0.5 * np.exp(-log_g)
    null = -(df + 1) / 2 * np.log1p(t * t / df)
    log_factor = special.logsumexp(likelihood + prior - null, axis=-1)
    with np.errstate(over="ignore"):
        return np.exp(log_factor + np.log(log_g[1] - log_g[0]))
