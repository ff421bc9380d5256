"""The embedded renderer on a small paper: tokens everywhere, references, four formats."""

import html
import json
import re
import zipfile

import docx
import pytest
from pypdf import PdfReader

from claimledger.project import Run
from claimledger.rendering.pages import write_formats
from fixture.project import make_project
from readback import soup

MEANS = "Means by kind of ally; the difference is 0.21."
SUPPORT = "Support by kind of ally, 1,202 respondents. Bars are intervals."
ALT = "Two dots with bars. The right one is 0.21 points higher."


@pytest.fixture(scope="module")
def page(files):
    return soup(files["html"])


@pytest.fixture(scope="module")
def texts(files, page):
    """The words of the formats, one space between two words."""
    word = [_words(p) for p in docx.Document(str(files["docx"])).element.body.iter()
            if p.tag.endswith("}p")]
    notes = zipfile.ZipFile(files["docx"]).read("word/footnotes.xml").decode()
    pdf = " ".join(p.extract_text() for p in PdfReader(files["pdf"]).pages)
    found = {
        "html": page.main.get_text(),
        "docx": " ".join(word) + re.sub("<[^>]+>", "", notes),
        "jats": _jats_text(files["jats"]),
        "pdf": pdf.replace("-\n", "-")}
    return {name: " ".join(text.split()) for name, text in found.items()}


def _words(paragraph):
    """A Word paragraph's text with that of its fields; a tab between number and heading."""
    kinds = {"}t": lambda one: one.text or "", "}tab": lambda _: "\t", "}br": lambda _: "\n"}
    return "".join(kinds[end](one) for one in paragraph.iter() for end in kinds
                   if one.tag.endswith(end) and not one.getparent().tag.endswith("}tabs"))


def _jats_text(path):
    """The words of the XML; a label and its caption as the other formats join them."""
    xml = path.read_text(encoding="utf-8")
    xml = re.sub(r"<label>((?:Figure|Table) \d+)</label>\s*<caption>\s*<p>", r"\1: ", xml)
    return html.unescape(re.sub(r"<(tex-math|alt-text)>.*?</\1>|<[^>]+>", "", xml, flags=re.S))


@pytest.mark.parametrize("form", ["html", "docx", "pdf", "jats"])
@pytest.mark.parametrize("words", [
    "Small allies, large effects",  # title
    "the renderer with, N = 1,202",  # subtitle
    "is higher by 0.21 points ([0.11, 0.31], p < .001). The data are simulated.",  # abstract
    "Support is higher, clearly so among those",  # phrase with Markdown
    "not clearly less willing to punish",
    "A note with a number: 0.05",  # footnote
    "and in code 0.21",
    "0.21 [0.11, 0.31]",  # table cell of the notebook
    "N was 1,202.",  # table cell of the paper
    "= .66 starts a cell.",
    "as Figure 1 and Table 1 show",
    f"Figure 1: {SUPPORT}",
    f"Table 1: {MEANS}",
    "Section 2 gives the results, Appendix A the wording",
    "the variance of Section 2.1",
    "(Tomz and Weeks 2013; see also Lakens et al. 2018, 260), and Tomz and Weeks (2013) finds",
    "HC2 is unbiased in a balanced experiment.",
    "“five”: a count fixed by the design",
    "This paragraph shows because",
    "What is assumed",
    "Both at once A callout that shows."])
def test_each_format_says_the_same(texts, form, words):
    assert words in texts[form].replace("ﬀ", "ff").replace("ﬁ", "fi")


@pytest.mark.parametrize("form", ["html", "docx", "pdf", "jats"])
def test_what_the_verdicts_drop_and_what_only_the_source_says_is_in_no_format(texts, form):
    for gone in ("must not show", "The data are collected", "{{<", 'design"}', "\ue000", "?@"):
        assert gone not in texts[form]


