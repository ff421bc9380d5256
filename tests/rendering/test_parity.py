"""The same paper from the source, from the embedded renderer and from Quarto: by its structure."""

import json
import re
import shutil

import pytest
from bs4 import BeautifulSoup

from claimledger.prose.source import read_sources
from claimledger.prose.tokens import holds, tokens
from engine import command
from readback import soup, verdicts

QUARTO = shutil.which("quarto")
NAMES = {"fig": "Figure", "tbl": "Table", "sec": "Section"}
NOT_PROSE = (
    "script", "style", "nav", "header", ".abstract", "#ledger-entries", ".notebooks",
    ".callout-title", ".callout-header", ".footnotes h2", ".power-panel", ".anchorjs-link")


def words(element) -> str:
    return " ".join(element.get_text().split())


def structure(page: BeautifulSoup) -> dict:
    """Headings with their ids, exhibits with their captions, references, sources, claims."""
    for gone in page.select(", ".join(NOT_PROSE)):
        gone.decompose()
    main = page.main
    headings = [h for h in main.select("h1, h2, h3, h4") if not h.find_parent(class_="callout")]
    top = min(int(h.name[1]) for h in headings)
    labels = {f["id"]: words(f.find("figcaption")) for f in main.select("[id^=fig-], [id^=tbl-]")
              if f.find("figcaption") and re.fullmatch(r"(fig|tbl)-[\w-]+", f["id"])
              and not f["id"].endswith("-caption") and "-caption-" not in f["id"]}
    return {
        "headings": [(int(h.name[1]) - top, h.get("id") or h.parent.get("id"), words(h))
                     for h in headings],
        "exhibits": list(labels.items()),
        "references": [(a["href"], words(a)) for a in main.select(
            'a[href^="#fig-"], a[href^="#tbl-"], a[href^="#sec-"]') if not a.find_parent("nav")],
        "sources": [(e["id"], words(e)) for e in main.select(".csl-entry")],
        "claims": [(a["href"], words(a)) for a in main.select("a.claim")],
        "prose": [words(e) for e in main.select("p, li, td, th") if words(e)]}


def promised(source, ledger) -> dict:
    """What the article's source says that a page must have, under the verdicts that came out."""
    came, text = verdicts(ledger), source.masked
    dropped = [t.inner for t in tokens(source) if t.kind == "when" and not holds(t, came)]

    def shown(place: int) -> bool:
        return not any(a <= place < b for a, b in dropped)

    embeds = re.finditer(r"^\{\{< embed \S+#((?:fig|tbl)-[\w-]+) >\}\}", source.text, re.M)
    start = source.text.index("\n---", 3)
    cited = re.finditer(r"(?<![\w.])@([A-Za-z][\w:-]*\w)", text[start:])
    keys = [m[1] for m in cited if shown(start + m.start())]
    return {
        "ids": [name for at, _, name in source.headings if name and shown(at)],
        "exhibits": [m[1] for m in embeds if shown(m.start())],
        "cited": {k for k in keys if k.split("-")[0] not in NAMES},
        "labels": {k for k in keys if k.split("-")[0] in NAMES}}


def check_promises(page: BeautifulSoup, source, ledger) -> None:
    """""Each heading, exhibit, source and label of the article stands in the page."""""
    wanted, found = promised(source, ledger), structure(page)
    ids = [name for _, name, _ in found["headings"]]
    assert [name for name in ids if name in wanted["ids"]] == wanted["ids"]
    assert [label for label, _ in found["exhibits"]] == wanted["exhibits"] != []
    counts = {"fig": 0, "tbl": 0}
    for label, caption in found["exhibits"]:
        counts[label[:3]] += 1
        assert caption.startswith(f"{NAMES[label[:3]]} {counts[label[:3]]}: "), label
        assert words(page.select_one(f'a[href="#{label}"]')).endswith(str(counts[label[:3]])), label
    assert {name.removeprefix("ref-") for name, _ in found["sources"]} == wanted["cited"] != set()
    assert wanted["labels"] <= {href[1:] for href, _ in found["references"]}


def source_and_ledger(root):
    ledger = json.loads((root / "results/ledger.json").read_text(encoding="utf-8"))
    return read_sources([root / "paper.qmd"])[0], ledger


def test_the_small_page_has_what_its_source_promises(small, files):
    check_promises(soup(files["html"]), *source_and_ledger(small.root))


@pytest.mark.parametrize("gone", ["#fig-support", "#sec-results", ".csl-entry"])
def test_what_is_missing_is_seen(small, files, gone):
    page = soup(files["html"])
    for one in page.select(gone):
        one.decompose()
    with pytest.raises((AssertionError, AttributeError)):
        check_promises(page, *source_and_ledger(small.root))


@pytest.mark.build
@pytest.mark.xdist_group("clone")
def test_the_article_has_what_its_source_promises(clone):
    check_promises(soup(clone / "_manuscript/index.html"), *source_and_ledger(clone))


@pytest.mark.build
@pytest.mark.xdist_group("clone")
@pytest.mark.skipif(not QUARTO, reason="no Quarto on this machine")
def test_quarto_makes_the_same_article(clone, tmp_path):
    own = structure(soup(clone / "_manuscript/index.html"))
    aside = shutil.copytree(clone / "_manuscript", tmp_path / "embedded")
    try:
        done = command(clone, "render", "--formats", "html", CLAIMLEDGER_RENDERER="quarto")
        assert done.returncode == 0, done.stderr
        theirs = structure(soup(clone / "_manuscript/index.html"))
    finally:
        shutil.rmtree(clone / "_manuscript")
        shutil.copytree(aside, clone / "_manuscript")
        command(clone, "render")
    for part in own:
        if part == "prose":  # but for the line of the colophon that names the renderer
            own[part] = [line for line in own[part] if "embedded renderer" not in line]
            theirs[part] = [line for line in theirs[part] if not line.startswith("Quarto 1")]
        assert own[part] == theirs[part] != [], part
