"""What a reader of a finished page sees or hears, and what its browser would run, in order.

A page that anybody may have written is taken apart in one pass, in time linear in its length and
without recursion; what browsers would have to guess at (a tag that does not end) is an error.
"""

import base64
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import unescape
from urllib.parse import unquote, unquote_to_bytes

from claimledger.errors import LedgerError

PAGE = b"%page"  # how the content of a page of a PDF begins: what draws it
PAINT = b"%paint"  # and that of its lines and pictures
TAGS = 400_000  # the paper of record has 15 thousand
DEPTH = 2_000
BLANK = " \t\n\f\r"  # of HTML and CSS: any other blank is a letter to them, and can be seen
BLANKS = re.compile(rf"[{BLANK}]+")
ATTRIBUTE = re.compile(rf"""[{BLANK}]*+([^{BLANK}"'<>/=]++)
    (?:[{BLANK}]*+=[{BLANK}]*+("[^"]*+"|'[^']*+'|[^{BLANK}"'=<>`]++))?+""".replace("\n    ", ""))
TAG = re.compile(rf"""<(/?)([a-zA-Z][^{BLANK}/>]*+)((?:[^"'>]|"[^"]*+"|'[^']*+')*+)>""")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source",
        "track", "wbr"}
RAW = {"script", "style", "title", "textarea", "iframe", "noscript", "noembed", "noframes", "xmp",
       "template", "plaintext"}
INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "em", "font", "i", "ins", "kbd",
          "mark", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var",
          "wbr", "math", "mrow", "mi", "mn", "mo", "msub", "msup", "msubsup", "mtext", "mfrac",
          "mover", "munder", "semantics", "annotation", "mspace", "mstyle", "msqrt", "mpadded",
          "button", "label", "output", "img", "br", "svg", "path", "g", "use"}
RUNS = {"script", "style", "iframe", "object", "embed", "form", "link", "base", "frame", "applet",
        "portal", "noscript", "template", "audio", "video", "meta"}  # what a page does, or loads
SPOKEN = ("aria-label", "aria-description", "aria-roledescription", "aria-valuetext", "title",
          "placeholder", "alt", "alttext", "summary", "label")
OPEN, SHUT = "\ue000", "\ue001"  # around the text of a claim or a link, with its number
TURN = "\ue002"  # where a tag within a line begins or ends
OWN = str.maketrans(dict.fromkeys(f"{OPEN}{SHUT}{TURN}\0", "\ufffd"))  # no page's own letters
TURNS = re.compile(rf"(?<![{BLANK}])[{BLANK}]*+{TURN}[{BLANK}{TURN}]*+")
MARK = re.compile(f"{OPEN}(\\d+):([^{SHUT}]*){SHUT}")
SENTENCE = re.compile(rf"(?<=[.?!]) (?={TURN}*(?:[^\W_a-z]|[“‘(\"{OPEN}]))")
CLAIM = re.compile(r"claim (num|says|when)")  # the classes of what is bound
ENDS = re.compile(r"(?<=<!--)-?>|--!?>")  # where browsers let a comment end
LINE = re.compile(r"#cb\d+-\d+")  # Quarto makes each line of code a link to itself
# Of a page's own bytes what is compared otherwise: pictures, its ledger, a folder of a run.
REST = re.compile(r'(?<=src=")data:image[^"]*|(?<=id="ledger">)[^<]*|(?<=build)/runs/[\w.-]+')
SVG = "data:image/svg+xml"
PICTURES = {kind + more for kind in (SVG, "data:image/png", "data:image/jpeg", "data:image/webp")
            for more in ("", ";charset=utf-8", ";base64")}
DANGEROUS = re.compile(r"^[\s\x00-\x20]*(?:javascript|vbscript|data):", re.I)


@dataclass(frozen=True)
class Bound:
    """A stretch of text that points somewhere: a claim to its entry, a link to its target."""

    text: str
    target: str
    kind: str = ""  # num, says or when; empty for a mere link
    name: str = ""  # the field of a num, the verdict of a says


