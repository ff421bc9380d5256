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


def words(token: Token, ledger: dict) -> str:
    """What a token prints, its links as their words; in a dropped passage perhaps nothing."""
    try:
        return LINK.sub(r"\1", printed(token, ledger))
    except KeyError:  # a phrase that cannot come out where it stands
        return BREAK


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
                key = (kind, token.ids[0], squeeze(words(token, ledger)))
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
    """Kept passages and phrases stand in the finished text; dropped ones stand nowhere in it.

    `text` is that of HTML, PDF or DOCX, with a form feed between two pages. A passage is a line of
    the source, or its part up to what is shown in another form (a citation, a formula). Of
    notebooks only what must not be printed is looked for: not every exhibit need be embedded.
    """
    pages = [squeeze(page) for page in text.split("\f")]
    finished, came, sources = BREAK.join(pages), verdicts(ledger), list(sources)
    runs = [(source, run) for source in sources for run in _runs(source, came, ledger)]
    allowed = BREAK.join(run.shown() for _, run in runs)
    problems: list[Problem] = []
    for source, run in runs:
        body = any(start <= run.start < end for start, end in _body(source))
        if body and not _present(run.shown(), pages):
            problems.append(run.problem(source, "not printed, although it holds"))
        for other in run.others(ledger):
            if other in finished and other not in allowed:
                problems.append(run.problem(source, f"a phrase of another verdict: “{other}”"))
    for source in sources:
        for run in _dropped(source, came, ledger):
            if len(shown := run.shown()) >= TELLING and shown in finished and shown not in allowed:
                problems.append(run.problem(source, "printed, although the verdicts drop it"))
    return problems


@dataclass(frozen=True)
class _Run:
    """A passage without a break: its place in the source, and its pieces with their tokens."""

    start: int
    pieces: tuple[tuple[str, Token | None], ...]

    def shown(self) -> str:
        return squeeze("".join(text for text, _ in self.pieces))

    def others(self, ledger: dict) -> Iterator[str]:
        """The passage with each phrase that belongs to another verdict."""
        for i, (phrase, token) in enumerate(self.pieces):
            for other in set(token.phrases(ledger).values()) - {phrase} if token else ():
                around = [text for text, _ in self.pieces]
                passage = squeeze("".join([*around[:i], other, *around[i + 1:]]))
                if len(passage) >= TELLING:
                    yield passage

    def problem(self, source: Source, found: str) -> Problem:
        text = "".join(text for text, _ in self.pieces).strip()
        return Problem(*source.where(self.start), f"{found}: {text[:100]}")


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


def _runs(source: Source, came: dict, ledger: dict) -> list[_Run]:
    found = tokens(source)
    gone = [(t.start, t.end, "", None) for t in found if t.kind == "when" and not holds(t, came)]
    return _flatten(source, 0, len(source.text), gone, found, ledger)


def _dropped(source: Source, came: dict, ledger: dict) -> Iterator[_Run]:
    found = tokens(source)
    for token in found:
        if token.kind == "when" and not holds(token, came):
            yield from _flatten(source, *token.inner, [], found, ledger)


def _flatten(
    source: Source, start: int, end: int, gone: list, found: list[Token], ledger: dict
) -> list[_Run]:
    """Plain passages of a stretch of the source, with the texts and phrases of its tokens."""
    edits = gone + [(m.start(), m.end(), BREAK, None) for m in APART.finditer(source.masked)]
    bound = {t.start: t for t in found if t.kind in SHORTCODES}
    for lexeme in source.lexemes:
        token = bound.get(lexeme.start())
        if lexeme.lastgroup != "escape":
            text = words(token, ledger) if token else BREAK
            phrase = token if token and token.kind != "num" else None
            edits.append((lexeme.start(), lexeme.end(), BREAK if "$" in text else text, phrase))
    edits += [(t.inner[1], t.end, "", None) for t in found
              if t.kind in ("when", "typed") and not t.block]
    pieces, position = [], start
    for first, last, text, token in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if position <= first and last <= end:
            pieces += [(position, source.text[position:first], None), (first, text, token)]
            position = last
    return _split([*pieces, (position, source.text[position:end], None)])


def _split(pieces: list[tuple[int, str, Token | None]]) -> list[_Run]:
    """Part the pieces at breaks and line ends."""
    runs: list[_Run] = []
    current: list = []
    for start, text, token in pieces:
        for i, part in enumerate(re.split(rf"[\n{BREAK}]", text) if token is None else [text]):
            if i and current:
                runs.append(_Run(current[0][0], tuple(piece[1:] for piece in current)))
                current = []
            if part:
                current.append((start, part, token))
            start += len(part) + 1
    if current:
        runs.append(_Run(current[0][0], tuple(piece[1:] for piece in current)))
    return runs
