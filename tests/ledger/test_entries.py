import json

import pytest

from claimledger.errors import LedgerError
from claimledger.ledger.entries import VERDICTS, Entry, dump, load_ledger


def entry(**changes):
    return Entry(**{"id": "x", "label": "x", "value": 0.5, "status": "description"} | changes)


def test_a_verdict_must_belong_to_its_decision():
    assert entry(decision="rank", verdict="clear", verdicts=VERDICTS["rank"]).verdict == "clear"
    with pytest.raises(ValueError, match="not one of"):
        entry(decision="rank", verdict="supported")


def test_records_are_short_and_stable():
    one = entry(value=1 / 3, text={"est": "0.33"}).record()
    assert one["value"] == 0.3333333333
    assert "se" not in one
    assert "verdicts" not in one
    assert dump({"b": 1, "a": one}) == dump({"a": one, "b": 1})
    assert dump({"b": 1, "a": 2}).index('"a"') < dump({"b": 1, "a": 2}).index('"b"')


def test_a_ledger_is_read_back_or_refused(tmp_path):
    path = tmp_path / "ledger.json"
    with pytest.raises(LedgerError, match="make paper"):
        load_ledger(path)
    path.write_text(json.dumps({"entries": {"x": entry().record()}}))
    assert load_ledger(path)["entries"]["x"]["value"] == 0.5
    path.write_text(path.read_text()[:-5])
    with pytest.raises(LedgerError, match="a ledger of results"):
        load_ledger(path)
    path.write_text(json.dumps({"entries": {"x": {"id": "x"}}}))
    with pytest.raises(LedgerError, match="label"):
        load_ledger(path)
