"""A real export, where it is on the machine: the authors of its study kept the same 400."""

from pathlib import Path

import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.survey.loading import examine, open_survey, provenance
from claimledger.survey.reading import read_export
from claimledger.survey.recoding import exclude
from exports import check, coded

REGISTRATION = """
schema: 1
study: {title: T, short: s, authors: [{name: N}], citation: c, question: q, population: p,
        size: 400, public: [], assumed: []}
design: {factors: {}, vignette: {opening: "", order: [], closing: ""}}
instrument:
  scales:
    agreed: {kind: nominal, labels: {1: "Yes", 2: "No"}}
    word: {kind: nominal, labels: {1: Right, 2: Commander, 3: Find, 4: Assemble, 5: Understand}}
    ideology:
      kind: ordinal
      labels: {1: Extremely liberal, 2: Liberal, 3: Slightly liberal,
               4: "Moderate; middle of the road", 5: Slightly conservative, 6: Conservative,
               7: Extremely conservative, 8: "Haven’t thought about this"}
  blocks: {all: All}
  items:
    consent: {label: c, role: consent, scale: agreed, block: all, wording: w}
    word: {label: w, role: attention, scale: word, block: all, passes: [4], wording: w}
    ideology: {label: i, role: background, scale: ideology, block: all, wording: w}
  derived: {}
  covariates: []
exclusions:
  - {id: consent, label: No consent, column: consent, differs_from: [1]}
  - {id: attention, label: Failed the check, column: word, differs_from: [4]}
  - {id: unfinished, label: Did not finish, column: Finished, differs_from: ["True", 1]}
samples: {all: {}}
families: {}
hypotheses: []
comparisons: []
robustness: {}
"""


@pytest.fixture(scope="module")
def real(realdata) -> Path:
    if not (realdata / "projoint").is_dir():
        pytest.skip("the real export is not here (set CLAIMLEDGER_REALDATA)")
    return realdata


@pytest.fixture(scope="module")
def opened(real, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    (folder / "registration.yml").write_text(REGISTRATION, encoding="utf-8")
    (folder / "mapping.yml").write_text(
        "columns: {Q1.2: consent, Q3.1: word, Q2.9: ideology}\n", encoding="utf-8")
    registration = load(folder / "registration.yml")
    path = real / "projoint" / "mummolo_nall_replication.csv"
    return path, registration, folder / "mapping.yml"


def test_the_same_400_in_the_same_order(real, opened):
    path, registration, mapping = opened
    read = read_export(path, registration, mapping)
    survey = examine(read, registration)
    assert provenance(path, read.columns) == ("collected", None, None)
    assert survey.flow["left"].tolist() == [518, 498, 425, 400]
    cleaned = pd.read_csv(real / "projoint" / "mummolo_nall_replication_cleaned.csv", dtype=str)
    labels = registration.instrument.scales["ideology"].labels
    assert survey.frame["ideology"].map(labels).tolist() == cleaned["ideology"].tolist()
    frame, _ = coded(read, registration)
    kept, _ = exclude(frame, registration)
    assert kept["ResponseId"].tolist() == cleaned["ResponseId"].tolist()


def test_header_rows_and_columns_that_are_not_registered(opened):
    path, registration, mapping = opened
    problems = check(path, registration, mapping)
    assert {p.severity for p in problems} == {"warning"}
    assert "K-1-1" in {p.column for p in problems}


def test_choices_and_features_are_the_authors_cell_by_cell(real, opened):
    path, registration, mapping = opened
    read = read_export(path, registration, mapping)
    frame, _ = coded(read, registration)
    kept = read.cells.loc[exclude(frame, registration)[0].index]
    cleaned = pd.read_csv(real / "projoint" / "mummolo_nall_replication_cleaned.csv", dtype=str,
                          keep_default_na=False)
    for number in range(1, 9):          # what the authors call choice 1 to 8
        assert kept[f"Q4.{number + 1}"].tolist() == cleaned[f"choice{number}"].tolist()
    turned = kept["Q6.1"].map({"Community A": "Community B", "Community B": "Community A"})
    repeated = kept["Q5.1"].where(kept["Q5.1"] != "", turned)      # the other, mirrored
    assert repeated.tolist() == cleaned["choice1_repeated_flipped"].tolist()
    features = [name for name in cleaned if name.startswith("K-")]
    assert len(features) == 168
    assert kept[features].to_numpy().tolist() == cleaned[features].to_numpy().tolist()
    assert read.form == "CSV, UTF-8, commas, 3 header rows" and read.doubts == []


@pytest.mark.parametrize(("name", "form", "records"), [
    ("legacy_two_header_rows", "CSV, UTF-8 with byte-order mark, commas, 2 header rows", 5),
    ("insights_single_quoted_import_ids", "CSV, UTF-8, commas, 3 header rows", 5),
    ("legacy_matrix_items", "CSV, UTF-8, commas, 3 header rows", 5),
    ("legacy_text_entry", "CSV, UTF-8, commas, 3 header rows", 15),
])
def test_older_formats_are_told_apart(real, opened, name, form, records):
    _, registration, _ = opened
    path = real / "survey-exports" / f"{name}.csv"
    read = read_export(path, registration)
    assert (read.form, len(read.cells)) == (form, records)
    assert read.cells["ResponseId"].str.startswith("R_").all()
    assert read.cells["StartDate"].str.startswith("201").all()
    assert {"Finished", "Status", "LocationLatitude"} < set(read.cells)
    with pytest.raises(LedgerError, match="consent"):
        open_survey(path, registration, real)
