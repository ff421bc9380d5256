"""Ordered logit against R's clm and polr."""

import pytest

from claimledger.errors import LedgerError
from claimledger.statistics.ordinal import ordered_logit


@pytest.fixture
def data(reference):
    return reference("ordinal.csv")


@pytest.mark.parametrize("term", ["z", "x"])
def test_r(data, reference, term):
    expected = reference("ordinal.json")[term]
    found = ordered_logit(data["y"], data[["z", "x"]], term)
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6), name


def test_scores_set_the_unit_and_order_the_sign(data):
    one = ordered_logit(data["y"], data[["z", "x"]], "z")
    other = ordered_logit(10 - 2 * data["y"], data[["z", "x"]], "z")
    assert other.estimate == pytest.approx(-2 * one.estimate, rel=1e-5)
    assert other.se == pytest.approx(2 * one.se, rel=1e-5)
    assert other.log_odds == pytest.approx(-one.log_odds, rel=1e-5)


def test_alone_the_effect_is_close_to_the_difference_of_means(data):
    found = ordered_logit(data["y"], data[["z"]], "z")
    means = data.groupby("z")["y"].mean()
    assert found.estimate == pytest.approx(means[1] - means[0], abs=0.05)


@pytest.mark.parametrize("case", ["constant", "separated", "missing", "unknown term", "singular"])
def test_bad_input(data, case):
    X, y, term = data[["z", "x"]], data["y"].astype(float), "z"
    if case == "constant":
        y = y * 0 + 3
    elif case == "separated":
        y = 1.0 + 2 * X["z"] + (X["x"] > 0) * X["z"]
    elif case == "missing":
        y = y.where(y != 2)
    elif case == "unknown term":
        term = "regime"
    else:
        X = X.assign(again=X["z"])
    with pytest.raises(LedgerError):
        ordered_logit(y, X, term)
