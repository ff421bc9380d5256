"""Copies of a published page, each tampered with in one way: every one is caught and named."""

import contextlib
import io
import json
import random
import re
import shutil
import zipfile
from dataclasses import replace

import pytest
from pypdf import PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

from claimledger.errors import LedgerError
from claimledger.ledger.entries import dump
from claimledger.project import Run
from claimledger.prose.source import read_sources
from claimledger.rendering.pages import write_formats
from claimledger.replication import report as reports
from claimledger.replication.differences import compare_units
from claimledger.replication.pdf import read_pdf
from claimledger.replication.published import read_published
from claimledger.replication.reading import Unit
from claimledger.replication.verify import Here, as_published, judge, rendered
from fixture.project import make_project
from tampered_pages import NOTEBOOK, PAGE, TAMPERED, by_leaf, by_rule


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """The fixture's paper, rendered once; its run of record and a run to render in."""
    root = make_project(tmp_path_factory.mktemp("tampering") / "project")
    run = Run.open(root, name="record")
    write_formats(run, ["html", "pdf", "docx"])
    apart = replace(run, name="verify-test")
    for place in ("notebooks", "figures"):
        shutil.copytree(getattr(run, place), getattr(apart, place))
    found, sources = json.loads(run.ledger.read_text("utf-8")), read_sources([root / "paper.qmd"])

    made: dict[tuple, Here] = {}

    def verified(target):
        published = read_published(target)
        ledger = dump(as_published(published.ledger, found)) if published.ledger else ""
        if (published.kind, ledger) not in made:  # a render for each ledger, not for each copy
            made[published.kind, ledger] = rendered(published, Here(found, 1), apart)
        return judge(published, made[published.kind, ledger], sources)

    return run.output, verified


def copied(paper, folder, change, name=None):
    """A copy of the published folder, with one change in the page or in that of its notebook."""
    shutil.copytree(paper, folder)
    old, new = change
    for file in [name] if name else [PAGE, NOTEBOOK]:
        text = (folder / file).read_text("utf-8")
        changed = (old.sub(new, text, count=1) if isinstance(old, re.Pattern)
                   else text.replace(old, new, 1))
        if changed != text:
            (folder / file).write_text(changed, encoding="utf-8")
            return folder / PAGE
    raise AssertionError(f"{old!r} is not in the page")


def test_the_page_itself_has_no_difference(paper):
    output, verified = paper
    report = verified(output / PAGE)
    assert report.survives, reports.text(report)
    assert reports.headline(report).endswith("claims survive, and nothing else differs")
    assert not any("01_mini" in note for note in report.notes)


@pytest.mark.parametrize(("group", "place", "change"), [one[1:] for one in TAMPERED],
                         ids=[one[0] for one in TAMPERED])
def test_a_tampered_copy_is_caught_and_named(paper, tmp_path, group, place, change):
    output, verified = paper
    in_notebook = place.startswith("01_mini")
    target = copied(output, tmp_path / "copy", change, NOTEBOOK if in_notebook else PAGE)
    report = verified(target)
    assert not report.survives
    if group == "claims":
        found = [claim.id for claim in report.fallen]
        assert not report.differences or '":"' in change[0], reports.text(report)
    else:
        found = [one.place for one in report.differences if one.group == group]
    assert any(place in one for one in found), reports.text(report)
    assert len(report.differences) + len(report.fallen) <= 12, reports.text(report)


@pytest.mark.parametrize(("group", "place", "change"), [
    ("active", "Abstract", (
        '<div id="simulation-notice">', '<div id="simulation-notice" class="heard" inert>')),
    ("active", "1 Introduction", (
        "<strong>No action</strong>, which", "No action, <strong>which</strong>")),
    ("active", "1 Introduction", ("<li><em>Public shaming</em>", "<li><del>Public shaming</del>")),
    ("active", "2.2 Display", ("<msup><mo stretchy", "<msup/><mo stretchy")),
    ("text", "1 Introduction", ("with words or", "with\u3000\u3000words or")),
])
def test_a_page_that_says_quarto_made_it_is_no_better_off(paper, tmp_path, group, place, change):
    output, verified = paper
    target = copied(output, tmp_path / "copy", change, PAGE)
    rendered_by = re.compile(r"(<dt>Rendered by</dt>\s*<dd>)[^<]*")
    target.write_text(rendered_by.sub(r"\1Quarto 1.9.38", target.read_text("utf-8")), "utf-8")
    report = verified(target)
    assert "made by Quarto" in reports.text(report)
    assert {(one.group, one.place) for one in report.differences} == {(group, place)}


