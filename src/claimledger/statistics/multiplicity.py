"""Adjustments of p values for several tests at once.

Holm and Benjamini-Hochberg work over the last axis, so that one call adjusts the families of
thousands of simulated experiments. (`statsmodels.stats.multitest.multipletests` takes one family
a call and runs the garbage collector each time: 100 ms a call.)
"""

import numpy as np

from claimledger.errors import LedgerError


def _p_values(p, function: str) -> np.ndarray:
    """Check p values: at least one, all finite, all within 0 and 1."""
    p = np.atleast_1d(np.asarray(p, dtype=float))
    if p.shape[-1] == 0 or not np.all((p >= 0) & (p <= 1)):
        raise LedgerError(
            where=f"statistics.multiplicity.{function}",
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
            where="statistics.multiplicity.adjust",
            found=f"correction {method!r}",
            expected=f"one of {', '.join(ADJUSTMENTS)}",
            mend="name one of these in the registration",
        )
    return ADJUSTMENTS[method](p)
