"""Polishing without Quarto: each trap on the smallest page that has it."""

import zipfile

import pytest

from claimledger.errors import LedgerError
from claimledger.rendering.quarto import bundle, polish
from fixture.project import make_project


@pytest.fixture
def root(tmp_path):
    return make_project(tmp_path / "project")


def page(root, text):
    path = root / "_manuscript" / "index.html"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_for_scholars_that_nothing_resolved_are_taken_out(root):
    ours = '<meta name="citation_title" content="0.21 points">'
    path = page(root, ours + '<meta name="citation_title" content="{{&lt; num H1 &gt;}} points">')
    assert polish(root, path.parent) == [path] and path.read_text() == ours
    assert polish(root, path.parent) == []  # nothing left to mend


PLACED = '<div data-notebook="/home/a.ipynb"></div>'
OURS = ('<div class="layout"><main id="text"><header><h1>T</h1></header>{}<h1>A</h1><h2>B</h2>'
        "<figcaption>\nFigure&nbsp;1: Words.</figcaption></main></div>")


def test_quartos_page_gets_our_headings_and_captions_once(root):
    path = page(root, OURS.format(PLACED))
    path.with_name("paper.pdf").touch()
    for _ in range(2):
        polish(root, path.parent)
        assert path.read_text() == OURS.format("<div></div>").replace(
            "</header>", '<p class="files"><a href="paper.pdf">PDF</a></p>\n</header>'
        ).replace("h2>", "h3>").replace("h1>A</h1>", "h2>A</h2>").replace(
            "Figure&nbsp;1:", "<strong>Figure&nbsp;1:</strong>")


def test_the_entries_that_waited_come_back_and_lost_words_are_named(root):
    waiting = root / "build" / "ledger-section.html"
    waiting.write_text("<p>all entries</p>", encoding="utf-8")
    path = page(root, "<h1>A</h1><!-- ledger-section -->")
    polish(root, path.parent)
    assert path.read_text() == "<h1>A</h1><p>all entries</p>"
    path.write_text("<p>Before \ue00012\ue001 after.</p>", encoding="utf-8")
    with pytest.raises(LedgerError, match="did not come back"):
        polish(root, path.parent)


def test_a_page_of_another_theme_is_left(root):
    path = page(root, other := OURS.replace(' id="text"', "").format(PLACED))
    assert polish(root, path.parent) == [] and path.read_text() == other


def test_packed_files_hold_no_time_and_the_bundle_the_executed_notebooks(root):
    output = page(root, "<p>text</p>").parent
    manifest = b"<manifest>\n</manifest>\n"
    for name, parts in {
        "paper.docx": {"docProps/core.xml": b"<dcterms:created x='y'>2026-01-02T03:04:05Z</a>",
                       "word/document.xml": b"<w:t>text</w:t>"},
        "paper-meca.zip": {"manifest.xml": manifest, "paper.docx": b"as it was", "source/a": b"a"},
    }.items():
        with zipfile.ZipFile(output / name, "w") as packed:
            for part, content in parts.items():
                packed.writestr(part, content)  # with the time of now
    polish(root, output)
    bundle(root, output)
    made = {name: (output / name).read_bytes() for name in ("paper.docx", "paper-meca.zip")}
    with zipfile.ZipFile(output / "paper-meca.zip") as packed:
        assert packed.read("paper.docx") == made["paper.docx"]
        assert b'href="build/notebooks/01_mini.ipynb"' in packed.read("manifest.xml")
        assert b'"cells"' in packed.read("build/notebooks/01_mini.ipynb")
        assert {part.date_time[0] for part in packed.infolist()} == {1980}
    with zipfile.ZipFile(output / "paper.docx") as packed:
        assert b">2026-01-15T00:00:00Z<" in packed.read("docProps/core.xml")
    assert polish(root, output) == []
    bundle(root, output)
    assert made == {name: (output / name).read_bytes() for name in made}


def test_the_scripts_for_widgets_that_nothing_uses_are_taken_out(root):
    far = "https://cdn.jsdelivr.net/npm/"
    path = page(root, f'<script src="{far}jquery@3.5.1/dist/jquery.min.js" integrity="x"></script>'
                      f'<script src="own.js"></script><script src="{far}requirejs@2.3.6/r.js">'
                      "</script><script type=\"application/javascript\">define('jquery', [],"
                      "function() {return window.jQuery;})</script><p>text</p>")
    polish(root, path.parent)
    assert path.read_text() == '<script src="own.js"></script><p>text</p>'


@pytest.mark.parametrize("asked", [
    '"https://fonts.googleapis.com/css2?family=Source+Sans+Pro:wght@300;400;700&display=swap"',
    "url('https://fonts.googleapis.com/css?family=Lato')",
])
def test_a_theme_keeps_its_style_and_asks_for_no_font(root, asked):
    path = page(root, "<p>text</p>")
    sheet = path.with_name("theme.css")
    sheet.write_text(f"@import{asked};body{{color:red}}")
    assert polish(root, path.parent) == [sheet]
    assert sheet.read_text() == "body{color:red}"
    sheet.write_text('@import"https://example.org/a.css";body{color:red}')
    with pytest.raises(LedgerError):
        polish(root, path.parent)


@pytest.mark.parametrize("text", [
    "<p>as <strong>?@fig-x</strong> shows</p>", "<p>?var:x</p>", "<p>{{&lt; num H1 &gt;}}</p>",
    '<p>(<a href="#ref-nobody"><strong>nobody2020?</strong></a>)</p>',
    '<script src="https://cdn.example.org/a.js"></script>', '<img src="//example.org/a.png">',
    '<link rel="stylesheet" href="http://example.org/a.css">',
    "<style>@font-face{src:url(https://example.org/a.woff)}</style>",
])
def test_what_is_unresolved_or_outside_is_an_error(root, text):
    path = page(root, text)
    with pytest.raises(LedgerError):
        polish(root, path.parent)


@pytest.mark.parametrize("text", [
    "<pre><code>{{&lt; num H1 &gt;}}</code></pre>", "<p>Why <strong>so?</strong></p>",
    '<a href="https://example.org">a link</a>', '<link rel="canonical" href="https://example.org">',
])
def test_what_is_only_spoken_of_or_only_linked_is_none(root, text):
    assert polish(root, page(root, text).parent) == []