def test_numbers_and_verdicts_lead_to_their_entry(page):
    claims = page.main.select("a.claim")
    assert {c["href"] for c in claims} == {
        "#claim-H1", "#claim-H2.under", "#claim-H.supported", "#claim-data.status"}
    said = [(c["data-verdict"], c.text) for c in claims if c.get("data-verdict")]
    assert said[-4:] == [("undecided", "undecided"), ("some", "a main effect"), ("some", "a few"),
            ("undecided", "not clearly less willing")]
    assert any(
        " ".join(c.text.split()) == "95% interval [0.11, 0.31], corrected p < .001" for c in claims)
    for claim in claims:
        row = page.find(id=claim["href"].removeprefix("#"))
        assert row.name == "dl" and row.find_parent(id="ledger-entries")
    assert page.select_one('a.claim[data-field="ci"]').text == "[0.11,\u00a00.31]"  # on one line
    assert page.select_one('a.claim[data-verdict="undecided"]').text == "not clearly less willing"


def test_a_row_says_what_the_card_needs(page):
    facts = dict(zip(
        [t.text for t in page.find(id="claim-H1").select("dt")],
        [d.text for d in page.find(id="claim-H1").select("dd")], strict=True))
    assert facts["Estimate"] == "0.2123 points, 1 to 5"
    assert "estimate 0.2123456789;" in facts["All digits"]
    assert facts["Interval"] == "[0.1119, 0.3128] (95 %)"
    assert facts["p"] == "< .001; corrected in family H1: < .001"
    assert "p 3.6e−05; corrected p 7.2e−05" in facts["All digits"]
    assert facts["Statistic"] == "4.145 on 1195 degrees of freedom"
    assert "bounds ±0.17" in facts["Equivalence"]
    assert facts["Standing"] == "deviation: vcov: HC2 instead of HC1"
    assert "claimledger build --notebook NAME" in page.select_one("#ledger-entries > p").text


def test_cards_and_colophon_name_amendments_and_what_nobody_audited(tmp_path):
    root = make_project(tmp_path / "amended")
    path = root / "results/ledger.json"
    ledger = json.loads(path.read_text(encoding="utf-8"))
    first, now = ledger["header"]["registration"]["sha256"], "a" * 64
    ledger["entries"]["H1"]["amended"] = [1]
    ledger["entries"]["H2.under"]["status"] = "alternative"
    ledger["header"]["registration"] |= {"first_sha256": first, "sha256": now, "amendments": [
        {"number": 1, "date": "2026-02-03", "what": "H1 by HC2.", "why": "A reviewer asked.",
         "sha256": now, "touched": ["H1"], "worded": []}]}
    path.write_text(json.dumps(ledger), encoding="utf-8")
    page = soup(write_formats(Run.open(root), ["html"])["html"])
    cards = {dl["id"]: dl.text for dl in page.select("#ledger-entries dl")}
    said = "amendment 1 of 2026-02-03 touched this analysis: H1 by HC2. (A reviewer asked.)"
    assert [id for id, card in cards.items() if said in card] == ["claim-H1"]
    assert [id for id, card in cards.items() if "not audited" in card] == ["claim-H2.under"]
    colophon = " ".join(page.find(id="ledger-colophon").text.split())
    assert f"frozen on 2026-01-10, SHA-256 {first[:16]}…" in colophon
    assert ("2026-02-03: H1 by HC2. Why: A reviewer asked. (touches H1; SHA-256 since then "
            f"{now[:16]}…)") in colophon


def test_the_page_holds_the_whole_ledger_and_its_text_cannot_close_the_script(page, small):
    held = page.find(id="ledger").string
    assert json.loads(held) == json.loads(small.ledger.read_text(encoding="utf-8"))
    assert "<" not in held


def test_the_page_asks_for_nothing_outside(files):
    for path in files["html"].parent.rglob("*.html"):
        page = soup(path)
        asked = [e.get("src") or e.get("data") for e in page.select("[src], object[data]")]
        assert [a for a in asked if not a.startswith("data:")] == []
        assert page.select("link[href]") == []
        assert not re.search(r"url\(|@import", "".join(s.text for s in page.select("style")))


