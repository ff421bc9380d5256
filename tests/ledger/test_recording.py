"""The record of a notebook: what is not registered, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from claimledger.errors import LedgerError
from claimledger.ledger.recording import Record
from claimledger.ledger.results import results, tost, verdicts
from claimledger.statistics.decision import decide

KINDS = ["underspending", "rival_arms", "refused_operation", "blocked_accession"]


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"misalignment": pd.Categorical(rng.choice(KINDS, 400), KINDS)})
    data["corrective"] = rng.normal(3, 1, 400) - 0.5 * data["misalignment"].eq("rival_arms")
    data.loc[:9, "corrective"] = np.nan
    return data


@pytest.fixture
def record(registration):
    return Record("05_test", registration, None)


def fit(frame, formula="corrective ~ misalignment"):
    return smf.ols(formula, data=frame).fit(cov_type="HC2", use_t=True)


def table(frame, ids):
    found = results(dict.fromkeys(ids, fit(frame)), ids)
    return found.assign(bound=0.2 * found["sd"], direction=0)


def test_a_table_of_results_is_what_statsmodels_says(frame):
    one = fit(frame)
    terms = list(one.params.index[1:])
    found = results(dict.fromkeys(terms, one), {term: term for term in terms})
    assert np.allclose(found["estimate"], one.params[1:])
    assert np.allclose(found[["se", "p"]], np.c_[one.bse[1:], one.pvalues[1:]])
    assert np.allclose(found[["low", "high"]], one.conf_int().iloc[1:])
    assert set(found["n"]) == {390}
    assert np.allclose(found["sd"], frame["corrective"].std())


def test_tost_and_verdicts_are_the_engine_s_rule():
    rng = np.random.default_rng(3)
    given = pd.DataFrame({
        "estimate": rng.normal(0, 0.2, 60), "se": rng.uniform(0.03, 0.2, 60), "df": 100.0,
        "bound": 0.2, "direction": rng.choice([-1, 0, 1], 60)})
    found = decide(given["estimate"], given["se"], given["df"], given["bound"],
                   given["direction"], 0.05, "none")
    given["p_adjusted"], given["p_equivalence"] = found.p_adjusted, tost(given)
    assert np.allclose(given["p_equivalence"], found.tost_p, rtol=1e-12, atol=1e-300)
    assert list(verdicts(given)) == found.names
    assert set(found.names) == {"supported", "refuted", "higher", "lower", "negligible",
                                "undecided"}


def test_corrected_intervals_never_contradict_the_verdict(record, frame):
    ids = {f"a.{k}": f"misalignment[T.{k}]" for k in KINDS[1:]}
    given = table(frame, ids)
    given["p_adjusted"] = np.minimum(1, 3 * given["p"])
    given["p_equivalence"] = np.minimum(1, 3 * tost(given))
    record.tests(given, dict.fromkeys(ids, "x"), fits=fit(frame))
    for entry in record.entries.values():
        low, high = entry.ci_corrected
        assert (low > 0 or high < 0) == (entry.p_adjusted < 0.05) \
            == (entry.verdict in ("higher", "lower"))
        low, high = entry.equivalence.ci_corrected
        inside = max(abs(low), abs(high)) < entry.equivalence.bound
        assert inside == (entry.equivalence.p_adjusted < 0.05)
        assert entry.status == "exploratory" and entry.vcov == "HC2" and entry.n == 390
    assert record.table(list(ids)).columns[0] == "Verdict"


def test_means_are_recorded_by_level_with_the_rows_that_were_analyzed(record, frame):
    one = fit(frame, "corrective ~ 0 + misalignment")
    means = record.means("corrective.mean", one, "Mean support")
    complete = frame.dropna()
    for kind in KINDS:
        entry = record.entries[f"corrective.mean.{kind}"]
        own = complete.loc[complete["misalignment"].eq(kind), "corrective"]
        assert entry.value == pytest.approx(own.mean())
        assert entry.n == len(own) and entry.status == "description"
        assert entry.label.startswith("Mean support: ")
        assert entry.unit == "points, 1 to 5"
    assert list(means["level"]) == KINDS


def test_one_estimate_is_one_short_call(record, frame):
    entry = record.estimate("extra", fit(frame), "misalignment[T.rival_arms]", "Arms, more")
    assert entry.value == pytest.approx(fit(frame).params["misalignment[T.rival_arms]"])
    assert entry.verdict is None and entry.ci and entry.status == "exploratory"
    with pytest.raises(LedgerError, match=r"misalignment\[T.rival_arms\]"):
        record.estimate("other", fit(frame), "misalignment[T.rival_arm]", "x")


def test_an_id_is_recorded_once(record):
    record.fact("x", 1, "one", unit="count")
    with pytest.raises(LedgerError, match="recorded twice"):
        record.fact("x", 2, "two", unit="count")


def test_a_value_that_is_not_finite_never_enters(record):
    with pytest.raises(ValueError, match="not finite"):
        record.fact("x", float("nan"), "nothing")


def test_a_group_that_is_not_registered_is_not_recorded(record, frame):
    with pytest.raises(LedgerError, match="one of: H1, H2, H3, measures"):
        record("H9", table(frame, {"x": "Intercept"}))
