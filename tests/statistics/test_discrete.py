"""Ordered logit against R's clm and polr."""

import pytest
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.discrete import ordered_logit


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


def test_p_values_are_normal_and_two_sided(data):
    found = ordered_logit(data["y"], data[["z", "x"]], "z")
    for p, value, se in [(found.p, found.estimate, found.se),
                         (found.log_odds_p, found.log_odds, found.log_odds_se)]:  # fmt: skip
        assert 1e-6 < p < 1 and p == pytest.approx(stats.chi2.sf((value / se) ** 2, 1), rel=1e-9)


def test_three_different_answers_are_ordinal_and_a_slope_has_no_step(data):
    three = data["y"].clip(2, 4)
    found = ordered_logit(three, data[["z", "x"]], "x")
    inner = ordered_logit(three, data[["z"]].assign(x=100 * data["x"]), "x")
    assert inner.estimate == pytest.approx(found.estimate / 100, rel=1e-4)
    assert inner.se == pytest.approx(found.se / 100, rel=1e-4)
    scores = (2 * data["x"]).round()  # 0 and 1 among others: a number still, and no indicator
    one, other = (ordered_logit(three, data[["z"]].assign(x=k * scores), "x") for k in (1, 100))
    assert scores.isin([0, 1]).any() and one.estimate == pytest.approx(100 * other.estimate, 1e-4)
    with pytest.raises(LedgerError, match="three answers"):
        ordered_logit(data["y"].clip(2, 3), data[["z", "x"]], "x")


def test_order_of_rows_and_columns_does_not_matter(data):
    mixed = data.sample(frac=1, random_state=1)
    one = ordered_logit(data["y"], data[["z", "x"]], "z")
    other = ordered_logit(mixed["y"] + 7, mixed[["x", "z"]], "z")
    assert other == pytest.approx(one, rel=1e-5)


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