def test_a_version_is_taken_over_but_no_words(paper, tmp_path):
    output, verified = paper
    for version, survives in (("9.9.9", True), ("It was retracted", False)):
        target = copied(output, tmp_path / version, (
            re.compile(r'("pandas": ?)"3.1.1"'), rf'\1"{version}"'), PAGE)
        page = target.read_text("utf-8").replace("pandas 3.1.1", f"pandas {version}")
        target.write_text(page, "utf-8")
        assert verified(target).survives == survives


@pytest.mark.parametrize("number", [40, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", [PAGE, NOTEBOOK])
def test_whatever_is_changed_is_caught(paper, tmp_path, file, number):
    output, verified = paper
    copy = tmp_path / "copy"
    shutil.copytree(output, copy)
    page, rng = (output / file).read_text("utf-8"), random.Random(20260115)
    changes = [*by_rule(page, rng), *(by_leaf(page) if file == PAGE else ())]
    missed = []
    for name, start, end, new in rng.sample(changes, min(number, len(changes))):
        (copy / file).write_text(page[:start] + new + page[end:], encoding="utf-8")
        with contextlib.suppress(LedgerError):  # a page that cannot be read is told so
            missed += [name] if verified(copy / PAGE).survives else []
    assert not missed


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_a_paper_without_bindings_is_compared_by_its_text(paper, tmp_path, kind):
    output, verified = paper
    report = verified(output / f"paper.{kind}")
    assert report.survives and report.claims, reports.text(report)
    assert f"{kind.upper()} carries no ledger" in reports.text(report)


T = '<w:t xml:space="preserve">'
WORD = [
    ("claims", "H1", "word/document.xml", (">0.21</w:t>", ">0.61</w:t>")),
    ("text", "Introduction", "word/document.xml", ("are spared", "are punished")),
    ("text", "Introduction", "word/document.xml", (
        ">A stronger partner", ">Proved. A stronger partner")),
    ("exhibits", "Main effect", "word/document.xml", (">3.11</w:t>", ">3.91</w:t>")),
    ("exhibits", "Main effect", "word/document.xml", ('descr="Two dots', 'descr="Nine dots')),
    ("exhibits", "Main effect", "word/media", None),
    ("header", "core", "docProps/core.xml", ("Small allies", "Large allies")),
    ("text", "", "word/document.xml", ("were drawn by a computer", "were given by people")),
    ("active", "", "word/document.xml", ("<w:rPr>", "<w:rPr><w:vanish/>")),
    ("active", "", "word/document.xml", ("<w:rPr>", '<w:rPr><w:color w:val="FFFFFF"/>')),
    ("active", "Word", "word/styles.xml", ("<w:rPr>", "<w:rPr><w:vanish/>")),
    ("active", "Word", "word/settings.xml", None),
    ("text", "", "word/_rels/document.xml.rels", ("https://doi.org/10.1017", "https://evil.org")),
    ("text", "footnotes", "word/footnotes.xml", ("A note with", "A proof with")),
    ("header", "header1", "word/header1.xml", ("<w:p>", "<w:p><w:r><w:t>Final.</w:t></w:r>")),
    ("header", "core", "docProps/core.xml", ("2026-01-15T", "2020-01-15T")),
    ("text", "Introduction", "word/document.xml", ("Five measures", "Five  measures")),
    ("header", "core", "docProps/core.xml", (
        "</cp:core", "<cp:category>Proved</cp:category></cp:core")),
    ("active", "Abstract", "word/document.xml", (  # a run ends elsewhere
        f"{T}Keywords:</w:t></w:r><w:r>{T} ", f"{T}Keywo</w:t></w:r><w:r>{T}rds: ")),
    ("active", "Abstract", "word/document.xml", (f"{T} </w:t>", "<w:t> </w:t>")),
    ("active", "Abstract", "word/document.xml", (  # a name that Word does not know
        f"<w:r>{T}The data are", '<w:r xmlns:w="urn:x"><w:t>The data are')),
    ("active", "Abstract", "word/document.xml", (
        f"<w:r>{T}The data are", f'<w:r><w:sym w:char="F0D8"/></w:r><w:r>{T}The data are')),
    ("active", "", "word/document.xml", ("<wp:docPr", '<wp:docPr hidden="1"')),
    ("active", "", "word/document.xml", ("<a:blip ", '<a:blip r:link="rId99" ')),
    ("active", "", "word/document.xml", ("<w:body>", '<w:background w:color="000"/><w:body>')),
    ("active", "", "word/document.xml", ("</w:sectPr>", '<w:cols w:num="9"/></w:sectPr>')),
]


@pytest.mark.parametrize(("group", "place", "part", "change"), WORD, ids=range(len(WORD)))
def test_a_tampered_word_file_is_caught_and_named(paper, tmp_path, group, place, part, change):
    output, verified = paper
    with zipfile.ZipFile(output / "paper.docx") as old, zipfile.ZipFile(
            tmp_path / "paper.docx", "w") as new:
        changed = 0
        for one in old.infolist():
            content = old.read(one)
            if one.filename.startswith(part):
                after = content + b" " if change is None else content.decode().replace(
                    *change, 1).encode()
                changed += after != content
                content = after
            new.writestr(one, content)
    assert changed
    report = verified(tmp_path / "paper.docx")
    found = [claim.id for claim in report.fallen] if group == "claims" else [
        one.place for one in report.differences if one.group == group]
    assert any(place in one for one in found), reports.text(report)


@pytest.mark.parametrize(("group", "where", "change"), [
    ("text", "paper", ("democracies are spared", "democracies are punished")),
    ("claims", "ledger", ('"est": "0.21", "abs"', '"est": "0.61", "abs"')),
    pytest.param("header", "paper", ("Ada Example", "Eve Example"), marks=pytest.mark.slow),
], ids=["word", "number", "author"])
def test_a_tampered_pdf_is_caught_and_named(paper, tmp_path, group, where, change):
    _, verified = paper
    root = make_project(tmp_path / "other", **{where: change})
    write_formats(Run.open(root, name="record"), ["pdf"])
    report = verified(root / "_manuscript/paper.pdf")
    assert not report.survives
    if group == "claims":
        assert [claim.id for claim in report.fallen] == ["H1"], reports.text(report)
    else:
        assert group in {one.group for one in report.differences}, reports.text(report)


def covered(writer):
    page = writer.pages[0]
    stream = DecodedStreamObject()
    stream.set_data(page.get_contents().get_data() + b"\n1 1 1 rg 0 0 300 300 re f\n")
    page[NameObject("/Contents")] = writer._add_object(stream)


def cropped(writer):
    writer.pages[0].cropbox.upper_right = (300, 300)


def noted(writer):
    writer.add_annotation(0, FreeText(text="It is proved.", rect=(50, 550, 200, 650)))


def running(writer):
    writer.root_object[NameObject("/OpenAction")] = DictionaryObject({
        NameObject("/S"): NameObject("/JavaScript"),
        NameObject("/JS"): TextStringObject("app.alert(1)")})


def font(writer, number=0):
    fonts = writer.pages[0]["/Resources"]["/Font"].get_object()
    return fonts[sorted(fonts)[number]].get_object()


def of_other_type(writer):
    descriptor = font(writer)["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
    file = descriptor[next(key for key in descriptor if key.startswith("/FontFile"))].get_object()
    file.set_data(file.get_data() + b" ")


def in_exchanged_type(writer):  # so that the blanks between its words are told otherwise
    one, other, key = font(writer), font(writer, 1), NameObject("/DescendantFonts")
    one[key], other[key] = other[key], one[key]


def with_a_wide_frame(writer):
    link = writer.pages[0]["/Annots"][0].get_object()
    link[NameObject("/Border")] = ArrayObject(map(NumberObject, (0, 0, 400)))


def leading_elsewhere(writer):
    link = next(one.get_object() for page in writer.pages for one in page.get("/Annots", ())
                if "/URI" in one.get_object().get("/A", {}))
    link["/A"][NameObject("/URI")] = TextStringObject("https://evil.org")


def within_elsewhere(writer):
    notes = (one.get_object() for page in writer.pages for one in page.get("/Annots", ()))
    link = next(one for one in notes if "/URI" not in one.get("/A", {}))
    link.pop("/A", None)
    link[NameObject("/Dest")] = ArrayObject([
        writer.pages[1].indirect_reference, NameObject("/XYZ"), *map(NumberObject, (0, 200, 0))])


def untagged(writer):
    del writer.root_object["/StructTreeRoot"]


def in_another_language(writer):
    writer.root_object[NameObject("/Lang")] = TextStringObject("ar")


def described(writer):
    writer.add_metadata({"/Note": "It is proved."})


def bookmarked(writer):
    writer.add_outline_item(title="It is proved", page_number=0)


def misread(writer):  # a letter that is drawn is read as another
    read = font(writer)["/ToUnicode"].get_object()
    read.set_data(read.get_data().replace(b"<0061>", b"<0062>"))


DRAWN = ("active", "PDF")
ALL = {("exhibits", f"page {number}") for number in (1, 2, 3)}


OTHERS = [  # those of each group first, of which the quick tests try one
    (covered, {("exhibits", "page 1"), ("exhibits", "each page"), DRAWN}),
    (running, {("active", "PDF")}),
    (leading_elsewhere, {("text", "PDF"), ("exhibits", "page 2"), DRAWN}),
    (in_another_language, {("header", "PDF")}),
    (cropped, {("exhibits", "page 1"), DRAWN}),
    (noted, {("active", "page 1"), ("exhibits", "page 1")}),
    (of_other_type, ALL), (in_exchanged_type, ALL | {("exhibits", "PDF")}),
    (with_a_wide_frame, {("exhibits", "page 1"), ("active", "PDF")}),
    (untagged, {(group, "PDF") for group in ("active", "exhibits", "text")} | {
        ("header", "each page"), ("text", "page 1"), ("text", "page 2")}),
    (bookmarked, {("text", "PDF")}), (described, {("header", "PDF")}),
]


@pytest.mark.parametrize(("change", "found"), [
    *OTHERS[:4], *(pytest.param(*one, marks=pytest.mark.slow) for one in OTHERS[4:])])
def test_a_pdf_with_the_same_words_that_is_another_is_caught(paper, tmp_path, change, found):
    output, verified = paper
    writer = PdfWriter(clone_from=output / "paper.pdf")
    change(writer)
    writer.write(tmp_path / "paper.pdf")
    report = verified(tmp_path / "paper.pdf")
    assert {(one.group, one.place) for one in report.differences} == found, reports.text(report)


@pytest.mark.parametrize(("change", "group"), [
    (covered, "active"), (cropped, "active"), (in_exchanged_type, "exhibits"),
    (misread, "exhibits"), (leading_elsewhere, "text"), (within_elsewhere, "text"),
    (bookmarked, "text")])
def test_in_a_pdf_by_quarto_what_draws_its_words_is_compared(paper, change, group):
    writer, changed = PdfWriter(clone_from=paper[0] / "paper.pdf"), io.BytesIO()
    change(writer)
    writer.write(changed)
    here = read_pdf((paper[0] / "paper.pdf").read_bytes(), "paper.pdf")
    found = compare_units(read_pdf(changed.getvalue(), "paper.pdf"), here, strict=False)
    assert group in {one.group for one in found}


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_bytes_around_a_file_and_within_a_part_of_it_are_told(paper, tmp_path, kind):
    output, verified = paper
    content = (output / f"paper.{kind}").read_bytes()
    (tmp_path / f"paper.{kind}").write_bytes(b"%" + content)
    one, = verified(tmp_path / f"paper.{kind}").differences
    assert (one.group, one.place) == (
        "active", "PDF" if kind == "pdf" else "bytes of around its parts")


@pytest.mark.parametrize("group, place, text", [
    ("text", "Results", "Quarto 1 in three allies agreed."),
    ("text", "Results", "creator: nobody"), ("exhibits", "Table 1", "[formula] of nobody"),
    ("header", "head", "Date: 2024-01-01"), ("text", "Results", "Date: 2024-01-01"),
    ("header", "PDF", "creator: Typst, and it is proved")])
def test_words_like_those_of_a_maker_are_told_in_a_page_by_quarto(group, place, text):
    assert compare_units([Unit(group, place, text)], [], strict=False)
    made = Unit("text", "Appendix F. Colophon", "Quarto 1.9.38")
    assert not compare_units([made], [], strict=False)
