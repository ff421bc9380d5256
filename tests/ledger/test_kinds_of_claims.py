"""Every kind of claim that can be frozen can be recorded from a notebook, or is refused before."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
import yaml
from statsmodels.stats.multitest import multipletests

from claimledger.errors import LedgerError
from claimledger.ledger.audit import dry_run, rehearsal
from claimledger.ledger.merging import handed_over
from claimledger.ledger.recording import Record
from claimledger.ledger.results import tost, verdicts
from claimledger.registration.loading import load
from claimledger.study import Study

MODEL = "corrective ~ regime + treaty"
BOTH = ["regime[T.democracy]", "treaty[T.signed]"]
CLAIM = {"statement": "s", "estimand": "e", "outcome": "corrective", "model": MODEL, "family": "K",
         "direction": "two-sided"}
DEMOCRACY = {"contrast": {BOTH[0]: 1}}
CLAIMS = {
    "joint": {"joint": BOTH, "sesoi": 0.2},
    "noninferior": DEMOCRACY | {"direction": "non-inferiority", "sesoi": 0.2,
                                "margin": {"value": 3, "unit": "points"}},
    "null": DEMOCRACY | {"direction": "null", "sesoi": 3.0},
    "open": DEMOCRACY,
    "logit": DEMOCRACY | {"estimator": "logit", "outcome": "keen", "model": "keen ~ regime * age",
                          "sesoi": {"value": 5, "unit": "percentage points"}},
    "probit": {"contrast": {"age": 1}, "estimator": "probit", "outcome": "keen",
               "model": "keen ~ regime + age", "at": {"age": [40]}},
    "marked": DEMOCRACY | {"model": "corrective ~ regime + age + party3", "missing": "indicator"},
    "imputed": DEMOCRACY | {"model": "corrective ~ regime + age", "missing": "impute"}}
BY_AGE = {"id": "ages", "estimand": "e", "outcome": "corrective", "family": "L", "at":
          {"age": [30, 60.5]}, "model": "corrective ~ regime * age", "levels": ["democracy"],
          "term": "regime[T.{level}]", "sesoi": 0.2}
OWN = ("logit", "probit", "marked", "imputed")


def written(root, path, claims: dict, comparisons=()):
    content = yaml.safe_load((root / "registration.yml").read_text(encoding="utf-8"))
    content["families"] |= {"K": {"label": "K"}, "L": {"label": "L"}}
    content["instrument"]["derived"]["keen"] = {"label": "Keen", "of": "trust", "yes": [4, 5]}
    content["hypotheses"] = [{"id": id} | CLAIM | one for id, one in claims.items()]
    content["comparisons"] = list(comparisons)
    path = path / "registration.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return path


@pytest.fixture(scope="module")
def study(root, tmp_path_factory):
    path = written(root, tmp_path_factory.mktemp("kinds"), CLAIMS, [BY_AGE])
    registration = load(path)
    audit = rehearsal(registration)
    record = Record("01_kinds", registration, audit)
    survey = SimpleNamespace(frame=audit.frame, weights=audit.weigh())
    return Study(None, registration, audit.lock, survey, record)


def corrected(table: pd.DataFrame) -> pd.DataFrame:
    table["p_adjusted"] = multipletests(table["p"], method="holm")[1]
    table["p_equivalence"] = multipletests(tost(table), method="holm")[1]
    return table.assign(verdict=verdicts(table))


def fitted(model: str, rows: pd.DataFrame):
    return smf.ols(model, data=rows).fit(cov_type="HC2", use_t=True)


@pytest.mark.slow
def test_a_family_of_every_kind_is_recorded_from_plain_fits(study):
    fit = fitted(MODEL, study.frame)
    table = corrected(study.results(
        {id: None if id in OWN else fit for id in CLAIMS}, "K"))
    with pytest.raises(LedgerError, match="joint"):
        study.record("K", table.assign(statistic=table["statistic"] * 1.01))
    study.record("K", table)
    found, f = study.record.entries, fit.f_test(", ".join(f"{name} = 0" for name in BOTH))
    joint = found["joint"]
    assert joint.unit == "F" and joint.ci is None and joint.equivalence is None
    assert joint.verdicts == ["supported", "undecided"] and joint.text["df1"] == "2"
    assert (joint.value, joint.df) == (pytest.approx(float(f.fvalue)), f.df_denom)
    assert joint.p == pytest.approx(float(f.pvalue))
    # Three points worse is far away on this scale: that the effect is above is plain.
    assert found["noninferior"].verdict == "supported"
    assert found["noninferior"].equivalence.bound == 3
    assert found["null"].verdict == "supported" and found["open"].equivalence is None
    assert found["logit"].unit == "percentage points" and found["logit"].equivalence.bound == 0.05
    shown = study.record.table(list(CLAIMS))
    assert shown.loc["joint", "Estimate"].startswith("*F* = ")
    assert shown["Equiv. *p*"].ne("").to_dict() | {"noninferior": False, "null": True} == shown[
        "Equiv. *p*"].ne("").to_dict()
    assert np.isnan(study.record.numbers(["joint"]).loc["joint", "low"])
    # What a build reads back from the notebook's entries is compared with the audit once more.
    study.record.audit.compare("K", {id: handed_over(found[id].record()) for id in CLAIMS}, "here")


@pytest.mark.slow
def test_what_can_be_recorded_is_not_refused(root, tmp_path):
    dry_run(written(root, tmp_path, CLAIMS, [BY_AGE]))


def test_the_margin_and_not_the_smallest_effect_decides_non_inferiority(root, tmp_path):
    claim = CLAIMS["noninferior"]
    sizes = {0.001: "undecided", 3: "supported"}
    for margin, verdict in sizes.items():
        one = claim | {"margin": {"value": margin, "unit": "points"}}
        audit = rehearsal(load(written(root, tmp_path, {"N": one})))
        row = audit.table("K").loc["N"]
        assert (row["bound"], row["verdict"]) == (margin, verdict)


def test_effects_at_several_values_of_a_moderator_have_ids_of_their_own(study):
    rows = study.frame.dropna(subset=["age", "corrective"])
    fits = {f"ages.democracy.age_{at:g}": fitted(f"corrective ~ regime * I(age - {at})", rows)
            for at in (30, 60.5)}
    study.record("ages", corrected(study.results(fits, "ages")))
    for id in fits:
        assert study.record.entries[id].status == "registered"
    assert study.record.entries["ages.democracy.age_60.5"].label.endswith("60.5")


@pytest.mark.parametrize("claim, key", [
    ({"joint": [BOTH[0], BOTH[0]]}, "H9"),  # singular
    ({"joint": [BOTH[0], "capability[T.strong]"]}, "H9"),
    ({"contrast": {"regime[T.democracy]:age": 1}, "estimator": "logit", "outcome": "keen",
      "model": "keen ~ regime * age"}, "H9.contrast")])
def test_what_cannot_be_recorded_is_refused_with_id_and_line(root, tmp_path, claim, key):
    with pytest.raises(LedgerError) as told:
        dry_run(written(root, tmp_path, {"H9": claim}))
    assert key in told.value.where and "line " in told.value.where
    assert told.value.found and told.value.mend


def test_designs_of_clusters_blocks_and_a_weighted_sample_can_be_frozen(root, tmp_path):
    """Arms of whole clusters within blocks, sampled units within strata: as drawn at random too."""
    path = written(root, tmp_path, {
        "C": CLAIM | DEMOCRACY | {"vcov": "CR2"},
        "S": CLAIM | DEMOCRACY | {"vcov": "survey", "weighted": True}})
    content = yaml.safe_load(path.read_text("utf-8"))
    content["design"] |= {"clusters": "classroom", "blocks": "region_of_school"}
    content["weighting"] = {"column": "weight", "strata": "stratum", "clusters": "psu"}
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf-8")
    dry_run(path)
