"""The decision rule against a plain restatement of it; corrections, TOST and the JZS Bayes factor
against R, definitions and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from claimledger.errors import LedgerError
from claimledger.statistics.decision import (
    adjust,
    decide,
    equivalence_p,
    holm,
    jzs_bayes_factor,
)


def test_each_verdict_and_both_vocabularies():
    estimate = [0.5, -0.5, 0.01, 0.11]
    as_hypotheses = decide(estimate, 0.06, 500, 0.2, 1)
    assert as_hypotheses.names == ["supported", "refuted", "negligible", "undecided"]
    assert decide(estimate, 0.06, 500, 0.2, -1).names[:2] == ["refuted", "supported"]
    compared = decide(estimate, 0.06, 500, 0.2, 0).names
    assert compared == ["higher", "lower", "negligible", "undecided"]
    both = decide([0.1], 0.02, 900, 0.2, 1)  # significant, and within the bound
    assert both.names == ["supported"] and both.tost_p_adjusted[0] < 0.05


def test_the_rule_in_scalar_words(rng):
    seen = set()
    for _ in range(300):
        m = rng.integers(1, 5)
        estimate, se = rng.normal(0, 0.15, m), rng.uniform(0.02, 0.08, m)
        df, bound = rng.integers(5, 800, m), rng.uniform(0.1, 0.25, m)
        direction = rng.choice([-1, 1], m)
        found = decide(estimate, se, df, bound, direction)
        p = 2 * stats.t.sf(np.abs(estimate) / se, df)
        tost_p = np.maximum(
            stats.t.sf((estimate + bound) / se, df), stats.t.cdf((estimate - bound) / se, df)
        )
        np.testing.assert_allclose(found.p_adjusted, holm(p), rtol=1e-9)
        np.testing.assert_allclose(found.tost_p_adjusted, holm(tost_p), rtol=1e-9)
        for i in range(m):
            if holm(p)[i] < 0.05:
                expected = "supported" if estimate[i] * direction[i] > 0 else "refuted"
            else:
                expected = "negligible" if holm(tost_p)[i] < 0.05 else "undecided"
            assert found.names[i] == expected
            seen.add(expected)
    assert len(seen) == 4


def test_many_experiments_at_once(rng):
    estimate = rng.normal(0, 0.2, (50, 3))
    together = decide(estimate, 0.07, [100, 200, np.inf], 0.2, [1, -1, 0])
    for i, row in enumerate(estimate):
        alone = decide(row, 0.07, [100, 200, np.inf], 0.2, [1, -1, 0])
        np.testing.assert_array_equal(together.verdict[i], alone.verdict)


def test_without_a_registered_bound_nothing_is_negligible():
    assert decide([0.0], 0.01, 100, None, 1).names == ["undecided"]
    mixed = decide([0.0, 0.0], 0.01, 100, [0.2, None], 1)
    assert mixed.names == ["negligible", "undecided"]
    assert mixed.tost_p[1] == 1


def test_correction_matters():
    estimate, se = [0.125, 0.03, 0.02], 0.06
    assert decide(estimate, se, 900, 0.5, 1, correction="none").names[0] == "supported"
    assert decide(estimate, se, 900, 0.5, 1, correction="holm").names[0] == "negligible"


@pytest.mark.parametrize("correction", ["none", "holm"])
def test_a_p_value_of_exactly_alpha_decides_nothing(correction):
    """The rule says below alpha, so that alpha itself is not enough; just above it is."""
    p = decide([0.11], 0.06, 30, None, 1, correction=correction)
    for alpha, verdict in [(p.p[0], "undecided"), (np.nextafter(p.p[0], 1), "supported")]:
        assert decide([0.11], 0.06, 30, None, 1, alpha, correction).names == [verdict]
    p = decide([0.05], 0.06, 30, 0.2, 1, correction=correction)
    assert p.tost_p[0] < p.p[0]
    tost_p = p.tost_p[0]
    for alpha, verdict in [(tost_p, "undecided"), (np.nextafter(tost_p, 1), "negligible")]:
        assert decide([0.05], 0.06, 30, 0.2, 1, alpha, correction).names == [verdict]


def test_an_estimate_of_zero_and_a_p_value_of_one():
    found = decide([0.0, 0.0], 0.1, 30, [0.001, None], 1)
    np.testing.assert_array_equal(found.p, 1)
    assert found.tost_p[0] == pytest.approx(stats.t.sf(0.01, 30)) and found.tost_p[1] == 1
    assert found.names == ["undecided", "undecided"]


@pytest.mark.parametrize(
    "change",
    [{"estimate": [np.nan]}, {"estimate": [0.1, np.nan]}, {"se": 0.0}, {"se": -1.0}, {"df": 0},
     {"se": np.nan}, {"se": [1, 0]}, {"df": [10, 0]}, {"alpha": 1.0}, {"correction": "fdr"}],
)  # fmt: skip
def test_bad_input(change):
    with pytest.raises(LedgerError):
        decide(**{"estimate": [0.1], "se": 0.1, "df": 9, "bound": 0.2, "direction": 1} | change)


@pytest.mark.parametrize("direction, estimate, se, verdict", [
    (2, 0.5, 0.1, "supported"), (2, -0.5, 0.1, "supported"), (2, 0.02, 0.1, "negligible"),
    (2, 0.19, 0.1, "undecided"), (3, 0.01, 0.1, "supported"), (3, 0.5, 0.1, "refuted"),
    (3, -0.5, 0.1, "refuted"), (3, 0.19, 0.1, "undecided"), (3, 0.05, 0.01, "supported"),
])  # fmt: skip
def test_a_two_sided_claim_and_a_predicted_null(direction, estimate, se, verdict):
    """A null that is shown and also significant is supported: the last row."""
    assert decide([estimate], se, 400, 0.21, direction).names == [verdict]


@pytest.mark.parametrize("estimate, verdict", [(0.5, "supported"), (-0.05, "supported"),
                                               (-0.6, "refuted"), (-0.25, "undecided")])
def test_non_inferiority_is_one_sided_against_the_margin(estimate, verdict):
    found = decide([estimate], 0.1, 400, 0.3, 4)
    assert found.names == [verdict]
    np.testing.assert_allclose(found.p, stats.t.sf((estimate + 0.3) / 0.1, 400), rtol=1e-9)


def test_a_joint_test_brings_its_own_p_value_into_the_family():
    found = decide([0.5, 0.0], 0.1, 400, [0.2, None], [1, 2], p=[np.nan, 0.03])
    np.testing.assert_allclose(found.p, [2 * stats.t.sf(5, 400), 0.03], rtol=1e-9)
    assert found.p_adjusted[1] == pytest.approx(0.03) and found.names[1] == "supported"
    assert decide([0.1], 0.1, 400, None, 2, p=[0.2]).names == ["undecided"]


# Equivalence and the Bayes factor


def test_tost_is_two_one_sample_t_tests(rng):
    y = rng.normal(0.1, 1, 60)
    se = y.std(ddof=1) / np.sqrt(60)
    above = stats.ttest_1samp(y, -0.4, alternative="greater").pvalue
    below = stats.ttest_1samp(y, 0.4, alternative="less").pvalue
    assert equivalence_p(y.mean(), se, 59, 0.4) == pytest.approx(max(above, below), rel=1e-10)
    # Non-inferiority by 0.4: the p value of the test that would refute it.
    assert equivalence_p(y.mean(), se, 59, 0.4, 4) == pytest.approx(1 - above, rel=1e-10)
    assert equivalence_p(y.mean(), se, 59, np.nan) == 1


@pytest.mark.parametrize("df", [0.7, 1, 1.5])
def test_one_degree_of_freedom_or_less_is_enough(df):
    expected = stats.t.sf(2.9 / 0.2, df)
    assert equivalence_p(0.1, 0.2, df, 3.0) == pytest.approx(expected, rel=1e-10)


def test_size_at_the_bound_is_alpha():
    """At an effect equal to the bound, equivalence is claimed in 5 % of samples."""
    rng = np.random.default_rng(2)
    y = rng.normal(0.2, 1, (20_000, 400))
    claimed = np.mean(
        equivalence_p(y.mean(axis=1), y.std(axis=1, ddof=1) / 20, 399, 0.2) < 0.05)
    assert abs(claimed - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 20_000)


def test_bayes_factor_equals_r(reference):
    for case in reference("bayes.json")["cases"]:
        n1, n2 = case["n1"], case["n2"]
        n, df = (n1 * n2 / (n1 + n2), n1 + n2 - 2) if n2 else (n1, n1 - 1)
        assert jzs_bayes_factor(case["t"], df, n) == pytest.approx(case["medium"], rel=1e-8)
        assert jzs_bayes_factor(case["t"], df, n, 1.0) == pytest.approx(case["wide"], rel=1e-8)


def test_bayes_factor_is_a_mixture_of_noncentral_t_densities():
    """The other form of the same integral: a Cauchy prior on the standardized effect."""
    t, df, n, scale = 2.3, 58, 30.0, np.sqrt(0.5)

    def integrand(delta):
        return stats.nct.pdf(t, df, delta * np.sqrt(n)) * stats.cauchy.pdf(delta, scale=scale)

    value = integrate.quad(integrand, -4, 4, epsabs=0, limit=200)[0] / stats.t.pdf(t, df)
    assert jzs_bayes_factor(t, df, n) == pytest.approx(value, rel=1e-6)


def test_bayes_factor_works_on_arrays():
    t = np.array([0.0, -2.0, 2.0, 60.0])
    found = jzs_bayes_factor(t, 300, 75)
    assert found[1] == found[2] and np.all(np.diff(found[1:]) >= 0) and found[0] < 1
    np.testing.assert_allclose(found[2], jzs_bayes_factor(2.0, 300, 75), rtol=1e-14)


# Corrections for several tests


@pytest.mark.parametrize("method", ["holm", "bh"])
def test_r_p_adjust_and_many_families_at_once(reference, rng, method):
    expected = reference("adjust.json")
    np.testing.assert_allclose(adjust(expected["p"], method), expected[method], rtol=1e-12)
    p = rng.random((3, 4, 5))
    together = adjust(p, method)
    for at in np.ndindex(3, 4):
        np.testing.assert_array_equal(together[at], adjust(p[at], method))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_between_unadjusted_and_bonferroni(p):
    p = np.array(p)
    by_holm, by_bh = adjust(p, "holm"), adjust(p, "bh")
    assert np.all(by_bh >= p) and np.all(by_bh <= by_holm + 1e-15)
    assert np.all(by_holm <= np.minimum(1, p * len(p)) + 1e-15)
    np.testing.assert_array_equal(adjust(p, "none"), p)


@pytest.mark.parametrize("p, method", [
    ([0.1, np.nan], "holm"), ([-0.1], "bh"), ([1.2], "holm"), ([0.1], "sidak")])
def test_impossible_p_values_and_an_unknown_correction(p, method):
    with pytest.raises(LedgerError, match="holm, bh, none"):
        adjust(p, method)
