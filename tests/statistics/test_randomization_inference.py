"""Randomization inference: against enumeration, and by what it promises."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.randomization_inference import Randomized, randomization_tests
from claimledger.statistics.specification_curve import Specified
from hypotheses import hypothesis


def people(n: int, seed: int, effect: float = 0.0) -> pd.DataFrame:
    """Two arms within two levels of another factor; items; a block for every ten."""
    rng = np.random.default_rng(seed)
    arm, other = rng.permutation(n) % 2, rng.integers(0, 2, n)
    common = rng.normal(size=n)
    return pd.DataFrame({
        "respondent": np.arange(n), "arm": pd.Categorical.from_codes(arm, ["a", "b"]),
        "other": pd.Categorical.from_codes(other, ["u", "v"]),
        "y": common + effect * arm, "p": common + rng.normal(size=n) + effect,
        "q": common + rng.normal(size=n),
    })  # fmt: skip


def drawn_again(rows: pd.DataFrame, h, draws: int, seed: int = 1) -> Randomized:
    """The test of one hypothesis in a design of two factors."""
    design = SimpleNamespace(factors={"arm": None, "other": None}, restrictions=[])
    registration = SimpleNamespace(
        design=design, hypotheses=[h], samples={"all": {}},
        instrument=SimpleNamespace(items={}, derived={}, covariates=[]),
    )  # fmt: skip
    return randomization_tests(Specified(registration, rows), draws=draws, seed=seed)["T"]


def two_arms(y) -> pd.DataFrame:
    arm = pd.Categorical.from_codes(np.arange(len(y)) % 2, ["a", "b"])
    return pd.DataFrame({"arm": arm, "y": y, "respondent": np.arange(len(y))})


def test_every_assignment_counted():
    """Ten units, five treated: all 252 assignments, Welch t, against 20,000 draws."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=10)
    y[1::2] += 0.8
    observed = stats.ttest_ind(y[1::2], y[::2], equal_var=False).statistic
    hits = 0
    for treated in combinations(range(10), 5):
        arm = np.isin(np.arange(10), treated)
        t = stats.ttest_ind(y[arm], y[~arm], equal_var=False).statistic
        hits += abs(t) >= abs(observed) * (1 - 1e-9)
    exact = hits / 252
    found = drawn_again(two_arms(y), hypothesis(), 20_000)
    assert abs(found.p - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000) + 1 / 20_000
    assert found.statistic == pytest.approx(observed, rel=1e-10)


def test_size_under_the_sharp_null_with_ties():
    """Ordinal outcomes: rejections at 5 % stay at or below 5 % within Monte Carlo error."""
    rng = np.random.default_rng(6)
    p = [drawn_again(two_arms(rng.integers(1, 6, 40)), hypothesis(), 199, s).p for s in range(100)]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)
    assert np.min(p) >= 1 / 200


def test_studentized_test_holds_where_only_the_average_effect_is_zero():
    """Unequal variances and sizes, no average effect: the raw difference would reject far more."""
    rng, p = np.random.default_rng(7), []
    for seed in range(100):
        rows = two_arms(rng.normal(size=100))
        rows["arm"] = pd.Categorical.from_codes((np.arange(100) < 20) * 1, ["a", "b"])
        rows["y"] *= np.where(rows["arm"] == "b", 3.0, 1.0)
        p.append(drawn_again(rows, hypothesis(), 199, seed).p)
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)


def test_result_depends_on_the_seed_and_the_order_of_rows_alone():
    rows = people(60, 2, 0.2)
    one, again, other = (drawn_again(rows, hypothesis(), 300, seed) for seed in (5, 5, 6))
    assert one == again and one.statistic == other.statistic and one.p != other.p
    moved = drawn_again(rows.assign(y=50 - 7 * rows["y"]), hypothesis(), 300, 5)
    assert moved.statistic == pytest.approx(-one.statistic, rel=1e-9) and moved.p == one.p


