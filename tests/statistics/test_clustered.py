"""Cluster-robust covariances against R (tests/reference/clusters.R), and their properties."""

import numpy as np
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import of_fit

FORMULA = "y ~ z * item"
_, Z, ITEM, PRODUCT = np.eye(4)


@pytest.fixture(scope="module")
def data(reference):
    return reference("clusters.csv")


@pytest.fixture(scope="module")
def expected(reference):
    return reference("clusters.json")


def fitted(data, weighted=""):
    if weighted:
        return smf.wls(FORMULA, data, weights=data["w"]).fit()
    return smf.ols(FORMULA, data).fit()


@pytest.mark.parametrize("weighted", ["", "_weighted"])
@pytest.mark.parametrize("correction", ["CR2", "stata", "survey"])
def test_every_correction_equals_its_r_package(data, expected, correction, weighted):
    found = of_fit(fitted(data, weighted), data["g"], correction).contrast(np.eye(4))
    wanted = expected[correction.lower() + weighted]
    np.testing.assert_allclose(found.estimate, wanted["coef"], rtol=1e-10)
    np.testing.assert_allclose(found.se, wanted["se"], rtol=1e-10)
    df = wanted["df"] if "df" in wanted else [wanted["degf"]] * 4
    np.testing.assert_allclose(found.df, df, rtol=1e-10)


@pytest.mark.parametrize("weighted", ["", "_weighted"])
def test_degrees_of_freedom_of_a_combination_equal_clubsandwich(data, expected, weighted):
    weights = [0, 1, 2, -1]
    found = of_fit(fitted(data, weighted), data["g"]).contrast(weights)
    wanted = expected["contrast" + weighted]
    np.testing.assert_allclose(found, [wanted[k] for k in ("estimate", "se", "df")], rtol=1e-10)


def test_a_cluster_with_a_column_of_its_own(data, expected):
    fit = smf.ols("y ~ z + own", data.assign(own=(data["g"] == 9).astype(float))).fit()
    found = of_fit(fit, data["g"]).contrast(np.eye(3))
    np.testing.assert_allclose(found.se, expected["singular_block"]["se"], rtol=1e-10)
    np.testing.assert_allclose(found.df, expected["singular_block"]["df"], rtol=1e-10)


@pytest.mark.parametrize("weighted", ["", "_weighted"])
def test_joint_test_of_cr2_equals_clubsandwich(data, expected, weighted):
    found = of_fit(fitted(data, weighted), data["g"])
    wanted = expected["htz" + weighted]
    np.testing.assert_allclose(
        found.wald(np.eye(4)[1:]), [wanted[k] for k in ("f", "df1", "df2", "p")], rtol=1e-9)
    mixed = np.array([[0, 2.0, 0, 0], [0, 1, -1, 0], [0, 1, 1, 3]])
    np.testing.assert_allclose(found.wald(mixed), found.wald(np.eye(4)[1:]), rtol=1e-9)
    one = found.contrast(ITEM)
    t_squared = (one.estimate / one.se) ** 2
    p = 2 * stats.t.sf(np.sqrt(t_squared), one.df)
    np.testing.assert_allclose(found.wald(ITEM), [t_squared, 1, one.df, p], rtol=1e-9)


def test_a_joint_test_of_as_many_contrasts_as_degrees_of_freedom_is_refused():
    rng, g = np.random.default_rng(3), np.repeat(np.arange(6), [12, 2, 2, 2, 2, 2])
    X = rng.normal(size=(6, 5))[g] + 0.3 * rng.normal(size=(22, 5))
    found = of_fit(sm.OLS(rng.normal(size=22), sm.add_constant(X)).fit(), g)
    with pytest.raises(LedgerError, match="fewer contrasts"):
        found.wald(np.eye(6)[1:])
    assert found.wald(np.eye(6)[1:3])[2] > 0


@pytest.mark.parametrize("correction", ["CR2", "stata", "survey"])
def test_order_labels_shift_and_scale(data, correction):
    found = of_fit(fitted(data), data["g"], correction).contrast(PRODUCT)
    other = data.sample(frac=1, random_state=4)
    other = other.assign(y=100 - 7 * other["y"], g=other["g"].map(lambda g: f"person {99 - g}"))
    moved = of_fit(fitted(other), other["g"], correction).contrast(PRODUCT)
    assert moved.estimate == pytest.approx(-7 * found.estimate, rel=1e-9)
    assert moved.se == pytest.approx(7 * found.se, rel=1e-9)
    assert moved.df == pytest.approx(found.df, rel=1e-9)


def test_coverage_with_few_unequal_clusters():
    """Interval of a cluster-level effect: 95 % within Monte Carlo error; plain CR0 would miss."""
    rng = np.random.default_rng(5)
    sizes = np.array([2, 2, 3, 3, 4, 5, 8, 12, 3, 6, 2, 10])
    g = np.repeat(np.arange(12), sizes)
    X = sm.add_constant((g % 3 == 0).astype(float))
    covered, runs = 0, 400
    for _ in range(runs):
        y = rng.normal(size=12)[g] * 0.7 + rng.normal(size=len(g))
        found = of_fit(sm.OLS(y, X).fit(), g).contrast([0, 1])
        covered += abs(found.estimate / found.se) <= stats.t.ppf(0.975, found.df)
    assert abs(covered / runs - 0.95) < 4 * np.sqrt(0.95 * 0.05 / runs)


BROKEN = {
    "one cluster": lambda d: of_fit(fitted(d), np.zeros(len(d))),
    "missing cluster": lambda d: of_fit(fitted(d), d["g"].astype(float).where(d["g"] != 3)),
    "clusters of other rows": lambda d: of_fit(fitted(d), d["g"].iloc[1:]),
    "singular design": lambda d: of_fit(
        smf.ols("y ~ z + again", d.assign(again=2 * d["z"])).fit(), d["g"]),
    "zero weight": lambda d: of_fit(
        smf.wls(FORMULA, d, weights=d["w"].where(d["g"] != 1, 0.0)).fit(), d["g"]),
    "another model": lambda d: of_fit(smf.logit("z ~ item", d).fit(disp=0), d["g"]),
    "constant outcome": lambda d: of_fit(fitted(d.assign(y=3.0)), d["g"]),
    "repeated contrast": lambda d: of_fit(fitted(d), d["g"]).wald([[0, 1, 0, 0], [0, 2, 0, 0]]),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore:The design matrix")
def test_bad_input_is_an_error_for_people(data, case):
    with pytest.raises(LedgerError) as caught:
        BROKEN[case](data)
    assert caught.value.found and caught.value.expected and caught.value.mend


def test_missing_value_never_reaches_the_covariance(data):
    fit = sm.OLS(data["y"].to_numpy(), sm.add_constant(data["z"].to_numpy())).fit()
    fit.model.exog[0, 1] = np.nan
    with pytest.raises(LedgerError, match="missing or infinite"):
        of_fit(fit, data["g"])
