"""No typed number and no typed verdict word where the paper reports results.

Linted are the sections that `_quarto.yml` names below `ledger: lint:` (ids of headings, with their
subsections, and keys of the front matter such as `abstract`), and every caption of a notebook.
It is the source that is linted: a token knows that it is generated, finished text does not.

The rule
--------
1. *Numerals*, in digits or in words, are allowed nowhere but in a token. `num` prints them.
   In mathematics they are allowed, unless the formula says that something equals a number.
2. *Verdict words* say what came out. They are allowed where a verdict vouches for them: inside a
   `.when`, and in a phrase of `says` (for the verdicts that share this phrase). A condition
   vouches only if it can fail: one that names every verdict of its entry, or that asks for the
   status of the data, vouches for nothing.
3. *Words of direction* (higher, less, increase) need more: a condition that admits two opposite
   verdicts, such as supported and refuted, does not vouch for them.
4. The *name of a verdict* is not allowed under a condition on its entry that excludes this verdict:
   no "refuted" where the entry was supported.
5. A sentence that states a direction may name only what its conditions or its tokens are about.
   "Thinks worse of a letter that is long" under a condition on another comparison is refused,
   whatever came out: the entry that would make it true or false is not asked for. Names are the
   labels of levels and of the items that are compared, and further words that `_quarto.yml` lists
   below `ledger: subjects:`, each with what it stands for.
6. What must be typed is marked `[...]{.typed reason="..."}`; the paper prints the reasons. A mark
   on words that need none is refused. (That each mark has a reason is checked with the tokens.)

Passed over: code, comments, citations, references, links, attributes, ids, labels, and letters
with digits (H3a, CR2). A token before "percent" makes it a unit.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

from claimledger.prose.source import ATTRIBUTES, QUOTED, TOKEN, Problem, Source
from claimledger.prose.tokens import Token, nearest, tokens

if TYPE_CHECKING:  # the lint starts without the libraries that a registration is checked with
    from claimledger.registration.models import Registration

# The words of the rule, in one place: regular expressions of whole words, case ignored;
# `_` is the space inside a phrase.
NUMERALS = r"""
    two three four five six seven eight nine ten eleven twelve
    (?:thir|four|fif|six|seven|eigh|nine)teen
    (?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\w+)?
    hundreds? thousands? millions? billions? dozens? percent per_cent half halves thirds quarters?
    (?:a|one)(?:_|-)(?:third|fourth|fifth) twice thrice (?:doubl|tripl)(?:es?|ed|ing) \w+fold
"""
DIRECTIONS = r"""
    more most less least fewer fewest (?:high|low|great|larg|small|strong|weak|bigg)(?:er|est)
    (?:mild|harsh|soft|tough|strict|warm|cold)(?:er|est) prefer(?:s|red) \w{3,}er_than
    better worse worst increas(?:es?|ed|ing|ingly) decreas(?:es?|ed|ing) reduc(?:es?|ed|ing|tions?)
    ris(?:es?|en|ing) rose falls? falling fallen fell drop(?:s|ped|ping)? declin(?:es?|ed|ing)
    grow(?:s|n|ing)? grew rais(?:es?|ed|ing) lower(?:s|ed|ing) worsen(?:s|ed|ing)?
    improv(?:es?|ed|ing|ements?) exceed(?:s|ed|ing)? outweigh(?:s|ed|ing)? (?:posi|nega)tive(?:ly)?
"""
FINDINGS = r"""
    (?:in)?significan(?:t|tly|ce) support(?:s|ed) confirm(?:s|ed|ing|ation)?
    refut(?:es?|ed|ing|ation) reject(?:s|ed|ing|ion)? corroborat(?:es?|ed|ing)
    contradict(?:s|ed|ing)? (?:dis)?prov(?:es?|ed|en|ing) evidence_(?:for|against|of|that)
    no_(?:clear_)?(?:evidence|effects?|differences?|association|relation) differ(?:s|ed)?
    negligibl[ey] undecided inconclusive(?:ly)? indistinguishable equivalent
    majority minority none_(?:of|is|are|was|were) neither
