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
from claimledger.statistics.equivalence import check_alpha, check_estimates, tost
from claimledger.statistics.multiplicity import adjust

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
    p : (m,) p values of tests that have no single estimate (joint tests, two-sided), else NaN.

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
    two_sided = np.minimum(1.0, 2 * special.stdtr(df, -np.abs(estimate / se)))
    tested = np.broadcast_to(two_sided, shape)
    direction = np.broadcast_to(direction, shape)
    bound = np.broadcast_to(np.asarray(bound, dtype=float), shape)  # None becomes NaN
    registered = ~np.isnan(bound)
    tost_p = np.where(registered, tost(estimate, se, df, np.where(registered, bound, 1.0)).p, 1.0)
    margin = direction == 4
    if margin.any():
        if not registered[margin].all():
            raise LedgerError(where, found="non-inferiority without a margin", expected="a margin",
                              mend="register how much worse is still acceptable")
        above = special.stdtr(df, -(estimate + np.where(margin, bound, 0.0)) / se)
        tested, tost_p = np.where(margin, above, tested), np.where(margin, 1 - above, tost_p)
    if p is not None:
        p = np.broadcast_to(np.asarray(p, dtype=float), shape)
        tested = np.where(np.isnan(p), tested, p)
    p_adjusted, tost_p_adjusted = adjust(tested, correction), adjust(tost_p, correction)
    significant, equivalent = p_adjusted < alpha, tost_p_adjusted < alpha
    right = np.where(np.isin(direction, (2, 4)), True,
                     np.sign(estimate) == np.where(direction == 0, 1, direction))
    first = np.where(direction == 3, equivalent, significant & right)
    second = np.where(direction == 3, significant, np.where(margin, equivalent, significant))
    third = equivalent & (direction != 3) & ~margin
    verdict = np.select([first, second, third], [0, 1, 2], default=3)
    return Decision(tested, p_adjusted, tost_p, tost_p_adjusted, verdict, direction)
