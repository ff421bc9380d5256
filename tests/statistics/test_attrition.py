"""Lee bounds: by hand, by properties, by simulation."""

import numpy as np
import pytest

from claimledger.errors import LedgerError
from claimledger.statistics.attrition import lee_bounds

NA = np.nan


def test_by_hand():
    """Treated: 4 of 4 answer; control: 3 of 4. A quarter of the treated answers is cut."""
    y = np.array([1, 2, 3, 4, 1, 2, 3, NA])
    found = lee_bounds(y, [1] * 4 + [0] * 4, seed=1, draws=50)
    assert (found.trimmed, found.trimmed_arm) == (0.25, "treated")
    assert (found.lower, found.upper) == (2 - 2, 3 - 2)
    turned = lee_bounds(y, [0] * 4 + [1] * 4, seed=1, draws=50)
    assert (turned.lower, turned.upper, turned.trimmed_arm) == (-1, 0, "control")


def test_a_fraction_of_a_row_is_trimmed():
    """Four of four against two of three: a third is cut from four rows, 4/3 rows."""
    y = np.array([0, 0, 3, 6, 1, 2, NA])
    found = lee_bounds(y, [1] * 4 + [0] * 3, seed=1, draws=50)
    assert found.lower == pytest.approx((0 + 0 + 3 * 2 / 3) / (8 / 3) - 1.5)
    assert found.upper == pytest.approx((6 + 3 + 0) / (8 / 3) - 1.5)


def test_without_attrition_both_bounds_are_the_difference(rng):
    y, d = rng.normal(size=60), np.arange(60) % 2
    found = lee_bounds(y, d, seed=1)
    difference = y[d == 1].mean() - y[d == 0].mean()
    assert found.lower == pytest.approx(difference) and found.upper == pytest.approx(difference)
    # The interval is then the ordinary one.
    half = 1.96 * np.sqrt(y[d == 1].var(ddof=1) / 30 + y[d == 0].var(ddof=1) / 30)
    assert found.ci[1] - found.ci[0] == pytest.approx(2 * half, rel=0.15)


def test_order_shift_and_scale(rng):
    y, d = rng.normal(size=80), np.arange(80) % 2
    y[rng.random(80) < 0.1 + 0.2 * d] = NA
    found, order = lee_bounds(y, d, seed=1), rng.permutation(80)
    moved = lee_bounds(5 - 2 * y[order], d[order], seed=1)
    assert (moved.lower, moved.upper) == pytest.approx((-2 * found.upper, -2 * found.lower))


def test_bounds_hold_the_effect_on_those_who_always_answer():
    """Treatment drives the unhappy away: the naive difference is off, the bounds are not."""
    rng = np.random.default_rng(4)
    n = 40_000
    d, mood = np.arange(n) % 2, rng.normal(size=n)
    always = mood > -0.8
    y = np.where(always | (d == 0), mood + 0.3 * d, NA)
    found = lee_bounds(y, d, seed=1, draws=20)
    naive = np.nanmean(y[d == 1]) - np.nanmean(y[d == 0])
    assert found.lower - 0.02 < 0.3 < found.upper + 0.02
    assert found.trimmed == pytest.approx(1 - always.mean(), abs=0.01)
    assert naive > 0.5


@pytest.mark.parametrize(
    "y, d",
    [([1, 2, 3, 4], [0, 1, 2, 1]), ([1, np.inf, 2, 3], [0, 1, 0, 1]), ([1, 2, 3], [0, 1]),
     ([1, 2, NA, NA], [0, 0, 1, 1])],
)  # fmt: skip
def test_bad_input(y, d):
    with pytest.raises(LedgerError):
        lee_bounds(y, d, seed=1)