def test_the_page_has_landmarks_and_described_pictures(page):
    assert page.html["lang"] == "en" and page.main and page.nav["aria-label"]
    assert page.select_one("a.skip")["href"] == "#" + page.main["id"]
    assert [i["alt"] for i in page.select("img")] == [ALT]
    assert len(page.select("h1")) == 1
    assert len(page.select("aside.callout-tip, .callout-tip[role=note]")) == 1
    table = page.select_one("#tbl-means table")
    assert page.find(id=table["aria-labelledby"]).text.split() == f"Table 1: {MEANS}".split() + [
        "Notebook:", "A", "small", "notebook"]
    assert [row.th.text for row in table.tbody.select("tr")] == ["keeps", "fails"]


def test_exhibits_link_to_their_cell_and_the_cell_is_there(page, files):
    link = page.select_one("#fig-support .exhibit-source a")
    assert link.text == "A small notebook"
    path, _, label = link["href"].partition("#")
    book = soup(files["html"].parent / path)
    assert book.find(id=label).img["alt"] == ALT
    assert book.find(id="tbl-means").table and book.find(id="plain")
    assert book.select_one(".back a")["href"] == "../../index.html"
    assert "say {{< num H1 >}}" in book.get_text()  # code is shown as it is


def test_simulated_data_are_announced_in_page_and_pdf(page, files):
    assert page.select_one(".status").text.startswith("Simulated data.")
    for sheet in PdfReader(files["pdf"]).pages:
        assert "Simulated data" in sheet.extract_text()


def test_collected_data_are_not_called_simulated(tmp_path):
    root = make_project(tmp_path / "p", ledger=('"status": "simulated",', '"status": "collected",'))
    files = write_formats(Run.open(root), ["html", "pdf"])
    page = soup(files["html"])
    assert not page.select(".status") and not page.find(id="simulation-notice")
    assert "Simulated data" not in PdfReader(files["pdf"]).pages[1].extract_text()


def test_the_pdf_bears_title_authors_and_bookmarks(files):
    pdf = PdfReader(files["pdf"])
    assert pdf.metadata.title == "Small allies, large effects"
    assert pdf.metadata.author == "Ada Example, Ben Sample"
    titles = [o["/Title"] for o in pdf.outline if isinstance(o, dict)]
    assert "1 Introduction" in titles and "Appendix A. Instrument" in titles


def test_word_has_styles_captions_and_described_pictures(files):
    word = docx.Document(str(files["docx"]))
    styled = {_words(p._p).replace("\xa0", " "): p.style.name for p in word.paragraphs}
    assert styled[f"Figure 1: {SUPPORT}"] == "Image Caption"
    assert styled[f"Table 1: {MEANS}"] == "Table Caption"
    assert styled["1\tIntroduction"] == "Heading 1"
    assert [s._inline.docPr.get("descr") for s in word.inline_shapes] == [ALT]


def test_the_date_is_that_of_the_surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    files = write_formats(Run.open(make_project(tmp_path / "p")), ["html"])
    assert b"2023-11-14" in files["html"].read_bytes()


def test_another_run_keeps_to_its_own_folder(tmp_path):
    root = make_project(tmp_path / "p")
    other = Run.open(root, name="other")
    other.base.mkdir(parents=True)
    (root / "build" / "notebooks").rename(other.notebooks)
    ledger = (root / "results" / "ledger.json").read_text(encoding="utf-8")
    other.ledger.write_text(ledger.replace("1,202", "987"), encoding="utf-8")
    page = write_formats(other, ["html"])["html"]
    assert page == root / "build" / "runs" / "other" / "manuscript" / "index.html"
    assert "N = 987" in soup(page).header.text
    assert not (root / "_manuscript").exists()
