"""Balance of the background over the arms; attrition and Lee bounds."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.multivariate.manova import MANOVA

from claimledger.errors import LedgerError
from claimledger.statistics.balance import (
    attrition_by_arm,
    covariate_matrix,
    lee_bounds,
    omnibus_balance,
    standardized_differences,
)

N = 90
NA = np.nan


@pytest.fixture
def registration():
    kinds = {"age": "numeric", "trust": "ordinal", "sex": "nominal"}
    factor = SimpleNamespace(label="Arm", reference="a", levels={"a": 0, "b": 0, "c": 0})
    other = SimpleNamespace(label="Other", reference="u", levels={"u": 0, "v": 0})
    return SimpleNamespace(
        instrument=SimpleNamespace(
            covariates=["age", "trust", "sex", "region"],
            items={name: SimpleNamespace(scale=name) for name in kinds},
            scales={name: SimpleNamespace(kind=kind) for name, kind in kinds.items()}),
        design=SimpleNamespace(factors={"other": other, "arm": factor}), label=str.title,
    )  # fmt: skip


@pytest.fixture
def frame(rng):
    return pd.DataFrame({
        "age": rng.integers(18, 90, N), "trust": rng.integers(1, 6, N),
        "sex": pd.Categorical(rng.choice(["m", "f"], N), ["m", "f"]),
        "region": pd.Categorical(rng.choice(["n", "s", "w"], N), ["n", "s", "w"]),
        "arm": pd.Categorical(rng.permutation(np.tile(["a", "b", "c"], N // 3))),
        "other": pd.Categorical(rng.choice(["u", "v"], N)),
    })  # fmt: skip


def test_codes_as_numbers_and_categories_as_indicators(frame, registration):
    X = covariate_matrix(frame, registration)
    assert list(X) == ["Age", "Trust", "f", "s", "w"]
    np.testing.assert_allclose(X.mean(), 0, atol=1e-12)
    np.testing.assert_allclose(X.std(), 1)
    assert X["Age"].corr(frame["age"]) == pytest.approx(1)
    assert X["w"].corr(frame["region"].eq("w").astype(float)) == pytest.approx(1)
    same = frame.assign(sex=pd.Categorical(["m"] * N, ["m", "f"]))
    assert list(covariate_matrix(same, registration)) == ["Age", "Trust", "s", "w"]


@pytest.mark.parametrize("name", ["age", "sex", "region"])
def test_a_missing_background_variable_is_named(frame, registration, name):
    broken = frame.copy()
    broken[name] = broken[name].mask(broken.index == 3)
    with pytest.raises(LedgerError, match=name.title()):
        covariate_matrix(broken, registration)


def test_the_statistic_is_pillai_s_trace_of_the_arms(frame, registration, rng):
    """With covariates made orthonormal the sum of squares of means is n times Pillai's trace."""
    X = covariate_matrix(frame, registration)
    found = omnibus_balance(X, frame["arm"], 99, rng)
    manova = MANOVA(X.to_numpy(), pd.get_dummies(frame["arm"], dtype=float).to_numpy())
    arms = manova.mv_test([("arms", np.array([[1, -1, 0], [0, 1, -1]]))]).results["arms"]["stat"]
    assert found.statistic == pytest.approx(N * arms.loc["Pillai's trace", "Value"])
    again = omnibus_balance(X, frame["arm"].cat.rename_categories(["z", "y", "x"]), 0, rng)
    assert again.statistic == pytest.approx(found.statistic) and again.p == 1
    doubled = omnibus_balance(pd.concat([X, 3 * X[["Age"]] + 1], axis=1), frame["arm"], 0, rng)
    assert doubled.statistic == pytest.approx(found.statistic), "a repeated covariate adds nothing"
    empty = frame["arm"].cat.add_categories(["d"])
    assert omnibus_balance(X, empty, 0, rng).statistic == pytest.approx(found.statistic)


def test_p_is_uniform_under_random_assignment_and_small_without(frame, registration):
    X = covariate_matrix(frame, registration)
    rng, p = np.random.default_rng(4), []
    for _ in range(150):
        arm = pd.Series(pd.Categorical(rng.permutation(frame["arm"])))
        p.append(omnibus_balance(X, arm, 49, rng).p)
    assert stats.kstest(p, "uniform").pvalue > 0.001
    by_age = pd.Series(pd.cut(frame["age"], [0, 40, 60, 99], labels=["a", "b", "c"]))
    assert omnibus_balance(X, by_age, 99, rng).p == 0.01


def test_differences_of_the_reference_against_all_others(frame, registration):
    X = covariate_matrix(frame, registration)
    table = standardized_differences(X, frame, registration)
    assert list(table["contrast"].unique()) == ["Arm", "Other"], "the factor of most levels first"
    row = table.set_index(["contrast", "variable"]).loc[("Other", "Age")]
    treated = frame["other"] == "v"
    difference = frame["age"][treated].mean() - frame["age"][~treated].mean()
    assert row["difference"] == pytest.approx(difference / frame["age"].std())
    assert row["se"] == pytest.approx(np.sqrt(1 / treated.sum() + 1 / (~treated).sum()))
    arms = table.set_index(["contrast", "variable"]).loc[("Arm", "Age")]
    assert arms["se"] == pytest.approx(np.sqrt(1 / 60 + 1 / 30))


