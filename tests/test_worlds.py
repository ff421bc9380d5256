"""The paper in worlds built to break it: no sentence survives that its world makes false.

The runs live in build/runs/WORLD, so a second run of these tests builds only what has changed.
"""

import json
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import independent_replication as replication
import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from claimledger.project import Run
from claimledger.prose.source import Source, read_sources
from claimledger.prose.tokens import tokens
from claimledger.rendering.pages import write_formats
from engine import command
from readback import check_page, check_text, read_html, squeeze

# One group: a world is built once, on one worker.
pytestmark = [pytest.mark.build, pytest.mark.slow, pytest.mark.xdist_group("worlds")]

ROOT = Path(__file__).resolve().parents[1]
WORLDS = ("published", "null", "reversed", "only_h3a", "tiny")
HYPOTHESES = ("H1a", "H1b", "H2a", "H2b", "H3a", "H3b", "H3c")
STATED = re.compile(
    r"\b(H\d[a-c])(?: is| comes out as| stays)? (supported|refuted|negligible|undecided)\b"
    r"(?! \d+\.\d%)"  # a row of the table on error rates
)


@cache
def built(world: str) -> Run:
    """The paper of a world, up to date; a build of the same world beside this one is waited for."""
    done = command(ROOT, "render", "--world", world, "--formats", "html,pdf")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    run = Run.open(ROOT, name=world)
    return replace(run, data=run.base / "data" / f"simulated-{world}.csv")


def ledger_of(run: Run) -> dict:
    return json.loads(run.ledger.read_text(encoding="utf-8"))


def html_of(run: Run) -> str:
    return (run.output / "index.html").read_text(encoding="utf-8")


@cache
def texts_of(world: str) -> dict[str, str]:
    """The words of the HTML, and of the PDF with a form feed between two pages."""
    run = built(world)
    pages = PdfReader(run.output / "paper.pdf").pages
    return {
        "HTML": read_html(html_of(run)).text,
        "PDF": "\f".join(page.extract_text() for page in pages),
    }


@cache
def article() -> list[Source]:
    return read_sources([ROOT / "paper.qmd"])


@cache
def everything() -> list[Source]:
    return [*article(), *read_sources(sorted((ROOT / "notebooks").glob("*.ipynb")))]


@pytest.fixture(params=WORLDS)
def run(request) -> Run:
    return built(request.param)


def test_every_hypothesis_is_decided_as_by_hand(run):
    for id, result in replication.results(run.data).items():
        entry = ledger_of(run)["entries"][id]
        near = 1e-6
        assert entry["value"] == pytest.approx(result.estimate, rel=near, abs=near), id
        assert entry["se"] == pytest.approx(result.se, rel=near), id
        assert entry["equivalence"]["bound"] == pytest.approx(0.2 * result.sd, rel=near), id
        assert entry["verdict"] == result.verdict, id


def test_every_stated_verdict_is_the_one_found_by_hand(run):
    verdicts = {id: result.verdict for id, result in replication.results(run.data).items()}
    for form, text in texts_of(run.name).items():
        stated = STATED.findall(" ".join(text.split()))
        assert {id for id, _ in stated} == set(HYPOTHESES), form
        assert [(id, verdict) for id, verdict in stated if verdict != verdicts[id]] == [], form
    bound = BeautifulSoup(html_of(run), "html.parser").select("a.claim.says[data-verdict]")
    named = [(a["href"].removeprefix("#claim-"), a["data-verdict"]) for a in bound]
    assert len({id for id, _ in named} & set(HYPOTHESES)) > 2  # others are told by a set
    assert [pair for pair in named if pair[1] != verdicts.get(pair[0], pair[1])] == []


def test_every_number_and_phrase_on_the_page_is_that_of_the_ledger(run):
    page = read_html(html_of(run))
    assert len(page.claims) > 100
    assert list(map(str, check_page(page, ledger_of(run), everything()))) == []


@pytest.mark.parametrize("form", ["HTML", "PDF"])
def test_what_the_verdicts_keep_is_printed_and_what_they_drop_is_not(run, form):
    problems = check_text(texts_of(run.name)[form], ledger_of(run), everything())
    assert list(map(str, problems)) == []


@pytest.mark.parametrize("form", ["HTML", "PDF"])
def test_the_same_paper_would_be_false_in_another_world(form):
    """The tests above can fail: each flipped hypothesis is noticed in the text."""
    one, other = built("published"), built("reversed")
    flipped = [id for id in HYPOTHESES if _verdict(one, id) != _verdict(other, id)]
    assert len(flipped) > 3
    for id in flipped:
        changed = json.loads(json.dumps(ledger_of(one)))
        changed["entries"][id] = ledger_of(other)["entries"][id]
        problems = [p.found for p in check_text(texts_of(one.name)[form], changed, article())]
        assert any("not printed" in p for p in problems), id
        assert any("the verdicts drop it" in p for p in problems), id