"""
# Ordinary phrases in which such a word says nothing about a result.
IDIOMS = r"""
    (?:falls?|fell|fallen|falling)_short at_least more_or_less two-(?:sided|tailed) two_one-sided
    smallest_effects?_(?:sizes?_)?of_interest false_positives? (?:lower|upper)_(?:bound|limit)s?
    more_(?:generally|precisely|specifically|broadly) (?:ra|o)ther_than
"""
RUN = ("javascript:", "vbscript:", "data:")  # links that a browser runs
OPPOSITES = ({"supported", "refuted"}, {"higher", "lower"}, {"all", "none"})
NAMED = ("hypothesis", "comparison", "omnibus")  # decisions whose verdicts are telling words


def _words(listed: str) -> str:
    return "|".join(word.replace("_", r"\s+") for word in listed.split())


_DIGITS = r"(?<![\w.])(?:[−+-]\s?)?\.?\d+(?:[.,]\d+)*(?:\s?%|(?:st|nd|rd|th)\b)?|[½⅓⅔¼¾]"
_HIT = re.compile(
    rf"(?P<idiom>\b(?:{_words(IDIOMS)})\b)|(?P<unit>(?<={TOKEN})[\s-]*per\s?cent\b)"
    rf"|(?P<numeral>{_DIGITS}|\b(?:{_words(NUMERALS)})\b)"
    rf"|(?P<direction>\b(?:{_words(DIRECTIONS)})\b)|(?P<finding>\b(?:{_words(FINDINGS)})\b)",
    re.IGNORECASE)
APART = re.compile(
    rf"""@\w[\w:.\#$%&+?<>~/-]*(?:,\s*(?:\w{{1,5}}\.\s*)?[\d–,\s-]+(?=[;\]]))?  # @key, p. 12
    |\]\([^)\s]*(?:\s+(?:{QUOTED}))?\)|<?https?://[^\s>]*>?                   # targets of links
    |^[ ]*\[[^\]\n]+\]:[ ]*\S+|\[\^[^\]\s]+\]:?|&\#?\w+;|</?[A-Za-z][^>]*>   # labels, HTML
    |(?<=[\w\])*])[\^~]\w+[\^~]|^[ \t>]*\(?\d+[.)](?=\s)                     # scripts, lists
    |(?<=\]){ATTRIBUTES}|^[ \t>]*:{{3,}}.*$|(?<=[ ]){ATTRIBUTES}[ \t]*$""",
    re.VERBOSE | re.MULTILINE)
_MARKUP = re.compile(
    r"""</?[A-Za-z][\w-]*(?:\s[^<>]*)?/?>|\{\s*=\s*html\s*\}
    |(?:\]\(|^[ ]*\[[^\]\n]+\]:|<(?=\w+:))[\s<]*(?P<target>[^)\s>]+)""", re.VERBOSE | re.MULTILINE)
# In a formula: a number behind a relation (no index: _{i=1}), or a number that is all of it.
_CLAIMED = re.compile(
    r"(?:(?<=[=<>≤≥≈])(?<!\{\w=)|(?<=\$)(?=[\s\d.,%\\−-]+\$))\s*(?P<numeral>[−-]?\.?\d+(?:[.,]\d+)*)"
)
_TERM = re.compile(r"([\w.]+)\[(?:T\.)?([^\]]+)\]")  # a level


@dataclass(frozen=True)
class Subjects:
    """What sentences are about.

    `names`: pattern of words, and the levels, items or factors that they stand for.
    """

    names: tuple[tuple[re.Pattern, frozenset[str]], ...]
    about: dict[str, frozenset[str]]  # id of an analysis or family: what it is about
    known: frozenset[str]
    factors: dict[str, frozenset[str]]

    @classmethod
    def of(cls, registration: "Registration", listed: Iterable[dict] = ()) -> "Subjects":
        """From the registration, and a list of `{words: [...], means: [...]}`."""
        about: dict[str, set[str]] = {}
        for h in registration.hypotheses:
            terms = [t for t, weight in (h.contrast or {}).items() if weight]
            about[h.id] = _of_terms(terms, registration)
            about.setdefault(h.family, set()).update(about[h.id])
        for c in registration.comparisons:
            about[c.id] = set(c.levels)
        known = set().union(*about.values()) if about else set()
        factors = {name: frozenset({name, *factor.levels})
                   for name, factor in registration.design.factors.items()}
        names = [([registration.label(key)], {key}) for key in sorted(known)]
        names += [(one["words"], set(one["means"])) for one in listed]
        patterns = tuple(
            (re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE),
             frozenset(means)) for words, means in names)
        return cls(patterns, {id: frozenset(keys) for id, keys in about.items()}, frozenset(known),
                   factors)

    def covered(self, id: str) -> frozenset[str]:
        """What an entry is about: a pair its two levels, a set all that it compares."""
        parts = id.split(".")
        own = frozenset(part for part in parts if part in self.known)
        own = own.union(*(self.factors.get(part, ()) for part in parts))
        base = next((".".join(parts[:i]) for i in range(len(parts), 0, -1)
                     if ".".join(parts[:i]) in self.about), None)
        if base is None:
            return own
        rest = parts[len(base.split(".")):]
        inside = [part for part in rest if part in self.about[base]]
        pair = len(inside) == len(rest) > 0
        return own if pair and own <= self.about[base] else own | self.about[base]

    def missing(self, sentence: str, ids: Iterable[str]) -> list[str]:
        """The words of a sentence whose meaning none of the entries is about."""
        covered = frozenset().union(*(self.covered(id) for id in ids))
        return [found[0] for pattern, means in self.names if not means <= covered
                for found in [pattern.search(sentence)] if found]


def _of_terms(terms: Iterable[str], registration: "Registration") -> set[str]:
    """Levels, factors and items of a contrast's terms, the reference level included."""
    keys: set[str] = set()
    for term in terms:
        for variable, level in _TERM.findall(term):
            keys.add(level)
            factor = registration.design.factors.get(variable)
            if factor:
                keys |= {variable, next(iter(factor.levels))}
    return keys


