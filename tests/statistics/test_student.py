"""The fast tail of t against the incomplete beta function, and against its own definition."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from claimledger.statistics.student import t_upper

SIZES = [*range(50, 60), 75.5, 99, 150, 200, 483.25, 1190, 1490, 6000, 1e5, 1e7]


@pytest.mark.parametrize("df", SIZES)
def test_equal_to_the_incomplete_beta_function_far_into_the_tails(df):
    t = np.r_[np.linspace(0, min(np.sqrt(df), 37), 500), 1e-8, 1e-3]
    t = np.r_[t, -t]
    found, expected = t_upper(t, df), special.stdtr(df, -t)
    assert expected.min() < 1e-8 and (found > 0).all()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    np.testing.assert_allclose(t_upper(1.0, df), special.stdtr(df, -1.0), rtol=1e-13)


def test_equal_to_the_integral_of_the_density():
    for df, t in [(50, 6.9), (80, -2.0), (1490, 3.1), (1490, 12.0)]:
        area = integrate.quad(stats.t(df).pdf, t, np.inf, epsabs=0, epsrel=1e-12)[0]
        assert t_upper(t, df) == pytest.approx(area, rel=1e-9)


@pytest.mark.parametrize("df", [0.5, 1, 7, 49.999, np.inf])
def test_few_and_infinite_degrees_of_freedom_are_left_to_scipy(df):
    t = np.array([-40.0, -2, 0, 2, 40])
    np.testing.assert_array_equal(t_upper(t, df), special.stdtr(df, -t))


def test_beyond_the_reach_of_the_series_scipy_takes_over_element_by_element():
    t, df = np.array([[1.0, 8.0], [30.0, np.inf]]), np.array([50.0, 3.0])
    np.testing.assert_allclose(t_upper(t, df), special.stdtr(df, -t), rtol=1e-12, atol=0)
    assert np.isnan(t_upper(np.nan, 100.0)) and np.isnan(t_upper(1.0, np.nan))


def test_shapes_broadcast():
    t, df = np.linspace(-3, 3, 14).reshape(7, 2), np.array([[60.0], *[[900.0]] * 6])
    found = t_upper(t, df)
    assert found.shape == (7, 2) and np.ndim(t_upper(1.2, 300)) == 0
    np.testing.assert_allclose(found + t_upper(-t, df), 1, rtol=1e-14)
    np.testing.assert_allclose(found, special.stdtr(df, -t), rtol=1e-13)
    assert t_upper(np.zeros((0, 3)), 100).shape == (0, 3)
