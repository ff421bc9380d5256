"""What the prose asks of the ledger: its tokens, and whether the ledger can answer them.

    {{< num ID [field] >}}              a text of the ledger
    {{< says ID verdict="phrase" >}}    the phrase of the verdict that came out
    ::: {.when ID="verdict ..."}        a block (or `[...]{.when ...}`: a span) that needs a verdict
    [...]{.typed reason="..."}          a marked exception, which the lint passes over

Code, comments, mathematics and escaped shortcodes (`{{{< >}}}`) hold no tokens.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import product

from claimledger.prose.source import QUOTED, Problem, Source

ATTRIBUTES = rf"\{{((?:[^{{}}\"']|{QUOTED})*)\}}"
_WORD = re.compile(rf"(?:([\w.:-]+)\s*=\s*)?({QUOTED}|[^\s\"']+)")
_FENCE = re.compile(rf"^[ \t>]*:{{3,}}[ \t]*(?:{ATTRIBUTES}[ \t]*:*|([^\s:{{}}][^\n]*)|())$", re.M)
_SPAN = re.compile(rf"\[|\](?:{ATTRIBUTES})?")


@dataclass(frozen=True)
class Token:
    """One token: `args` are its bare words, `options` its `key="value"` pairs."""

    kind: str  # num, says, when, typed
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
        return list(self.options) if self.kind == "when" else list(self.args[:1])

    def problem(self, found: str, mend: str = "", warning: bool = False) -> Problem:
        """A problem at this token's place."""
        return Problem(self.source.file, *self.source.place(self.start), found, mend, warning)


def tokens(source: Source) -> list[Token]:
    """All tokens of a source, in their order."""
    return sorted([*_shortcodes(source), *_blocks(source), *_spans(source)], key=lambda t: t.start)


