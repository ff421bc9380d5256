import json
from types import SimpleNamespace

import pytest

from claimledger.errors import LedgerError
from claimledger.ledger import merging
from claimledger.ledger.merging import merge
from claimledger.project import Run
from unhypothesized import write_registration

DATA = {"file": "data/x.csv", "sha256": "ab" * 32, "status": "simulated", "world": "null"}


def fragment(id, data=DATA):
    entry = {"id": id, "label": id, "value": 1.0, "status": "description", "text": {"est": "1"}}
    return {"notebook": "x", "data": data, "entries": {id: entry}, "deviations": [],
            "exhibits": {f"fig-{id}": {"kind": "figure", "alt": "a"}}}  # fmt: skip


@pytest.fixture
def run(root, tmp_path):
    write_registration(tmp_path)
    (tmp_path / "_quarto.yml").write_text(
        "ledger: {registration: registration.yml, data: data/x.csv, seed: 3, lint: []}\n"
        "manuscript:\n  notebooks:\n"
        "    - notebook: build/notebooks/a.ipynb\n    - notebook: build/notebooks/b.ipynb\n")
    run = Run.open(tmp_path)
    run.fragments.mkdir(parents=True)
    return run


def put(run, stem, content):
    (run.fragments / f"{stem}.json").write_text(json.dumps(content))


def test_fragments_become_one_ledger(run):
    put(run, "a", fragment("one"))
    put(run, "b", fragment("two"))
    content = json.loads(merge(run).read_text())
    lock = ["registration.amendments", "registration.frozen"]
    assert list(content["entries"]) == sorted(["one", "two", *lock])
    assert content["exhibits"]["fig-two"]["notebook"] == "b"
    header = content["header"]
    assert (header["status"], header["seed"], header["data"]["world"]) == ("simulated", 3, "null")
    before = run.ledger.read_bytes()
    merge(run)
    assert run.ledger.read_bytes() == before


def test_what_does_not_fit_together_is_refused(run):
    put(run, "a", fragment("one"))
    with pytest.raises(LedgerError, match="study.save"):
        merge(run)
    put(run, "b", fragment("one"))
    with pytest.raises(LedgerError, match="also recorded by a"):
        merge(run)
    put(run, "b", fragment("two", DATA | {"sha256": "cd" * 32}))
    with pytest.raises(LedgerError, match="same data"):
        merge(run)
    assert not run.ledger.exists()


def test_a_changed_registration_stops_the_merge(run):
    put(run, "a", fragment("one"))
    put(run, "b", fragment("two"))
    run.registration.write_text(run.registration.read_text() + "# later\n")
    with pytest.raises(LedgerError, match="changed since it was frozen"):
        merge(run)


def test_warnings_about_the_data_are_told_once(run, monkeypatch):
    survey = SimpleNamespace(warnings=["columns that are not registered"])
    monkeypatch.setattr(merging, "open_survey", lambda *_: survey)
    monkeypatch.setattr(merging, "Audit", SimpleNamespace(of=lambda *_: None))
    monkeypatch.setattr(merging, "groups", lambda registration: ["main"])
    monkeypatch.setattr(merging, "provenance", lambda run, survey: DATA)
    monkeypatch.setattr(merging, "audited", lambda audit, own, origin, part: (own, []))
    put(run, "a", fragment("one"))
    put(run, "b", fragment("two"))
    told = []
    merge(run, tell=told.append)
    assert told == ["x.csv: warning: columns that are not registered"]