def test_the_worlds_differ_as_they_were_made_to():
    assert [_verdict(built("published"), id) for id in ("H1a", "H2b", "H3a")] == ["supported"] * 3
    assert [_verdict(built("reversed"), id) for id in ("H1a", "H2b", "H3a")] == ["refuted"] * 3
    null = {_verdict(built("null"), id) for id in HYPOTHESES}
    assert null <= {"negligible", "undecided"} and "negligible" in null
    only = {id: _verdict(built("only_h3a"), id) for id in HYPOTHESES}
    assert only.pop("H3a") == "supported" and "supported" not in only.values()
    assert "undecided" in {_verdict(built("tiny"), id) for id in HYPOTHESES}


def _verdict(run: Run, id: str) -> str:
    return ledger_of(run)["entries"][id]["verdict"]


# One result changed by hand --------------------------------------------------------------------


def changed_by_hand(folder: Path, run: Run, id: str, **changes) -> Run:
    """The paper of `run` from a ledger in which one entry was changed."""
    for name in ("_quarto.yml", "paper.qmd", "references.bib"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("paper", "_extensions"):
        shutil.copytree(ROOT / name, folder / name)
    copy = replace(run, root=folder, name="changed")
    for place in ("notebooks", "figures"):
        shutil.copytree(getattr(run, place), getattr(copy, place))
    ledger = json.loads(run.ledger.read_text(encoding="utf-8"))
    ledger["entries"][id]["text"].update(changes.pop("text", {}))
    ledger["entries"][id].update(changes)
    copy.ledger.write_text(json.dumps(ledger), encoding="utf-8")
    write_formats(copy, ["html"])
    return copy


def sentences(run: Run) -> dict[str, set[str]]:
    """Every sentence of the article's text, squeezed, with the ids that are bound in it."""
    page = BeautifulSoup(html_of(run), "html.parser")
    page.find(id="ledger-entries").decompose()
    for part in page.select("script, style, nav, head, .files, #ledger-colophon"):
        part.decompose()
    found: dict[str, set[str]] = {}
    for block in page.select("p, li, td, th, h1, h2, h3, figcaption"):
        marked = "".join(
            f"\0{node.parent['href'][7:]}\0{node}\0" if node.parent.name == "a"
            and "claim" in node.parent.get("class", []) else str(node)
            for node in block.find_all(string=True)
        )
        for sentence in re.split(r"(?<=[.?!:])\s+(?=[A-Z(\0])", " ".join(marked.split())):
            ids = set(re.findall(r"\0([\w.]+)\0", sentence))
            text = squeeze(re.sub(r"\0[\w.]+\0([^\0]*)\0", r"\1", sentence))
            found.setdefault(text, set()).update(ids)
    return found


def test_a_changed_number_changes_every_sentence_that_prints_it_and_no_other(tmp_path):
    before = built("published")
    old = ledger_of(before)["entries"]["H2a"]["text"]
    new = {field: f"{text}77" for field, text in old.items()}
    after = changed_by_hand(tmp_path, before, "H2a", text=new)
    one, other = sentences(before), sentences(after)
    gone, come = one.keys() - other.keys(), other.keys() - one.keys()
    assert gone and len(gone) == len(come)
    assert all("H2a" in one[sentence] for sentence in gone)
    printing = {
        sentence for sentence, ids in one.items() if "H2a" in ids
        and any(squeeze(text) in sentence for text in old.values())
    }
    assert printing <= gone
    assert check_text(read_html(html_of(after)).text, ledger_of(after), everything()) == []


def test_a_flipped_verdict_changes_what_depends_on_it_and_nothing_else(tmp_path):
    before = built("published")
    assert _verdict(before, "H3b") != "refuted"
    after = changed_by_hand(tmp_path, before, "H3b", verdict="refuted")
    one, other = sentences(before), sentences(after)
    gone, come = one.keys() - other.keys(), other.keys() - one.keys()
    assert gone and come
    lines = [squeeze(line) for line in _lines_of("H3b")]
    bound = {s for s in gone | come if "H3b" in {**one, **other}[s]}
    for sentence in (gone | come) - bound:
        ends_before = any(longer.startswith(sentence) for longer in bound)  # a clause fell out
        assert ends_before or any(sentence in line for line in lines), sentence
    assert check_text(read_html(html_of(after)).text, ledger_of(after), everything()) == []
    assert check_page(read_html(html_of(after)), ledger_of(after), everything()) == []


def _lines_of(id: str) -> list[str]:
    """What the source says under a condition on an entry."""
    return [
        token.body for source in article() for token in tokens(source)
        if token.kind == "when" and id in token.options
    ]