def states_result(text: str) -> bool:
    """Whether a text has a numeral or a verdict word, which must be marked where it is typed."""
    return any(hit.lastgroup in ("numeral", "direction", "finding") for hit in _HIT.finditer(text))


def lint_sources(
    sources: list[Source], ledger: dict, sections: list[str], subjects: Subjects | None = None
) -> list[Problem]:
    """Problems in the order of files and lines; with `subjects`, also what sentences are about."""
    known = {name for source in sources for name in parts(source)}
    problems = [
        Problem("_quarto.yml", 1, 1, f"ledger.lint: no section `{name}`", nearest(name, known))
        for name in sections if name not in known]
    answers = _answers(ledger)
    for source in sources:
        own = parts(source)
        spans = [own[name] for name in sections if name in own]
        if source.kind == "caption":
            spans = [(0, len(source.text))]
        found = [t for t in tokens(source) if any(start <= t.start < end for start, end in spans)]
        hits = list(_hits(source, spans))
        problems += _lint(source, found, hits, ledger, answers)
        problems += _unvouched(source, found, hits, subjects) if subjects else []
    return sorted(set(problems), key=lambda p: (p.file, p.line, p.column))


def refuse_markup(sources: Iterable[Source]) -> list[Problem]:
    """Raw HTML, and links that a browser would run: what prose, captions and labels may not hold.

    A text of the registration reaches the pages through tables and captions, so it is read, too.
    """
    problems = []
    for source in sources:
        if source.kind not in ("cell", "output"):
            for found in _MARKUP.finditer(source.text):
                target = unquote(unescape(found["target"] or "")).lower()
                if found["target"] and not target.startswith(RUN):
                    continue
                shown = source.masked[found.start():found.end()] == found[0]
                if shown or "{" in found[0] or source.kind == "registration":
                    problems.append(Problem(
                        *source.where(found.start()), f"raw HTML or a link that runs: {found[0]}",
                        "write it in Markdown; show code as `code`"))
    return problems


