"""Marginal means, component effects and their differences."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.cluster import cr2
from claimledger.statistics.marginal import (
    amce,
    estimates,
    joint_f,
    marginal_means,
    mean_differences,
    mean_rows,
)


@pytest.fixture
def answers(rng):
    """Three profiles for each of 80 respondents."""
    person = np.repeat(np.arange(80), 3)
    frame = pd.DataFrame({
        "person": person,
        "regime": rng.choice(["autocracy", "democracy"], 240),
        "treaty": rng.choice(["none", "signed", "old"], 240),
        "party": np.where(person % 2 == 0, "left", "right"),
        "age": rng.integers(18, 90, 240),
        "w": rng.uniform(0.4, 2.0, 240),
    })  # fmt: skip
    effect = np.where(frame["regime"] == "democracy", -0.5, 0.0)
    frame["y"] = 3 + effect + rng.normal(size=80)[person] + rng.normal(size=240)
    return frame


def test_hc2_estimates_equal_estimatr(reference):
    data, expected = reference("clusters.csv"), reference("clusters.json")
    for name, weights in (("hc2", np.ones(len(data))), ("hc2_weighted", data["w"])):
        fit = smf.wls("y ~ z * item", data, weights=weights).fit()
        found = estimates(fit, np.eye(4))
        np.testing.assert_allclose(found.estimate, expected[name]["coef"], rtol=1e-10)
        np.testing.assert_allclose(found.se, expected[name]["se"], rtol=1e-10)
        np.testing.assert_allclose(found.df, expected[name]["df"], rtol=1e-10)


def test_independent_means_are_t_intervals_with_the_welch_variance(answers):
    found = marginal_means(answers["y"], answers["treaty"]).set_index("level")
    for level, y in answers.groupby("treaty")["y"]:
        assert found.at[level, "estimate"] == pytest.approx(y.mean(), rel=1e-12)
        assert found.at[level, "se"] == pytest.approx(y.std() / np.sqrt(len(y)), rel=1e-12)
        assert found.at[level, "n"] == len(y)
    assert (found["df"] == 237).all() and (found["vcov"] == "HC2").all()


def test_means_within_groups_and_their_differences_are_those_of_the_cells(answers):
    y, treaty, regime = (answers[name] for name in ("y", "treaty", "regime"))
    cells = answers.groupby(["treaty", "regime"])["y"].agg(["mean", "size"])
    found = marginal_means(y, treaty, regime).set_index(["level", "by"]).loc[cells.index]
    np.testing.assert_allclose(found["estimate"], cells["mean"], rtol=1e-12)
    assert (found["n"] == cells["size"]).all()
    gaps = mean_differences(y, treaty, regime).set_index("level")["estimate"]
    means = cells["mean"].unstack()
    np.testing.assert_allclose(gaps, (means["democracy"] - means["autocracy"])[gaps.index])


def test_intervals_are_of_95_percent_unless_another_level_is_asked(answers):
    y, treaty, regime = (answers[name] for name in ("y", "treaty", "regime"))
    for function, parts in [(marginal_means, [treaty]), (mean_differences, [treaty, regime]),
                            (amce, [answers[["treaty"]]])]:  # fmt: skip
        for level, options in [(0.95, {}), (0.8, {"level": 0.8})]:
            found = function(y, *parts, **options)
            half = stats.t.ppf((1 + level) / 2, found["df"]) * found["se"]
            np.testing.assert_allclose(found["ci_high"] - found["estimate"], half, rtol=1e-9)
            np.testing.assert_allclose(found["estimate"] - found["ci_low"], half, rtol=1e-9)


def test_clustered_means_are_those_of_cr2(answers):
    found = marginal_means(answers["y"], answers["regime"], clusters=answers["person"])
    fit = smf.ols("y ~ 0 + regime", answers).fit()
    expected = cr2(fit, answers["person"]).contrast(np.eye(2))
    np.testing.assert_allclose(found["se"], expected.se, rtol=1e-12)
    np.testing.assert_allclose(found["df"], expected.df, rtol=1e-12)
    assert (found["vcov"] == "CR2 by cluster").all()


def test_differences_within_respondents_keep_the_covariance(answers):
    """`by` varies within respondents: adding the variances would be wrong (README, point 6)."""
    person = answers["person"]
    found = mean_differences(answers["y"], answers["treaty"], answers["regime"], clusters=person)
    means = marginal_means(answers["y"], answers["treaty"], answers["regime"], clusters=person)
    wide = means.pivot(index="level", columns="by", values=["estimate", "se"])
    gap = wide["estimate"]["democracy"] - wide["estimate"]["autocracy"]
    np.testing.assert_allclose(found.set_index("level")["estimate"], gap, atol=1e-12)
    added = np.hypot(wide["se"]["democracy"], wide["se"]["autocracy"])
    assert not np.allclose(found.set_index("level")["se"], added, rtol=1e-3)
    # Between respondents the two agree: nobody is in both groups.
    other = mean_differences(answers["y"], answers["treaty"], answers["party"], clusters=person)
    apart = marginal_means(answers["y"], answers["treaty"], answers["party"], clusters=person)
    wide = apart.pivot(index="level", columns="by", values="se")
    added = np.hypot(wide["left"], wide["right"])
    np.testing.assert_allclose(other.set_index("level")["se"], added, rtol=1e-10)


def test_effects_are_coefficients_of_the_additive_regression(answers):
    found = amce(
        answers["y"], answers[["regime", "treaty"]], answers["person"], answers["w"], "stata"
    )
    fit = smf.wls("y ~ regime + treaty", answers, weights=answers["w"]).fit()
    robust = fit.get_robustcov_results("cluster", groups=answers["person"], use_t=True)
    np.testing.assert_allclose(found["estimate"], robust.params[1:], rtol=1e-9)
    np.testing.assert_allclose(found["se"], robust.bse[1:], rtol=1e-9)
    np.testing.assert_allclose(found["p"], robust.pvalues[1:], rtol=1e-7)
    assert list(found["baseline"]) == ["autocracy", "none", "none"]


def test_level_order_and_labels(answers):
    answers["treaty"] = pd.Categorical(answers["treaty"], ["signed", "none", "old"])
    found = amce(answers["y"], answers[["treaty"]])
    assert list(found["level"]) == ["none", "old"] and set(found["baseline"]) == {"signed"}
    renamed = answers.assign(treaty=answers["treaty"].cat.rename_categories(["z", "y", "x"]))
    mixed = renamed.sample(frac=1, random_state=2)
    again = amce(mixed["y"], mixed[["treaty"]])
    np.testing.assert_allclose(again["estimate"], found["estimate"], rtol=1e-10)
    np.testing.assert_allclose(again["se"], found["se"], rtol=1e-10)


def test_model_based_means_average_over_the_data(answers):
    fit = smf.ols("y ~ C(regime) * age + treaty", answers).fit()
    rows = mean_rows(fit, "regime", ["autocracy", "democracy"])
    for row, level in zip(rows, ["autocracy", "democracy"], strict=True):
        expected = fit.predict(answers.assign(regime=level)).mean()
        assert estimates(fit, row).estimate == pytest.approx(expected, rel=1e-10)
    difference = estimates(fit, rows[1] - rows[0])
    by_hand = {"C(regime)[T.democracy]": 1.0,
               "C(regime)[T.democracy]:age": answers["age"].mean()}  # fmt: skip
    np.testing.assert_allclose(difference[:2], estimates(fit, by_hand)[:2], rtol=1e-9)


def test_model_based_means_of_a_model_without_covariates_are_the_means(answers):
    fit = smf.ols("y ~ C(treaty)", answers).fit()
    rows = mean_rows(fit, "treaty", ["none", "old", "signed"])
    plain = marginal_means(answers["y"], answers["treaty"])
    np.testing.assert_allclose(estimates(fit, rows).estimate, plain["estimate"], rtol=1e-10)
    np.testing.assert_allclose(estimates(fit, rows).se, plain["se"], rtol=1e-10)


def test_joint_tests(answers):
    fit = smf.ols("y ~ treaty", answers).fit()
    f, df1, df2, p = joint_f(fit, np.eye(3)[1:])
    expected = fit.get_robustcov_results("HC2", use_t=True).f_test(np.eye(3)[1:])
    assert (f, p) == pytest.approx((float(expected.fvalue), float(expected.pvalue)), rel=1e-9)
    assert (df1, df2) == (2, 237)
    f, df1, df2, p = joint_f(fit, np.eye(3)[1:], answers["person"])
    assert df1 == 2 and 60 < df2 < 79 and p == pytest.approx(stats.f.sf(f, 2, df2))
    f, df1, df2, p = joint_f(fit, np.eye(3)[1:], answers["person"], "stata")
    assert (df1, df2) == (2, 79) and p == pytest.approx(stats.f.sf(f, 2, 79))


@pytest.mark.parametrize(
    "change",
    [{"y": 3.0}, {"y": np.nan}, {"w": 0.0}, {"w": -1.0}, {"w": np.nan}, {"person": 1},
     {"treaty": None}],
)  # fmt: skip
def test_bad_input(answers, change):
    bad = answers.assign(**change)
    with pytest.raises(LedgerError):
        marginal_means(bad["y"], bad["treaty"], clusters=bad["person"], weights=bad["w"])


def test_an_empty_level_or_a_cell_of_one(answers):
    empty = pd.Categorical(answers["treaty"], ["none", "old", "signed", "secret"])
    with pytest.raises(LedgerError, match="secret"):
        marginal_means(answers["y"], empty)
    with pytest.raises(LedgerError, match="1 missing values"):
        marginal_means(answers["y"], answers["treaty"].where(answers.index != 5))
    alone = answers["treaty"].where(answers.index != 5, "secret")
    with pytest.raises(LedgerError):
        marginal_means(answers["y"], alone)


def test_a_variable_that_the_model_does_not_know(answers):
    with pytest.raises(LedgerError, match="capability"):
        mean_rows(smf.ols("y ~ treaty", answers).fit(), "capability", [0, 1])
