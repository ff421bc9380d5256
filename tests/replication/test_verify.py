"""Changed numbers, verdicts and words are reported with their sentence, in every form of report."""

import json
from dataclasses import replace

import pytest

from claimledger.replication import report as reports
from claimledger.replication.differences import compare_units
from claimledger.replication.published import Published, read_published
from claimledger.replication.reading import PAGE, Unit, read_page
from claimledger.replication.verify import Here, judge
from published_paper import PAPER, altered, entry, found_here, html

HERE = Here(found_here(), notebooks=1, units=read_page(html(found_here())).units)


def judged(tmp_path, ledger: dict, *changes: tuple[str, str], here: Here = HERE):
    path = tmp_path / "paper.html"
    path.write_text(html(ledger, *changes), encoding="utf-8")
    return judge(read_published(path), here, [PAPER])


def test_a_paper_that_holds(tmp_path):
    report = judged(tmp_path, found_here())
    assert report.survives and not report.sentences and not report.differences
    assert reports.headline(report) == (
        "paper.html: all 2 claims survive, and nothing else differs")
    assert "nothing that is in paper.html was executed" in reports.text(report)
    assert "the data are simulated" in reports.text(report)


def test_a_changed_number_of_the_ledger_is_reported_with_its_sentence(tmp_path):
    text = {"est": "−0.31", "abs": "0.31", "n": "1,202"}
    report = judged(tmp_path, altered("H1", value=-0.3112345678, text=text))
    assert [claim.id for claim in report.fallen] == ["H1"] and not report.survives
    sentence, = report.sentences
    assert (sentence.line, sentence.ids) == (6, ("H1",))
    assert sentence.published == "Support falls by 0.31 points among 1,202 respondents."
    assert sentence.here == "Support falls by 0.21 points among 1,202 respondents."
    shown = reports.text(report)
    assert "published -0.3112345678, here -0.2112345678, difference 0.1\n" in shown
    assert "verdict: supported, unchanged" in shown and f"published: {sentence.published}" in shown


def test_a_changed_verdict_is_reported_with_all_sentences_it_turns(tmp_path):
    report = judged(tmp_path, altered("H1", verdict="refuted"))
    assert [(one.line, one.published, one.here) for one in report.sentences] == [
        (7, "Democracies are punished", "Democracies are spared"),
        (10, "(not in the paper)", "They are spared by everybody who was asked."),
        (11, "They are punished by everybody who was asked.", "(not in the paper)"),
    ]
    assert "verdict: refuted -> supported" in reports.text(report)


@pytest.mark.parametrize(("change", "id", "line"), [
    ((">0.21<", ">0.31<"), "H1", 6), ((">spared<", ">punished<"), "H1", 7),
    (("data-verdict=supported", "data-verdict=refuted"), "H1", 7), ((">0.40<", ">0.90<"), "H2", 12),
    (("#claim-H2", "#claim-H9"), "H2", 12),
])
def test_a_page_that_prints_otherwise_than_its_ledger_is_found_out(tmp_path, change, id, line):
    report = judged(tmp_path, found_here(), change)
    assert id in [claim.id for claim in report.fallen]
    assert {claim.outcome for claim in report.fallen} == {"page"}
    lines = [one.line for one in report.sentences_of(id)]
    assert line in lines


def test_words_that_no_token_binds_are_compared_too(tmp_path):
    report = judged(tmp_path, found_here(), ("Nothing in this", "Everything in that"))
    assert not report.survives and not report.fallen
    one, = report.differences
    assert (one.group, one.published) == ("text", "Everything in that sentence is bound.")
    assert "1 difference: text that is not this paper's" in reports.headline(report)


def test_a_claim_that_was_added_by_a_stranger_is_not_found_here(tmp_path):
    ledger = found_here()
    ledger["entries"]["H9"] = entry("H9", 1.0)
    report = judged(tmp_path, ledger)
    assert [(claim.id, claim.outcome) for claim in report.fallen] == [("H9", "missing")]


def test_other_data_code_and_versions_are_said(tmp_path):
    ledger = found_here()
    ledger["header"] |= {"data": {"sha256": "e" * 64}, "seed": 2}
    ledger["header"]["packages"] = {"pandas": "9.\x1b[1m9"}
    shown = reports.text(judged(tmp_path, ledger))
    assert "another data file: published eeeeeeeeeeee, here dddddddddddd" in shown
    assert "pandas: published 9.[1m9, here 3.1.1" in shown 
    report = judged(tmp_path, ledger)
    assert {one.place for one in report.differences} == {
        "the ledger's header: data", "the ledger's header: seed"}
    ledger["header"] = {"packages": [], "data": 5, "code": {"sha256": []}}
    assert "another data file: published none" in reports.text(judged(tmp_path, ledger))


