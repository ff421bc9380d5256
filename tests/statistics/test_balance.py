"""Balance of the background over the arms."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.multivariate.manova import MANOVA

from claimledger.errors import LedgerError
from claimledger.statistics.balance import (
    covariate_matrix,
    omnibus_balance,
    standardised_differences,
)

N = 90


@pytest.fixture
def registration():
    kinds = {"age": "numeric", "trust": "ordinal", "sex": "nominal"}
    factor = SimpleNamespace(label="Arm", reference="a", levels={"a": 0, "b": 0, "c": 0})
    other = SimpleNamespace(label="Other", reference="u", levels={"u": 0, "v": 0})
    return SimpleNamespace(
        instrument=SimpleNamespace(
            covariates=["age", "trust", "sex", "region"],
            items={name: SimpleNamespace(scale=name) for name in kinds},
            scales={name: SimpleNamespace(kind=kind) for name, kind in kinds.items()},
        ),
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
    table = standardised_differences(X, frame, registration)
    assert list(table["contrast"].unique()) == ["Arm", "Other"], "the factor of most levels first"
    row = table.set_index(["contrast", "variable"]).loc[("Other", "Age")]
    treated = frame["other"] == "v"
    difference = frame["age"][treated].mean() - frame["age"][~treated].mean()
    assert row["difference"] == pytest.approx(difference / frame["age"].std())
    assert row["se"] == pytest.approx(np.sqrt(1 / treated.sum() + 1 / (~treated).sum()))
    arms = table.set_index(["contrast", "variable"]).loc[("Arm", "Age")]
    assert arms["se"] == pytest.approx(np.sqrt(1 / 60 + 1 / 30))
