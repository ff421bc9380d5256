"""The record of a notebook: verdicts, deviations, ranks, and what it refuses."""

import datetime

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from claimledger.errors import LedgerError
from claimledger.ledger.recording import Estimand, Record
from claimledger.registration.loading import load
from claimledger.registration.lock import Deviation, Lock
from claimledger.statistics.contrasts import Fitted

KINDS = ["underspending", "rival_arms", "refused_operation", "blocked_accession"]


@pytest.fixture(scope="module")
def registration(root):
    return load(root / "registration.yml")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    n = 1200
    levels = {"misalignment": KINDS, "regime": ["nondemocracy", "democracy"],
              "capability": ["weak", "strong"], "treaty": ["unsigned", "signed"]}  # fmt: skip
    data = pd.DataFrame({k: pd.Categorical(rng.choice(v, n), v) for k, v in levels.items()})
    data["corrective"] = rng.normal(size=n) - 0.5 * data["regime"].eq("democracy")
    return data


def record_for(registration, frame, deviations=()):
    lock = Lock(registration="r", sha256="0", frozen=datetime.date(2026, 1, 1),
                deviations=list(deviations))  # fmt: skip
    return Record("05_test", registration, lock, lambda a: frame["corrective"].to_numpy())


def fit(frame, formula="corrective ~ misalignment + regime + capability + treaty", **options):
    return smf.ols(formula, data=frame).fit(**{"cov_type": "HC2", "use_t": True} | options)


def test_a_family_is_decided_as_registered(registration, frame):
    record = record_for(registration, frame)
    one = fit(frame)
    table = record.family("H3", H3a=one, H3b=one, H3c=one)
    entry = record.entries["H3a"]
    assert entry.verdict == "supported"
    assert entry.status == "registered"
    assert entry.value == pytest.approx(one.params["regime[T.democracy]"])
    assert entry.se == pytest.approx(one.bse["regime[T.democracy]"])
    assert entry.p == pytest.approx(one.pvalues["regime[T.democracy]"])
    assert entry.p_adjusted == pytest.approx(3 * entry.p)
    assert entry.ci == pytest.approx(one.conf_int().loc["regime[T.democracy]"].tolist())
    assert entry.equivalence.bound == pytest.approx(0.2 * frame["corrective"].std())
    assert entry.unit == "points, 1 to 5"
    assert list(table["Verdict"]) == [record.entries[h].verdict for h in ("H3a", "H3b", "H3c")]
    assert record.entries["H3.pattern"].verdict == "some"


def test_the_sign_flips_the_verdict(registration, frame):
    flipped = frame.assign(corrective=-frame["corrective"])
    record = record_for(registration, flipped)
    one = fit(flipped)
    record.family("H3", H3a=one, H3b=one, H3c=one)
    assert record.entries["H3a"].verdict == "refuted"
    assert record.entries["H3.pattern"].verdict == "none"


def test_a_family_must_be_whole(registration, frame):
    with pytest.raises(LedgerError, match="H3a, H3b, H3c"):
        record_for(registration, frame).family("H3", H3a=fit(frame))


@pytest.mark.parametrize(
    ("change", "aspect"),
    [
        (lambda f: fit(f, "corrective ~ regime + capability + treaty"), "model"),
        (lambda f: fit(f, cov_type="HC3"), "vcov"),
        (lambda f: fit(f.iloc[:-1]), "sample"),
        (lambda f: fit(f.assign(corrective=f["corrective"] * 2)), "outcome"),
    ],
)
def test_an_undeclared_difference_stops(registration, frame, change, aspect):
    one = change(frame)
    with pytest.raises(LedgerError, match=rf"H3a, {aspect}"):
        record_for(registration, frame).family("H3", H3a=one, H3b=one, H3c=one)


def test_a_declared_difference_becomes_a_row(registration, frame):
    declared = [Deviation(analysis=h, aspect="vcov", run="HC3", reason="r", when="w", impact="i")
                for h in ("H3a", "H3b", "H3c")]  # fmt: skip
    record = record_for(registration, frame, declared)
    one = fit(frame, cov_type="HC3")
    record.family("H3", H3a=one, H3b=one, H3c=one)
    assert record.entries["H3a"].status == "deviation"
    assert record.entries["H3a"].deviation == "vcov: HC3 instead of HC2"
    assert [d["id"] for d in record.deviations] == ["H3a", "H3b", "H3c"]
    assert record.deviations[0]["registered"] == "HC2"


def test_normal_p_values_and_plain_errors_are_refused(registration, frame):
    record = record_for(registration, frame)
    with pytest.raises(LedgerError, match="use_t"):
        Fitted(smf.ols("corrective ~ regime", frame).fit(cov_type="HC2"))
    plain = Fitted(smf.ols("corrective ~ regime", frame).fit())
    with pytest.raises(LedgerError, match="nonrobust"):
        record.tests([Estimand("x", "x", plain, {"regime[T.democracy]": 1.0})])


def test_an_unknown_term_names_the_known_ones(frame):
    with pytest.raises(LedgerError, match=r"regime\[T.democracy\]"):
        Fitted(fit(frame, "corrective ~ regime")).contrast({"regime[T.demcracy]": 1.0})


def test_an_id_is_recorded_once(registration, frame):
    record = record_for(registration, frame)
    record.fact("x", 1, "one", unit="count")
    with pytest.raises(LedgerError, match="recorded twice"):
        record.fact("x", 2, "two", unit="count")


def test_a_value_that_is_not_finite_never_enters(registration, frame):
    with pytest.raises(ValueError, match="not finite"):
        record_for(registration, frame).fact("x", float("nan"), "nothing")


def test_ranks_follow_the_corrected_pairs(registration, frame):
    shift = {k: 3.0 * i for i, k in enumerate(KINDS)}
    moved = frame["corrective"] + frame["misalignment"].map(shift).astype(float)
    apart = frame.assign(corrective=moved)
    for data, verdict in ((apart, "clear"), (frame, "tied")):
        record = record_for(registration, data)
        record.comparison("corrective.between", fit(data, "corrective ~ 0 + misalignment"))
        assert record.entries["corrective.between.top"].verdict == verdict
    record = record_for(registration, apart)
    record.comparison("corrective.between", fit(apart, "corrective ~ 0 + misalignment"))
    top, bottom = (record.entries[f"corrective.between.{end}"].text for end in ("top", "bottom"))
    assert top == top | {"name": "blocked a new member", "second": "refused joint operation"}
    assert bottom["name"] == "underspending on defence"
    pair = record.entries["corrective.between.underspending.blocked_accession"]
    assert pair.verdict == "lower"
    assert pair.value == pytest.approx(-9, abs=0.5)