def test_a_notebook_that_fails_here_is_named_and_the_others_are_compared(tmp_path):
    partly = found_here()
    del partly["entries"]["H2"]
    partly["header"] = {"data": partly["header"]["data"]}
    here = Here(partly, 1, "notebooks/02_b.ipynb, cell 3\n  found:    no such function")
    report = judged(tmp_path, found_here(), here=here)
    assert not report.survives
    assert [(claim.id, claim.outcome) for claim in report.fallen] == [("H2", "missing")]
    assert "notebooks/02_b.ipynb, cell 3" in reports.html(report) + reports.text(report)


def test_a_claim_names_the_amendment_that_touched_its_analysis(tmp_path):
    ledger = found_here()
    ledger["entries"]["H1"]["amended"] = [1]
    ledger["header"]["registration"]["amendments"] = [
        {"number": 1, "date": "2026-02-03", "what": "H1 by HC2", "why": "a reviewer asked"}]
    here = replace(HERE, ledger=ledger)
    said = "amendment 1 of 2026-02-03: H1 by HC2 (a reviewer asked)"
    published = json.loads(json.dumps(ledger))
    published["entries"]["H1"]["value"] = 0.3
    shown = reports.text(judged(tmp_path, published, here=here))
    assert f"  {said}; it touched the analysis of H1" in shown and f"\n  {said}\n" in shown
    read = json.loads(reports.data(judged(tmp_path, published, here=here)))
    assert read["claims"][0]["amendments"] == [said]


NASTY = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b[31m'


def test_a_strangers_text_is_never_markup_nor_an_instruction_to_a_terminal(tmp_path):
    ledger = found_here()
    ledger["entries"][NASTY] = entry("x", 1.0, label=NASTY, verdict=NASTY)
    ledger["entries"]["H1"] |= {"verdict": NASTY, "text": {"abs": NASTY, "n": NASTY}}
    ledger["header"]["packages"] = {"pandas": NASTY}
    report = judged(tmp_path, ledger)
    page = reports.html(report)
    assert "alert(1)" in page and "<script" not in page and "<img" not in page
    for shown in (page, reports.text(report, every=True)):
        assert "\x1b" not in shown and "alert(2)" in shown
    assert "\x1b" not in reports.data(report)


def test_three_reports_are_written_and_the_json_has_every_claim(tmp_path):
    report = judged(tmp_path, altered("H2", value=0.5))
    written = reports.write(report, tmp_path / "out")
    assert [path.name for path in written] == ["report.html", "report.txt", "report.json"]
    read = json.loads(written[2].read_text("utf-8"))
    assert read["survives"] is False and len(read["claims"]) == 2
    claim = read["claims"][1]
    assert claim["difference"] == pytest.approx(-0.1) and claim["outcome"] == "moved"
    assert read["tolerance"] == {"relative": 1e-6, "absolute": 1e-9}
    for path in written:
        assert str(tmp_path) not in path.read_text("utf-8")
    assert ("H1: survives\n  The effect H1\n  published -0.2112345678, here -0.2112345678, "
            "difference 0\n  verdict: supported, unchanged") in written[1].read_text("utf-8")


@pytest.mark.parametrize("between", ["", "\n", "\n  "])
@pytest.mark.parametrize("name", ["Quarto 1.9.38", "the embedded renderer"])
def test_a_page_is_known_by_its_renderer_however_its_colophon_is_set(between, name):
    row = between.join(["<dt>Rendered by</dt>", "<dd>", name, "</dd>"])
    body = f'<div id="ledger-colophon"><dl>{between}{row}</dl></div>'
    page = read_page(f"<html><body>{body}</body></html>")
    told = [unit.text for unit in page.units if unit.place == "colophon"]
    assert told == [f"Rendered by: {name}"]
    assert Published("x", "html", units=page.units).quarto == name.startswith("Quarto")


HEADING = '<w:pStyle w:val="Heading1">'


@pytest.mark.parametrize(("quarto", "embedded"), [
    (Unit("text", "1", "1. Introduction", markup=HEADING),
     Unit("text", "1", "1 Introduction", markup=HEADING, turns=(1,))),
    (Unit("text", "F", "Quarto 1.9.38"),
     Unit("text", "F", "the embedded renderer (pandoc 3.9, typst 0.14.2)")),
    (Unit("text", "PDF", "[link] Figure8 to “Table4”"), Unit(
        "text", "PDF", "[link] Figure8 to “5.6”")),
    (Unit("exhibits", "page 3", "[page] a", content=PAGE + b"1 m"),
     Unit("exhibits", "page 3", "[page] b", content=PAGE + b"2 m")),
])
def test_what_two_makers_set_otherwise_is_no_difference_to_a_reader(quarto, embedded):
    assert compare_units([quarto], [embedded])
    assert not compare_units([quarto], [embedded], strict=False)
