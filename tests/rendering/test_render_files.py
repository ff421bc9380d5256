"""What a journal or a co-author takes in: the Word file and the JATS file by their structure."""

import os
import zipfile
from pathlib import Path

import docx
import pytest
from lxml import etree

ALT = "Two dots with bars. The right one is 0.21 points higher."
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
HREF = "{http://www.w3.org/1999/xlink}href"
DTD = os.environ.get("JATS_DTD")  # JATS-journalpublishing1.dtd of version 1.1, where there is one


@pytest.fixture(scope="module")
def document(files):
    with zipfile.ZipFile(files["docx"]) as parts:
        return etree.fromstring(parts.read("word/document.xml"))


def check_jats(path: Path) -> None:
    """Labels, captions, alternative texts, pictures that are there, and references that resolve."""
    article = etree.parse(path).getroot()
    assert article.tag == "article" and article.findtext("front//article-title")
    names = [one.get("id") for one in article.iter() if one.get("id")]
    assert len(names) == len(set(names))
    asked = {one.get("rid") for one in article.iter("xref")}
    assert asked and asked <= set(names)
    for exhibit in article.iter("fig", "table-wrap"):
        if exhibit.get("id"):
            assert exhibit.findtext("label") and exhibit.find("caption/p") is not None
    for picture in article.iter("graphic"):
        assert picture.findtext("alt-text").strip()
        assert (path.parent / picture.get(HREF)).read_text("utf-8").startswith("<")
    assert list(article.iter("graphic")) and article.findall("back/ref-list/ref")


def test_jats_has_its_parts(files):
    check_jats(files["jats"])
    article = etree.parse(files["jats"]).getroot()
    assert article.findtext(".//fig[@id='fig-support']/label") == "Figure 1"
    assert article.findtext(".//fig[@id='fig-support']//alt-text") == ALT
    assert [n.text for n in article.findall(".//contrib/name/surname")] == ["Example", "Sample"]
    assert article.findtext("front//pub-date/year") == "2026"
    kinds = {x.get("rid"): x.get("ref-type") for x in article.iter("xref")}
    assert kinds["fig-support"] == "fig" and kinds["tbl-means"] == "table"
    assert kinds["ref-tomz2013"] == "bibr" and article.find("back/fn-group/fn") is not None


@pytest.mark.skipif(not DTD, reason="no DTD of JATS on this machine (JATS_DTD names one)")
def test_jats_is_valid(files):
    dtd = etree.DTD(DTD)
    assert dtd.validate(etree.parse(files["jats"])), dtd.error_log


def test_word_counts_its_captions_and_its_references_lead_somewhere(document):
    fields = [one.get(f"{W}instr").split()[:2] for one in document.iter(f"{W}fldSimple")]
    assert fields == [["SEQ", "Figure"], ["SEQ", "Table"]]
    marks = {one.get(f"{W}name") for one in document.iter(f"{W}bookmarkStart")}
    anchors = {one.get(f"{W}anchor") for one in document.iter(f"{W}hyperlink")} - {None}
    assert {"fig-support", "tbl-means", "sec-results"} <= anchors <= marks


def test_word_repeats_the_head_of_a_table_and_names_the_language(files, document):
    heads = [row for row in document.iter(f"{W}tblHeader")]
    assert len(heads) == len(list(document.iter(f"{W}tbl"))) > 0
    with zipfile.ZipFile(files["docx"]) as parts:
        about = parts.read("docProps/core.xml").decode()
    assert "<dc:title>Small allies, large effects</dc:title>" in about and "Ada Example" in about


@pytest.mark.build
@pytest.mark.xdist_group("clone")
def test_the_article_as_jats(clone):
    check_jats(clone / "_manuscript/paper.xml")


def test_word_has_a_head_a_page_number_a_page_size_and_its_own_text_in_tables(files):
    word = docx.Document(files["docx"])
    section = word.sections[0]
    assert (round(section.page_width.mm), round(section.page_height.mm)) == (210, 297)
    assert section.header.paragraphs[0].text.startswith("\tSimulated data: see the notice")
    assert " PAGE " in section.footer._element.xml
    styles = {cell.paragraphs[0].style.name for cell in word.tables[0]._cells if cell.text}
    assert styles == {"Table Text"}
