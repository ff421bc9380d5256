"""Other studies: recorded results stand in for absent data, and nothing else does."""

import datetime
import hashlib
import json

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.ledger import external
from claimledger.ledger.merging import merge
from claimledger.project import Run, sha256_file
from claimledger.study import Study
from unhypothesized import write_registration

DATA = b"answer\n1\n"
SETTINGS = {"ledger": {
    "registration": "registration.yml", "data": "data/x.csv", "seed": 3, "lint": [],
    "external": {"other-one": {
        "registration": "registration.yml", "notebook": "b", "data": "elsewhere.csv",
        "sha256": hashlib.sha256(DATA).hexdigest(), "recorded": "recorded.json",
    }},
}, "manuscript": {"notebooks": [{"notebook": "a.ipynb"}, {"notebook": "b.ipynb"}]}}
OWN = {"file": "data/x.csv", "sha256": "ab" * 32, "status": "simulated", "world": "null"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_registration(tmp_path)
    (tmp_path / "_quarto.yml").write_text(yaml.safe_dump(SETTINGS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def one(folder):
    return external.named(Run.open(folder), "other-one")


def found(folder, value=1.25):
    """What notebook b finds on the other study's data."""
    entry = {"id": "b.mean", "label": "Mean", "value": value, "status": "description",
             "notebook": "b", "text": {"est": "1.25"}}
    return {
        "notebook": "b", "external": "other-one", "entries": {"b.mean": entry},
        "exhibits": {}, "deviations": [],
        "data": {"file": "elsewhere.csv", "sha256": hashlib.sha256(DATA).hexdigest(),
                 "status": "collected"},
        "registration": {"file": "registration.yml",
                         "sha256": sha256_file(folder / "registration.yml")},
    }


def keep(one, folder):
    return external.keep(one, found(folder), datetime.date(2026, 1, 2))


def test_the_data_count_only_with_the_right_bytes(folder, one):
    assert not one.present
    one.data.write_bytes(DATA)
    assert one.present
    one.data.write_bytes(DATA + b"2\n")
    with pytest.raises(LedgerError, match="the data of other-one"):
        _ = one.present
    with pytest.raises(LedgerError, match="no such file"):
        external.placed(Run.open(folder), ["other-one=typo.csv"])


def test_a_place_is_named_by_study_and_file(folder):
    for wrong, said in (("another=x.csv", "one of: other-one"), ("other-one=", "NAME=FILE"),
                        ("other-one", "NAME=FILE")):
        with pytest.raises(LedgerError, match=said):
            external.placed(Run.open(folder), [wrong])
    (folder / "here.csv").write_bytes(DATA)
    run = external.placed(Run.open(folder), ["other-one=here.csv"])
    assert external.named(run, "other-one").data == folder / "here.csv"


def test_recorded_results_belong_to_these_data_and_this_registration(folder, one):
    with pytest.raises(LedgerError, match=r"no recorded.json"):
        external.recorded(one)
    path = keep(one, folder)
    assert external.recorded(one)["recorded"] == "2026-01-02"
    for part in ("data", "registration"):
        spoilt = json.loads(path.read_text())
        spoilt[part]["sha256"] = "0" * 64
        path.write_text(json.dumps(spoilt))
        with pytest.raises(LedgerError, match=f"results from {part} with SHA-256 0000"):
            external.recorded(one)
        keep(one, folder)


def test_what_was_not_computed_is_not_recorded(folder, one):
    with pytest.raises(LedgerError, match="--external other-one=FILE"):
        external.keep(one, found(folder) | {"recorded": "2026-01-02"}, datetime.date.today())


def test_a_notebook_without_its_data_holds_the_recorded_results_and_says_so(folder, one):
    keep(one, folder)
    study = Study.open("b", "registration.yml", "elsewhere.csv", 3)
    assert not study.has_data and not study.simulated
    assert study.record.entries["b.mean"].recorded
    with pytest.raises(LedgerError, match="if study.has_data"):
        _ = study.frame
    study.save()
    own = {"notebook": "a", "data": OWN, "entries": {}, "exhibits": {}, "deviations": []}
    run = Run.open(folder)
    (run.fragments / "a.json").write_text(json.dumps(own))
    ledger = json.loads(merge(run).read_text())
    entry = ledger["entries"]["b.mean"]
    assert (entry["recorded"], entry["source"], entry["value"]) == (True, "other-one", 1.25)
    header = ledger["header"]["external"]["other-one"]
    assert (header["recorded"], header["status"]) == ("2026-01-02", "collected")
    assert ledger["header"]["status"] == "simulated"


def test_computed_results_must_be_the_recorded_ones(folder, one):
    keep(one, folder)
    external.require_same(one, found(folder, 1.25 * (1 + 1e-10)))
    with pytest.raises(LedgerError, match=r"1 difference.*b\.mean: moved \(value\)"):
        external.require_same(one, found(folder, 1.2501))
    more = found(folder)
    more["entries"]["b.other"] = more["entries"]["b.mean"]
    with pytest.raises(LedgerError, match=r"b\.other: not recorded"):
        external.require_same(one, more)
    drawn = found(folder) | {"exhibits": {"fig-b": {"kind": "figure"}}}
    with pytest.raises(LedgerError, match="other exhibits"):
        external.require_same(one, drawn)
    renamed = found(folder)
    renamed["entries"]["b.mean"]["verdict"] = "higher"
    with pytest.raises(LedgerError, match=r"b\.mean: verdict"):
        external.require_same(one, renamed)
