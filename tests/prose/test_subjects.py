"""A direction is said only of what a condition or a token of the sentence is about.

The sentences are from an earlier text of the paper: each was false in some world that its
condition admitted.
"""

from pathlib import Path

import pytest

from claimledger.prose.lint import Subjects, lint_sources
from claimledger.prose.source import Source
from claimledger.registration.loading import load
from claimledger.settings import settings
from prose_ledger import entry

ROOT = Path(__file__).resolve().parents[2]
SUBJECTS = Subjects.of(load(ROOT / "registration.yml"),
                       settings(ROOT)["ledger"].get("subjects") or [])
DECIDED = {
    "hypothesis": ("H1a", "H1b", "H2a", "H3a", "H3b", "H3c"),
    "comparison": ("measures.public_shaming.end_alliance", "H2a.kind.underspending",
                   "H2a.between.underspending.rival_arms", "H3a.public_shaming"),
    "pattern": ("H2a.kind.lower", "measures.no_action.lower")}
LEDGER = {"entries": {id: entry(decision, "undecided" if decision != "pattern" else "some",
                                est="0.1", members="a and b")
                      for decision, ids in DECIDED.items() for id in ids}}


def found(text: str) -> list[str]:
    source = Source("paper.qmd", f"# Results {{#sec-r}}\n\n{text}\n")
    return [p.found.split(" is said of ")[1].split(",")[0]
            for p in lint_sources([source], LEDGER, ["sec-r"], SUBJECTS) if "said of" in p.found]


@pytest.mark.parametrize(("condition", "sentence", "word"), [
    ('H1b="refuted"', "The instruments that could hurt an ally are less liked.",
     "“instruments that could hurt”"),
    ('H1b="refuted"', "That puts the costly threats lower than words.", "“costly threats”"),
    ('H3a="supported"', "Most of its partners have a treaty and a milder response.", "“a treaty”"),
    ('H2a.between.underspending.rival_arms="lower"',
     "A refused operation is better liked.", "“refused operation”"),
    ('H3b="refuted"', "Democracies meet a harsher response.", "“Democracies”"),
    ('H2a="supported"', "Economic sanctions are preferred.", "“Economic sanctions”")])
def test_what_is_in_no_condition_is_refused(condition, sentence, word):
    assert found(f"::: {{.when {condition}}}\n{sentence}\n:::") == [word]
    assert found(f"[{sentence}]{{.when {condition}}}") == [word]


def test_a_phrase_of_says_is_a_sentence_too():
    rest = 'supported="" negligible="" undecided=""'
    phrase = "words are preferred, which puts the costly threats furthest out of reach"
    assert found(f'Among them {{{{< says H1b refuted="{phrase}" {rest} >}}}}.') == [
        "“costly threats”"]


@pytest.mark.parametrize("text", [
    '[Underspending leaves a better view.]{.when H2a.kind.underspending="higher"}',
    '[The purchase is worse.]{.when H2a.between.underspending.rival_arms="higher"}',
    '[The view is worse after underspending.]{.when H2a.kind.lower="all"}',
    '[No action is lower.]{.when measures.no_action.lower="all"}',
    '[Shaming is preferred to sanctions and cuts in aid.]{.when H1b="refuted"}',
    '[Democracies meet a milder response than a treaty, {{< num H3c >}}.]{.when H3a="supported"}',
    '[It is worse. Sanctions were asked about.]{.when H2a="supported"}',  # another sentence
    "::: {.when H3b=\"refuted\"}\nStrength exposes, and the response is harsher.\n:::"])
def test_what_a_condition_or_a_token_is_about_may_be_named(text):
    assert found(text) == []


def test_what_an_entry_is_about():
    assert SUBJECTS.covered("measures.public_shaming.end_alliance") == {
        "public_shaming", "end_alliance"}
    assert {"regime", "democracy", "nondemocracy"} <= SUBJECTS.covered("H3a.public_shaming")
    assert SUBJECTS.covered("H2a.kind.lower") >= {"underspending", "rival_arms"}
    assert SUBJECTS.covered("H3.supported") >= {"democracy", "strong", "signed"}
    assert SUBJECTS.covered("data.status") == frozenset()
