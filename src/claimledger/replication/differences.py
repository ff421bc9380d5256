"""What differs: unit by unit between two finished papers, and by sentence between two ledgers.

A unit is what one paper prints, says or does and the other does not. A sentence of the source
differs where another ledger would have it read otherwise.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest
from os.path import commonprefix

from claimledger.prose.source import Source
from claimledger.prose.tokens import SHORTCODES, Token, holds, printed, tokens
from claimledger.replication.reading import PAGE, PAINT, Bound, Unit

GROUPS = {
    "text": "text that is not this paper's",
    "exhibits": "exhibits that differ",
    "active": "scripts, styles and markup that are not this paper's",
    "header": "head, notices and colophon that differ",
}
PAIRS = 5_000_000  # equal pairs of units, beyond which repeated ones are not aligned
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?")
# What two renderers write in other tags, classes and attributes, without a difference to a reader.
FRAMES = {"div", "figure", "p", "a", "col", "colgroup"}
CLASSES = re.compile(r"quarto-[\w-]+|cell(-[\w-]+)?|caption-top|header|odd|even|xref|exhibit|fig|"
                     r"tbl|files|wide|(header|toc)-section-number")
NAMES = re.compile(r' data-(?:execution_count|status)="[^"]*"|'
                   r'-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=")')
FRAMED = re.compile(r' (?:id|aria-describedby)="[^"]*"')  # of a frame
MAKER = re.compile(  # group, place and whole text of what names the maker, or is of its making
    r"(header\0colophon\0Rendered by: |text\0[^\0]*\0)"
    r"(Quarto [\d.]+|the embedded renderer \(pandoc [\d.]+, typst [\d.]+\))"
    r"|header\0colophon\0Date: [\d-]+|header\0PDF\0(creator: Typst [\d.]+|/PageLabels|/Names)"
    r"|exhibits\0PDF\0\[formula\].*", re.S)
HIDES = re.compile(r"<w:(vanish|specVanish|webHidden|color|sz|shd|highlight|d?strike|del|ins)\b")
CODE = re.compile(  # of a PDF: in one of three dark colors
    r"(?<=DejaVuSansMono )([\d.]+ 0) \w+ (0 0\.23137255 0\.30980393|0\.34901962|0)(?=>)")
FLOATS = re.compile(r"(?<=^\[link\] )Figure\d+ to “.*", re.S)  # to where it is called for
CLOSE = re.compile(r"[ \n\u00a0]")
WIDTHS = re.compile(r'(?<=<col) style="width: \d+%"|(?<=<table) style="min-width: \d+em"')
DRAWN = 0.02  # points; drawings of equal numbers differ by less on any machine
SMALL = 0.0005  # of numbers below one, which may be a scale
REWORDED = "and the words in it differ, if only by their blanks"
NOTHING = "(not in the paper)"


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise: empty `published` is missing there, empty `here` is added.

    In the group `claims`: what the page prints or binds otherwise than its own ledger has it;
    `id` is the claim, `shown` its text here.
    """

    group: str
    place: str
    published: str
    here: str
    note: str = ""
    id: str = ""
    shown: str = ""


def compare_units(
    published: list[Unit], here: list[Unit], strict: bool = True
) -> list[Difference]:
    """Every difference, in the order of the page.

    Where not `strict`, markup is not compared: two renderers write the same page in other tags.
    Where it is, and nothing differs that anybody sees, hears or runs, the files' bytes are.
    """
    found: list[Difference] = []
    if not strict:
        published, here = ([_normal(unit) for unit in units] for units in (published, here))
    for group in ("header", "text", "exhibits", "claims", "active"):
        old = [unit for unit in published if unit.group == group]
        new = [unit for unit in here if unit.group == group]
        for one, other in pairs(old, new):
            found += _differences(one, other)
    if strict and not found:  # what nobody sees or hears, and nothing runs
        both = ([unit for unit in units if unit.group == "file"] for units in (published, here))
        found = [Difference("active", f"bytes of {b.place}", *_near(a.content, b.content),
                            "no reader sees them")
                 for a, b in zip(*both, strict=False) if a.content != b.content]
    if any(one.group == "text" for one in found):  # pages that are drawn with other words
        found = [one for one in found if one.note != REWORDED]
    told = {(one.place, one.published, one.here, one.group): one  # markup of a paragraph is
            for one in reversed(found)}  # that of each of its sentences
    return list(reversed(told.values()))


