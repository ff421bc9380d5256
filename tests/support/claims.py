"""What the paper's sentences claim about a world, and whether it is so: decided here once more.

Nothing of the engine is used: p values, Holm's correction, the equivalence tests and the verdicts
are computed from the drawn estimates alone, and sentences are read as printed.
"""

import re
from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np
from scipy.stats import t as student

from orders import ahead

WORDS = {
    "no action": "no_action", "public shaming": "public_shaming",
    "cutting military aid": "cut_military_aid", "economic sanctions": "economic_sanctions",
    "ending the alliance": "end_alliance", "underspending": "underspending",
    "an arms purchase from a rival": "rival_arms", "a refused operation": "refused_operation",
    "a blocked accession": "blocked_accession", "American contributions": "contributions",
    "corrective measures": "corrective"}
NUMBERS = ["none", "one", "two", "three", "four"]
MEASURES, KINDS = list(WORDS.values())[:5], list(WORDS.values())[5:9]
GAPS = list(WORDS.values())[9:]


def holm(p: np.ndarray) -> np.ndarray:
    """The step-down procedure, as Holm writes it."""
    order, adjusted, worst = np.argsort(p), np.empty(len(p)), 0.0
    for step, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p) - step) * p[i]))
        adjusted[i] = worst
    return adjusted


class Facts:
    """`facts("H2a")` is + or - (an effect), 0 (smaller than the bound) or ? (undecided)."""

    def __init__(self, tests: dict[str, tuple], families: dict[str, list[str]]):
        self.came: dict[str, str] = {}
        for ids in families.values():
            rows = np.array([tests[id][:5] for id in ids])
            estimate, se, df, _, bound = rows.T
            p = holm(2 * student.sf(np.abs(estimate / se), df))
            apart = np.maximum(student.sf((estimate + bound) / se, df),
                               student.sf((bound - estimate) / se, df))
            inside = holm(apart)
            for i, id in enumerate(ids):
                shown = "+" if estimate[i] > 0 else "-"
                self.came[id] = shown if p[i] < 0.05 else "0" if inside[i] < 0.05 else "?"

    def __call__(self, id: str) -> str:
        return self.came[id]

    def pair(self, name: str, a: str, b: str) -> str:
        """The first against the second, in whatever order the pair was compared."""
        if (id := f"{name}.{a}.{b}") in self.came:
            return self.came[id]
        return {"+": "-", "-": "+"}.get(other := self.came[f"{name}.{b}.{a}"], other)

    def order(self, name: str, levels: list[str]) -> set[tuple[str, str]]:
        """Which level is above which."""
        return {(a, b) for a, b in permutations(levels, 2) if self.pair(name, a, b) == "+"}


def members(text: str, every: list[str]) -> set[str]:
    """The members that a phrase names: "all four kinds", "every kind but underspending"."""
    named = {key for word, key in WORDS.items() if word in text and key in every}
    if re.search(r"\b(?:all|any of the) (?:three|four) |\b(?:both|either) ", text):
        return set(every)
    if re.search(r"\bevery (?:other )?\w+ but ", text):
        return set(every) - named
    return named


Claim = Callable[[Facts, re.Match], bool]


def side(id: str) -> Claim:
    """The side of an estimate that a phrase names; "from" where no side is shown."""
    return lambda f, m: f(id) in {"above": "+", "below": "-", "from": "0?"}[m[1]]


def pairwise(name: str, a: str, b: str) -> Claim:
    signs = {"level": "0", "not sep": "?",
             "rated below": "-", "rated above": "+"}
    return lambda f, m: f.pair(name, a, b) == signs[m[1]]


def divided(name: str, every: list[str]) -> Claim:
    """Each verdict's members as they are told: "lower after all four kinds"."""
    signs = {"higher": "+", "lower": "-", "level within the bound": "0", "not shown to differ": "?"}
    part = rf"({'|'.join(signs)}) (?:after|for) (.*?)(?=,? (?:and )?(?:{'|'.join(signs)}) |$)"

    def holds(f: Facts, m: re.Match) -> bool:
        told: list[tuple[str, str]] = []
        whole = re.sub(r" but (.*), where it is (.*)$", r" but \1 and \2 after \1", m[1])
        for word, text in re.findall(part, whole):
            named = members(text, every)
            if text == "the others":
                named = set(every) - {key for _, key in told}
            told += [(signs[word], key) for key in named]
        return sorted(told) == sorted((f(f"{name}.{key}"), key) for key in every)
    return holds