@dataclass(frozen=True)
class Unit:
    """A sentence, a row of a table, an alt text, a script: one thing that can be compared.

    `group` is text, exhibits, active, header, or file: bytes that no reader sees; `place` the
    section or exhibit that holds it; `text` what is seen; `masked` the same without the texts of
    claims; `markup` the tags before it, or how a PDF draws it; `turns` where in `masked` tags and
    links begin and end.
    """

    group: str
    place: str
    text: str
    masked: str = ""
    bound: tuple[Bound, ...] = ()
    markup: str = ""
    turns: tuple[int, ...] = ()
    content: bytes = field(default=b"", compare=False, repr=False)

    def __post_init__(self):
        """Where nothing is bound, `masked` is the text."""
        object.__setattr__(self, "masked", self.masked or self.text)

    @cached_property
    def claims(self) -> list[Bound]:
        """The claims that it prints."""
        return [one for one in self.bound if one.kind]

    @cached_property
    def links(self) -> list[Bound]:
        """Where its links lead."""
        return [one for one in self.bound if not one.kind]


def read_page(html: str, file: str = "index.html", pictures=None) -> "_Page":
    """Take a page apart; `pictures` gives the bytes of a file that an image names, or None.

    Raises LedgerError for a page that does not end, or with more tags or depth than any paper.
    """
    page = _Page(file, pictures or (lambda name: None))
    page.feed(html)
    return page


def squeeze(text: str) -> str:
    """One blank for each stretch of what HTML takes for white space."""
    return BLANKS.sub(" ", text).strip(" ")


def settle(pieces: list[str]) -> str:
    """A text of pieces: each mark of a tag after the blanks beside it."""
    return TURNS.sub(
        lambda m: " " * bool(m[0].strip(TURN)) + TURN * m[0].count(TURN), "".join(pieces))


def unturned(text: str) -> tuple[str, tuple[int, ...]]:
    """A text without the marks of tags, and where they stood in it."""
    return text.replace(TURN, ""), tuple(
        found.start() - number for number, found in enumerate(re.finditer(TURN, text)))


def digest(data: bytes) -> str:
    """Half of SHA-256: nobody finds another content with the same."""
    return hashlib.sha256(data).hexdigest()[:32]


def sentences(text: str) -> list[str]:
    """A paragraph in pieces short enough to show."""
    return [one for one in SENTENCE.split(text) if one.strip()]