def _normal(unit: Unit) -> Unit:
    """Without what two renderers write in other ways: blanks in code, numbers of headings, tags."""
    text = unit.masked
    whole = f"{unit.group}\0{unit.place}\0{unit.text}"
    if MAKER.fullmatch(whole) or unit.content.startswith(PAGE) and unit.place != "PDF":
        return replace(unit, group="renderer")
    if unit.place == "Word":  # a part of the file
        runs = re.search(r"vbaProject|activeX|embeddings/", unit.text)
        return replace(unit, group=unit.group if runs else "renderer", markup="")
    text = FLOATS.sub("", text)
    turns = tuple(sorted({len(CLOSE.sub("", text[:turn])) for turn in unit.turns}))
    if "header-section-number" in unit.markup or 'pStyle w:val="Heading' in unit.markup:
        text, turns = re.sub(r"^[\d.]+\s", "", text), ()
    kept = "".join(map(_kept, re.findall(r"<[^<]*", CODE.sub(r"\1", unit.markup))))
    return replace(unit, masked=CLOSE.sub("", text), markup=kept, turns=turns,
                   content=b"" if unit.content.startswith(PAGE) else unit.content)


def _kept(tag: str) -> str:
    """A tag without what two renderers write in other ways; empty if nothing is left of it."""
    if re.match("</?[a-z]+:", tag):  # Word's
        return tag if HIDES.match(tag) else ""
    tag = re.sub(r' class="([^"]*)"', lambda m: "".join(
        f" .{one}" for one in m[1].split() if not CLASSES.fullmatch(one)), tag)
    tag = re.sub(r"^(</?)th\b", r"\1td", WIDTHS.sub("", NAMES.sub("", tag)))
    if tag.startswith(("<div ", "<figure ")):
        tag = FRAMED.sub("", tag)
    return "" if tag.strip("</>") in FRAMES else tag


def pairs(old: list[Unit], new: list[Unit]) -> Iterator[tuple[Unit | None, Unit | None]]:
    """Each unit beside the one that it corresponds to, if there is one."""
    before, after = ([unit.masked for unit in units] for units in (old, new))
    counts = Counter(before), Counter(after)
    repeated = sum(number * counts[1][key] for key, number in counts[0].items())
    matcher = SequenceMatcher(None, before, after, autojunk=repeated > PAIRS)
    for _, a, b, c, d in matcher.get_opcodes():
        yield from zip_longest(old[a:b], new[c:d])


def _differences(one: Unit | None, other: Unit | None) -> Iterator[Difference]:
    """What differs between a unit of the published page and the one of this paper."""
    unit = other or one
    if unit.content.startswith(PAGE) and (one and other or unit.text.startswith("[page]")):
        if not (one and other and _same_drawing(one, other)):  # of a PDF
            what = "drawn" if unit.text.startswith("[page]") else unit.text
            same = one and other and one.text == other.text
            yield Difference(unit.group, unit.place, f"{what} otherwise" if one else "",
                             "as this paper has it" if other else "", "" if same else REWORDED)
    elif one is None or other is None:
        if unit.text:
            yield from _whole(one, other)
        elif unit.markup:
            yield Difference("active", unit.place, one.markup if one else "",
                             other.markup if other else "")
    else:
        yield from _of_pair(one, other)


def _of_pair(one: Unit, unit: Unit) -> Iterator[Difference]:
    """What differs between a published unit and the one here that it corresponds to."""
    if one.masked == unit.masked or one.text == unit.text:
        yield from _claims(one, unit)
    elif unit.group == "active" or not _same_drawing(one, unit):  # a script's tag counts, too
        yield from _whole(one, unit)
    links = [[link.target for link in side.links] for side in (one, unit)]
    if links[0] != links[1]:
        changed = [(a, b) for a, b in zip(*links, strict=False) if a != b] or [
            tuple("; ".join(side) for side in links)]
        for a, b in changed:
            yield Difference("text" if unit.group == "claims" else unit.group, unit.place,
                             f"a link to {a}" if a else "", f"a link to {b}" if b else "",
                             f"in: {unit.text[:120]}")
    elif one.markup != unit.markup and one.masked == unit.masked:
        a, b = _part(one.markup, unit.markup)
        yield Difference("active", unit.place, a or "no such tag", b or "no such tag",
                         f"before: {unit.text[:80]}")
    elif one.turns != unit.turns and one.masked == unit.masked:
        yield Difference("active", unit.place, _turned(one), _turned(unit),
                         "a tag or link begins or ends elsewhere, at |")


def _whole(one: Unit | None, other: Unit | None) -> Iterator[Difference]:
    unit, texts = other or one, (one.text if one else "", other.text if other else "")
    if unit.group == "claims":
        yield Difference("claims", "the ledger on the page", *texts,
                         id=unit.place.removeprefix("ledger: "))
    else:
        yield Difference(unit.group, unit.place, *texts, letters(*texts))


