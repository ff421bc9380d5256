"""What the prose asks of the ledger: its tokens, and whether the ledger can answer them.

    {{< num ID [field] >}}              a text of the ledger
    {{< says ID verdict="phrase" >}}    the phrase of the verdict that came out
    {{< says ID [name] >}}              its phrase in a set that `_quarto.yml` names; else its name
    {{< members SET VERDICT >}}         which members of a set have a verdict
    ::: {.when ID="verdict ..."}        a block (or `[...]{.when ...}`: a span) that needs a verdict
    [...]{.typed reason="..."}          a marked exception, which the lint passes over

Code, comments, mathematics and escaped shortcodes (`{{{< >}}}`) hold no tokens.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from claimledger.prose.source import ATTRIBUTES, Problem, Source, arguments
from claimledger.yaml_files import near, one_of

SHORTCODES = ("num", "says", "members")
_FENCE = re.compile(rf"^[ \t>]*:{{3,}}[ \t]*(?:{ATTRIBUTES}[ \t]*:*|([^\s:{{}}][^\n]*)|())$", re.M)
_SPAN = re.compile(rf"\[|\](?:{ATTRIBUTES})?")


@dataclass(frozen=True)
class Token:
    """One token: `args` are its bare words, `options` its `key="value"` pairs."""

    kind: str  # num, says, members, when, typed
    args: tuple[str, ...]
    options: dict[str, str]
    source: Source = field(repr=False)
    start: int
    end: int
    inner: tuple[int, int] = (0, 0)  # of when and typed: what they enclose
    block: bool = False

    @property
    def body(self) -> str:
        """The source text that a `.when` or `.typed` encloses."""
        return self.source.text[slice(*self.inner)]

    @property
    def ids(self) -> list[str]:
        """The entries it asks for."""
        if self.kind == "members":
            return [".".join(self.args[:2])] if len(self.args) > 1 else []
        return list(self.options) if self.kind == "when" else list(self.args[:1])

    def encloses(self, offset: int) -> bool:
        """Whether a character stands inside of a `.when` or `.typed`."""
        return self.inner[0] <= offset < self.inner[1]

    def phrases(self, ledger: dict) -> dict[str, str]:
        """What `says` or `members` prints for each verdict, as far as it is known."""
        entry = ledger["entries"].get(self.ids[0], {}) if self.ids else {}
        if self.kind == "members":
            told = entry.get("text", {}).get("members", "")
            return {entry.get("verdict", ""): told} | self.options
        named = {} if self.args[1:] or self.options else {v: v for v in entry.get("verdicts", ())}
        return named | ledger.get("phrases", {}).get("".join(self.args[1:2]), {}) | self.options

    def problem(self, found: str, mend: str = "") -> Problem:
        """A problem at this token's place."""
        return Problem(*self.source.where(self.start), found, mend)


def tokens(source: Source) -> list[Token]:
    """All tokens of a source, in their order."""
    return sorted([*_shortcodes(source), *_blocks(source), *_spans(source)], key=lambda t: t.start)


def _shortcodes(source: Source) -> Iterator[Token]:
    for found in source.lexemes:
        args, options = arguments(found[0][3:-3] if found.lastgroup == "shortcode" else "")
        if args and args[0] in SHORTCODES:
            yield Token(args[0], args[1:], options, source, found.start(), found.end())


def _token(attributes: str, source: Source, start: int, end: int, inner, block) -> Iterator[Token]:
    classes, options = arguments(attributes)
    kind = next((c[1:] for c in classes if c in (".when", ".typed")), None)
    if kind:
        yield Token(kind, (), options, source, start, end, inner, block)


def _blocks(source: Source) -> Iterator[Token]:
    """Fenced Divs; one that is never closed reaches to the end."""
    opened: list[re.Match] = []
    for fence in _FENCE.finditer(source.masked):
        if fence[1] is not None or fence[2]:
            opened.append(fence)
        elif opened:
            yield from _block(opened.pop(), fence, source)
    for fence in opened:
        yield from _block(fence, None, source)


def _block(fence: re.Match, close: re.Match | None, source: Source) -> Iterator[Token]:
    end = close or re.compile(r"\Z").search(source.masked)
    inner = (fence.end(), end.start())
    yield from _token(fence[1] or "", source, fence.start(), end.end(), inner, True)


def _spans(source: Source) -> Iterator[Token]:
    opened: list[int] = []
    for bracket in _SPAN.finditer(source.masked):
        if bracket[0] == "[":
            opened.append(bracket.start())
        elif opened:
            start = opened.pop()
            inner = (start + 1, bracket.start())
            yield from _token(bracket[1] or "", source, start, bracket.end(), inner, False)


def nearest(name: str, names: Collection[str]) -> str:
    """The existing names nearest to one that does not exist, or some of them."""
    return near(name, names) or (one_of(sorted(names)) if names else "there is none")


