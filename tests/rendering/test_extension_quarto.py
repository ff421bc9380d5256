"""The same extension under Quarto itself, where a machine has it."""

import os
import re
import shutil
import subprocess
import zipfile

import nbformat
import pypdfium2
import pytest
from nbformat.v4 import new_output

from claimledger.errors import LedgerError
from claimledger.project import Run
from claimledger.rendering.pages import write_formats, write_notebook_pages
from claimledger.rendering.quarto import polish
from fixture.project import make_project
from readback import soup

QUARTO = shutil.which("quarto")
pytestmark = [
    pytest.mark.skipif(not QUARTO, reason="no Quarto on this machine"), pytest.mark.build,
]
ALT = "Two dots with bars. The right one is 0.21 points higher."


def quarto(root, *options):
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    return subprocess.run(
        [QUARTO, "render", *options], cwd=root, env=environment, text=True, capture_output=True
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("quarto") / "project")
    path = root / "build" / "notebooks" / "01_mini.ipynb"
    book = nbformat.read(path, 4)
    book.cells[2].outputs.insert(0, new_output("stream", name="stderr", text="a font is missing"))
    nbformat.write(book, path)
    done = quarto(root)
    assert done.returncode == 0, done.stderr
    assert "WARN" not in done.stderr
    polish(root, root / "_manuscript")
    write_notebook_pages(Run.open(root), root / "_manuscript")
    return root


def words(element):
    return " ".join(element.get_text().split())


def test_the_page_holds_its_style_and_scripts_and_nothing_of_a_theme(root):
    text = (root / "_manuscript" / "index.html").read_text(encoding="utf-8")
    page = soup(root / "_manuscript" / "index.html")
    assert page.select("script[src], link[href], img:not([src^='data:image/svg'])") == []
    assert text.index('id="ledger"') < text.index("Opens the card of a number")  # the script
    assert str(root) not in text
    book = next(root.glob("_manuscript/build/notebooks/*-preview.html"))
    assert soup(book).select("script[src], link[href], #quarto-embed-header, .cell-decorator") == []


def bare(style):
    return re.sub(r"/\*.*?\*/|\s|;(?=\s*})", "", style, flags=re.S)


def outline(page):
    """Tags and classes in order, but for those that only say where a thing came from."""
    for one in page.select("style, script, .sourceCode, figure, .callout"):
        one.clear()
    wanted = ("header, main, nav, section, h1, h2, h3, h4, p, figure, figcaption, .callout, "
              ".scroll, aside, ol, dl")
    own = {"title", "subtitle", "authors", "affiliations", "date", "abstract", "keywords", "back",
           "callout", "contents", "status", "scroll", "notebooks", "ledger-entries", "footnotes"}
    return [(one.name, *sorted(own & set(one.get("class", [])))) for one in page.select(wanted)]


def test_nobody_can_tell_the_two_pages_apart(root, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    other = write_formats(Run.open(make_project(tmp_path / "project")), ["html"])["html"]
    mine, theirs = soup(other), soup(root / "_manuscript" / "index.html")
    assert words(theirs.select_one(".files")) == "PDF · DOCX · JATS · MECA"
    theirs.select_one(".files").decompose()  # the other was made alone
    assert words(mine.header) == words(theirs.header)
    assert bare(mine.style.text) == bare(theirs.style.text)
    assert "must not show" not in theirs.main.text
    claims = [[(a["href"], a.get("data-field"), a.get("data-verdict"), a.text)
               for a in page.select("a.claim")] for page in (mine, theirs)]
    assert claims[0] == claims[1] != []
    for wanted in ("figcaption", ".callout-title", "nav.contents", ".abstract", ".notebooks",
                   "#ledger-entries dl", "#ledger-colophon dt", "#deviations td", ".csl-entry"):
        both = [[words(one) for one in page.select(wanted)] for page in (mine, theirs)]
        assert both[0] == both[1] != [], wanted
    assert outline(mine) == outline(theirs)


def test_what_a_cell_said_to_its_author_is_in_no_format(root):
    pages = pypdfium2.PdfDocument(root / "_manuscript" / "paper.pdf")
    texts = [page.get_textpage().get_text_range() for page in pages]
    texts += [(root / "_manuscript" / name).read_text(encoding="utf-8")
              for name in ("index.html", "paper.xml")]
    with zipfile.ZipFile(root / "_manuscript" / "paper.docx") as word:
        texts.append(word.read("word/document.xml").decode())
    assert all(texts) and not any("a font is missing" in text for text in texts)


def test_alt_texts_survive_in_every_format(root):
    out = root / "_manuscript"
    assert soup(out / "index.html").find(id="fig-support").img["alt"] == ALT
    jats = " ".join((out / "paper.xml").read_text(encoding="utf-8").split())
    assert f"<alt-text>{ALT}</alt-text>" in jats
    with zipfile.ZipFile(out / "paper.docx") as word:
        assert f'descr="{ALT}"' in word.read("word/document.xml").decode()
        assert not [n for n in word.namelist() if n.endswith(".svg")]


def test_cells_of_a_table_keep_their_size_in_word(root):
    with zipfile.ZipFile(root / "_manuscript" / "paper.docx") as word:
        text = word.read("word/document.xml").decode()
    cells = text[text.index("<w:tbl>"):text.index("</w:tbl>")].split("<w:tc>")[1:]
    assert [one for one in cells if "<w:t " in one and "TableText" not in one] == []
    assert sum("TableText" in one for one in cells) > 5


@pytest.mark.parametrize(("old", "new", "message"), [
    ("{{< num H1 se >}}", "{{< num H11 se >}}", r"paper.qmd:32\n.*`H11`"),
    ('H1="negligible undecided"', 'H1="negligable"', r"paper.qmd:57\n.*`negligable`"),
])
def test_what_does_not_exist_stops_quarto(tmp_path, old, new, message):
    done = quarto(make_project(tmp_path / "project", paper=(old, new)), "--to", "html")
    assert done.returncode != 0
    assert re.search(message, done.stderr)


def test_what_quarto_only_warns_of_is_an_error_afterwards(tmp_path):
    root = make_project(
        tmp_path / "project",
        paper=("@fig-support and", "@fig-suport and [@nobody2020] {{< var x >}} and"),
    )
    assert quarto(root, "--to", "html").returncode == 0
    with pytest.raises(LedgerError) as caught:
        polish(root, root / "_manuscript")
    for words in ("@fig-suport (paper.qmd:44)", "nobody2020", "var:x"):
        assert words in str(caught.value)
