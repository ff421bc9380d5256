"""What a fit says of itself, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from claimledger.errors import LedgerError
from claimledger.ledger.results import Fitted
from claimledger.statistics.clustered import of_fit

N = 80


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(20250901)
    return pd.DataFrame({
        "y": rng.normal(size=N), "arm": pd.Categorical(np.tile(["a", "b"], N // 2)),
        "x": rng.normal(size=N), "who": pd.Series(np.arange(N) // 4), "w": rng.uniform(1, 2, N),
        "item": pd.Categorical(np.repeat(["i", "j", "k", "l"], N // 4)),
    })  # fmt: skip


def fit(data, model="y ~ arm + x", vcov="HC2", **options):
    return smf.ols(model, data).fit(cov_type=vcov, use_t=True, **options)


def test_a_contrast_weighs_coefficients_and_their_covariances(data):
    one, c = fit(data), np.array([0, 1, -0.5])
    assert Fitted(one).contrast({"arm[T.b]": 1.0, "x": -0.5}) == pytest.approx(
        (c @ one.params, np.sqrt(c @ one.cov_params() @ c), N - 3))
    assert Fitted(one).n == N and Fitted(one).vcov == "HC2" and not Fitted(one).weighted
    assert Fitted(one).formula == "y ~ arm + x"
    assert Fitted(one).sd({"x": 1.0}) == pytest.approx(data["y"].std())


def test_clusters_switch_to_their_correction(data):
    plain = smf.ols("y ~ arm + x", data).fit()
    found = Fitted(plain, data["who"])
    expected = of_fit(plain, data["who"]).contrast([0, 0, 1])
    assert found.contrast({"x": 1.0}) == pytest.approx(tuple(expected[:3]))
    assert found.n == N // 4 and found.vcov == "CR2"
    assert Fitted(plain, data["who"], "stata").contrast({"x": 1.0})[2] == N // 4 - 1
    assert found.sd({"arm[T.b]": 1.0}) == pytest.approx(data["y"].std()), "an intercept: all rows"
    means = Fitted(smf.ols("y ~ 0 + arm", data).fit(cov_type="HC2", use_t=True))
    assert means.sd({"arm[b]": 1.0}) == pytest.approx(data["y"].std()), "no clusters: all rows"


def test_the_spread_of_stacked_items_is_that_of_the_items_compared(data):
    stacked = Fitted(smf.ols("y ~ 0 + item", data).fit(), data["who"])
    used = data["y"][data["item"].isin(["i", "k"])]
    assert stacked.sd({"item[i]": 1.0, "item[k]": -1.0}) == pytest.approx(used.std())


def test_weights_that_differ_are_told(data):
    for weights, told in [(data["w"], True), (2.0, False)]:
        one = smf.wls("y ~ x", data, weights=weights).fit(cov_type="HC2", use_t=True)
        assert Fitted(one).weighted is told


def test_a_fit_without_a_formula_is_called_by_its_columns(data):
    X = sm.add_constant(data[["x"]])
    one = Fitted(sm.OLS(data["y"], X).fit(cov_type="HC3", use_t=True))
    assert one.formula == "const + x" and one.vcov == "HC3"


def test_what_is_refused(data):
    with pytest.raises(LedgerError, match="normal distribution"):
        Fitted(smf.ols("y ~ x", data).fit(cov_type="HC2"))
    with pytest.raises(LedgerError, match="no coefficient 'z'"):
        Fitted(fit(data)).vector({"z": 1.0})
    with pytest.raises(LedgerError, match="a standard error of"):
        Fitted(fit(data)).contrast({"x": 0.0})
    Fitted(smf.ols("y ~ x", data).fit(), data["who"])
    with pytest.raises(LedgerError, match="nonrobust"):
        Fitted(smf.ols("y ~ x", data).fit())
