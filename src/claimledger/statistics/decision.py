"""The rule that turns an estimate into a verdict: one rule for real and for simulated data.

Within a family, two sets of p values are adjusted, each over the whole family: those of the
two-sided tests against zero, and those of the equivalence tests against the smallest effect of
interest. Then, in this order:

1. significant (adjusted p < alpha) in the registered direction: supported (or higher);
2. significant in the opposite direction: refuted (or lower);
3. equivalence shown (adjusted TOST p < alpha): negligible;
4. otherwise: undecided.

An effect that is significant and also within the bounds is therefore supported or refuted, not
negligible; its equivalence result is reported beside the verdict.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from claimledger.errors import LedgerError
from claimledger.statistics.equivalence import check_alpha, check_estimates, tost
from claimledger.statistics.multiplicity import adjust

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
    estimate, se, df, bound, direction, alpha: float = 0.05, correction: str = "holm"
) -> Decision:
    """Decide a family of tests; arrays (..., m) whose last axis is the members of the family.

    Parameters
    ----------
    estimate, se, df : estimates, standard errors (> 0), degrees of freedom (infinite: normal).
    bound : smallest effect of interest in the units of the estimate (> 0). None, for all or for a
        member, where none is registered: its equivalence p is 1, so it is never called negligible.
    direction : +1 or -1 as registered; 0 for a comparison without a direction.
    correction : holm, bh or none.

    Raises
    ------
    LedgerError : a value that is not finite, se or bound not above 0, an unknown direction.
    """
    estimate, se, df = check_estimates("statistics.decision.decide", estimate, se, df)
    check_alpha("statistics.decision.decide", alpha)
    direction = np.asarray(direction)
    if not np.all(np.isin(direction, (-1, 0, 1))):
        raise LedgerError(
            where="statistics.decision.decide",
            found=f"direction {direction[~np.isin(direction, (-1, 0, 1))][:3]}",
            expected="+1, -1, or 0 for a comparison without a direction",
            mend="correct the direction in the registration",
        )
    shape = np.broadcast_shapes((1,), *(a.shape for a in (estimate, se, df, direction)))
    p = np.broadcast_to(np.minimum(1.0, 2 * special.stdtr(df, -np.abs(estimate / se))), shape)
    direction = np.broadcast_to(direction, shape)
    bound = np.broadcast_to(np.asarray(bound, dtype=float), shape)  # None becomes NaN
    registered = ~np.isnan(bound)
    tost_p = np.where(registered, tost(estimate, se, df, np.where(registered, bound, 1.0)).p, 1.0)
    p_adjusted, tost_p_adjusted = adjust(p, correction), adjust(tost_p, correction)
    with_direction = np.sign(estimate) == np.where(direction == 0, 1, direction)
    verdict = np.where(
        p_adjusted < alpha,
        np.where(with_direction, 0, 1),
        np.where(tost_p_adjusted < alpha, 2, 3),
    )
    return Decision(p, p_adjusted, tost_p, tost_p_adjusted, verdict, direction)