class _Page:
    """A finished paper, taken apart; `ledgers` are the texts of the scripts that hold one.

    Walks over the tags, with the section, the exhibit and the part of the page around it.
    """

    def __init__(self, file: str, pictures):
        self.file, self.pictures = file, pictures
        self.units: list[Unit] = []
        self.ledgers: list[str] = []
        self.stack: list[tuple[str, str | None, str | None]] = []  # tag, zone and exhibit before
        self.depth: Counter = Counter()
        self.zone, self.exhibit = "head", None
        self.section, self.heading, self.entry = "", "", ""
        self.pieces: list[str] = []
        self.bound: list[Bound] = []
        self.opened: list[int] = []  # links and claims that have not ended
        self.markup: list[str] = []
        self.cells: list[str] | None = None
        self.in_cell = False
        self.term = ""

    def feed(self, html: str) -> None:
        html = html.replace("\r\n", "\n").translate(OWN)  # the ends of lines, as browsers have them
        position, count, end = 0, 0, len(html)
        while position < end:
            start = html.find("<", position)
            if start < 0 or start == end - 1:
                self.text(html[position:])
                break
            self.text(html[position:start])
            if html.startswith("<!--", start):  # nobody sees it, and nothing runs it
                close = ENDS.search(html, start + 4)
                if not close:
                    raise self.broken("a comment that does not end", html, start)
                position = close.end()
            elif html[start + 1] in "!?":  # the document's type; or text, in a formula or drawing
                position = self.past(html, start)
                self.markup.append(squeeze(html[start:position]))
            elif not (html[start + 1].isalpha() or html.startswith("</", start)):
                self.text("<")
                position = start + 1
            else:
                found = TAG.match(html, start)
                if not found:
                    raise self.broken("a tag that does not end", html, start)
                count += 1
                if count > TAGS:
                    raise self.broken(f"more than {TAGS:,} tags", html, start)
                position = self.tag(html, found)
        self.flush()
        if self.markup:
            self.add("text", "")
        self.units.append(Unit("file", "the page", "", content=REST.sub("", html).encode()))

    def broken(self, what: str, html: str, position: int) -> LedgerError:
        line = html.count("\n", 0, position) + 1
        return LedgerError(f"{self.file}:{line}", found=what, expected="a page as a browser "
                           "reads it", mend="name the HTML file that was published")

    def past(self, html: str, start: int) -> int:
        close = html.find(">", start)
        if close < 0:
            raise self.broken("a tag that does not end", html, start)
        return close + 1

    def tag(self, html: str, found: re.Match) -> int:
        closing, name, rest = found[1], _lower(found[2]), found[3]
        if closing:
            if rest.strip(BLANK):
                self.active(f"a malformed tag: {found[0][:80]}", found[0].encode())
            self.end(name)
            return found.end()
        attributes, closed = self.attributes(rest, found)
        if name not in RAW:
            self.start(name, attributes, closed and name not in VOID)
            if len(self.stack) > DEPTH:
                raise self.broken("nested too deeply", html, found.start())
            return found.end()
        close = re.compile(rf"</{name}[{BLANK}/>]", re.I | re.A).search(html, found.end())
        stop = close.start() if close else len(html)
        self.raw(name, attributes, html[found.end():stop])
        return self.past(html, stop) if close else len(html)

    def attributes(self, rest: str, found: re.Match) -> tuple[dict[str, str], bool]:
        """Those of a tag, and whether it ends itself, as a tag of a formula can."""
        given, position = {}, 0
        while one := ATTRIBUTE.match(rest, position):
            value = one[2] or ""
            value = value[1:-1] if value[:1] in "\"'" and value else value
            given.setdefault(_lower(one[1]), unescape(value))
            position = one.end()
        left = rest[position:].strip(BLANK)
        if left not in ("", "/"):
            self.active(f"a malformed tag: {_short(found[0])}")
        return given, left == "/"

    # What stands where ---------------------------------------------------------------------------

    @property
    def group(self) -> str:
        if self.exhibit:
            return "exhibits"
        return "header" if self.zone in ("head", "status", "title", "colophon") else "text"

    @property
    def place(self) -> str:
        named = {"status": "notice", "nav": "contents", "ledger": f"ledger: {self.entry}",
                 "text": self.section or "before the first section"}
        return self.exhibit or named.get(self.zone, self.zone)

    def add(self, group: str, text: str, content: bytes = b"", **more) -> None:
        markup, self.markup = "".join(self.markup), []
        self.units.append(
            Unit(group, self.place, text, markup=markup, content=content, **more))

    def active(self, text: str, content: bytes = b"") -> None:
        self.units.append(Unit("active", self.place, text, content=content))

    def start(self, name: str, given: dict[str, str], closed: bool) -> None:
        if name not in INLINE:
            self.flush(cell=name in ("td", "th", "tr"))
        elif name != "a":
            self.pieces.append(TURN)
        self.tell(name, given, closed)
        if name in RUNS:
            self.runs(name, given)
        if name not in VOID:
            self.stack.append((name, self.zone, self.exhibit))
            self.depth[name] += 1
        self.enter(name, given)
        if name == "a":
            self.anchor(given)
        elif name == "img":
            self.picture(given)
        elif name == "br":
            self.text(" ")
        elif name == "tr":
            self.row()
            self.cells = []
        elif name in ("td", "th"):
            self.in_cell = True
        for key in SPOKEN:
            if given.get(key) and not (name == "img" and key == "alt"):
                self.add(self.group, f"[{key}] {squeeze(given[key])}")

    def enter(self, name: str, given: dict[str, str]) -> None:
        id, classes = given.get("id", ""), given.get("class", "").split()
        if zone := {"body": "text", "nav": "nav", "header": "title"}.get(name):
            self.zone = zone
        elif "status" in classes and name == "aside":
            self.zone = "status"
        elif id == "ledger-colophon":
            self.zone = "colophon"
        elif id == "ledger-entries":
            self.zone, self.entry = "ledger", "the list of entries"
        elif id.startswith("claim-") and self.zone == "ledger":
            self.entry = id.removeprefix("claim-")
        elif name in ("figure", "div", "table") and re.match(r"(fig|tbl)-", id):
            self.exhibit = self.exhibit or id
        if re.fullmatch(r"h[1-6]", name):
            self.heading = name

    def end(self, name: str) -> None:
        if name not in INLINE:
            self.flush(cell=name in ("td", "th", "tr", "thead", "tbody", "tfoot", "table"))
        elif name != "a":
            self.pieces.append(TURN)
        if name in ("tr", "thead", "tbody", "tfoot", "table"):
            self.row()
        claim = False
        while self.depth[name]:
            tag, zone, self.exhibit = self.stack.pop()
            self.zone = zone if zone != "head" else self.zone  # what follows the text is no head
            self.depth[tag] -= 1
            if tag == "a" and self.opened:
                index = self.opened.pop()
                if index >= 0:
                    self.pieces.append(SHUT)
                    claim = bool(self.bound[index].kind)
            if tag == name:
                break
        if not claim:
            self.markup.append(f"</{name}>")
        if name == self.heading:
            self.heading = ""

    def row(self) -> None:
        """The end of a row of a table, said or implied."""
        row, self.cells = self.cells, None
        if row and _bare("".join(row)):
            self.sentence(" | ".join(row))

    def anchor(self, given: dict[str, str]) -> None:
        target, classes = given.get("href"), given.get("class", "").split()
        if target is None or _is_line(given):
            self.opened.append(-1)
            return
        if DANGEROUS.match(target):
            self.active(f"a link to {_short(target)}")
        kind = next((k for k in ("num", "says", "when") if {"claim", k} <= {*classes}), "")
        kind = kind if target.startswith("#claim-") else ""
        name = given.get("data-field" if kind == "num" else "data-verdict", "") if kind else ""
        target = unquote(target).removeprefix("#claim-") if kind else target
        if self.opened and self.opened[-1] >= 0:  # a link inside a link: the first one ends
            self.pieces.append(SHUT)
            self.opened[-1] = -1
        self.bound.append(Bound("", target, kind, name))
        self.opened.append(len(self.bound) - 1)
        self.pieces.append(f"{OPEN}{len(self.bound) - 1}:")

    def picture(self, given: dict[str, str]) -> None:
        source = given.get("src", "")
        content = (_embedded if source.startswith("data:") else self.pictures)(source)
        shown = f"none at {_short(source)}" if content is None else digest(content)
        self.flush()
        self.add("exhibits", f"[picture] {shown}", content or b"")
        self.add("exhibits", f"[alt] {squeeze(given.get('alt', ''))}")

    def text(self, text: str) -> None:
        if text:
            self.pieces.append(unescape(text).translate(OWN) if "&" in text else text)

    def flush(self, cell: bool = False) -> None:
        cell = cell and self.in_cell
        if cell:
            self.in_cell = False
        if not self.pieces:
            if cell and self.cells is not None:
                self.cells.append("")
            return
        text = squeeze(settle(self.pieces))
        text = text + SHUT * (text.count(OPEN) - text.count(SHUT))
        bare, self.pieces = _bare(text), []
        if bare and self.zone == "head":  # browsers show it, and the head has ended
            self.zone = "text"
        if self.opened and self.opened[-1] >= 0:  # a block inside a link: the link goes on
            self.opened[-1] = -1
        if self.cells is not None:
            if cell:
                self.cells.append(text)
            elif bare:
                self.sentence(text)
            return
        if self.heading and self.zone in ("text", "title") and bare:
            self.section = bare[:80]
        paired = self.zone in ("colophon", "ledger") and self.stack and self.stack[-1][0]
        if paired == "summary" and self.zone == "ledger" and bare and not self.depth["dl"]:
            self.entry = bare.split()[0]
        if paired == "dt":
            if self.term:
                self.sentence(self.term)
            self.term = text
        elif self.term and bare:  # the first text of its `<dd>`
            self.sentence(f"{self.term}: {text}")
            self.term = ""
        elif bare:
            markup = "".join(self.markup)  # of the paragraph, for each of its sentences
            for one in _split(text):
                self.markup = [markup]
                self.sentence(one)

    def sentence(self, marked: str) -> None:
        bound = [replace(self.bound[int(number)], text=_bare(text))
                 for number, text in MARK.findall(marked)]
        masked, turns = unturned(MARK.sub(
            lambda m: "…" if self.bound[int(m[1])].kind else f"{TURN}{m[2]}{TURN}", marked))
        group = "claims" if self.zone == "ledger" else self.group
        self.add(group, _bare(marked), masked=masked, bound=tuple(bound), turns=turns)

    # What a browser does --------------------------------------------------------------------------

    def tell(self, name: str, given: dict[str, str], closed: bool) -> None:
        """Keep the tag as markup, without what is compared by itself."""
        bound = name == "a" and CLAIM.fullmatch(given.get("class", "")) and given.keys() in (
            {"href", "class", "data-field"}, {"href", "class", "data-verdict"})
        kept = [f' {key}="{value}"' for key, value in sorted(given.items())
                if not (key in ("href", "src") and name in ("a", "img")) and key not in SPOKEN]
        if name not in RUNS and not bound and not _is_line(given):
            self.markup.append(f"<{name}{''.join(kept)}{'/' * closed}>")

    def runs(self, name: str, given: dict[str, str]) -> None:
        if name == "meta":
            key = given.get("name") or f"property {given.get('property')}"
            if given.keys() in ({"name", "content"}, {"property", "content"}):
                self.units.append(
                    Unit("header", "head", f"{key}: {squeeze(given.get('content', ''))}"))
                return
        self.active(_shown(name, given))

    def raw(self, name: str, given: dict[str, str], content: str) -> None:
        if name == "title" and not given:
            self.units.append(Unit("header", "head", f"title: {squeeze(unescape(content))}"))
            return
        if name == "script" and given.get("id") == "ledger":
            self.ledgers.append(content)
            if given == {"id": "ledger", "type": "application/json"}:
                return
            content = ""
        if name == "style":
            content = squeeze(content)
        data = content.encode("utf-8", "replace")
        self.active(f"{_shown(name, given)} {squeeze(content[:400])[:60]} ({digest(data)})", data)
        if name in ("textarea", "noscript", "xmp", "plaintext", "noembed", "noframes"):
            self.text(content)


