"""A stranger's file is data: it is read within limits, and shown without its control characters."""

import gzip
import io
import json
import os
import zipfile
from pathlib import Path
from time import process_time

import pytest
from pypdf import PdfWriter

from claimledger.errors import LedgerError
from claimledger.replication import published
from claimledger.replication.published import parse, plain, read_published
from claimledger.yaml_files import load_yaml
from published_paper import found_here, html


def test_a_ledger_is_found_in_a_page_a_file_and_a_folder(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results/ledger.json").write_text(json.dumps(found_here()))
    assert read_published(tmp_path).kind == "json"
    (tmp_path / "_manuscript").mkdir()
    (tmp_path / "_manuscript/index.html").write_text(html(found_here()))
    in_folder = read_published(tmp_path)
    assert in_folder.name == "index.html"
    assert sum(len(unit.claims) for unit in in_folder.units) == 4
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
    ('{"header": {}, "entries": {"H1": {"value": ' + "9" * 5000 + "}}}", "too large"),
    ('{"header": {}, "entries": {"H1": {"value": 1, "n": ' + "9" * 400 + "}}}", "too large"),
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
    ('<script id="ledger">{}', "Field required"),
    ('<script id="ledger">{}</script\u00a0>', "Extra data"),  # no end to browsers
    ('<script id="ledger">{"a": 1, "a": 2}</script>', "the key 'a' twice"),
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


def test_unknown_fields_and_parts_are_kept_for_the_comparison():
    ledger = found_here() | {"extra": 1}
    ledger["entries"]["H1"]["curve"] = [1, 2]
    read = parse(json.dumps(ledger), "x")
    assert read["entries"]["H1"]["curve"] == [1, 2] and read["extra"] == 1


def test_plain_text_cannot_steer_a_terminal():
    assert plain("a\x1b[31m\x07b\r\nc\u202ed\u200be") == "a[31mb cde"


HOSTILE = {
    "tags that do not end": ("x.html", b"<script " * 1_000_000, "a tag that does not end"),
    "quotes that do not end": ("x.html", b"<a href='" * 400_000, "a tag that does not end"),
    "comments that do not end": ("x.html", b"<!--" * 1_000_000, "a comment that does not end"),
    "two megabytes of nesting": ("x.html", b"<div>" * 400_000, "nested too deeply"),
    "many tags": ("x.html", b"<br>" * 500_000, "more than 400,000 tags"),
    "many of one word": ("x.html", b"<p>a</p>" * 50_000, "no embedded ledger"),
    "closing tags alone": ("x.html", b"</p>" * 300_000, "no embedded ledger"),
    "entities": ("x.html", b"&amp" * 400_000, "no embedded ledger"),
    "a null": ("x.html", b"\0" * 10_000, "no embedded ledger"),
    "lone surrogates": (
        "x.json", b'{"header": {}, "entries": {"\\ud800": {"value": 1}}}', "unicode"),
    "deep JSON": ("x.json", b'{"a":' * 400_000, "nested too deeply"),
    "a list as a key": ("x.json", b'{[1]: 2}', "Expecting property name"),
    "keys twice": ("x.json", b'{"header": {}, "entries": {}, "entries": 1}', "entries"),
    "no zip": ("x.docx", b"PK\x03\x04" + b"a" * 1000, "zip"),
    "another zip": ("x.docx", None, "a zip without word/document.xml"),
    "no PDF": ("x.pdf", b"no PDF at all", ""),
    "half a PDF": ("x.pdf", b"%PDF-1.7\n" + b"1 0 obj <</A " * 100_000, ""),
    "a page in a PDF": ("x.html", b"%PDF-1.7\n<p>a</p>", "no embedded ledger"),
    "a PDF named otherwise": ("x.docx", b"%PDF-1.7\n", "zip"),
    "gzipped": ("x.html", gzip.compress(b"<p>a</p>"), "codec"),
    "another kind": ("x.txt", b"text", "a file named .txt"),
    "a picture": ("x.png", b"\x89PNG", "a file named .png"),
    "no ending": ("paper", b"text", "without an ending"),
}


@pytest.mark.parametrize(("name", "content", "found"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_a_message_in_bounded_time(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content if content is not None else zipped("other.xml", b"<a/>"))
    start = process_time()
    with pytest.raises(LedgerError) as caught:
        read_published(tmp_path / name)
    assert found in caught.value.found and len(caught.value.found) < 400
    assert process_time() - start < 30


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(("content", "found"), [
    (b" " * 70_000_000, "more than 64,000,000 bytes unpacked"),
    (b"<!DOCTYPE a [<!ENTITY b 'b'><!ENTITY c '&b;&b;'>]><a>&c;</a>", "a document type"),
    (b"<a>", "XML that is broken"), (b"<a>" * 500_000, "XML that is broken"),
], ids=["bomb", "entities", "half", "deep"])
def test_a_hostile_word_file_is_a_message(tmp_path, content, found):
    (tmp_path / "x.docx").write_bytes(zipped("word/document.xml", content))
    with pytest.raises(LedgerError) as caught:
        read_published(tmp_path / "x.docx")
    assert found in caught.value.found


def test_parts_of_a_word_file_that_are_large_together_or_stand_twice_are_refused(tmp_path):
    for names, found in ((range(200), "unpacked"), ((1, 1), "twice")):
        with zipfile.ZipFile(tmp_path / "x.docx", "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                packed.writestr(f"word/{name}.xml", b" " * 1_000_000)
        with pytest.raises(LedgerError) as caught:
            read_published(tmp_path / "x.docx")
        assert found in caught.value.found


def test_a_long_pdf_is_read_and_an_encrypted_one_is_a_message(tmp_path):
    writer = PdfWriter()
    for _ in range(1000):
        writer.add_blank_page(300, 300)
    writer.write(tmp_path / "x.pdf")
    start = process_time()
    assert len(read_published(tmp_path / "x.pdf").units) == 1000
    assert process_time() - start < 60
    writer.encrypt("word", algorithm="RC4-128")
    writer.write(tmp_path / "x.pdf")
    with pytest.raises(LedgerError, match="an encrypted PDF"):
        read_published(tmp_path / "x.pdf")


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "loop.html").symlink_to("loop.html")
    for path, found in ((tmp_path / "pipe.html", "a pipe"), (Path("/dev/zero"), "a device"),
                        (tmp_path / "loop.html", "symbolic links"),
                        (tmp_path / ("x" * 300 + ".html"), "too long"),
                        (tmp_path / "a\0.html", "null")):
        with pytest.raises(LedgerError) as caught:
            read_published(path)
        assert found in caught.value.found, path
    with pytest.raises(LedgerError, match="a pipe"):  # nor is a registration
        load_yaml(tmp_path / "pipe.html", "a registration")


def test_a_picture_is_read_beside_the_page_and_nowhere_else(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "own.png").write_bytes(b"own")
    os.mkfifo(folder / "pipe.png")
    images = "".join(f'<img src="{name}">' for name in (
        "own.png", "../secret.png", str(tmp_path / "secret.png"), "pipe.png", "none.png"))
    ledger = json.dumps(found_here()).replace("</", "<\\/")
    (folder / "index.html").write_text(f'<body>{images}<script id="ledger">{ledger}</script>')
    units = read_published(folder / "index.html").units
    assert [unit.content for unit in units if unit.text.startswith("[picture]")] == [
        b"own", b"", b"", b"", b""]
