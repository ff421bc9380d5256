"""The sentences of the paper under a ledger: which would have to change under another one."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from claimledger.prose.source import Source
from claimledger.prose.tokens import SHORTCODES, Token, holds, printed, tokens

NOTHING = "(not in the paper)"


def verdicts(ledger: dict) -> dict[str, str | None]:
    """The verdict of each entry."""
    return {id: entry.get("verdict") for id, entry in ledger["entries"].items()}


@dataclass(frozen=True)
class Sentence:
    """A line of the source, which is a sentence, as published and as it would be here."""

    file: str
    line: int
    ids: tuple[str, ...]
    published: str
    here: str


def changed(sources: Iterable[Source], published: dict, here: dict) -> list[Sentence]:
    """The sentences that read otherwise under the second ledger than under the first."""
    found = []
    for source in sources:
        asked = tokens(source)
        before, after = (resolve(source, asked, one) for one in (published, here))
        for number, texts in enumerate(zip(before, after, strict=True), start=1):
            if texts[0] != texts[1]:
                found.append(_sentence(source, asked, number, texts, published, here))
    return found


def of_claim(sources: Iterable[Source], id: str, ledger: dict, shown: str) -> list[Sentence]:
    """The sentences that print a claim as `shown`, as they read under a ledger."""
    found = []
    for source in sources:
        asked = [token for token in tokens(source) if token.kind in SHORTCODES]
        lines = resolve(source, tokens(source), ledger)
        for number in sorted({_line(source, t.start) for t in asked if id in t.ids}):
            text = lines[number - 1]
            if shown in text:
                found.append(Sentence(*_file_line(source, number), (id,), text, text))
    return found


def resolve(source: Source, found: list[Token], ledger: dict) -> list[str]:
    """Each line of the source as it reads under a ledger; empty where nothing shows."""
    came = defaultdict(lambda: None, verdicts(ledger))
    edits = []
    for token in found:
        if token.kind in SHORTCODES:
            edits.append((token.start, token.end, _text(token, ledger)))
        elif token.kind == "when" and not holds(token, came):
            edits.append((token.start, token.end, ""))
        else:  # only the markup goes
            edits += [(token.start, token.inner[0], ""), (token.inner[1], token.end, "")]
    pieces, position = [], 0
    for start, end, text in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if start >= position:
            lines = "\n" * source.text.count("\n", start, end)  # line numbers stay
            pieces += [source.text[position:start], text, lines]
            position = end
    pieces.append(source.text[position:])
    return [" ".join(line.split()) for line in "".join(pieces).split("\n")]


def _text(token: Token, ledger: dict) -> str:
    try:
        return printed(token, ledger)
    except (KeyError, IndexError):
        return f"(no {' '.join(token.args) or token.kind})"


def _sentence(
    source: Source, asked: list[Token], number: int, texts: tuple[str, str], *ledgers: dict
) -> Sentence:
    """With the ids of the tokens on that line, or around it, that answer otherwise."""
    ids = {
        id for token in asked for id in token.ids
        if _line(source, token.start) <= number <= _line(source, token.end)
        and ledgers[0]["entries"].get(id) != ledgers[1]["entries"].get(id)
    }
    shown = [re.sub(r"^(#\|[ ])?[\w-]+:[ ]\|$", "", text) or NOTHING for text in texts]
    return Sentence(*_file_line(source, number), tuple(sorted(ids)), *shown)


def _line(source: Source, offset: int) -> int:
    return source.text.count("\n", 0, offset) + 1


def _file_line(source: Source, number: int) -> tuple[str, int]:
    """File and line there: a notebook's source is a stretch of it, a paper may include others."""
    start = 0
    for _ in range(number - 1):
        start = source.text.index("\n", start) + 1
    if not source.text:
        return source.file, 1
    return source.where(min(start, len(source.text) - 1))[:2]