def report(problems: Iterable[Problem]) -> str:
    """One problem after the other, and their number; empty without any."""
    problems = list(problems)
    return "\n".join([*map(str, problems), f"{len(problems)} to mend"] if problems else [])


def parts(source: Source) -> dict[str, tuple[int, int]]:
    """Where each section with an id, and each key of the front matter, starts and ends."""
    if source.kind != "article":
        return {}
    found, headings = {}, source.headings
    for i, (start, level, id) in enumerate(headings):
        ends = (later for later, depth, _ in headings[i + 1:] if depth <= level)
        found[id] = (start, next(ends, len(source.text)))
    front = re.match(r"---[ \t]*\n.*?\n(?=---[ \t]*$)", source.text, re.DOTALL | re.MULTILINE)
    for key in re.finditer(r"^([\w-]+):.*(?:\n(?![\w-]+:).*)*", front[0] if front else "", re.M):
        found[key[1]] = (key.start(1) + len(key[1]) + 1, key.end())
    return {id: span for id, span in found.items() if id}


def _lint(
    source: Source, found: list[Token], hits: list[re.Match], ledger: dict, answers: dict
) -> Iterator[Problem]:
    typed = [t for t in found if t.kind == "typed" and not t.block]
    needed = set()
    for hit in hits:
        marks = [t.start for t in typed if t.encloses(hit.start())]
        needed.update(marks)
        if not marks:
            fault, mend = _judge(hit, _conditions(found, hit.start()), ledger, answers)
            if fault:
                yield Problem(*source.where(hit.start()), fault, mend)
    for token in found:
        if token.kind in ("says", "members"):
            yield from _phrases(token, ledger, answers)
    for token in typed:
        if token.start not in needed:
            yield token.problem("marked as typed, but no word in it needs the mark",
                                "take the mark away")


def _unvouched(
    source: Source, found: list[Token], hits: list[re.Match], subjects: Subjects
) -> Iterator[Problem]:
    """Directions said of what neither a condition nor a token of the sentence is about."""
    said = [(hit[0], hit.start(), "") for hit in hits if hit.lastgroup == "direction"]
    for token in found:
        for phrase in dict.fromkeys(token.options.values() if token.kind == "says" else ()):
            hit = next((m for m in _HIT.finditer(phrase) if m.lastgroup == "direction"), None)
            said += [(hit[0], token.start, phrase)] if hit else []
    seen = set()
    for word, offset, phrase in said:
        start, end = _sentence(source, found, offset)
        marked = any(t.kind == "typed" and t.encloses(offset) for t in found)
        if marked or (start, phrase) in seen:
            continue
        seen.add((start, phrase))
        ids = [id for id, _ in _conditions(found, offset)]
        ids += [id for t in found if start <= t.start < end and t.kind not in ("when", "typed")
                for id in t.ids]
        if ids and (missing := subjects.missing(phrase or source.masked[start:end], ids)):
            yield Problem(
                *source.where(offset),
                f"“{word}” is said of “{missing[0]}”, which is in no condition and no token here",
                "add its entry to the condition, or say it with a token")


def _sentence(source: Source, found: list[Token], offset: int) -> tuple[int, int]:
    """From where to where the sentence goes that holds a character: in its span, on its line."""
    start = source.text.rfind("\n", 0, offset) + 1
    end = source.text.find("\n", offset)
    end = len(source.text) if end < 0 else end
    for token in found:
        if token.kind == "when" and not token.block and token.encloses(offset):
            start, end = max(start, token.inner[0]), min(end, token.inner[1])
    stops = [m.end() for m in re.finditer(r"[.?!](?=\s|$)", source.masked[start:end])]
    start, end = (start + max((s for s in stops if start + s <= offset), default=0),
                  start + min((s for s in stops if start + s > offset), default=end - start))
    return start, end


