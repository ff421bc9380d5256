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


def romano_wolf(t, resampled) -> np.ndarray:
    """Romano-Wolf (2005, 2016) step-down adjusted two-sided p values of one family.

    Parameters
    ----------
    t : (m,) observed t statistics.
    resampled : (draws, m) t statistics under the null: permutation draws, or bootstrap draws
        centred at the estimate. A row is one joint draw, so the dependence between tests is used.

    Returns
    -------
    (m,) adjusted p values, p = (1 + hits) / (1 + draws) at each step, made monotone.
    """
    t = np.abs(np.atleast_1d(np.asarray(t, dtype=float)))
    resampled = np.abs(np.asarray(resampled, dtype=float))
    if resampled.ndim != 2 or resampled.shape[1] != t.size or resampled.shape[0] == 0:
        raise LedgerError(
            where="statistics.multiplicity.romano_wolf",
            found=f"{t.size} observed statistics and resampled ones of shape {resampled.shape}",
            expected="(m,) observed and (draws, m) resampled statistics",
            mend="resample all tests of the family jointly",
        )
    if not (np.all(np.isfinite(t)) and np.all(np.isfinite(resampled))):
        raise LedgerError(
            where="statistics.multiplicity.romano_wolf",
            found="a statistic that is not a finite number",
            expected="finite t statistics",
            mend="look for a draw in which an outcome is constant or a cell empty",
        )
    order = np.argsort(-t, kind="stable")
    # Column j holds, for each draw, the largest statistic among the hypotheses not yet rejected.
    largest = np.maximum.accumulate(resampled[:, order[::-1]], axis=1)[:, ::-1]
    hits = np.sum(largest >= t[order], axis=0)
    stepped = np.maximum.accumulate((1 + hits) / (1 + resampled.shape[0]))
    adjusted = np.empty_like(t)
    adjusted[order] = stepped
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
