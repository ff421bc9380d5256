"""A stranger's file is data: it is read within limits, and shown without its control characters."""

import json
from time import monotonic

import pytest

from claimledger.errors import LedgerError
from claimledger.replication import published
from claimledger.replication.published import parse, plain, read_published
from published_paper import found_here, html


def test_a_ledger_is_found_in_a_page_a_file_and_a_folder(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/ledger.json").write_text(json.dumps(found_here()))
    assert read_published(tmp_path).page is None
    (tmp_path / "_manuscript").mkdir()
    (tmp_path / "_manuscript/index.html").write_text(html(found_here()))
    in_folder = read_published(tmp_path)
    assert in_folder.name == "index.html" and len(in_folder.page.claims) == 4
    alone = read_published(tmp_path / "results/ledger.json")
    assert alone.ledger == in_folder.ledger
    assert alone.ledger["entries"]["H1"]["value"] == -0.2112345678


@pytest.mark.parametrize(("content", "found"), [
    ("", "Expecting value"), ("[]", "valid dictionary"), ("{}", "Field required"),
    ('{"header": {}, "entries": {}}', "entries: Dictionary should have at least 1 item"),
    ('{"header": {}, "entries": {"H1": {"value": "0.1"}}}', "entries.H1.value"),
    ('{"header": {}, "entries": {"H1": {"value": true}}}', "entries.H1.value"),
    ('{"header": {}, "entries": {"H1": {"value": NaN}}}', "NaN is no number"),
    ('{"header": {}, "entries": {"H1": {"value": 1e999}}}', "finite number"),
    ('{"header": {}, "entries": {"H1": {"value": 1, "text": {"est": 1}}}}', "entries.H1.text.est"),
    ('{"header": {}, "entries": {"' + "x" * 201 + '": {"value": 1}}}', "at most 200 characters"),
    ('{"header": {}, "entries": {"H1": {"value": ' + "9" * 5000 + "}}}", "4300"),
    ("[" * 100_000, "nested too deeply"),
])
def test_what_is_no_ledger_is_an_error_for_people(tmp_path, content, found):
    (tmp_path / "ledger.json").write_text(content)
    with pytest.raises(LedgerError) as caught:
        read_published(tmp_path)
    assert found in caught.value.found and caught.value.where == "ledger.json"
    assert len(caught.value.found) <= 300


@pytest.mark.parametrize(("page", "found"), [
    ("<p>no ledger</p>", "no embedded ledger"),
    ('<script id="ledger">{}</script><script id=ledger>{}</script>', "2 embedded ledgers"),
    ('<script id="ledger">{"a": </script>', "Expecting value"),
    ('<script id="ledger">' + "[" * 100_000 + "</script>", "nested too deeply"),
    ('<script id="ledger">{}', "valid dictionary"),
])
def test_a_page_without_one_ledger_is_refused(tmp_path, page, found):
    (tmp_path / "index.html").write_text(page)
    with pytest.raises(LedgerError) as caught:
        read_published(tmp_path / "index.html")
    assert found in caught.value.found


def test_files_that_are_missing_large_or_not_text_are_refused(tmp_path, monkeypatch):
    with pytest.raises(LedgerError, match="no such file"):
        read_published(tmp_path / "x.html")
    with pytest.raises(LedgerError, match="neither a paper nor a ledger"):
        read_published(tmp_path)
    (tmp_path / "x.html").write_bytes(b"\xff\xfe")
    with pytest.raises(LedgerError, match="codec"):
        read_published(tmp_path / "x.html")
    monkeypatch.setattr(published, "LARGEST", 1)
    with pytest.raises(LedgerError, match="2 bytes"):
        read_published(tmp_path / "x.html")


def test_unknown_fields_are_kept_for_the_comparison_and_unknown_parts_are_not():
    ledger = found_here() | {"extra": 1}
    ledger["entries"]["H1"]["curve"] = [1, 2]
    read = parse(json.dumps(ledger), "x")
    assert read["entries"]["H1"]["curve"] == [1, 2] and "extra" not in read


def test_plain_text_cannot_steer_a_terminal():
    assert plain("a\x1b[31m\x07b\r\nc\u202ed\u200be") == "a[31mb cde"


def test_a_page_made_to_be_slow_to_read_is_read_in_time(tmp_path):
    (tmp_path / "x.html").write_text("<script " * 1_000_000)
    start = monotonic()
    with pytest.raises(LedgerError, match="no embedded ledger"):
        read_published(tmp_path / "x.html")
    assert monotonic() - start < 30
