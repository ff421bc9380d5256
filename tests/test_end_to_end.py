"""The whole way in a fresh clone: notebooks, ledger, and a paper that prints the ledger."""

import json
import re

import docx
import pytest
from pypdf import PdfReader

from claimledger.prose.source import read_sources
from engine import command
from readback import check_page, check_text, kept, printed, read_html, squeeze, verdicts

# One group: the clone is built once, on one worker, before the short tests.
pytestmark = [pytest.mark.build, pytest.mark.xdist_group("clone")]
NUMBERS = ("value", "se", "p", "p_adjusted", "df", "n")


@pytest.fixture(scope="module")
def ledger(clone):
    return json.loads((clone / "results/ledger.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def sources(clone):
    return read_sources([clone / "paper.qmd", *sorted((clone / "notebooks").glob("*.ipynb"))])


@pytest.fixture(scope="module")
def texts(clone) -> dict[str, str]:
    """The words of the PDF, with a form feed between two pages, and of the Word file."""
    pages = PdfReader(clone / "_manuscript/paper.pdf").pages
    body = docx.Document(clone / "_manuscript/paper.docx").element.body
    return {"pdf": "\f".join(page.extract_text() for page in pages), "docx": "\n".join(
        "".join(one.itertext()) for one in body.iter() if one.tag.endswith("}p"))}


def test_the_committed_ledger_is_what_the_notebooks_give(clone, ledger):
    committed = json.loads((clone / "ledger.committed").read_text("utf-8"))
    assert committed["entries"].keys() == ledger["entries"].keys()
    for id, entry in ledger["entries"].items():
        recorded = committed["entries"][id]
        assert entry.get("verdict") == recorded.get("verdict"), id
        for name in NUMBERS:
            if isinstance(entry.get(name), int | float):
                assert recorded[name] == pytest.approx(entry[name], rel=1e-6, abs=1e-9), (id, name)


def test_html_prints_the_ledger(clone, ledger, sources):
    page = read_html((clone / "_manuscript/index.html").read_text("utf-8"))
    assert len(page.claims) > 50
    assert check_page(page, ledger, sources) == []


@pytest.mark.parametrize("form", ["pdf", "docx"])
def test_pdf_and_docx_print_the_ledger(texts, ledger, sources, form):
    text = texts[form]
    assert check_text(text, ledger, sources) == []
    finished = squeeze(text)
    for token in kept(sources[0], verdicts(ledger)):
        if token.kind == "num" and "$" not in (value := printed(token, ledger)):
            assert stands(squeeze(value), finished), token.args


def stands(value: str, text: str) -> bool:
    """Whether a text holds a value, which may be in two parts where a page ends within it."""
    parts = range(10, len(value) - 10) if len(value) > 40 else ()
    return value in text or any(value[:i] in text and value[i:] in text for i in parts)


def test_a_second_build_does_nothing(clone):
    done = command(clone, "render")
    assert re.match(r"paper: up to date", done.stdout), done.stdout


def test_each_notebook_has_its_page_without_a_trace_of_the_machine(clone):
    pages = sorted((clone / "_manuscript/build/notebooks").glob("*-preview.html"))
    assert [page.name.removesuffix("-preview.html") for page in pages] == sorted(
        path.stem for path in (clone / "notebooks").glob("*.ipynb"))
    for path in [*pages, *(clone / "build").rglob("*.ipynb"), clone / "results/ledger.json"]:
        assert str(clone) not in path.read_text("utf-8"), path.name


def test_what_is_simulated_says_so_in_every_format(clone, texts):
    drawings = [path.read_text("utf-8") for path in (clone / "figures").glob("*.svg")]
    marked = sum("Simulated data" in text for text in drawings)
    assert marked > len(drawings) / 2      # the others show the design, public facts, real answers
    page = (clone / "_manuscript/index.html").read_text("utf-8")
    for text in (page, *texts.values()):
        assert "The data are simulated" in " ".join(text.split())
    assert "<strong>Simulated data.</strong>" in page
