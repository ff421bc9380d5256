"""Adjusted p values against R's p.adjust, definitions and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimledger.errors import LedgerError
from claimledger.statistics.decision import adjust


def holm(p) -> np.ndarray:
    return adjust(p, "holm")


def benjamini_hochberg(p) -> np.ndarray:
    return adjust(p, "bh")


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_r_p_adjust(reference):
    expected = reference("adjust.json")
    np.testing.assert_allclose(holm(expected["p"]), expected["holm"], rtol=1e-12)
    np.testing.assert_allclose(benjamini_hochberg(expected["p"]), expected["bh"], rtol=1e-12)


def test_many_families_at_once(rng):
    p = rng.random((3, 4, 5))
    for method in (holm, benjamini_hochberg):
        together = method(p)
        for at in np.ndindex(3, 4):
            np.testing.assert_array_equal(together[at], method(p[at]))


@given(P_VALUES)
def test_between_unadjusted_and_bonferroni(p):
    p = np.array(p)
    bonferroni = np.minimum(1, p * len(p))
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert np.all(adjusted >= p) and np.all(adjusted <= bonferroni + 1e-15)
    assert np.all(benjamini_hochberg(p) <= holm(p) + 1e-15)
    np.testing.assert_array_equal(adjust(p, "none"), p)


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.1], [1.2]])
def test_a_missing_or_impossible_p_value(p):
    for method in (holm, benjamini_hochberg):
        with pytest.raises(LedgerError):
            method(p)


def test_unknown_correction():
    with pytest.raises(LedgerError, match="holm, bh, none"):
        adjust([0.1], "sidak")