def check_tokens(sources: Iterable[Source], ledger: dict) -> list[Problem]:
    """What the ledger cannot answer.

    The paper must hold under any data, so `says` needs a phrase for every verdict that its entry
    can have where it stands, not only for the one that came out.
    """
    problems = []
    for source in sources:
        found = tokens(source)
        problems += [problem for token in found
                     for problem in _check(token, ledger, [t for t in found if t.kind == "when"
                                                           and t.encloses(token.start)])]
        for lexeme in source.lexemes:
            if lexeme.lastgroup in ("math", "display") and "{{<" in lexeme[0]:
                place = source.where(lexeme.start())
                problems.append(Problem(*place, "a token inside mathematics",
                                        "put it outside of the dollar signs"))
    return problems


def _check(token: Token, ledger: dict, around: list[Token]) -> Iterator[Problem]:
    entries = ledger["entries"]
    if token.block and token.inner[1] == token.end:
        yield token.problem("a block that is never closed", "end it with a line `:::`")
    if token.kind == "typed":
        if token.block:
            yield token.problem("a whole block marked as typed", "mark the words: [...]{.typed}")
        if not token.options.get("reason", "").strip():
            yield token.problem("a marked exception without a reason", 'add reason="..."')
        return
    if not token.ids:
        named = "a set and a verdict" if token.kind == "members" else "an entry of the ledger"
        yield token.problem(f"{token.kind} without an id", f"name {named}")
    for id in token.ids:
        if id not in entries:
            yield token.problem(f"no entry `{id}` in the ledger", nearest(id, entries))
        elif token.kind == "num":
            yield from _check_num(token, id, entries[id].get("text", {}))
        elif not entries[id].get("verdicts"):
            yield token.problem(f"entry `{id}` has no verdict", "use `num`, or another entry")
        elif token.kind == "when":
            yield from _check_words(token, id, token.options[id].split(), entries[id]["verdicts"])
        else:
            yield from _check_phrases(token, id, ledger, around)


def _check_num(token: Token, id: str, texts: dict) -> Iterator[Problem]:
    name = token.args[1] if len(token.args) > 1 else "est"
    if len(token.args) > 2 or token.options:
        yield token.problem(f"num {id}: more than an id and a field", "{{< num ID [field] >}}")
    elif name not in texts:
        yield token.problem(f"entry `{id}` has no text `{name}`", nearest(name, texts))


def _check_words(token: Token, id: str, named: list, possible: list[str]) -> Iterator[Problem]:
    for verdict in named or [""]:
        if verdict not in possible:
            yield token.problem(f"`{verdict}` is no verdict of `{id}`", nearest(verdict, possible))


def _check_phrases(token: Token, id: str, ledger: dict, around: list[Token]) -> Iterator[Problem]:
    """Of `says` and `members`: known verdicts, and a phrase for each one that can come out here."""
    entry, sets = ledger["entries"][id], ledger.get("phrases", {})
    yield from _check_words(token, id, list(token.options) or entry["verdicts"], entry["verdicts"])
    if any("{{<" in phrase for phrase in token.options.values()):
        yield token.problem(f"{token.kind} {id}: a token inside a phrase", "use `.when`")
    if token.kind == "members":
        if "members" not in entry.get("text", {}):
            yield token.problem(f"`{id}` is no set with members", "{{< members SET VERDICT >}}")
        if len(token.args) > 2:
            yield token.problem(f"members {id}: more than a set and a verdict",
                                'all="phrase", some="phrase" or none="phrase"')
        return
    if len(token.args) > 2:
        yield token.problem(f"says {id}: more than an id and the name of a set of phrases",
                            'verdict="phrase"')
    elif len(token.args) == 2 and token.args[1] not in sets:
        yield token.problem(
            f"no set of phrases `{token.args[1]}`",
            f"name it in _quarto.yml: ledger: phrases; {nearest(token.args[1], sets)}")
    phrases = token.phrases(ledger)
    missing = [verdict for verdict in entry["verdicts"] if verdict not in phrases
               and all(verdict in t.options.get(id, verdict).split() for t in around)]
    if missing:
        yield token.problem(f"says {id} has no phrase for {', '.join(missing)}",
                            "add " + " ".join(f'{verdict}="..."' for verdict in missing))


def printed(token: Token, ledger: dict) -> str:
    """What a `num`, `says` or `members` prints, as Markdown."""
    entry = ledger["entries"][token.ids[0]]
    if token.kind == "num":
        return entry["text"][token.args[1] if len(token.args) > 1 else "est"]
    return token.phrases(ledger)[entry["verdict"]]


def holds(token: Token, verdicts: dict[str, str]) -> bool:
    """Whether a `.when` shows, given the verdict of each entry that it names."""
    return all(verdicts[id] in words.split() for id, words in token.options.items())
