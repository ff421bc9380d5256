"""The prose of this repository: nothing typed where a result should stand."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from claimledger.prose.lint import lint_sources, parts
from claimledger.prose.source import read_sources
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
        "typed verdict word “fell”", "typed numeral “0.57”", "typed verdict word “significant”"
    ]
