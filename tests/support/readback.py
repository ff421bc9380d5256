"""Read finished papers back: do they print what the ledger says, and nothing else?

A page in HTML binds each claim (`<a class="claim num" href="#claim-ID">`) and carries its ledger,
so its claims are checked one by one. In PDF and DOCX, which are plain text, each passage that the
verdicts keep is looked for, and no passage that they drop, nor a phrase of another verdict, may be.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup

from claimledger.prose.lint import APART, parts
from claimledger.prose.source import Problem, Source
from claimledger.prose.tokens import SHORTCODES, Token, holds, printed, tokens
from claimledger.replication.differences import resolve

BREAK = "\x00"  # where the source has something that the finished text shows in another form
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
TELLING = 12  # letters; a shorter passage may stand anywhere by chance
SKIPPED = "script, style, nav, template, head, #ledger-entries"
BLOCKS = ["p", "div", "li", "td", "th", "h1", "h2", "h3", "h4", "h5", "h6", "figcaption", "br"]


@dataclass(frozen=True)
class Claim:
    """A number, phrase or opening of a passage, bound to an entry: `kind` num, says or when."""

    id: str
    kind: str
    text: str
    line: int
    column: int
    field: str | None = None
    verdict: str | None = None


@dataclass
class Page:
    """A finished page: its plain text without navigation and ledger, its claims, its ledger."""

    file: str
    text: str
    claims: list[Claim]
    ledger: dict | None


def verdicts(ledger: dict) -> dict[str, str | None]:
    """The verdict of each entry."""
    return {id: entry.get("verdict") for id, entry in ledger["entries"].items()}


def soup(path: Path) -> BeautifulSoup:
    """A page as a tree."""
    return BeautifulSoup(path.read_text("utf-8"), "lxml")


def read_html(html: str, file: str = "index.html") -> Page:
    """Read a page back, without what is no part of the article."""
    tree = BeautifulSoup(html, "html.parser")
    held = tree.find("script", id="ledger")
    ledger = json.loads(held.string) if held else None
    for gone in tree.select(SKIPPED):
        gone.decompose()
    claims = []
    for link in tree.select("a.claim"):
        id = link.get("data-id") or unquote(link.get("href", "")).removeprefix("#claim-")
        kind = next((k for k in ("says", "when") if k in link["class"]), "num")
        claims.append(Claim(id, kind, " ".join(link.get_text().split()), link.sourceline,
                            link.sourcepos + 1, link.get("data-field"), link.get("data-verdict")))
    for block in tree.find_all(BLOCKS):
        block.insert_before("\n")
        block.insert_after("\n")
    text = " ".join(tree.get_text().split())
    return Page(file, text, claims, ledger)


def squeeze(text: str) -> str:
    """Letters, digits and minus signs only: equal for any line breaks, hyphens and quotes."""
    return re.sub(r"[^\w−]|_", "", unicodedata.normalize("NFKC", text))


def kept(source: Source, came: dict[str, str | None]) -> list[Token]:
    """The tokens that show under these verdicts: those that no dropped `.when` encloses."""
    found = tokens(source)
    dropped = [t.inner for t in found if t.kind == "when" and not holds(t, came)]
    return [t for t in found if not any(a <= t.start and t.end <= b for a, b in dropped)
            and not (t.kind == "when" and t.inner in dropped)]


def check_page(page: Page, ledger: dict, sources: Iterable[Source]) -> list[Problem]:
    """Every claim of the page against the ledger and against the tokens of the sources."""
    problems = []
    if page.ledger is not None and page.ledger != ledger:
        problems.append(Problem(page.file, 1, 1, "the page carries another ledger",
                                "render the paper again"))
    came, asked, possible, passages = verdicts(ledger), Counter(), set(), []
    for source in sources:
        for token in kept(source, came):
            if token.kind == "when":
                passages.append(squeeze(token.body))
            elif token.kind in SHORTCODES:
                kind = "num" if token.kind == "num" else "says"
                key = (kind, token.ids[0], squeeze(LINK.sub(r"\1", printed(token, ledger))))
                possible.add(key)
                asked[key] += source.kind == "article"
    shown = Counter()
    for claim in page.claims:
        fault = _fault(claim, ledger["entries"].get(claim.id))
        shown[key := (claim.kind, claim.id, squeeze(claim.text))] += 1
        said = any(key[2] in p for p in passages) if claim.kind == "when" else key in possible
        if not fault and not said:
            fault = "no token of the source prints this"
        if fault:
            found = f"{claim.kind} {claim.id} “{claim.text}”: {fault}"
            problems.append(Problem(page.file, claim.line, claim.column, found))
    for kind, id, text in sorted((asked - shown).keys()):
        problems.append(Problem(page.file, 1, 1, f"{kind} {id} “{text}” is missing"))
    return problems


def _fault(claim: Claim, entry: dict | None) -> str:
    if entry is None:
        return "no such entry in the ledger"
    if claim.kind in ("says", "when"):
        stale = claim.verdict not in (None, entry.get("verdict"))
        return f"bound as {claim.verdict}, but it is {entry.get('verdict')}" if stale else ""
    texts = entry["text"]
    right = [texts.get(claim.field, "")] if claim.field else texts.values()
    formula = any("$" in text for text in right)  # shown in another form
    equal = claim.text in [" ".join(text.replace("*", "").split()) for text in right]
    return "" if equal or formula else "not the text of the ledger"


def check_text(text: str, ledger: dict, sources: Iterable[Source]) -> list[Problem]:
    """What the verdicts keep stands in the finished text; what they drop stands nowhere in it.

    `text` is that of HTML, PDF or DOCX, with a form feed between two pages. Of notebooks only what
    must not be printed is looked for: not every exhibit need be embedded.
    """
    pages, problems = [squeeze(page) for page in text.split("\f")], []
    finished, asked = BREAK.join(pages), [(source, tokens(source)) for source in sources]
    lines = [resolve(source, found, ledger) for source, found in asked]
    allowed = BREAK.join(passage for own in lines for _, passage in _passages(own))

    def problem(source: Source, number: int, found: str, line: str) -> None:
        file, at, _ = source.where(_starts(source)[number])
        problems.append(Problem(file, at, 1, f"{found}: {line[:100]}"))

    for (source, found), own in zip(asked, lines, strict=True):
        starts, body = _starts(source), _body(source)
        for number, passage in _passages(own):
            inside = any(start <= starts[number] < end for start, end in body)
            if inside and not _present(passage, pages):
                problem(source, number, "not printed, although it holds", own[number])
        for other in _elsewhere(found, ledger):
            for number, line in enumerate(resolve(source, found, other)):
                if line != own[number] and any(
                        len(one) >= TELLING and one in finished and one not in allowed
                        for _, one in _passages([line])):
                    problem(source, number, "printed, although the verdicts drop it", line)
    return list(dict.fromkeys(problems))


def _starts(source: Source) -> list[int]:
    """Where each line starts."""
    return [0, *(end.end() for end in re.finditer("\n", source.text))]


def _passages(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Stretches of the lines, squeezed, that are printed as they stand: no formula, no citation."""
    def gone(found: re.Match) -> str:
        return re.sub(r"[^\n]", BREAK, found[0])

    text = "\n".join(lines)
    for lexeme in Source("", text).lexemes:
        if lexeme.lastgroup != "escape":
            text = text[:lexeme.start()] + gone(lexeme) + text[lexeme.end():]
    for number, line in enumerate(APART.sub(gone, text).split("\n")):
        yield from ((number, squeeze(part)) for part in line.split(BREAK))


