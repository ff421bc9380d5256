"""Real data against numbers that others printed: all 190 rows of published.csv.

A number agrees when it differs by at most half a unit in its last printed decimal. The two that do
not are named in `EXPLAINED`, and the explanation is itself a test.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from patsy import dmatrices
from scipy import stats

from claimledger.statistics.clustered import of_fit
from claimledger.statistics.decision import adjust, equivalence_p
from claimledger.statistics.estimators import Model, estimate
from claimledger.statistics.linear import adjusted
from hypotheses import hypothesis

EXPLAINED = {
    "V(hp) HC2w": "Stata leaves a row's own weight out of its leverage; statsmodels and R do not",
    "V(hp) HC3w": "Stata leaves a row's own weight out of its leverage; statsmodels and R do not",
}


@pytest.fixture(scope="module")
def published(realdata) -> pd.DataFrame:
    return pd.read_csv(realdata / "published.csv")


def disagreements(published: pd.DataFrame, dataset: str, computed: dict) -> set[str]:
    """Quantities of the data set that differ; every printed one must have been computed."""
    rows = published[published["dataset"] == dataset]
    assert set(rows["quantity"]) == set(computed), "every printed number is computed, no other"
    half_unit = 0.5 * 10.0 ** -rows["printed_decimals"].fillna(0)
    off = np.abs(rows["quantity"].map(computed) - rows["published"]) > half_unit * (1 + 1e-6)
    return set(rows.loc[off, "quantity"])


def test_every_printed_number_belongs_to_a_test(published):
    assert len(published) == 190
    assert set(published["dataset"]) == {
        "cregg_taxes", "cregg_immigration", "projoint_mummolo_nall", "estimatr_lin2013",
        "stata_mtcars", "toster", "bh1995_pvalues",
    }  # fmt: skip


BASE_LEVELS = ["<10k: 0%", "10-35k: 5%", "35-85k: 5%", "85-175k: 5%", "175-375k: 5%", ">375k: 5%",
               "<75%"]  # fmt: skip


def test_cregg_effects_with_the_survey_correction(realdata, published):
    data = pd.read_csv(realdata / "cregg" / "taxes.csv")
    features = data.filter(regex="^taxr")
    for name, base in zip(features, BASE_LEVELS, strict=True):
        later = sorted(set(features[name]) - {base})
        features = features.assign(**{name: pd.Categorical(features[name], [base, *later])})
    computed = {}
    for label, weights in (("unweighted", None), ("weighted", data["weight"].to_numpy())):
        _, X = dmatrices("1 ~ " + " + ".join(features), features, return_type="dataframe")
        model = Model(data["chose_plan"].to_numpy(float), X, "survey",
                      weights=weights, clusters=data["ID"].to_numpy())  # fmt: skip
        found = model.contrasts({name: {name: 1.0} for name in list(X)[1:]})
        for name, row in found.iterrows():
            computed[f"AMCE {label} {name}"] = row["estimate"]
            computed[f"SE {label} {name}"] = row["se"]
    assert disagreements(published, "cregg_taxes", computed) == set()


def test_cregg_marginal_means_and_order_test(realdata, published):
    data = pd.read_csv(realdata / "cregg" / "immigration.csv")
    computed = {}
    for name in ("Gender", "Education", "LanguageSkills"):
        X = pd.get_dummies(data[name], dtype=float)
        model = Model(data["ChosenImmigrant"].to_numpy(float), X, "survey",
                      clusters=data["CaseID"].to_numpy())  # fmt: skip
        found = model.contrasts({level: {level: 1.0} for level in X})
        computed |= {f"MM {level}": row["estimate"] for level, row in found.iterrows()}
        computed |= {f"MM SE {level}": row["se"] for level, row in found.iterrows()}
    wanted = published.loc[published["dataset"] == "cregg_immigration", "quantity"]
    computed = {key: value for key, value in computed.items() if key in set(wanted)}
    # cregg's cj_anova compares two classical regressions, without clusters.
    rhs = "Gender + Education + LanguageSkills"
    short = smf.ols(f"ChosenImmigrant ~ {rhs}", data).fit()
    long = smf.ols(f"ChosenImmigrant ~ ({rhs}) * C(contest_no)", data).fit()
    f, p, df = long.compare_f_test(short)
    computed |= {f"profile-order F ({df:.0f} df)": f, "profile-order p": p}
    assert disagreements(published, "cregg_immigration", computed) == set()


def test_an_effect_in_a_restricted_conjoint_is_weighted_by_the_design(realdata):
    """cregg's constrained example: the same effects by country, averaged by another rule.

    Refugees came from four of the ten countries. Here each of these counts by how often it was
    shown; in cregg 0.4 each estimable coefficient counts alike. (cregg prints no such numbers whose
    rule is one.)
    """
    data = pd.read_csv(realdata / "cregg" / "immigration.csv")
    reason, country = "ReasonForApplication", "CountryOfOrigin"
    rows = data.assign(respondent=data["CaseID"])
    rows[reason] = pd.Categorical(rows[reason]).reorder_categories(
        ["Seek Better Job", "Escape Persecution", "Reunite with Family"])
    rows[country] = rows[country].astype("category")
    h = hypothesis(
        outcome="ChosenImmigrant", frame="profiles", estimator="amce", vcov="survey",
        model=f"ChosenImmigrant ~ Gender + {reason} * {country}",
        contrast={f"{reason}[T.Escape Persecution]": 1.0})
    found = estimate(h, rows).loc["T"]
    shown = pd.crosstab(rows[country], rows[reason])["Escape Persecution"]
    shared = list(shown.index[shown > 0])
    assert len(shared) == 4
    cells = rows.assign(cell=rows[country].astype(str) + ", " + rows[reason].astype(str))
    fit = smf.ols("ChosenImmigrant ~ 0 + cell + Gender", cells).fit()
    effects = np.array([fit.params[f"cell[{c}, Escape Persecution]"]
                        - fit.params[f"cell[{c}, Seek Better Job]"] for c in shared])
    share = rows[country].value_counts()[shared].to_numpy()
    assert found["estimate"] == pytest.approx(np.average(effects, weights=share), rel=1e-8)
    assert effects.mean() == pytest.approx(found["estimate"], abs=0.002), "equal weights: close by"
    assert effects.mean() != pytest.approx(found["estimate"], abs=1e-6)


def test_projoint_choices_with_cr2(realdata, published):
    data = pd.read_csv(
        realdata / "projoint" / "mummolo_nall_replication_cleaned.csv",
        encoding="utf-8-sig", keep_default_na=False,
    )  # fmt: skip
    tasks = pd.DataFrame(
        [housing_costs(person, task) for _, person in data.iterrows() for task in range(1, 9)],
        columns=["id", "first", "second", "chose_first"],
    )
    against = {level: chosen_over(tasks, level, "15") for level in ("40", "30")}
    fit = smf.ols("y ~ 1", against["40"]).fit()
    mean = of_fit(fit, against["40"]["id"]).contrast([1])
    both = pd.concat([against["40"].assign(x=1), against["30"].assign(x=0)])
    effect = of_fit(smf.ols("y ~ x", both).fit(), both["id"]).contrast([0, 1])
    # Agreement of a choice with its repetition is (1 - tau)^2 + tau^2.
    same = np.mean(data["choice1"].str[-1] != data["choice1_repeated_flipped"].str[-1])
    tau = (1 - np.sqrt(2 * same - 1)) / 2
    computed = {
        "choice-level MM 40% vs 15%": mean.estimate, "CR2 SE": mean.se,
        "CI lo": interval(mean)[0], "CI hi": interval(mean)[1], "tau": tau,
        "MM corrected": (mean.estimate - tau) / (1 - 2 * tau),
        "AMCE 40% vs 30%": effect.estimate, "AMCE CR2 SE": effect.se,
        "AMCE CI lo": interval(effect)[0], "AMCE CI hi": interval(effect)[1],
        "AMCE corrected": effect.estimate / (1 - 2 * tau),
    }  # fmt: skip
    assert disagreements(published, "projoint_mummolo_nall", computed) == set()


def interval(found) -> tuple[float, float]:
    half = stats.t.ppf(0.975, found.df) * found.se
    return found.estimate - half, found.estimate + half


def housing_costs(person, task):
    place = [person[f"K-{task}-{k}"] for k in range(1, 8)].index("Housing Cost") + 1
    first, second = (person[f"K-{task}-{profile}-{place}"][:2] for profile in (1, 2))
    return person["ResponseId"], first, second, person[f"choice{task}"].endswith("A")


def chosen_over(tasks, level, other) -> pd.DataFrame:
    """Tasks that show both levels; y is 1 where the first of them was chosen."""
    pair = (tasks["first"] == level) & (tasks["second"] == other)
    turned = (tasks["first"] == other) & (tasks["second"] == level)
    y = np.where(pair, tasks["chose_first"], ~tasks["chose_first"]).astype(float)
    return tasks.assign(y=y)[pair | turned]


def test_lin_2013(realdata, published):
    data = pd.read_csv(realdata / "lin2013" / "alo_star_men.csv")
    arms = pd.DataFrame({"Intercept": 1.0, "sfsp": data["sfsp"]})
    design = adjusted(arms, data[["gpa0"]])
    fits = {
        "GPA_year1~sfsp": smf.ols("GPA_year1 ~ sfsp", data),
        "GPA_year1~sfsp+gpa0": smf.ols("GPA_year1 ~ sfsp + gpa0", data),
        "GPA_year1~sfsp*g": sm.OLS(data["GPA_year1"], design),
    }
    computed = {}
    for name, model in fits.items():
        fit = model.fit(cov_type="HC0", use_t=True)
        computed |= {name: fit.params["sfsp"], f"{name} HC0 SE": fit.bse["sfsp"]}
    assert disagreements(published, "estimatr_lin2013", computed) == set()


def stata_variances(data) -> dict:
    plain, weighted = (
        smf.ols("mpg ~ hp", data).fit(),
        smf.wls("mpg ~ hp", data, weights=data["drat"]).fit(),
    )
    computed = {}
    for suffix, fit in (("", plain), ("w", weighted)):
        covariances = {
            "classical": fit.cov_params().to_numpy(), "HC1": fit.cov_HC1, "HC2": fit.cov_HC2,
            "HC3": fit.cov_HC3, "stata_cl": of_fit(fit, data["cyl"], "stata").cov,
        }  # fmt: skip
        computed |= {f"V(hp) {name}{suffix}": cov[1, 1] for name, cov in covariances.items()}
    return computed


def test_stata_variances(realdata, published):
    computed = stata_variances(pd.read_csv(realdata / "lin2013" / "mtcars.csv"))
    assert disagreements(published, "stata_mtcars", computed) == set(EXPLAINED)


def test_the_two_stata_variances_follow_from_its_leverage(realdata, published):
    data = pd.read_csv(realdata / "lin2013" / "mtcars.csv")
    fit = smf.wls("mpg ~ hp", data, weights=data["drat"]).fit()
    X, w = fit.model.exog, data["drat"].to_numpy()
    bread = np.linalg.inv(X.T @ (X * w[:, None]))
    # Weights are scaled to a mean of one, and the row's own weight is left out.
    leverage = np.sum(X * (X @ bread), axis=1) * w.mean()
    computed = stata_variances(data)
    for name, power in (("V(hp) HC2w", 1), ("V(hp) HC3w", 2)):
        scores = X * (w * fit.resid / (1 - leverage) ** (power / 2)).to_numpy()[:, None]
        computed[name] = (bread @ scores.T @ scores @ bread)[1, 1]
    assert disagreements(published, "stata_mtcars", computed) == set()


def test_toster(published):
    # Summary statistics of TOSTER's own tests: two groups, bound 0.384; two proportions, 0.1.
    a, b = 0.95**2 / 95, 0.83**2 / 89
    df = (a + b) ** 2 / (a**2 / 94 + b**2 / 88)
    welch = 5.25 - 5.22, np.sqrt(a + b), df, 0.384
    two = 0.65 - 0.70, np.sqrt(0.65 * 0.35 / 100 + 0.7 * 0.3 / 100), np.inf, 0.1
    computed = {"Welch TOST df": df}
    for name, letter, (effect, se, df, bound) in (
        ("Welch TOST", "t", welch), ("two proportions TOST", "z", two)
    ):
        low, high = (effect + bound) / se, (effect - bound) / se
        p, half = stats.t.cdf([-low, high], df), stats.t.ppf(0.95, df) * se
        assert equivalence_p(effect, se, df, bound) == pytest.approx(max(p), rel=1e-10)
        computed |= {f"{name} {letter}1": low, f"{name} p1": p[0], f"{name} {letter}2": high,
                     f"{name} p2": p[1], f"{name} 90%lo": effect - half,
                     f"{name} 90%hi": effect + half}  # fmt: skip
    assert disagreements(published, "toster", computed) == set()


def test_r_p_adjust_on_the_p_values_of_benjamini_and_hochberg(published):
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
                  0.4262, 0.5719, 0.6528, 0.7590, 1.0000])  # fmt: skip
    computed = {
        "BH rejections at .05": np.sum(adjust(p, "bh") < 0.05),
        "Bonferroni rejections": np.sum(p * len(p) < 0.05),
    }
    for i in range(10):
        computed[f"holm p[{i + 1}]"] = adjust(p, "holm")[i]
        computed[f"fdr_bh p[{i + 1}]"] = adjust(p, "bh")[i]
    assert disagreements(published, "bh1995_pvalues", computed) == set()
