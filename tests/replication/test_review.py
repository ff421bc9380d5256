"""The version for reviewers: a name planted anywhere is found, and the real one has none."""

import base64
import io
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from pypdf import PdfReader, PdfWriter

from claimledger.errors import LedgerError
from claimledger.project import Run
from claimledger.rendering.pages import write_formats
from claimledger.replication.archive import render_review
from claimledger.survey import disclosure
from claimledger.survey.disclosure import find_names, names_of
from fixture.project import make_project

ROOT = Path(__file__).resolve().parents[2]
NAME = "Ada Example"
THANKS = ("\n\n::: {.identifying}\nAda Example thanks Ben Sample.\n:::\n\n"
          "A word[ of Ada Example]{.identifying}.\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("review") / "project")
    with (root / "paper.qmd").open("a", encoding="utf-8") as paper:
        paper.write(THANKS)
    return Run.open(root)


@pytest.fixture(scope="module")
def review(run):
    return render_review(run)


def zipped(text, name="word/document.xml"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, text)
    return buffer.getvalue()


def pdf(**metadata):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.add_metadata({f"/{key}": value for key, value in metadata.items()})
    writer.add_attachment("notes.txt", metadata.get("Keywords", "").encode())
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [
    b"<p>by Ada Example</p>", b"<b>Ada</b> <i>Example</i>", b"Ada Exam-\nple, PhD",
    b"Ada&#32;Example</p>", "Ada Example".encode("utf-16-le"), b"ADA EXAMPLE", b"Ada\n  Example",
    zipped("<w:t>Ada </w:t></w:r><w:r><w:t>Example</w:t>"), zipped("x", "Ada Example.xml"),
    zipped(zipped("Ada Example")), pdf(Author="Ada Example"), pdf(Keywords="Ada Example"),
    b'src="data:text/plain;base64,' + base64.b64encode(b"drawn by Ada Example ......") + b'"',
    f'src="data:image/svg+xml,{quote("<!-- Ada Example -->")}"'.encode(),
], ids=range(14))
def test_a_planted_name_is_found(content):
    assert find_names({"one": content}, [NAME])
    assert not find_names({"one": content}, ["Eve Nobody"])


def test_a_name_in_a_file_name_and_an_address_in_any_case_are_found():
    assert find_names({"Ada Example.html": b""}, [NAME]) == ["Ada Example.html: 'Ada Example'"]
    assert find_names({"one": b"ADA@Example.org"}, ["ada@example.org"])
    assert not find_names({"one": b"for example, Canada Examples"}, [NAME, "Ada"])


def test_spellings_without_accents_and_names_alone_are_found():
    options = {"author": [{"name": "Zoë Müller-Łoś"}, {"name": {"given": "Şule", "family": "Işık"}},
                          {"name": {"literal": "Open edition"}}]}
    names = names_of(Run.open(ROOT, name="record"), options)
    for text in ("by Zoe", "by ZOË", "Mueller-Los wrote", "Muller-Łoś wrote", "Sule asked", "ISIK",
                 "Işık", "e\u0308".join(["by Zo", " again"])):
        assert find_names({"one": text.encode()}, names), text
    assert not find_names({"one": b"An open edition: zoetrope, insula"}, names)


def test_who_works_on_which_machine_is_looked_for(monkeypatch):
    monkeypatch.setattr(disclosure.getpass, "getuser", lambda: "aexample")
    monkeypatch.setattr(disclosure.socket, "gethostname", lambda: "ada-laptop")
    names = names_of(Run.open(ROOT, name="record"), {})
    assert {"aexample", "ada-laptop"} <= set(names)
    monkeypatch.setattr(disclosure.getpass, "getuser", lambda: "root")
    assert "root" not in names_of(Run.open(ROOT, name="record"), {})


def test_the_finished_paper_names_its_authors_and_the_review_nobody(run, review):
    files, names = review
    assert {NAME, "Example, Ada", "0000-0000-0000-0000", "University of Elsewhere"} <= set(names)
    full = {path.name: path.read_bytes() for path in write_formats(run).values()}
    places = find_names(full, [NAME])
    for name in full:  # the search sees the author in each format of the usual version
        assert any(place.startswith(name) for place in places), name
    kept = {name: path.read_bytes() for name, path in files.items()}
    assert kept.keys() >= {"index.html", "paper.pdf", "paper.docx", "paper.xml",
                           "build/notebooks/01_mini-preview.html"}
    assert find_names(kept, names) == []
    text = PdfReader(files["paper.pdf"]).pages[-1].extract_text()
    assert "A word." in kept["index.html"].decode() and "thanks" not in text
    assert files["index.html"].is_relative_to(run.base / "review")


def test_a_name_in_the_text_stops_the_review_before_anything_is_written(tmp_path):
    planted = ("Five measures", "We (Ada Example) know five measures")
    root = make_project(tmp_path / "p", paper=planted)
    with pytest.raises(LedgerError) as caught:
        render_review(Run.open(root), ["html"])
    assert "index.html: 'Ada Example'" in str(caught.value) and ".identifying" in str(caught.value)
    assert not (root / "build" / "review").exists()


def test_committers_and_names_of_the_settings_are_looked_for(tmp_path):
    root = make_project(tmp_path / "p", quarto=("  seed: 1", "  seed: 1\n  review: [Grant 4711]"))
    git = ["git", "-c", "user.name=Eve Nobody", "-c", "user.email=eve@nobody.org"]
    for words in (["init", "-q"], ["add", "paper.qmd"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=root, check=True)
    names = names_of(Run.open(root), {"author": {"name": {"given": "Ada", "family": "Example"}}})
    assert {"Eve Nobody", "eve@nobody.org", "Grant 4711", NAME, "Example, Ada"} <= set(names)
