"""Registered analyses from rows: the numbers of statsmodels and R, by another path."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import hypotheses
from claimledger.errors import LedgerError
from claimledger.ledger.results import Fitted
from claimledger.registration.models import Comparison, Hypothesis
from claimledger.statistics.discrete import binary_fit
from claimledger.statistics.estimators import contrasts_of, estimate, model_of, rubin

N = 240
COMMON = dict(
    id="T", estimand="e", outcome="y", frame="respondents", sample="all", model="y ~ arm + sex",
    vcov="HC2", family="F", sesoi=0.2, role="primary",
)  # fmt: skip


def hypothesis(**change) -> Hypothesis:
    return hypotheses.hypothesis(**COMMON | {"contrast": {"arm[T.low]": 1.0}} | change)


@pytest.fixture
def rows(rng) -> pd.DataFrame:
    arm = pd.Categorical.from_codes(rng.permutation(N) % 3, ["control", "low", "high"])
    common = rng.normal(size=N)
    frame = pd.DataFrame({
        "respondent": np.arange(1, N + 1), "arm": arm, "sex": rng.choice(["f", "m"], N),
        "y": rng.normal(size=N) + 0.4 * (arm == "low"), "w": rng.uniform(0.3, 3, N),
        "village": rng.integers(0, 20, N), "p": common + rng.normal(size=N),
        "q": common + rng.normal(size=N), "r": rng.normal(size=N),
    }, index=rng.permutation(N) + 1000)  # fmt: skip
    frame.iloc[3, frame.columns.get_loc("y")] = np.nan
    frame.iloc[5, frame.columns.get_loc("q")] = np.nan
    return frame


def same(found: pd.DataFrame, fitted: Fitted, contrasts: dict) -> None:
    for id, contrast in contrasts.items():
        numbers = found.loc[id, ["estimate", "se", "df"]].to_numpy(float)
        np.testing.assert_allclose(numbers, fitted.contrast(contrast), rtol=1e-9)
        assert found.at[id, "n"] == fitted.n
        assert found.at[id, "sd"] == pytest.approx(fitted.sd(contrast), rel=1e-12)


@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
@pytest.mark.parametrize("weighted", [False, True])
def test_independent_rows_are_those_of_statsmodels(rows, vcov, weighted):
    h = hypothesis(vcov=vcov)
    w = rows["w"] if weighted else None
    found = estimate(h, rows, weights=w)
    used = rows.dropna(subset=["y"])
    fit = smf.wls(h.model, used, weights=used["w"] if weighted else 1.0)
    fit = fit.fit(cov_type=vcov, use_t=True)
    same(found, Fitted(fit), {"T": h.contrast})
    assert found.at["T", "p"] == pytest.approx(fit.pvalues["arm[T.low]"], rel=1e-9)
    f, df1, df2, p = model_of(h, rows, weights=w).joint([{"arm[T.low]": 1}, {"arm[T.high]": 1}])
    names = "arm[T.low] = 0, arm[T.high] = 0"
    expected = fit.f_test(names)
    np.testing.assert_allclose([f, p], [expected.fvalue, expected.pvalue], rtol=1e-8)
    assert (df1, df2) == (2, fit.df_resid)


@pytest.mark.parametrize("weighted", [False, True])
def test_stacked_items_are_clustered_by_respondent(rows, weighted):
    h = hypothesis(
        outcome=None, stack=["p", "q", "r"], frame="stacked", model="response ~ 0 + item",
        vcov="CR2", contrast={"item[p]": 0.5, "item[q]": 0.5, "item[r]": -1.0},
    )  # fmt: skip
    used = rows.dropna(subset=["p", "q", "r"])
    long = used.melt(["respondent", "w"], ["p", "q", "r"], "item", "response")
    long["item"] = pd.Categorical(long["item"], ["p", "q", "r"])
    fit = smf.wls(h.model, long, weights=long["w"] if weighted else 1.0).fit()
    found = estimate(h, rows, weights=rows["w"] if weighted else None)
    same(found, Fitted(fit, long["respondent"]), {"T": h.contrast})


@pytest.mark.parametrize("pairs", ["reference", "all"])
def test_every_pair_of_a_comparison(rows, pairs):
    c = Comparison(**COMMON | dict(model="y ~ 0 + arm"), levels=["control", "low", "high"],
                   term="arm[{level}]", pairs=pairs)  # fmt: skip
    fit = smf.ols("y ~ 0 + arm", rows).fit(cov_type="HC2", use_t=True)
    contrasts = contrasts_of(c)
    assert len(contrasts) == 3
    same(estimate(c, rows), Fitted(fit), contrasts)


def test_clusters_that_are_registered_or_given(rows):
    h = hypothesis(vcov="CR2")
    used = rows.dropna(subset=["y"])
    fit = smf.ols(h.model, used).fit()
    same(estimate(h, rows, clusters=rows["village"]), Fitted(fit, used["village"]),
         {"T": h.contrast})  # fmt: skip
    own = estimate(h, rows)  # each respondent a cluster: HC2, with other degrees of freedom
    assert own.at["T", "se"] == pytest.approx(estimate(hypothesis(), rows).at["T", "se"], rel=1e-9)


@pytest.mark.parametrize("change, data, named", [
    ({"model": "y ~ arm +"}, {}, "model"), ({"model": "y ~ arm + party"}, {}, "party"),
    ({"model": "sex ~ arm"}, {}, "category"),
    ({"contrast": {"arm[T.middle]": 1.0}}, {}, "arm\\[T.middle"),
    ({"model": "yes ~ np.log(w)", "estimator": "logit", "contrast": {"np.log(w)": 1.0}}, {},
     "transformed"),
    ({}, {"y": 3.0}, "constant outcome"), ({}, {"arm": "control"}, "rank"),
    ({}, {"w": 0}, "above 0"),
])  # fmt: skip
def test_what_cannot_be_analyzed_is_named(rows, change, data, named):
    rows = rows.assign(yes=(rows["p"] > 0) * 1.0).assign(**data)
    rows["arm"] = pd.Categorical(rows["arm"], ["control", "low", "high"])
    with pytest.raises(LedgerError, match=named):
        estimate(hypothesis(**{"outcome": change.get("model", "y").split()[0]} | change), rows,
                 weights=rows["w"])


@pytest.fixture(scope="module")
def design(reference) -> pd.DataFrame:
    """The data of tests/reference/estimators.R."""
    data = reference("estimators.csv")
    for name in ("arm", "sex", "degree", "job"):
        data[name] = data[name].astype("category")
    return data.assign(respondent=np.arange(len(data)))


def numbers(found: pd.DataFrame, wanted: dict, rtol: float = 1e-6) -> None:
    row = found.iloc[0]
    np.testing.assert_allclose((row["estimate"], row["se"]), (wanted["estimate"], wanted["se"]),
                               rtol=rtol)  # fmt: skip


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("vcov", ["HC2", "HC3"])
def test_average_effects_are_those_of_glm_with_sandwich(design, reference, link, vcov):
    wanted = reference("estimators.json")
    h = hypothesis(outcome="yes", model="yes ~ arm * sex + age", estimator=link, vcov=vcov,
                   contrast={"arm[T.c]": 1.0})  # fmt: skip
    found = estimate(h, design)
    numbers(found, wanted[f"{link}_{vcov}"])
    assert np.isinf(found.at["T", "df"])
    h = hypothesis(outcome="yes", model="yes ~ arm + age", estimator=link,
                   contrast={"age": 1.0})  # fmt: skip
    numbers(estimate(h, design), wanted[f"{link}_slope"])


def test_a_logit_without_a_maximum_is_refused(design):
    sure = design.assign(yes=np.where(design["arm"] == "c", 1.0, design["yes"]))
    h = hypothesis(outcome="yes", model="yes ~ arm", estimator="logit",
                   contrast={"arm[T.c]": 1.0})  # fmt: skip
    with pytest.raises(LedgerError, match="maximum"):
        estimate(h, sure)
    with pytest.raises(LedgerError, match="0 and 1"):
        estimate(hypothesis(model="y ~ arm", estimator="logit",
                            contrast={"arm[T.c]": 1.0}), design)  # fmt: skip


def test_a_logit_of_a_sample_with_strata_and_clusters_is_that_of_survey(design, reference):
    wanted = reference("estimators.json")["survey_logit"]
    X = np.column_stack([np.ones(len(design)), design["arm"] == "b", design["arm"] == "c",
                         design["age"]])  # fmt: skip
    fit = binary_fit(design["yes"], X.astype(float), "logit", "survey", weights=design["w"],
                     clusters=design["psu"], strata=design["stratum"])  # fmt: skip
    np.testing.assert_allclose(fit.params, wanted["coef"], rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.cov)), wanted["se"], rtol=1e-5)


def test_a_restricted_feature_is_averaged_over_what_both_levels_can_have(design, reference):
    """No doctor without a degree: jobs that occur with and without one."""
    h = hypothesis(outcome="y2", model="y2 ~ degree * job", estimator="amce", frame="profiles",
                   contrast={"degree[T.yes]": 1.0})  # fmt: skip
    rules = [{"degree": ["no"], "job": ["doctor"]}]
    numbers(estimate(h, design, restrictions=rules), reference("estimators.json")["amce"], 1e-9)
    numbers(estimate(h, design), reference("estimators.json")["amce"], 1e-9)
    other = h.model_copy(update={"contrast": {"job[T.doctor]": 1.0}})
    model = model_of(other, design, restrictions=rules)
    with_degree = design[design["degree"] == "yes"]
    means = with_degree.groupby("job", observed=True)["y2"].mean()
    found = model.contrasts({"T": other.contrast}).at["T", "estimate"]
    assert found == pytest.approx(means["doctor"] - means["clerk"], rel=1e-9)


def test_an_effect_at_a_value_of_a_moderator(design):
    h = hypothesis(model="y ~ arm * age + sex", contrast={"arm[T.c]": 1.0}, at={"age": [30]})
    there = smf.ols("y ~ arm * I(age - 30) + sex", design).fit(cov_type="HC2", use_t=True)
    found = estimate(h, design).loc["T"]
    np.testing.assert_allclose((found["estimate"], found["se"]),
                               (there.params["arm[T.c]"], there.bse["arm[T.c]"]), rtol=1e-8)
    c = Comparison(**COMMON | dict(model="y ~ arm * age + sex", at={"age": [30, 60]}),
                   levels=["b", "c"], term="arm[T.{level}]", pairs="reference")  # fmt: skip
    several = estimate(c, design)
    assert list(several.index) == ["T.b.age_30", "T.c.age_30", "T.b.age_60", "T.c.age_60"]
    assert several.at["T.c.age_30", "estimate"] == pytest.approx(found["estimate"], rel=1e-12)


def test_a_joint_hypothesis_is_one_test(design):
    h = hypothesis(model="y ~ arm + age", contrast={}, joint=["arm[T.b]", "arm[T.c]"],
                   direction="two-sided")  # fmt: skip
    fit = smf.ols("y ~ arm + age", design).fit(cov_type="HC2", use_t=True)
    expected = fit.f_test("arm[T.b] = 0, arm[T.c] = 0")
    row = estimate(h, design).loc["T"]
    np.testing.assert_allclose((row["statistic"], row["p"]),
                               (expected.fvalue, expected.pvalue), rtol=1e-8)
    assert (row["df1"], row["df"]) == (2, fit.df_resid) and np.isnan(row["estimate"])


@pytest.fixture
def gaps(design) -> pd.DataFrame:
    """A tenth of the ages and of the sexes are missing."""
    rng = np.random.default_rng(3)
    return design.assign(age=design["age"].mask(rng.random(len(design)) < 0.1),
                         sex=design["sex"].mask(rng.random(len(design)) < 0.1))  # fmt: skip


def test_missing_covariates_by_each_rule(gaps, design):
    h = hypothesis(model="y ~ arm + age + sex", contrast={"arm[T.c]": 1.0})
    by = {rule: estimate(h.model_copy(update={"missing": rule}), gaps).loc["T"]
          for rule in ("complete", "indicator", "impute")}  # fmt: skip
    full = estimate(h, design).loc["T"]
    assert by["complete"]["n"] == len(gaps.dropna(subset=["age", "sex"])) < len(gaps)
    assert by["indicator"]["n"] == by["impute"]["n"] == len(gaps)
    filled = gaps.assign(gone=gaps["age"].isna() * 1.0, age=gaps["age"].fillna(gaps["age"].mean()),
                         sex=gaps["sex"].cat.add_categories("missing").fillna("missing"))
    fit = smf.ols("y ~ arm + age + sex + gone", filled).fit(cov_type="HC2", use_t=True)
    assert by["indicator"]["estimate"] == pytest.approx(fit.params["arm[T.c]"], rel=1e-9)
    assert by["indicator"]["se"] == pytest.approx(fit.bse["arm[T.c]"], rel=1e-9)
    assert abs(by["impute"]["estimate"] - full["estimate"]) < 0.25 * full["se"]
    assert by["impute"]["se"] >= 0.98 * full["se"] and by["impute"]["df"] < full["df"]
    again = estimate(h.model_copy(update={"missing": "impute"}), gaps).loc["T"]
    assert again["estimate"] == by["impute"]["estimate"], "the same seed, the same values"


def test_rubins_rules_are_those_of_mice(reference):
    wanted = reference("estimators.json")["rubin"]
    Q = np.array([[0.31], [0.28], [0.36], [0.25], [0.33]])
    U = np.mean([0.011, 0.012, 0.010, 0.0115, 0.0125])
    found = rubin(Q, np.array([U]), np.array([195.0]))
    np.testing.assert_allclose(np.ravel(found), [wanted[k] for k in ("estimate", "se", "df")],
                               rtol=1e-9)  # fmt: skip
