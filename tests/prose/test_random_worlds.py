"""The paper in hundreds of worlds nobody shipped: every branch is reached, every claim is so."""

import re
from collections import Counter

import pytest

from claimledger.prose.lint import _HIT, parts
from claimledger.prose.tokens import holds, tokens
from claims import GENERAL, Facts, judge
from random_worlds import CONFIG, RECORD, World, article, told

SOURCE = article()
FOUND = tokens(SOURCE)
slow = pytest.mark.slow


def spoken(lines: list[str]) -> list[str]:
    """The sentences of abstract, results and discussion; other studies and error rates left out."""
    kept, inside = [], True
    for line in lines:
        if line.startswith("# "):
            inside = line.startswith(("# Results", "# Discussion"))
        if line.startswith("keywords"):
            inside = False
        if inside and not line.startswith(("#", ":::", "{{<")):
            text = re.sub(r"\]\{[^}]*\}|\[@[^\]]*\]", "", line).replace("[", "").replace("]", "")
            kept += re.split(r"(?<=[.?!])\s+(?=[A-Z])", " ".join(text.split()))
    return [sentence for sentence in kept if sentence]


def read(seeds: range) -> list[tuple[World, Facts, list[str]]]:
    worlds = [World(seed) for seed in seeds]
    return [(w, Facts(w.tests, w.families), spoken(told(SOURCE, w.ledger, FOUND))) for w in worlds]


@pytest.fixture(scope="module")
def readings() -> list[tuple[World, Facts, list[str]]]:
    return read(range(1, 301))


@pytest.fixture(scope="module")
def worlds(readings) -> list[World]:
    return [world for world, _, _ in readings]


def test_a_few_worlds_read_as_true():
    few = read(range(1001, 1017))
    assert not_so(few) == [] and unjudged(few) == []


def test_no_sentence_runs_into_the_next_or_lacks_what_it_needs():
    for world, _, sentences in read(range(2001, 2013)):
        for sentence in sentences:
            assert not re.search(r"[a-z][.;:,][A-Za-z]{2}|\bis [=<>]|,,|\.\.|\( ", sentence), (
                world.seed, sentence)


@slow
def test_sizes_and_verdicts_are_of_every_kind(worlds):
    assert min(w.size for w in worlds) < 100 and max(w.size for w in worlds) > 3000
    for id in ("H1a", "H1b", "H2a", "H2b", "H3a", "H3b", "H3c"):
        came = Counter(w.ledger["entries"][id]["verdict"] for w in worlds)
        assert min(came[v] for v in RECORD["entries"][id]["verdicts"]) >= 10, (id, came)


@slow
def test_every_passage_is_reached_and_some_world_drops_it(worlds):
    every = {t.start: t for t in FOUND if t.kind == "when" and "TW" not in str(t.options)}
    shown, dropped = set(), set()
    for world in worlds:
        came = {id: e.get("verdict") for id, e in world.ledger["entries"].items()}
        for start, token in every.items():
            (shown if holds(token, came) else dropped).add(start)
    missed = [str(SOURCE.where(s)) + every[s].body[:60] for s in every if s not in shown]
    always = [str(SOURCE.where(s)) + every[s].body[:60] for s in every if s not in dropped]
    assert missed == [] and always == []


@slow
def test_every_phrase_is_reached(worlds):
    missed = []
    for token in FOUND:
        around = [t for t in FOUND if t.kind == "when" and t.inner[0] <= token.start < t.inner[1]]
        if token.kind != "says" or token.ids[0].startswith("TW."):
            continue
        came = set()
        for world in worlds:
            verdicts = {id: e.get("verdict") for id, e in world.ledger["entries"].items()}
            if all(holds(t, verdicts) for t in around):
                came.add(verdicts[token.ids[0]])
        missed += [f"{SOURCE.where(token.start)} {token.ids[0]} {verdict}"
                   for verdict in token.options if verdict not in came and verdict != "all"]
    assert missed == []


@slow
def test_the_engine_and_the_claims_decide_alike(readings):
    signs = {"supported": "+-", "refuted": "+-", "higher": "+", "lower": "-", "negligible": "0",
             "undecided": "?"}
    for world, facts, _ in readings:
        for id, sign in facts.came.items():
            assert sign in signs[world.ledger["entries"][id]["verdict"]], (world.seed, id)


def not_so(readings: list) -> list[str]:
    return [f"world {world.seed}: {sentence}\n  against {pattern}"
            for world, facts, sentences in readings for sentence in sentences
            for pattern, so in judge(facts, sentence) if not so][:20]


def unjudged(readings: list) -> list[tuple[str, int]]:
    """Sentences with a word of direction that no claim of tests/support/claims.py speaks of."""
    return Counter(
        sentence for _, facts, sentences in readings for sentence in sentences
        if any(hit.lastgroup == "direction" for hit in _HIT.finditer(sentence))
        and not any(True for _ in judge(facts, sentence))
        and not any(re.search(pattern, sentence) for pattern in GENERAL)
    ).most_common(25)


@slow
def test_every_claim_is_so(readings):
    assert not_so(readings) == []


@slow
def test_every_sentence_with_a_direction_is_judged(readings):
    assert unjudged(readings) == []


def test_the_claims_are_those_of_linted_sections():
    assert {"abstract", "sec-results", "sec-discussion"} <= set(CONFIG["lint"]) & set(parts(SOURCE))