def against(name: str, level: str, sign: str, levels: list[str]) -> Claim:
    others = [other for other in levels if other != level]
    return lambda f, m: members(m[1], others) == {
        other for other in others if f.pair(name, level, other) == sign}


def order(name: str, levels: list[str]) -> Claim:
    names = {word: key for word, key in WORDS.items() if key in levels}
    return lambda f, m: ahead(m[1], names) == f.order(name, levels)


def traits(f: Facts) -> list[str]:
    return [f("H3a"), f("H3b"), f("H3c")]


MOVES = {"lowers": "-", "falls": "-", "raises": "+", "rises": "+", "shifts": "0?"}
NOT = r"(?<!whether )(?<!would have it\) )"

# What a sentence says (a pattern), and when it is so: "H2a- H2b0?" where H2a is below zero, and H2b
# smaller than the bound or undecided; or a function of the facts and of what the pattern found.
CLAIMS: list[tuple[str, str | Claim]] = [
    # H1a
    (r"rather (?:have (?:such an|the) ally corrected|see something done)"
     r"|sooner see a shortfall answered|support for the corrective measures exceeds"
     r"|inaction, which governments", "H1a+"),
    (r"rather (?:have nothing done|leave it alone\.)|sooner let a shortfall pass"
     r"|Support for no action exceeds|likes? less than inaction", "H1a-"),
    (r"stays open whether respondents would rather|are not shown to prefer correction to inaction",
     "H1a?"),
    (r"support correction and inaction alike|correction and inaction about the same", "H1a0"),
    (r"corrective measures stands [\d.]+ points (above|below|from) support", side("H1a")),
    (r"aid, stands [\d.]+ points (above|below|from) support for public shaming", side("H1b")),
    # H1b
    (NOT + r"deeds are preferred to words|coercive measures, sanctions and cuts in military aid,"
     r" exceeds|find more support than public criticism\.|material measures are preferred to words"
     r"|with sanctions and cuts in aid than with words|also better backed than the cheap"
     r"|sanctions and cuts in aid better backed than criticism", "H1b+"),
    (NOT + r"words are preferred to|find less support than public criticism"
     r"|threats that are harder to believe", "H1b-"),
    (r"as much support as public criticism|words and deeds find about the same"
     r"|words and deeds differ in support by less", "H1b0"),
    (r"open whether (?:deeds|words)|whether words or deeds are preferred"
     r"|cannot be distinguished from support for public criticism", "H1b?"),
    # H2
    (r"worsens the view of it|seen in a worse light|rating falls by|think worse of an ally",
     "H2a-"),
    (r"improves the view of it|seen in a better light|rating rises by|think better of an ally",
     "H2a+"),
    (r"moves the view of (?:it|the ally) by less"
     r"|change their view of an ally that fell short by less", "H2a0"),
    (r"lowers support for American|do less for the ally\.|contributions falls by"
     r"|would contribute less to (?:an ally|its)|withdrawing effort", "H2b-"),
    (r"raises support for American|do more for the ally\.|contributions rises by"
     r"|contribute more to", "H2b+"),
    (r"moves support for American contributions by less|contribute moves with a shortfall by less"
     r"|change what is contributed to its defense by less", "H2b0"),
    (r"public rewards what the government resents", "H2a+ H2b+"),
    (r"so that the motive remains in doubt", "H2b- H2a+0?"),
    (r"change the view of it|not shown to change their view|how the ally is seen, the data do not",
     "H2a?"),
    (r"not shown to change (?:support for American|what they would contribute)"
     r"|United States contribute, the data leave open", "H2b?"),
    (r"answers follow the second pattern", "H2a- H2b-"),
    (r"Effort follows the second pattern and regard is not", "H2b- H2a+0?"),
    (r"Effort follows the first: the ally", "H2b+"),
    (r"annoyance with it should not be read as readiness", "H2a- H2b+0"),
    # Kinds
    (r"the rating of the ally is (.*); support for American", divided("H2a.kind", KINDS)),
    (r"; support for American contributions is (.*?)\.$", divided("H2b.kind", KINDS)),
    (r"^Each of them does damage",
     lambda f, m: {f(f"{h}.kind.{k}") for h in ("H2a", "H2b") for k in KINDS} == {"-"}),
    (r"has about the name of an ally that buys", "H2a.between.underspending.rival_arms0"),
    (r"^In regard for the ally, (.*)\.$", order("H2a.between", KINDS)),
    (r"^In the demand for correction, (.*)\.$", order("corrective.between", KINDS)),
    (r"(?:set|one;) (all|some) kinds of shortfall (?:are set )?apart",
     lambda f, m: len(f.order("corrective.between", KINDS)) in (
         [6] if m[1] == "all" else range(1, 6))),
    (r"support for correction(?: is not the same|; underspending)",
     lambda f, m: bool(f.order("corrective.between", KINDS))),
    (r"complain most, meets with less of it than (.*)\.$",
     against("corrective.between", "underspending", "-", KINDS)),
    (r"how the ally fell short is not shown|^Whether the response depends on the offense",
     lambda f, m: not f.order("corrective.between", KINDS)),
    (r"no difference to the response as wide",
     lambda f, m: all(f.pair("corrective.between", *two) == "0" for two in permutations(KINDS, 2))),
    (r"explains; yet an ally that spends too little keeps a better name",
     "H2a.between.underspending.rival_arms+"),
    (r"an ally that spends too little has a worse name", "H2a.between.underspending.rival_arms-"),
    (r"whether an ally that spends too little keeps", "H2a.between.underspending.rival_arms?"),
    (r"met with less demand for correction than (.*), which a theory",
     against("corrective.between", "underspending", "-", KINDS)),
    (r"met with more demand for correction than (.*)\.$",
     against("corrective.between", "underspending", "+", KINDS)),
    # Measures
    (r"^In mean support, (.*)\.$", order("measures", MEASURES)),
    (r"cutting military aid, its nearest neighbor in kind, it is (rated below|rated above|level"
     r"|not sep)", pairwise("measures", "end_alliance", "cut_military_aid")),
    # H3
    (r"less support against a democracy|Democracies are treated more mildly|regime lowers it by",
     "H3a-"),
    (r"more support against a democracy|held to a stricter standard|regime raises it by"
     r"|harsher response to democracies", "H3a+"),
    (r"the same support, within the bound, against a democracy|ally is a democracy makes no",
     "H3a0"),
    (r"democracy that cannot be distinguished|Whether democracies are spared", "H3a?"),
    (r"strong military the response is milder|military strength the response is milder"
     r"|strong military shields|^It lowers support for corrective|patron's public is less ready",
     "H3b-"),
    (r"(?:strong military|military strength)(?:, however,)? the response is harsher"
     r"|strong military exposes|^It raises support for corrective|has less excuse", "H3b+"),
    (r"treaty the response is milder|A treaty shields|slower to punish", "H3c-"),
    (r"treaty(?:, however,)? the response is harsher|A treaty exposes|signed alliance raises"
     r"|readier to call it", "H3c+"),
    (r"Mildness is not what recommends|not a mild public",
     lambda f, m: f("H1b") == "-" == f.pair("measures", "public_shaming", "end_alliance")),
    (r"held to its word are different things", "H2a+ H1a+"),
    (r"withdrawal would escape any poll", "H2b- H2a+0"),
    (r"enjoy the discount", "H3a- H3c-0"),
    (r"Regime and treaty pull in opposite directions", "H3a- H3c+"),
    (r"When the ally is a democracy, support is (.*)\.$", divided("H3a", MEASURES[1:])),
    (r"reluctance covers words", lambda f, m: {f(f"H3a.{k}") for k in MEASURES[1:]} == {"-"}),
    (r"safe choice, because nobody has to defend|which would cost it something, are also better"
     r"|presidents scold, they may", "H1a+"),
    (r"premise that a public will want|^To look away", "H1a-"),
    (r"cannot be read off such an average", "H1a0?"),
    (r"which would cost it something|presidents scold, they may|reverses a familiar", "H1b+"),
    (r"finds no guidance in this average", "H1b0?"),
    (r"can be enough to cost it|some of it is lost piecemeal", "H2a-"),
    (r"A reversal of this kind", "H2a+"),
    (r"quiet danger", "H2b-"),
    (r"these frames the answers do not", "H2b0?"),
    (r"damage that no government orders|count inaction as free", "H2a- H2b-"),
    (r"taken no offense as wide", "H2a0 H2b0"),
    (r"lest the public lose patience", "H2a? H2b?"),
    (r"are treated like other allies|does not carry over", "H3a0"),
    (r"not shown to be treated unlike", "H3a?"),
    (r"would seem to reach down", "H3a-"),
    (r"Leniency then goes with the terms", lambda f, m: "-" in traits(f)[1:] and f("H3a") != "-"),
    (r"makes all of these allowances", "H3a- H3b- H3c-"),
    (r"cannot rely on such traits", "H3a0 H3b0 H3c0"),
    (r"needs other grounds than these", "H3a? H3b? H3c?"),
    (r"^(A signature|It|.*regime) (lowers|raises|shifts) (?:it|support) ",
     lambda f, m: f({"A signature": "H3c", "It": "H3b"}.get(m[1], "H3a")) in MOVES[m[2]]),
    (r"(rating|contributions) (falls|rises|shifts) by an estimated",
     lambda f, m: f("H2a" if m[1] == "rating" else "H2b") in MOVES[m[2]]),
    # Party and ideology
    (r"compared with Democrats, support is (.*)\.$", divided("party", GAPS)),
    (r"further toward punishment among Republicans", "party.H3a+"),
    (r"further toward leniency among Republicans", "party.H3a-"),
    (r"Republicans support corrective measures more", "party.corrective+"),
    (r"Republicans support corrective measures less", "party.corrective-"),
    (r"They would also contribute less", "party.corrective+ party.contributions-"),
    (r"For (?:a strong military|strength) as for a (?:formal )?treaty, (.*)\.$",
     lambda f, m:
        f("H3b") == f("H3c") == ("0" if m[1].startswith("any") else "?" if "open" in m[1]
                                 else "-" if "milder" in m[1] else "+")),
    (r"strength(?:, however,)? any effect is smaller", "H3b0"),
    (r"treaty(?:, however,)? any effect is smaller", "H3c0"),
    (r"military strength(?:, however,)? it stays open", "H3b?"),
    (r"treaty(?:, however,)? it stays open|what a treaty does the data do not tell", "H3c?"),
    (r"when the question is what to do about its lapses, any movement is smaller", "H3c0"),
    (r"back the rung that an ally fears no more", "H1a+ H1b0?"),
    # The verdicts by name
    (r"find (\w+) of the effects in the direction that the article reports and (\w+) in the opp",
     lambda f, m: [m[1], m[2]] == [
        NUMBERS[[verdict(f, id) for id in ("H1a", "H1b", "H2b", "H3a")].count(word)]
        for word in ("supported", "refuted")]),
    (r"For capability and treaty they say more", "H3b0 H3c0"),
    (r"For a strong military alone they say", "H3b0 H3c+-?"),
    (r"For a formal treaty alone they say", "H3c0 H3b+-?"),
    (r"Neither for capability nor for treaty do they", "H3b+-? H3c+-?"),
    (r"\b(H\d[abc]) (?:is )?(supported|refuted|negligible|undecided)",
     lambda f, m: verdict(f, m[1]) == m[2])]


