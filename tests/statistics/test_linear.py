"""HC2 kernels against statsmodels and estimatr, and the design of Lin (2013)."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import of_fit
from claimledger.statistics.linear import (
    Estimates,
    LeastSquares,
    adjusted,
    check_design,
    orthonormal,
)


def hc2(X, Y, contrasts=None, weights=None, working="weights") -> Estimates:
    """Of outcomes (n,) or (n, m), as (q,) or (q, m)."""
    found = LeastSquares.of(X, contrasts, weights, working=working).estimate(np.asarray(Y).T)
    return Estimates(found.coef.T, found.se.T)


def moments(X, Y) -> tuple:
    """Distinct rows of a design, how many units have each, mean and sum of squares of outcomes."""
    rows, cell, count = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    one = (cell.ravel() == np.arange(len(rows))[:, None]).astype(float)
    mean = Y @ one.T / count
    return rows, count, mean, ((Y[..., None, :] - mean[..., None]) ** 2 * one).sum(axis=-1)


def by_cells(X, Y, contrasts=None) -> tuple[Estimates, Estimates]:
    """Of outcomes (m, n): with one set of counts, and with counts of each experiment."""
    rows, count, mean, within = moments(X, np.atleast_2d(Y))
    each = LeastSquares.of(rows, contrasts, count=np.broadcast_to(count, mean.shape))
    found = each.estimate(mean[:, None], within[:, None])
    return (LeastSquares.of(rows, contrasts, count=count).estimate(mean, within),
            Estimates(*(part[:, 0] for part in found)))


@pytest.fixture
def experiment(factorial, rng):
    X = factorial(400)
    return X, rng.integers(1, 6, (400, 3)).astype(float) + 0.3 * X[:, [1]]


def by_statsmodels(X, Y, contrasts):
    fits = [sm.OLS(y, X).fit(cov_type="HC2", use_t=True).t_test(contrasts) for y in Y.T]
    return np.array([f.effect for f in fits]).T, np.array([f.sd for f in fits]).T


def test_rows_and_cells_equal_statsmodels(experiment):
    X, Y = experiment
    contrasts = np.array([[0, 1, 0, 0, 0, 0, 0, 0], [0, -1, 1, 0, 0, 0, 0, 0.5]])
    coef, se = by_statsmodels(X, Y, contrasts)
    found = hc2(X, Y, contrasts)
    np.testing.assert_allclose(found.coef, coef, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.se, se, rtol=1e-10)
    for found in by_cells(X, Y.T, contrasts):
        np.testing.assert_allclose(found.coef.T, coef, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.se.T, se, rtol=1e-10)


def test_a_covariate_makes_as_many_cells_as_rows_and_the_same_numbers(experiment, rng):
    X, Y = experiment
    X = np.column_stack([X, rng.normal(size=len(X))])
    for found in by_cells(X, Y.T):
        np.testing.assert_allclose(found.se.T, hc2(X, Y).se, rtol=1e-9)


def test_one_outcome_and_estimatr(reference):
    data, expected = reference("clusters.csv"), reference("clusters.json")["hc2"]
    X = np.column_stack([np.ones(len(data)), data["z"], data["item"], data["z"] * data["item"]])
    found = hc2(X, data["y"])
    assert found.coef.shape == found.se.shape == (4,)
    np.testing.assert_allclose(found.coef, expected["coef"], rtol=1e-10)
    np.testing.assert_allclose(found.se, expected["se"], rtol=1e-10)


def test_several_experiments_with_cell_counts_of_their_own(factorial, rng):
    designs = [factorial(200, seed) for seed in (1, 2, 3)]
    rows = np.unique(np.vstack(designs), axis=0)
    Y = rng.normal(size=(3, 200))
    count, mean, within = np.zeros((3, 3, len(rows)))
    for e, X in enumerate(designs):
        for c, row in enumerate(rows):
            y = Y[e][(row == X).all(axis=1)]
            count[e, c] = len(y)
            mean[e, c], within[e, c] = (y.mean(), y.var() * len(y)) if len(y) else (0.0, 0.0)
    assert (count == 0).any(), "an empty cell is part of what is tested"
    design = LeastSquares.of(rows, count=count)
    together = Estimates(*(part[:, 0] for part in design.estimate(mean[:, None], within[:, None])))
    for e, X in enumerate(designs):
        alone = hc2(X, Y[e])
        np.testing.assert_allclose(together.coef[e], alone.coef, atol=1e-12)
        np.testing.assert_allclose(together.se[e], alone.se, rtol=1e-10)


def test_a_common_level_costs_cells_no_digits(experiment):
    X, Y = experiment
    for plain, raised in zip(by_cells(X, Y.T), by_cells(X, Y.T + 1e6), strict=True):
        np.testing.assert_allclose(raised.se, plain.se, rtol=1e-9)


def test_leverage_one_stops_only_the_contrast_that_uses_it(rng):
    alone = np.zeros(20)
    alone[7] = 1
    X = np.column_stack([np.ones(20), np.arange(20) % 2, alone])
    y = rng.normal(size=20)
    others = np.arange(20) != 7
    found = hc2(X, y, [[0, 1, 0]])
    without = hc2(X[others, :2], y[others], [[0, 1]])
    np.testing.assert_allclose(found.se, without.se, rtol=1e-10)
    for found in by_cells(X, y, [[0, 1, 0]]):
        np.testing.assert_allclose(found.se[0], without.se, rtol=1e-10)
    assert (hc2(X, y, [[0, 1, 0], [1, 0, 0]]).se > 0).all()
    for contrasts in ([[0, 0, 1]], [[0, 1, 0], [0, 0, 1]]):  # one of several is enough
        for way in (hc2, by_cells):
            with pytest.raises(LedgerError, match="leverage one"):
                way(X, y, contrasts)


def test_an_outcome_that_is_constant_or_fitted_has_a_standard_error_of_exactly_zero(experiment):
    X, Y = experiment
    assert (hc2(X, 4.1 * X[:, 1] - 0.3 * X[:, 6]).se == 0).all()
    Y[:, 0] = 3.3
    assert np.all(hc2(X, Y).se[:, 0] == 0) and np.all(hc2(X, Y).se[:, 1:] > 0)
    for found in by_cells(X, Y.T):
        assert np.all(found.se[0] == 0) and np.all(found.se[1:] > 0)


@pytest.mark.parametrize("working", ["weights", "identity"])
def test_weights_are_those_of_statsmodels_or_of_cr2(experiment, rng, working):
    """HC2 of a WLS fit, or CR2 with each row its own cluster."""
    X, Y = experiment
    w = rng.uniform(0.2, 3, len(X))
    found = hc2(X, Y, None, w, working)
    for j, y in enumerate(Y.T):
        fit = sm.WLS(y, X, weights=w).fit(cov_type="HC2", use_t=True)
        np.testing.assert_allclose(found.coef[:, j], fit.params, rtol=1e-9, atol=1e-12)
        cov = fit.cov_params() if working == "weights" else of_fit(fit, np.arange(len(X))).cov
        np.testing.assert_allclose(found.se[:, j], np.sqrt(np.diag(cov)), rtol=1e-9)
    equal = hc2(X, Y, None, np.full(len(X), 7.0), working)
    np.testing.assert_allclose(equal.se, hc2(X, Y).se, rtol=1e-10)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf])
def test_one_weight_that_is_none_is_an_error(experiment, bad):
    X, Y = experiment
    with pytest.raises(LedgerError, match="weight"):
        hc2(X, Y, weights=np.where(np.arange(len(X)) == 7, bad, 1.0))


@pytest.mark.parametrize("count", [[10, 0], [[5, 5], [10, 0]]])
def test_a_singular_design_is_an_error_and_among_sound_experiments_too(experiment, count):
    with pytest.raises(LedgerError, match="full column rank"):
        LeastSquares.of([[1, 0], [1, 1]], count=count)
    X, Y = experiment
    X[:, 1] = 2 * X[:, 2]
    for rows in (slice(None), slice(5)):  # fewer rows than columns, too
        with pytest.raises(LedgerError):
            hc2(X[rows], Y[rows])


@pytest.mark.parametrize("X", [np.arange(9.0), np.full((9, 1), np.nan)])
def test_a_design_that_is_no_matrix_of_numbers(X):
    with pytest.raises(LedgerError, match="missing or infinite"):
        check_design("here", X)
    partly = np.column_stack([np.ones(9), np.r_[np.nan, np.arange(8)]])
    with pytest.raises(LedgerError, match="missing or infinite"):
        check_design("here", partly)
    with pytest.raises(LedgerError, match="2 columns, 2 rows"):
        check_design("here", np.eye(2))


@pytest.mark.parametrize("case", ["lin", "lin_weighted", "lin_arms"])
def test_lin_adjustment_equals_estimatr(reference, case):
    data, expected = reference("clusters.csv"), reference("clusters.json")[case]
    weights = data["w"] if case == "lin_weighted" else None
    treatment = data[["z"]].astype(float)
    if case == "lin_arms":
        arms = pd.Series(pd.Categorical(["bca"[i % 3] for i in range(len(data))]))
        treatment = pd.get_dummies(arms, drop_first=True, dtype=float)
    treatment.insert(0, "Intercept", 1.0)
    covariates = data[["item", "w"]] if case == "lin" else data[["item"]]
    design = adjusted(treatment, covariates.astype(float), weights)
    found = hc2(design, data["y"], None, weights)
    order = np.argsort(np.round(expected["coef"], 9))
    mine = np.argsort(np.round(found.coef, 9))
    np.testing.assert_allclose(found.coef[mine], np.array(expected["coef"])[order], rtol=1e-9)
    np.testing.assert_allclose(found.se[mine], np.array(expected["se"])[order], rtol=1e-9)


def test_covariates_without_products_where_arms_are_too_small(rng):
    design = pd.DataFrame({"Intercept": np.ones(20), "arm": np.arange(20) % 2})
    many = pd.DataFrame(rng.normal(size=(20, 5)), columns=list("abcde"))
    assert list(adjusted(design, many)) == ["Intercept", "arm", *"abcde"]
    assert "arm:a" in adjusted(design, many[["a"]])


@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_partialled_out_columns_change_no_number(factorial, rng, weighted, vcov):
    X, contrast = factorial(150), np.array([0, 1, -1, 0, 0, 0.5, 0, 0])
    Y = rng.normal(size=(2, 150)) + X[:, 1]
    weights = rng.uniform(0.5, 2, 150) if weighted else None
    model = [sm.WLS(y, X, weights=1.0 if weights is None else weights) for y in Y]
    tests = [one.fit(cov_type=vcov, use_t=True).t_test(contrast) for one in model]
    whole = LeastSquares.of(X, contrast, weights, vcov=vcov)
    root = np.ones(150) if weights is None else np.sqrt(weights)
    moving = np.flatnonzero(contrast)
    basis, _ = orthonormal(np.delete(X, moving, axis=1) * root[:, None])
    parts = LeastSquares.of(X[:, moving], contrast[moving], weights, vcov=vcov, beside=basis)
    for found in (whole.estimate(Y), parts.estimate(Y)):
        np.testing.assert_allclose(found.coef[:, 0], [t.effect.item() for t in tests], rtol=1e-9)
        np.testing.assert_allclose(found.se[:, 0], [t.sd.item() for t in tests], rtol=1e-9)


def test_nearly_collinear_columns_keep_their_digits(rng):
    """Where Cholesky's factor of the cross-products would lose them."""
    x = rng.normal(size=80)
    X = np.column_stack([np.ones(80), x, x + 1e-5 * rng.normal(size=80)])
    y = X.sum(axis=1) + rng.normal(size=80)
    fit = sm.OLS(y, X).fit(cov_type="HC2")
    np.testing.assert_allclose(hc2(X, y).coef, fit.params, rtol=1e-7)
    np.testing.assert_allclose(hc2(X, y).se, fit.bse, rtol=1e-7)
