"""The PDF: tags as PDF/UA-1 asks, and pages on which nothing leaves its place."""

import pytest
import typst
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText

from claimledger.project import Run
from claimledger.rendering.pages import write_formats
from fixture.project import make_project
from pdf_pages import inked_margins, tags, widow_headings

LONG = "\n\n".join(f"## Part {n} {{#sec-part-{n}}}\n\n" + "Words fill the page. " * 60
                   for n in range(12))
WIDE = "| " + " | ".join(f"A long head {n}" for n in range(9)) + " |\n|" + "---|" * 9 + "\n"
WIDE += ("| " + " | ".join(["several words in a cell"] * 9) + " |\n") * 40
FORMULA = "Let $x_1 + x_2$ be, with a very-long-word-" + "and-on-" * 30 + "to-the-end.\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The small paper with long text, a table of many columns and rows, and long words."""
    root = make_project(tmp_path_factory.mktemp("pdf") / "project")
    table = f"\n\n::: {{#tbl-wide}}\n{WIDE}\nMany columns.\n:::\n\n"
    with (root / "paper.qmd").open("a", encoding="utf-8") as paper:
        paper.write(f"\n\n# More {{#sec-more}}\n\n{LONG}{table}{FORMULA}")
    return write_formats(Run.open(root), ["pdf"])["pdf"]


def check_accessible(pdf: PdfReader) -> None:
    """What PDF/UA-1 asks of a document, as far as its structure shows it."""
    root = pdf.trailer["/Root"]
    assert root["/Lang"] == "en" and root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"] and pdf.metadata.title
    marks = root["/Metadata"].get_data().decode()
    assert 'pdfuaid:part="1"' in marks or "<pdfuaid:part>1<" in marks
    count, bare = tags(pdf)
    assert bare == []
    for kind in ("/Figure", "/Table", "/TH", "/TD", "/H1", "/P", "/Link", "/Caption", "/L"):
        assert count[kind], kind
    for page in pdf.pages:
        assert page["/Tabs"] == "/S"
        for font in page["/Resources"].get("/Font", {}).values():
            inner = font.get_object()
            inner = inner.get("/DescendantFonts", [inner])[0].get_object()
            kinds = inner.get("/FontDescriptor", {})
            assert any(f"/FontFile{n}" in kinds for n in ("", "2", "3")), inner["/BaseFont"]


def check_pages(path) -> None:
    """Nothing in the margins, and no heading at a page's end."""
    assert inked_margins(path) == []
    assert widow_headings(PdfReader(path)) == []


def test_tags_alt_texts_language_and_fonts(path):
    check_accessible(PdfReader(path))


def test_nothing_leaves_the_text_block(path):
    assert len(PdfReader(path).pages) > 5
    check_pages(path)


def test_ink_in_a_margin_is_seen(path, tmp_path):
    writer = PdfWriter(clone_from=path)
    note = FreeText(text="outside", rect=(20, 400, 80, 420), font_color="000000")
    writer.add_annotation(page_number=1, annotation=note)
    writer.write(tmp_path / "inked.pdf")
    assert inked_margins(tmp_path / "inked.pdf") == ["page 2: left"]


def test_a_heading_at_the_end_of_a_page_is_seen(tmp_path):
    (tmp_path / "a.typ").write_text("Text\n\n#v(1fr)\n= A widow\n#pagebreak()\nMore")
    typst.compile(tmp_path / "a.typ", output=tmp_path / "a.pdf")
    assert widow_headings(PdfReader(tmp_path / "a.pdf")) == ["page 1: A widow"]


@pytest.mark.build
@pytest.mark.xdist_group("clone")
def test_the_article_is_accessible_and_keeps_its_margins(clone):
    path = clone / "_manuscript/paper.pdf"
    check_accessible(PdfReader(path))
    check_pages(path)