# Attrition


@pytest.mark.parametrize("treated, control, lower, upper", [
    # A quarter of four rows is cut; a third, 4/3 rows; 1 - .5 / .8 of four, 1.5 rows; nothing.
    ([1, 2, 3, 4], [1, 2, 3, NA], 2 - 2, 3 - 2),
    ([0, 0, 3, 6], [1, 2, NA], (0 + 0 + 3 * 2 / 3) / (8 / 3) - 1.5, (6 + 3 + 0) / (8 / 3) - 1.5),
    ([1, 2, 4, 8, NA], [3, 5, NA, NA], (1 + 2 + 4 / 2) / 2.5 - 4, (8 + 4 + 2 / 2) / 2.5 - 4),
    ([1, 2, NA], [1, 3, NA], -0.5, -0.5),
])  # fmt: skip
def test_bounds_by_hand(treated, control, lower, upper):
    y, arm = np.array([*treated, *control]), np.repeat([1, 0], [len(treated), len(control)])
    found, turned = (lee_bounds(y, d, seed=1, draws=20) for d in (arm, 1 - arm))
    assert (found.lower, found.upper) == pytest.approx((lower, upper))
    assert (turned.lower, turned.upper) == pytest.approx((-upper, -lower))


def test_the_interval_of_imbens_and_manski(rng):
    """Its critical value solves their equation, and lies between the one- and two-sided ones."""
    y, d = rng.normal(size=200), np.arange(200) % 2
    y[rng.random(200) < 0.1 * d] = NA
    found = lee_bounds(y, d, seed=1, draws=200)
    c = (found.ci[1] - found.upper) / found.upper_se
    assert c == pytest.approx((found.lower - found.ci[0]) / found.lower_se)
    width = (found.upper - found.lower) / max(found.lower_se, found.upper_se)
    assert stats.norm.cdf(c + width) - stats.norm.cdf(-c) == pytest.approx(0.95, abs=1e-9)
    assert stats.norm.ppf(0.95) < c < stats.norm.ppf(0.975)


def test_without_attrition_both_bounds_are_the_difference(rng):
    y, d = rng.normal(size=60), np.arange(60) % 2
    found = lee_bounds(y, d, seed=1)
    difference = y[d == 1].mean() - y[d == 0].mean()
    assert found.lower == pytest.approx(difference) and found.upper == pytest.approx(difference)
    # The interval is then the ordinary one.
    half = 1.96 * np.sqrt(y[d == 1].var(ddof=1) / 30 + y[d == 0].var(ddof=1) / 30)
    assert found.ci[1] - found.ci[0] == pytest.approx(2 * half, rel=0.15)


def test_bounds_hold_the_effect_on_those_who_always_answer():
    """Treatment drives the unhappy away: the naive difference is off, the bounds are not."""
    rng = np.random.default_rng(4)
    n = 40_000
    d, mood = np.arange(n) % 2, rng.normal(size=n)
    always = mood > -0.8
    y = np.where(always | (d == 0), mood + 0.3 * d, NA)
    found = lee_bounds(y, d, seed=1, draws=20)
    naive = np.nanmean(y[d == 1]) - np.nanmean(y[d == 0])
    assert found.lower - 0.02 < 0.3 < found.upper + 0.02
    assert naive > 0.5


@pytest.mark.parametrize(
    "y, d",
    [([1, 2, 3, 4], [0, 1, 2, 1]), ([1, 2, 3, 4, 5], [0, 0, 1, 1, 2]),
     ([1, 2, NA, NA], [0, 0, 1, 1])],
)  # fmt: skip
def test_bad_input(y, d):
    with pytest.raises(LedgerError):
        lee_bounds(y, d, seed=1)


def test_attrition_by_arm():
    """Against R: fisher.test(matrix(c(6, 94, 15, 85), 2)) and prop.test of three arms."""
    outcome = pd.Series(np.r_[np.repeat([np.nan, 1.0], [6, 94]), np.repeat([np.nan, 1.0], [15, 85]),
                              np.repeat([np.nan, 1.0], [9, 91])])  # fmt: skip
    arm = pd.Series(pd.Categorical(np.repeat(["control", "a", "b"], 100), ["control", "a", "b"]))
    table, p = attrition_by_arm(outcome, arm)
    assert list(table["missing"]) == [6, 15, 9]
    assert p == pytest.approx(0.09697196786, rel=1e-8)
    two = arm != "b"
    assert attrition_by_arm(outcome[two], arm[two]).p == pytest.approx(0.0629127157452, rel=1e-8)
    assert attrition_by_arm(outcome.fillna(1.0), arm).p == 1
    with pytest.raises(LedgerError, match="arm"):
        attrition_by_arm(outcome, arm.where(arm != "b"))
