"""Ordered logit against R's clm and polr."""

import pytest
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.discrete import ordered_logit

Z = {"z": 1.0}


@pytest.fixture
def data(reference):
    return reference("ordinal.csv")


def test_r_and_a_p_value_that_is_normal_and_two_sided(data, reference):
    expected = reference("ordinal.json")["z"]
    found = ordered_logit(data["y"], data[["z", "x"]], Z)
    for name in ("estimate", "se"):
        assert getattr(found, name) == pytest.approx(expected[name], rel=1e-6), name
    assert found.n == len(data) and 1e-6 < found.p < 1
    assert found.p == pytest.approx(stats.chi2.sf((found.estimate / found.se) ** 2, 1), rel=1e-9)


def test_scores_set_the_unit_and_their_order_the_sign_that_of_rows_and_columns_nothing(data):
    one = ordered_logit(data["y"], data[["z", "x"]], Z)
    other = ordered_logit(10 - 2 * data["y"], data[["z", "x"]], Z)
    assert other.estimate == pytest.approx(-2 * one.estimate, rel=1e-5)
    assert other.se == pytest.approx(2 * one.se, rel=1e-5)
    mixed = data.sample(frac=1, random_state=1)
    assert ordered_logit(mixed["y"] + 7, mixed[["x", "z"]], Z) == pytest.approx(one, rel=1e-5)


def test_alone_the_effect_is_close_to_the_difference_of_means(data):
    for y in (data["y"], data["y"].clip(2, 3)):  # of two answers it is a logit
        found = ordered_logit(y, data[["z"]], Z)
        means = y.groupby(data["z"]).mean()
        assert found.estimate == pytest.approx(means[1] - means[0], abs=0.05)


BROKEN = {
    "constant": lambda y, X: (y * 0 + 3, X, Z),
    "separated": lambda y, X: (1.0 + 2 * X["z"] + (X["x"] > 0) * X["z"], X, Z),
    "missing": lambda y, X: (y.where(y != 2), X, Z),
    "unknown term": lambda y, X: (y, X, {"regime": 1.0}),
    "singular": lambda y, X: (y, X.assign(again=X["z"]), Z)}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input(data, case):
    with pytest.raises(LedgerError):
        ordered_logit(*BROKEN[case](data["y"].astype(float), data[["z", "x"]]))
