"""Registered analyses from rows: the numbers of statsmodels and R, by another path."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from claimledger.errors import LedgerError
from claimledger.ledger.contrasts import Fitted
from claimledger.registration.models import Comparison, Hypothesis
from claimledger.statistics.estimators import contrasts_of, estimate, model_of

N = 240
COMMON = dict(
    id="T", estimand="e", outcome="y", frame="respondents", sample="all", model="y ~ arm + sex",
    vcov="HC2", family="F", sesoi=0.2, role="primary",
)  # fmt: skip


def hypothesis(**change) -> Hypothesis:
    criterion = dict.fromkeys(("supported", "refuted", "negligible", "undecided"), "c")
    own = dict(statement="s", contrast={"arm[T.low]": 1.0}, direction="positive",
               criterion=criterion, mark="assumed")  # fmt: skip
    return Hypothesis(**COMMON | own | change)


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


@pytest.mark.parametrize("change, named", [
    ({"model": "y ~ arm +"}, "model"), ({"model": "y ~ arm + party"}, "party"),
    ({"model": "sex ~ arm"}, "category"), ({"contrast": {"arm[T.middle]": 1.0}}, "arm\\[T.middle"),
])  # fmt: skip
def test_a_promise_that_cannot_be_kept_is_named(rows, change, named):
    with pytest.raises(LedgerError, match=named):
        estimate(hypothesis(**change), rows)


@pytest.mark.parametrize("case", ["constant", "zero weight", "empty arm"])
def test_data_that_cannot_be_analyzed(rows, case):
    weights = None
    if case == "constant":
        rows["y"] = 3.0
    elif case == "zero weight":
        weights = rows["w"].where(rows["arm"] != "low", 0.0)
    else:
        rows = rows[rows["arm"] != "low"]
    with pytest.raises(LedgerError) as caught:
        estimate(hypothesis(), rows, weights=weights)
    assert caught.value.found and caught.value.expected and caught.value.mend


def test_only_registered_analyses_have_contrasts():
    with pytest.raises(TypeError):
        contrasts_of(SimpleNamespace(id="x"))