def verdict(f: Facts, id: str) -> str:
    """The registered verdict: the registration expects H1 positive, H2 and H3 negative."""
    expected = "+" if id.startswith("H1") else "-"
    return {"0": "negligible", "?": "undecided", expected: "supported"}.get(f(id), "refuted")


# Sentences with a word of direction that claim nothing about the world at hand, and why.
GENERAL = (
    r"Citizens who think of alliance as collective action", r"leniency or severity applies",
    r"^Leniency that belongs", r"^If material measures are the popular", r"^Defense budgets are",
    r"^If lapses drain", r"real respondents of an earlier experiment",
    r"^Where the question was a strike", r"^The article reports", r"^The published study reports",
    r"^Words may be preferred", r"^What is known about the use of force",
    r"^If a patron's public makes allowances", r"^The leniency found in questions of war")


def judge(facts: Facts, sentence: str) -> Iterator[tuple[str, bool]]:
    """Every claim that a sentence makes, and whether it is so."""
    for pattern, claim in CLAIMS:
        if match := re.search(pattern, sentence):
            signs = re.findall(r"(\S+?)([-+0?]+)(?: |$)", claim) if isinstance(claim, str) else []
            yield pattern, all(facts(id) in sign for id, sign in signs) if signs else bool(
                claim(facts, match))