@pytest.mark.parametrize("change", [{"y": 1.0}, {"other": "u", "block": np.arange(40)}])
def test_nothing_to_test(change):
    with pytest.raises(LedgerError, match="variation|nothing to permute"):
        drawn_again(people(40, 1).assign(**change), hypothesis(), 9)


def test_an_attribute_of_profiles_changes_places_among_all_that_may_have_it():
    """In a conjoint every profile is nearly a cell of its own: other attributes are no blocks."""
    rows = people(200, 4, 0.6)
    rows["respondent"] = np.arange(200) // 2
    found = drawn_again(rows, hypothesis(frame="profiles", vcov="CR2"), 199)
    assert found.drawn == "profiles" and found.p < 0.05


def test_a_registered_test_keeps_the_other_factors_where_they_are():
    """A strong effect of the other factor does not blur the test of the arm."""
    rows = people(160, 3, 0.25)
    found = drawn_again(rows, hypothesis(), 2000)
    fit = smf.ols("y ~ arm", rows).fit(cov_type="HC2", use_t=True)
    assert found.statistic == pytest.approx(fit.tvalues["arm[T.b]"], rel=1e-9)
    assert abs(found.p - fit.pvalues["arm[T.b]"]) < 0.05 and "other" in found.drawn
    adjusted = drawn_again(rows, hypothesis(model="y ~ arm + p"), 99)
    fit = smf.ols("y ~ arm + p", rows).fit(cov_type="HC2")
    assert adjusted.statistic == pytest.approx(fit.tvalues["arm[T.b]"], rel=1e-9)


def test_arms_change_places_within_blocks_alone():
    """Blocks that differ much, and shares of the arms with them: only the block explains."""
    rng = np.random.default_rng(5)
    block = np.repeat([0, 1], 60)
    arm = np.r_[rng.permutation(np.repeat([0, 1], [50, 10])),
                rng.permutation(np.repeat([0, 1], [10, 50]))]
    rows = pd.DataFrame({"arm": pd.Categorical.from_codes(arm, ["a", "b"]),
                         "y": 3.0 * block + rng.normal(size=120), "respondent": np.arange(120)})
    blind = drawn_again(rows, hypothesis(), 199)
    within = drawn_again(rows.assign(block=block), hypothesis(), 199)
    assert blind.p == 0.005 and within.p > 0.05


def test_clusters_change_places_whole():
    """No effect, and outcomes alike within clusters: rows alone would reject far too often."""
    p = {True: [], False: []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(12), 15)
        arm = rng.permutation(np.arange(12) % 2)[cluster]
        rows = pd.DataFrame({
            "arm": pd.Categorical.from_codes(arm, ["a", "b"]), "respondent": np.arange(180),
            "y": rng.normal(size=12)[cluster] + 0.3 * rng.normal(size=180),
        })  # fmt: skip
        whole = drawn_again(rows.assign(cluster=cluster), hypothesis(vcov="CR2"), 39)
        p[True].append(whole.p)
        p[False].append(drawn_again(rows, hypothesis(), 39).p)
    assert np.mean(np.array(p[True]) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean(np.array(p[False]) <= 0.05) > 0.4


def test_answers_within_respondents_change_places():
    within = hypothesis(
        outcome=None, stack=["p", "q"], frame="stacked", model="response ~ 0 + item",
        contrast={"item[p]": 1.0, "item[q]": -1.0}, vcov="CR2")
    rows = people(80, 1, 0.5)
    found = drawn_again(rows, within, 199)
    paired = stats.ttest_rel(rows["p"], rows["q"])
    assert found.statistic == pytest.approx(paired.statistic, rel=1e-9) and found.p < 0.05
    none = drawn_again(people(80, 1), within, 999)
    expected = stats.ttest_rel(people(80, 1)["p"], people(80, 1)["q"]).pvalue
    assert abs(none.p - expected) < 0.05
