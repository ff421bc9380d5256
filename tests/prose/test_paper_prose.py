"""The prose of this repository: nothing typed where a result should stand."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from claimledger.prose.lint import lint_sources, parts
from claimledger.prose.source import read_sources
from claimledger.prose.tokens import holds, tokens
from claimledger.settings import settings

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = settings(ROOT)["ledger"]["lint"]
ARTICLE = read_sources([ROOT / "paper.qmd"])[0]
LEDGER = json.loads((ROOT / "results" / "ledger.json").read_text(encoding="utf-8"))


def problems(text: str) -> list[str]:
    source = replace(ARTICLE, text=text)
    return [problem.found for problem in lint_sources([source], LEDGER, SECTIONS)]


def test_the_prose_as_it_is():
    assert problems(ARTICLE.text) == []


def test_abstract_results_discussion_and_their_appendices_are_linted():
    ids = re.findall(r"^# .*\{#(sec-[\w-]+)", ARTICLE.text, re.MULTILINE)
    told = ids[ids.index("sec-results"):]
    without = {"sec-app-instrument", "sec-app-colophon"}  # the registration's words, and no prose
    assert {"abstract", *told} - without == set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_typed_result_is_found(section):
    start, end = parts(ARTICLE)[section]
    text = ARTICLE.text
    indent = "  " if section == "abstract" else "\n"
    typed = f"{text[:end].rstrip()}\n{indent}It fell by 0.57, which is significant.\n{text[end:]}"
    assert problems(typed) == [
        "typed verdict word “fell”", "typed numeral “0.57”", "typed verdict word “significant”"]


def words(text: str) -> int:
    """Words as a reader counts them: a token is one, and each phrase that it can print counts."""
    text = re.sub(r"^:::.*$|\]\{[^}]*\}", "", text, flags=re.MULTILINE)
    text = re.sub(r"\{\{<.*?>\}\}",
                  lambda token: " x " + " ".join(re.findall(r'="([^"]*)"', token[0])), text)
    return len(re.findall(r"\S*\w\S*", text))


def test_less_than_a_fifth_of_the_words_is_never_shown():
    """Unshown: passages whose condition fails, and phrases of verdicts that did not come out."""
    came = {id: entry.get("verdict") for id, entry in LEDGER["entries"].items()}
    unshown, until = 0, 0
    for token in tokens(ARTICLE):
        if token.start < until:  # inside a passage that is dropped
            continue
        if token.kind == "when" and not holds(token, came):
            unshown, until = unshown + words(token.body), token.end
        elif token.kind in ("says", "members"):
            unshown += sum(words(phrase) for verdict, phrase in token.options.items()
                           if verdict != came[token.ids[0]])
    whole = words(ARTICLE.text[ARTICLE.text.index("abstract: |"):])
    assert unshown < whole / 5, f"{unshown} of {whole} words"