def _hits(source: Source, spans: list) -> Iterator[re.Match]:
    """Numerals and verdict words of the prose, and numbers that a formula claims."""
    prose = APART.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), source.masked)
    for start, end in spans:
        for hit in _HIT.finditer(prose, start, end):
            if hit.lastgroup not in ("idiom", "unit"):
                yield hit
        for lexeme in source.lexemes:
            if lexeme.lastgroup in ("math", "display") and start <= lexeme.start() < end:
                yield from _CLAIMED.finditer(source.text, lexeme.start(), lexeme.end())


def _conditions(found: list[Token], offset: int) -> list[tuple[str, set[str]]]:
    """(entry, verdicts) of every `.when` around a character."""
    return [
        (id, set(words.split())) for token in found if token.kind == "when"
        and token.encloses(offset) for id, words in token.options.items()]


def _judge(hit: re.Match, conditions: list, ledger: dict, answers: dict) -> tuple[str, str]:
    """What is wrong with a word, and how to mend it; two empty strings for nothing."""
    word = " ".join(hit[0].split())
    if hit.lastgroup == "numeral":
        same = sorted(answers.get(_plain(hit[0]), []), key=lambda pair: (len(pair[0]), pair))[:3]
        shown = [f"{{{{< num {id}{'' if name == 'est' else ' ' + name} >}}}}" for id, name in same]
        return (f"typed numeral “{word}”", "in the ledger: " + " or ".join(shown) if shown
                else "bind it with `num`, or mark it as typed")
    entries = {id: ledger["entries"].get(id, {}) for id, _ in conditions}
    for id, verdicts in conditions:
        for name in set(entries[id].get("verdicts", ())) - verdicts:
            stem = re.sub(r"(ed|e|s)$", "", name)
            if entries[id].get("decision") in NAMED and word.lower().startswith(stem):
                return (f"“{word}” where {id} is {' or '.join(sorted(verdicts))}",
                        f"say what it is, and not what it is not: {name} is excluded here")
    vouching = [
        verdicts for id, verdicts in conditions
        if entries[id].get("decision") != "status"
        and set(entries[id].get("verdicts", ())) - verdicts]
    if not vouching:
        return (f"typed verdict word “{word}”", 'say it with {{< says ID verdict="..." >}} or in a '
                ".when, or mark it as typed")
    if hit.lastgroup == "direction" and all(
            any(pair <= verdicts for pair in OPPOSITES) for verdicts in vouching):
        return (f"“{word}” under a condition that admits opposite verdicts",
                "say the direction with `says`, or part the block in two")
    return "", ""


def _phrases(token: Token, ledger: dict, answers: dict) -> Iterator[Problem]:
    """A phrase of `says` is judged as if it stood under the verdicts that share it."""
    phrases = token.options
    if token.kind == "says" and token.args[1:]:
        phrases = token.phrases(ledger)
    for phrase in dict.fromkeys(phrases.values()):
        shared = {verdict for verdict, text in phrases.items() if text == phrase}
        place = max(token.source.text.find(phrase, token.start, token.end), token.start)
        for hit in _HIT.finditer(phrase):
            if hit.lastgroup in ("idiom", "unit"):
                continue
            fault, mend = _judge(hit, [(id, shared) for id in token.ids], ledger, answers)
            if fault:
                at = token.source.where(place + hit.start())
                yield Problem(*at, f"{fault}, in a phrase of says", mend)


def _answers(ledger: dict) -> dict[str, list[tuple[str, str]]]:
    """All ready texts of the ledger, plain, with the entries and fields that print them."""
    answers: dict[str, list[tuple[str, str]]] = {}
    for id, entry in ledger["entries"].items():
        for name, text in entry.get("text", {}).items():
            answers.setdefault(_plain(text), []).append((id, name))
    return answers


def _plain(text: str) -> str:
    return re.sub(r"[\s,]", "", text.lower().replace("−", "-")).lstrip("=<>")
