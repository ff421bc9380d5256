"""Adjusted p values against R's p.adjust, definitions and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimledger.errors import LedgerError
from claimledger.statistics.multiplicity import adjust, benjamini_hochberg, holm, romano_wolf

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


@given(P_VALUES, st.randoms())
def test_order_of_the_tests_does_not_matter(p, random):
    p, order = np.array(p), np.arange(len(p))
    random.shuffle(order)
    for method in (holm, benjamini_hochberg):
        np.testing.assert_array_equal(method(p)[order], method(p[order]))


@given(P_VALUES)
def test_between_unadjusted_and_bonferroni(p):
    p = np.array(p)
    bonferroni = np.minimum(1, p * len(p))
    for adjusted in (holm(p), benjamini_hochberg(p)):
        assert np.all(adjusted >= p) and np.all(adjusted <= bonferroni + 1e-15)
    assert np.all(benjamini_hochberg(p) <= holm(p) + 1e-15)
    np.testing.assert_array_equal(adjust(p, "none"), p)


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.1], [1.2], []])
def test_a_missing_or_impossible_p_value(p):
    for method in (holm, benjamini_hochberg):
        with pytest.raises(LedgerError):
            method(p)


def test_unknown_correction():
    with pytest.raises(LedgerError, match="holm, bh, none"):
        adjust([0.1], "sidak")


def test_romano_wolf_by_its_definition():
    """Two hypotheses, four draws, counted by hand."""
    resampled = np.array([[0.5, 1.0], [2.5, -0.1], [-0.2, 3.5], [1.0, 1.0]])
    # |t| = 3 first: draws whose larger statistic reaches 3: one of four, (1 + 1) / 5.
    # then |t| = 2 alone: draws whose own (first) statistic reaches 2: one of four.
    np.testing.assert_allclose(romano_wolf([-2.0, 3.0], resampled), [0.4, 0.4])
    np.testing.assert_allclose(romano_wolf([-2.6, 3.0], resampled), [0.4, 0.4])
    np.testing.assert_allclose(romano_wolf([0.1, 4.0], resampled), [1.0, 0.2])
    # A draw that equals the observed statistic reaches it; of equal ones the order is no matter.
    np.testing.assert_allclose(romano_wolf([-2.5, 3.5], resampled), [0.4, 0.4])
    np.testing.assert_allclose(romano_wolf([1.0, 1.0], resampled), [1.0, 1.0])


def test_romano_wolf_step_by_step(rng):
    """The largest of those not yet rejected, and no p value below that of a larger statistic."""
    for _ in range(20):
        t, resampled = rng.normal(0, 2, 4), rng.normal(size=(60, 4))
        left, last, expected = [0, 1, 2, 3], 0.0, np.zeros(4)
        while left:
            first = max(left, key=lambda j: abs(t[j]))
            hits = sum(max(abs(row[left])) >= abs(t[first]) for row in resampled)
            last = expected[first] = max(last, (1 + hits) / 61)
            left.remove(first)
        np.testing.assert_allclose(romano_wolf(t, resampled), expected)


def test_romano_wolf_gains_from_dependence(rng):
    """Perfectly dependent tests need no correction; independent ones nearly Bonferroni's."""
    one = rng.standard_normal((4000, 1))
    same = romano_wolf([2.2] * 5, np.repeat(one, 5, axis=1))
    apart = romano_wolf([2.2] * 5, rng.standard_normal((4000, 5)))
    single = romano_wolf([2.2], one)
    np.testing.assert_allclose(same, single[0])
    assert np.all(apart > 4 * single[0]) and np.all(apart < 5.5 * single[0])


def test_romano_wolf_holds_the_family_wise_error_rate():
    rng = np.random.default_rng(8)
    mix = np.linalg.cholesky(0.6 * np.ones((4, 4)) + 0.4 * np.eye(4))
    null = rng.standard_normal((999, 4)) @ mix.T
    observed = rng.standard_normal((1500, 4)) @ mix.T
    rejected = np.mean([np.any(romano_wolf(t, null) < 0.05) for t in observed])
    # Error of the simulation, and of the shared draws under the null.
    assert abs(rejected - 0.05) < 4 * np.sqrt(0.05 * 0.95 * (1 / 1500 + 1 / 999))


@pytest.mark.parametrize("resampled", [np.zeros((5, 3)), np.zeros((0, 2)), [[np.nan, 1.0]]])
def test_romano_wolf_refuses_draws_that_do_not_fit(resampled):
    with pytest.raises(LedgerError):
        romano_wolf([1.0, 2.0], resampled)