def _claims(one: Unit, other: Unit) -> Iterator[Difference]:
    """Claims of two sentences that are equal but for them."""
    if len(one.claims) == len(other.claims):
        for a, b in zip(one.claims, other.claims, strict=True):
            if a != b:
                yield Difference("claims", one.place, _shown(a, b), _shown(b, a), id=b.target,
                                 shown=b.text)
        return
    gone = Counter(other.claims) - Counter(one.claims)
    for claim in gone or Counter(one.claims) - Counter(other.claims):
        bound = "bound to its entry", "not bound to any entry"
        texts = (f"“{claim.text}” {word}" for word in (reversed(bound) if gone else bound))
        yield Difference("claims", one.place, *texts, id=claim.target, shown=claim.text)


def _shown(claim: Bound, beside: Bound) -> str:
    parts = [f"“{claim.text}”"]
    parts += [f"bound to {claim.target}"] if claim.target != beside.target else []
    parts += [f"as {claim.name or claim.kind}"] if (claim.kind, claim.name) != (
        beside.kind, beside.name) else []
    return " ".join(parts)


def _part(one: str, other: str) -> tuple[str, str]:
    """The tags in which two stretches of markup differ."""
    a, b = (re.findall(r"<[^<]*", text) for text in (one, other))
    return tuple("".join((Counter(x) - Counter(y)).elements())[:200] or "".join(x)[:200]
                 for x, y in ((a, b), (b, a)))


def _near(one: bytes, other: bytes) -> Iterator[str]:
    """Where two stretches of bytes begin to differ."""
    start = len(commonprefix([one, other]))
    return (side[max(0, start - 40):start + 80].decode("utf-8", "replace") or "no more"
            for side in (one, other))


def _turned(unit: Unit) -> str:
    ends = [0, *unit.turns, len(unit.masked)]
    return "|".join(unit.masked[a:b] for a, b in pairwise(ends))


def _same_drawing(one: Unit, other: Unit) -> bool:
    """Whether two drawings in vectors are equal but for the last digits of their coordinates."""
    a, b = one.content, other.content
    if a == b:
        return bool(a)
    if not all(one.startswith((PAGE, PAINT)) or b"<svg" in one[:2000] for one in (a, b)):
        return False
    if NUMBER.sub(b"0", a) != NUMBER.sub(b"0", b):
        return False
    both = ((float(x), float(y)) for x, y in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True))
    small = DRAWN if a.startswith(PAINT) else SMALL  # it has no scale, but distances only
    return all(x == y or abs(x - y) <= (DRAWN if abs(x) >= 1 and abs(y) >= 1 else small)
               for x, y in both)


def letters(published: str, here: str) -> str:
    """The characters of one side alone that may look like others, or like nothing, named."""
    strange = [x for x in sorted({*published} - {*here}) if not x.isascii()] if here else []
    names = ", ".join(f"U+{ord(x):04X} {unicodedata.name(x, 'unnamed')}" for x in strange[:5])
    return f"it has {names}" if names else ""


@dataclass(frozen=True)
class Sentence:
    """A line of the source, which is a sentence, as published and as it would be here."""

    file: str
    line: int
    ids: tuple[str, ...]
    published: str
    here: str


def sentences_of(
    sources: Iterable[Source], shown: dict[str, list[str]], published: dict, here: dict
) -> list[Sentence]:
    """The lines that would have to change, for claims that do not hold.

    `shown` has each of these claims, with its texts here that the page misprints.
    """
    found = []
    for source in sources if shown else ():
        asked = tokens(source)
        before, after = (resolve(source, asked, one) for one in (published, here))
        lines: dict[int, set[str]] = defaultdict(set)
        for token in asked:
            for id in shown.keys() & set(token.ids):
                for number in range(_line(source, token.start), _line(source, token.end) + 1):
                    if before[number - 1] != after[number - 1] or any(
                            text in after[number - 1] for text in shown[id]):
                        lines[number].add(id)
        for number, ids in sorted(lines.items()):
            texts = [re.sub(r"^(#\|[ ])?[\w-]+:[ ]\|$", "", one[number - 1]) or NOTHING
                     for one in (before, after)]
            found.append(Sentence(*_file_line(source, number), tuple(sorted(ids)), *texts))
    return found


def resolve(source: Source, found: list[Token], ledger: dict) -> list[str]:
    """Each line of the source as it reads under a ledger; empty where nothing shows."""
    came = defaultdict(lambda: None, {
        id: entry.get("verdict") for id, entry in ledger["entries"].items()})
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


def _line(source: Source, offset: int) -> int:
    return source.text.count("\n", 0, offset) + 1


def _file_line(source: Source, number: int) -> tuple[str, int]:
    """File and line there: a notebook's source is a stretch of it, a paper may include others."""
    before = source.text.split("\n")[:number - 1]
    return source.where(sum(map(len, before)) + len(before))[:2]
