"""The tax conjoint of cregg through the engine's own path: its effects are the printed ones."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
import yaml
from statsmodels.stats.multitest import multipletests

from claimledger import tost, verdicts
from claimledger.errors import LedgerError
from claimledger.ledger.merging import merge
from claimledger.project import Run
from claimledger.registration.loading import load
from claimledger.registration.lock import freeze
from claimledger.study import Study
from claimledger.survey.loading import open_survey

FEATURES = {  # levels as they stand in the file, the baseline first
    "taxrate1": ["<10k: 0%", "<10k: 5%", "<10k: 15%", "<10k: 25%"],
    "taxrate2": ["10-35k: 5%", "10-35k: 15%", "10-35k: 25%", "10-35k: 35%"],
    "taxrate3": ["35-85k: 5%", "35-85k: 15%", "35-85k: 25%", "35-85k: 35%"],
    "taxrate4": ["85-175k: 5%", "85-175k: 15%", "85-175k: 25%", "85-175k: 35%"],
    "taxrate5": ["175-375k: 5%", *(f"175-375k: {p}%" for p in (15, 25, 35, 45))],
    "taxrate6": [">375k: 5%", *(f">375k: {p}%" for p in (15, 25, 35, 45, 55))],
    "taxrev": ["<75%", "75-95%", "95-105%", "105-125%", ">125%"],
}
MODEL = "chose ~ " + " + ".join(FEATURES)


def level(feature: str, place: int) -> str:
    return f"{feature}_{place}"


def factor(feature: str, texts: list[str]) -> dict:
    return {"label": feature, "mark": "public", "levels": {
        level(feature, i): {"label": text, "text": text, "probability": 1 / len(texts),
                            "mark": "assumed"} for i, text in enumerate(texts)}}


def comparison(feature: str, weighted: bool) -> dict:
    name = f"{'weighted' if weighted else 'AMCE'}.{feature}"
    return {
        "id": name, "estimand": f"Effect of {feature} on the choice of a plan", "outcome": "chose",
        "frame": "profiles", "sample": "all", "model": MODEL, "vcov": "survey",
        "weighted": weighted,
        "levels": [level(feature, i) for i in range(1, len(FEATURES[feature]))],
        "term": f"{feature}[T.{{level}}]", "pairs": "reference", "family": name.replace(".", "_"),
        "sesoi": 0.2,
        "role": "primary",
    }


def registration() -> dict:
    return {
        "schema": 1,
        "study": {"title": "Taxes", "short": "taxes", "authors": [{"name": "cregg"}],
                  "citation": "cregg", "question": "Which tax plans are chosen?", "size": 2000,
                  "population": "see cregg", "public": [], "assumed": ["probabilities"]},
        "design": {"factors": {name: factor(name, texts) for name, texts in FEATURES.items()},
                   "vignette": {"opening": "", "order": list(FEATURES), "closing": ""},
                   "respondent": "ID"},
        "instrument": {
            "scales": {"chosen": {"kind": "ordinal", "labels": {0: "Not chosen", 1: "Chosen"}}},
            "blocks": {"plans": "Plans"}, "derived": {}, "covariates": [],
            "items": {"chose": {"wording": "Which plan?", "label": "Choice", "scale": "chosen",
                                "block": "plans", "role": "outcome"}},
        },
        "exclusions": [], "samples": {"all": {}},
        "weighting": {"column": "weight", "note": "as distributed"},
        "families": {f"{kind}_{f}": {"label": f, "correction": "holm", "alpha": 0.05}
                     for kind in ("AMCE", "weighted") for f in FEATURES},
        "hypotheses": [], "robustness": {},
        "comparisons": [comparison(f, w) for w in (False, True) for f in FEATURES],
    }


@pytest.fixture(scope="module")
def real(root) -> Path:
    folder = Path(os.environ.get("CLAIMLEDGER_REALDATA", root.parent / "shared" / "realdata"))
    if not (folder / "cregg" / "taxes.csv").is_file():
        pytest.skip("the tax conjoint is not here (set CLAIMLEDGER_REALDATA)")
    return folder


def project(folder: Path, data: str) -> Path:
    """A folder with the registration, frozen, and the settings that name the data."""
    import datetime

    (folder / "registration.yml").write_text(yaml.safe_dump(registration(), sort_keys=False))
    (folder / "mapping.yml").write_text("columns: {chose_plan: chose}\n")
    freeze(folder / "registration.yml", datetime.date(2026, 1, 2))
    (folder / "_quarto.yml").write_text(yaml.safe_dump({
        "ledger": {"registration": "registration.yml", "data": data, "mapping": "mapping.yml",
                   "seed": 1, "lint": []},
        "manuscript": {"notebooks": [{"notebook": "taxes.ipynb"}]},
    }))
    return folder


@pytest.fixture(scope="module")
def ledger(real, tmp_path_factory) -> dict:
    """From the registration and the file to the ledger, as a notebook would go."""
    data = str(real / "cregg" / "taxes.csv")
    folder = project(tmp_path_factory.mktemp("taxes"), data)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = Study.open("taxes", "registration.yml", data, 1)
    frame = study.frame
    plain = smf.ols(MODEL, frame).fit()
    weighted = smf.wls(MODEL, frame, weights=study.weights).fit()

    def table(fit, name, correction="survey"):
        found = study.results(fit, name, groups=frame["respondent"], correction=correction)
        found["p_adjusted"] = multipletests(found["p"], method="holm")[1]
        found["p_equivalence"] = multipletests(tost(found), method="holm")[1]
        return found.assign(verdict=verdicts(found))

    for feature in FEATURES:
        for name, fit in (("AMCE", plain), ("weighted", weighted)):
            study.record(f"{name}.{feature}", table(fit, f"{name}.{feature}"))
    for fit, correction in ((plain, "CR2"), (weighted, "survey")):
        with pytest.raises(LedgerError, match=r"claimledger deviate --analysis AMCE.taxrev"):
            study.record("AMCE.taxrev", table(fit, "AMCE.taxrev", correction))
    study.save()
    return json.loads(merge(Run.open(folder)).read_text("utf-8"))


def test_effects_and_errors_in_the_ledger_are_the_printed_ones(real, ledger):
    printed = pd.read_csv(real / "published.csv").query("dataset == 'cregg_taxes'")
    names = {}
    for feature, texts in FEATURES.items():
        for i, text in enumerate(texts):
            for label, id in (("unweighted", "AMCE"), ("weighted", "weighted")):
                key = f"{id}.{feature}.{level(feature, i)}"
                for what, field in (("AMCE", "value"), ("SE", "se")):
                    names[f"{what} {label} {feature}[T.{text}]"] = (key, field)
    assert len(printed) == 100
    for row in printed.itertuples():
        key, field = names[row.quantity]
        half_unit = 0.5 * 10.0**-row.printed_decimals * (1 + 1e-6)
        assert abs(ledger["entries"][key][field] - row.published) <= half_unit, row.quantity


def test_the_ledger_counts_respondents_and_names_the_variance(ledger):
    for entry in (e for e in ledger["entries"].values() if e.get("decision") == "comparison"):
        assert (entry["n"], entry["df"], entry["vcov"]) == (2000, 1999, "survey")
        assert entry["status"] == "registered"
        assert entry["model"].endswith("(weighted)") == entry["id"].startswith("weighted")


@pytest.mark.parametrize(("column", "cell", "said"), [
    ("ID", "", "rows that are nobody's"), ("weight", "0", "without a weight above zero"),
])
def test_a_profile_needs_a_respondent_and_a_weight(tmp_path, column, cell, said):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({name: rng.choice(texts, 400) for name, texts in FEATURES.items()})
    rows = rows.assign(chose_plan=rng.integers(0, 2, 400), ID=np.repeat(np.arange(100), 4),
                       weight=1.5).astype(str)
    folder = project(tmp_path, "plans.csv")
    path, promise = tmp_path / "plans.csv", load(folder / "registration.yml")
    rows.to_csv(path, index=False)
    survey = open_survey(path, promise, folder, folder / "mapping.yml")
    assert survey.frame["respondent"].tolist() == np.repeat(np.arange(1, 101), 4).tolist()
    assert survey.weights.eq(1.5).all()
    rows.loc[7, column] = cell
    rows.to_csv(path, index=False)
    with pytest.raises(LedgerError, match=said):
        open_survey(path, promise, folder, folder / "mapping.yml")
    rows.drop(columns=column).to_csv(path, index=False)
    with pytest.raises(LedgerError, match=f"{column}: no such column"):
        open_survey(path, promise, folder, folder / "mapping.yml")