def _elsewhere(found: list[Token], ledger: dict) -> Iterator[dict]:
    """Ledgers with other verdicts, under which each passage and each phrase would be printed."""
    came, entries, seen = verdicts(ledger), ledger["entries"], []
    for token in found:
        needed = {id: words.split()[0] for one in found if one.kind == "when"
                  and (one is token or one.inner[0] <= token.start < one.inner[1])
                  for id, words in one.options.items() if came[id] not in words.split()}
        phrases = token.phrases(ledger) if token.kind in ("says", "members") else []
        for change in [needed | {token.ids[0]: verdict} for verdict in phrases] or [needed]:
            if change and change not in seen:
                seen.append(change)
                other = {id: entries[id] | {"verdict": verdict} for id, verdict in change.items()}
                yield ledger | {"entries": entries | other}


def _present(passage: str, pages: list[str]) -> bool:
    """Whether it is printed; where a page ends within it, its rest is on one that follows.

    A page of nothing but figures and tables may stand between the two.
    """
    if len(passage) < TELLING or any(passage in page for page in pages):
        return True
    for i, page in enumerate(pages):
        low, high = 0, len(passage)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if passage[:middle] in page else (low, middle)
        if low and any(passage[low:] in following for following in pages[i + 1:i + 4]):
            return True
    return False


def _body(source: Source) -> list[tuple[int, int]]:
    """What of an article is printed as prose: all behind its front matter, and the abstract."""
    if source.kind != "article":
        return []
    front = re.match(r"---[ \t]*\n.*?\n---[ \t]*$", source.text, re.DOTALL | re.MULTILINE)
    abstract = [span for name, span in parts(source).items() if name == "abstract"]
    return [(front.end() if front else 0, len(source.text)), *abstract]
