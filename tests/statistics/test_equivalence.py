"""TOST and the JZS Bayes factor against R and their definitions."""

import numpy as np
import pytest
from scipy import integrate, stats

from claimledger.errors import LedgerError
from claimledger.statistics.decision import decide, equivalence_p, jzs_bayes_factor


def test_tost_is_two_one_sample_t_tests(rng):
    y = rng.normal(0.1, 1, 60)
    se = y.std(ddof=1) / np.sqrt(60)
    above = stats.ttest_1samp(y, -0.4, alternative="greater").pvalue
    below = stats.ttest_1samp(y, 0.4, alternative="less").pvalue
    assert equivalence_p(y.mean(), se, 59, 0.4) == pytest.approx(max(above, below), rel=1e-10)
    # Non-inferiority by 0.4: the p value of the test that would refute it.
    assert equivalence_p(y.mean(), se, 59, 0.4, 4) == pytest.approx(1 - above, rel=1e-10)
    assert equivalence_p(y.mean(), se, 59, np.nan) == 1


def test_p_and_interval_agree_everywhere(rng):
    estimate, se = rng.normal(0, 0.3, 500), rng.uniform(0.02, 0.3, 500)
    half = stats.t.ppf(0.95, 40) * se
    inside = (estimate - half > -0.25) & (estimate + half < 0.25)
    np.testing.assert_array_equal(equivalence_p(estimate, se, 40, 0.25) < 0.05, inside)
    assert 0 < inside.sum() < 500


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
    """The other form of the same integral: a Cauchy prior on the standardised effect."""
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


@pytest.mark.parametrize("arguments", [
    (np.nan, 1, 10), (0, 0, 10), (0, np.nan, 10), (0, 1, 0), ([0, np.nan], 1, 10), (0, [1, 0], 10),
    (0, 1, [10, 0]),
])  # fmt: skip
def test_bad_input(arguments):
    with pytest.raises(LedgerError):
        decide(*arguments, 1, 0)
