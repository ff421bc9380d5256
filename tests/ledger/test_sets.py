"""Which members of a set came out how, and in what order: as a person would say it, and no more."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from claimledger.ledger.entries import VERDICTS, Entry
from claimledger.ledger.sets import members_text, order_text, ready_texts, set_entries, split_text
from claimledger.registration.loading import load
from orders import ahead

ROOT = Path(__file__).resolve().parents[2]
REGISTRATION = load(ROOT / "registration.yml")
NOUN = ("kind", "kinds")


@pytest.mark.parametrize(("inside", "every", "noun", "text"), [
    ("", "abcd", NOUN, "no kind"), ("", "abcd", None, "none"),
    ("abcd", "abcd", NOUN, "all four kinds"),
    ("ab", "ab", NOUN, "both kinds"), ("abd", "abcd", NOUN, "every kind but c"),
    ("abd", "abcd", None, "a, b, and d"), ("ad", "abcd", NOUN, "a and d"), ("b", "abcd", NOUN, "b"),
    ("abcd", "abcd", None, "a, b, c, and d"), ("a", "ab", NOUN, "a")])
def test_members_are_told_as_a_person_would(inside, every, noun, text):
    assert members_text(list(inside), list(every), noun, str) == text


def pairs(order: str, *apart: str, level: str = "") -> dict[tuple[str, str], str]:
    """Verdicts of all pairs: `ab` in `apart` has a higher than b; those in `level` are level."""
    found = {}
    for a, b in combinations(order, 2):
        verdict = "negligible" if a + b in level.split() else "undecided"
        verdict = "higher" if a + b in apart else "lower" if b + a in apart else verdict
        found[a, b] = verdict
        found[b, a] = {"higher": "lower", "lower": "higher"}.get(verdict, verdict)
    return found


@pytest.mark.parametrize(("order", "apart", "level", "text"), [
    ("abc", "ab ac bc", "", "a, b, and c stand in this order, each ahead of all that follow"),
    ("abc", "ac bc", "", "c stands behind all others; the other pairs are not separated"),
    ("abc", "ab ac", "bc",
     "a stands ahead of all others; the other pairs are level within the bound"),
    ("abc", "", "", "no pair is shown to be apart"),
    ("abc", "", "ab ac bc", "all pairs are level within the bound"),
    ("abc", "ac", "", "a stands ahead of c; the other pairs are not separated"),
    ("abcd", "ac ad bc bd", "",
     "a and b each stand ahead of all others; the other pairs are not separated"),
    ("abcd", "ac ad bd cd", "",
     "d stands behind all others; c stands behind a; the other pairs are not separated"),
    ("abcd", "ac ad bc bd cd", "",
     "the order is a and b (not separated); then c; then d; each step ahead of all that follow")])
def test_an_order_says_only_what_its_pairs_show(order, apart, level, text):
    assert order_text(list(order), pairs(order, *apart.split(), level=level), str) == text


def test_a_random_order_can_be_read_back_to_what_its_pairs_show():
    rng = np.random.default_rng(3)
    names = {"a": "no action", "b": "public shaming", "c": "cutting aid", "d": "sanctions",
             "e": "ending it"}
    for _ in range(300):
        order = list("abcde")
        verdicts = pairs("abcde", *(a + b for a, b in combinations(order, 2) if rng.random() < 0.6))
        text = order_text(order, verdicts, names.get)
        shown = ahead(text, dict(zip(names.values(), names, strict=True)))
        assert shown == {pair for pair, v in verdicts.items() if v == "higher"}, text


@pytest.mark.parametrize(("verdicts", "text"), [
    ("llll", "lower after all four kinds"),
    ("uuuu", "not shown to differ after any of the four kinds"),
    ("hlln", "higher after a, lower after b and c, and level within the bound after d"),
    ("lluu", "lower after a and b and not shown to differ after the others"),
    ("nuuu", "level within the bound after a and not shown to differ after the others"),
    ("lllu", "lower after every kind but d, where it is not shown to differ")])
def test_a_set_is_told_verdict_by_verdict_and_each_member_once(verdicts, text):
    names = {"l": "lower", "u": "undecided", "h": "higher", "n": "negligible"}
    came = dict(zip("abcd", map(names.get, verdicts), strict=True))
    assert split_text(came, ("kind", "kinds", "after"), str) == text


def entry(id: str, value: float, verdict: str, decision: str = "comparison") -> dict:
    return {"id": id, "label": id, "value": value, "verdict": verdict, "decision": decision,
            "verdicts": VERDICTS[decision], "status": "registered", "notebook": "n", "cell": "c"}


def test_sets_of_a_registration_are_entries_of_the_ledger():
    kinds = REGISTRATION.comparison("H2a.kind").levels
    entries = {f"H2a.kind.{kind}": entry(f"H2a.kind.{kind}", -0.2, "lower") for kind in kinds[1:]}
    entries[f"H2a.kind.{kinds[0]}"] = entry(f"H2a.kind.{kinds[0]}", 0.0, "undecided")
    for a, b in combinations(kinds, 2):
        id, first = f"H2a.between.{a}.{b}", a == kinds[0]
        entries[id] = entry(id, 0.3 if first else 0, "higher" if first else "undecided")
    for id, verdict in zip(("H3a", "H3b", "H3c"), ("refuted", "refuted", "undecided"), strict=True):
        entries[id] = entry(id, 0.1, verdict, "hypothesis")
    words = {"H2a": ["kind", "kinds"], "H3b": "a strong military"}
    made = set_entries(entries, REGISTRATION, words, {"own": ["H3a", "H3b"], "none": ["missing"]})
    for one in made.values():
        Entry.model_validate(one)
    assert made["H2a.kind.lower"]["text"]["members"].startswith("every kind but underspending")
    assert made["H2a.kind.undecided"]["verdict"] == "some"
    assert made["H2a.kind.apart"]["text"]["split"].startswith("lower for every kind but under")
    assert made["H2a.kind.alike"]["verdict"] == "none" and made["own.alike"]["verdict"] == "all"
    assert made["H2a.between.underspending.higher"]["text"]["members"] == "all three other kinds"
    assert made["H2a.between.rival_arms.lower"]["verdict"] == "some"
    assert made["H2a.between.apart"]["text"]["order"].startswith("underspending")
    assert made["H3.refuted"]["text"]["members"] == "H3a and a strong military"
    assert made["own.refuted"]["verdict"] == "all" and "none.refuted" not in made
    assert not any(id.startswith("measures") for id in made)  # nothing recorded of them


def test_ready_texts_name_what_is_corrected():
    shown = {"est": "0.48", "ci": "[0.38, 0.58]", "p": "< .001", "padj": "= .002"}
    tested = {"text": shown, "ci_level": 0.95, "unit": "points, 1 to 5"}
    assert ready_texts(tested) == {
        "test": "95% interval [0.38, 0.58], corrected *p* = .002",
        "stat": "0.48 points, 95% interval [0.38, 0.58], corrected *p* = .002"}
    assert ready_texts({"text": {"est": "3"}}) == {}


@pytest.mark.parametrize(("value", "unit", "text"), [
    (0.0, "share", "none"), (0, "count", "none"), (1.0, "share", "all"), (1, "count", "1"),
    (0.008, "share", "0.8%"), (0.0001, "share", "0.0%")])
def test_nothing_and_everything_are_said_in_words(value, unit, text):
    texts = {"est": "1" if unit == "count" else f"{100 * value:.1f}%"}
    assert ready_texts({"value": value, "unit": unit, "text": texts})["part"] == text