def _arguments(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    args, options = [], {}
    for key, value in _WORD.findall(text):
        if value[0] in "\"'":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if key:
            options[key] = value
        else:
            args.append(value)
    return tuple(args), options


def _shortcodes(source: Source) -> Iterator[Token]:
    for found in source.lexemes:
        args, options = _arguments(found[0][3:-3] if found.lastgroup == "shortcode" else "")
        if args and args[0] in ("num", "says"):
            yield Token(args[0], args[1:], options, source, found.start(), found.end())


def _token(attributes: str, source: Source, start: int, end: int, inner, block) -> Iterator[Token]:
    classes, options = _arguments(attributes)
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


def nearest(name: str, names: Iterable[str]) -> str:
    """The existing names nearest to one that does not exist."""
    names = sorted(names)
    lower = {n.lower(): n for n in reversed(names)}
    found = [lower[n] for n in get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    return "nearest: " + ", ".join(found or names[:3]) if names else "there is none"


def check_tokens(sources: Iterable[Source], ledger: dict) -> list[Problem]:
    """Problems of all tokens: errors, and as warnings the verdicts that no block covers.

    The paper must hold under any data, so `says` needs a phrase for every verdict that its entry
    can have where it stands, not only for the one that came out.
    """
    problems = []
    for source in sources:
        found = tokens(source)
        wrong = [problem for token in found
                 for problem in _check(token, ledger["entries"], _around(token, found))]
        problems += wrong or _uncovered(found, ledger["entries"])
        for lexeme in source.lexemes:
            if lexeme.lastgroup in ("math", "display") and "{{<" in lexeme[0]:
                place = source.place(lexeme.start())
                problems.append(Problem(source.file, *place, "a token inside mathematics",
                                        "put it outside of the dollar signs"))
    return problems


def _around(token: Token, found: list[Token]) -> list[Token]:
    return [t for t in found if t.kind == "when" and t.inner[0] <= token.start < t.inner[1]]


def _check(token: Token, entries: dict, around: list[Token]) -> Iterator[Problem]:
    if token.block and token.inner[1] == token.end:
        yield token.problem("a block that is never closed", "end it with a line `:::`")
    if token.kind == "typed":
        if token.block:
            yield token.problem("a whole block marked as typed", "mark the words: [...]{.typed}")
        if not token.options.get("reason", "").strip():
            yield token.problem("a marked exception without a reason", 'add reason="..."')
        return
    if not token.ids:
        yield token.problem(f"{token.kind} without an id", "name an entry of the ledger")
    for id in token.ids:
        if id not in entries:
            yield token.problem(f"no entry `{id}` in the ledger", nearest(id, entries))
        elif token.kind == "num":
            yield from _check_num(token, id, entries[id].get("text", {}))
        else:
            yield from _check_verdicts(token, id, entries[id].get("verdicts", []), around)


def _check_num(token: Token, id: str, texts: dict) -> Iterator[Problem]:
    name = token.args[1] if len(token.args) > 1 else "est"
    if len(token.args) > 2 or token.options:
        yield token.problem(f"num {id}: more than an id and a field", "{{< num ID [field] >}}")
    elif name not in texts:
        yield token.problem(f"entry `{id}` has no text `{name}`", nearest(name, texts))


def _check_verdicts(
    token: Token, id: str, possible: list[str], around: list[Token]
) -> Iterator[Problem]:
    if not possible:
        yield token.problem(f"entry `{id}` has no verdict", "use `num`, or another entry")
        return
    named = list(token.options) if token.kind == "says" else token.options[id].split()
    for verdict in named or [""]:
        if verdict not in possible:
            yield token.problem(f"`{verdict}` is no verdict of `{id}`",
                                f"one of {', '.join(possible)}; {nearest(verdict, possible)}")
    if token.kind == "says":
        if len(token.args) > 1:
            yield token.problem(f"says {id}: a phrase without its verdict", 'verdict="phrase"')
        if any("{{<" in phrase for phrase in token.options.values()):
            yield token.problem(f"says {id}: a token inside a phrase", "use `.when`")
        missing = [verdict for verdict in possible if verdict not in named
                   and all(verdict in t.options.get(id, verdict).split() for t in around)]
        if missing:
            yield token.problem(f"says {id} has no phrase for {', '.join(missing)}",
                                "add " + " ".join(f'{verdict}="..."' for verdict in missing))


def _uncovered(found: list[Token], entries: dict) -> Iterator[Problem]:
    """Within one section: verdicts, then combinations of verdicts, under which no block shows."""
    sections: dict[int, list[Token]] = {}
    for token in found:
        if token.kind == "when" and token.block:
            sections.setdefault(token.source.section(token.start), []).append(token)
    for blocks in sections.values():
        named: dict[str, set[str]] = {}
        for block in blocks:
            for id, words in block.options.items():
                named.setdefault(id, set()).update(words.split())
        gaps = {id: [v for v in entries[id]["verdicts"] if v not in named[id]] for id in named}
        for id, verdicts in gaps.items():
            if verdicts:
                first = next(block for block in blocks if id in block.options)
                yield first.problem(f"no block of this section shows when {id} is "
                                    + " or ".join(verdicts), warning=True)
        if not any(gaps.values()):
            yield from _combinations(blocks, entries)


def _combinations(blocks: list[Token], entries: dict) -> Iterator[Problem]:
    for ids in sorted({tuple(sorted(block.options)) for block in blocks}):
        relevant = [block for block in blocks if set(block.options) <= set(ids)]
        for combination in product(*(entries[id]["verdicts"] for id in ids)):
            came = dict(zip(ids, combination, strict=True))
            if not any(holds(block, came) for block in relevant):
                case = ", ".join(f"{id} is {verdict}" for id, verdict in came.items())
                yield relevant[0].problem(f"no block of this section shows when {case}",
                                          warning=True)
                break


def holds(token: Token, verdicts: dict[str, str]) -> bool:
    """Whether a `.when` shows, given the verdict of each entry that it names."""
    return all(verdicts[id] in words.split() for id, words in token.options.items())


def unused(ledger: dict, found: Iterable[Token]) -> list[str]:
    """Entries of the ledger that no token asks for."""
    asked = {id for token in found for id in token.ids}
    return sorted(set(ledger["entries"]) - asked)