def _shown(name: str, given: dict[str, str]) -> str:
    return "".join([f"<{name}", *(f' {k}="{_short(v)}"' for k, v in sorted(given.items())), ">"])


def _short(value: str) -> str:
    return value if len(value) <= 80 else f"{value[:80]}… ({digest(value.encode())})"


def _lower(name: str) -> str:
    """As browsers compare names: no letter but those of ASCII has another form."""
    return name.lower() if name.isascii() else name


def _bare(marked: str) -> str:
    """A text without marks."""
    return MARK.sub(r"\2", marked).replace(TURN, "").strip()


def _is_line(given: dict[str, str]) -> bool:
    return bool(LINE.fullmatch(given.get("href", ""))) and given.keys() <= {
        "href", "aria-hidden", "tabindex"}


def _split(marked: str) -> list[str]:
    """Sentences of a text with marks, none of which is torn."""
    found, current = [], ""
    for piece in sentences(marked):
        current = f"{current} {piece}".strip()
        if current.count(OPEN) == current.count(SHUT):
            found.append(current)
            current = ""
    return [*found, current + SHUT] if current else found


def _embedded(source: str) -> bytes | None:
    """The picture that a `data:` address holds, in a form that browsers show whole."""
    head, _, data = source.partition(",")
    try:
        content = (base64.b64decode(data, validate=True) if head.endswith(";base64")
                   else unquote_to_bytes(data))
    except ValueError:
        return None
    known = head in PICTURES and head.startswith(SVG) == (b"<svg" in content[:2000])
    return content if known and "#" not in data else None
