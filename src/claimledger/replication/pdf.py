"""What a reader of a PDF sees or hears, and what it would run: units like those of a page.

Anybody may have written it: it is read in a process of its own, within limits. How words are drawn
is told with them, wherever they float to: in which size and color, by letters of which shape, and
whether anything covers them. Typst draws the same paper alike, whoever runs it.
"""

import io
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby

from matplotlib.ft2font import FT2Font, LoadFlags
from pypdf import PdfReader
from pypdf.generic import IndirectObject, StreamObject

from claimledger.errors import LedgerError
from claimledger.replication.reading import PAGE, PAINT, Unit, digest, sentences, squeeze

SECONDS, MEMORY = 40, 2_000_000_000  # of processor and bytes; the paper of record takes 7 s
RUNS_CODE = ("/JavaScript", "/JS", "/Launch", "/SubmitForm", "/ImportData", "/EmbeddedFiles")
OF_WHOLE = {"/Metadata": "header", "/Lang": "header", "/PageLabels": "header", "/Names": "header",
            "/Outlines": "text"}
NOT_SHOWN = {"/Annots", "/Contents", "/Parent"}  # of a page: told apart, or what holds it
PACKED = ("/Parent", "/Length", "/Filter", "/DecodeParms")
WITHIN = {"/Span", "/Link", "/Em", "/Strong", "/Code", "/Reference", "/Quote", "/Formula", "/Sub",
          "/Lbl", "/NonStruct"}  # tags of a PDF within a paragraph
SAID = ("/Alt", "/ActualText", "/E")
LETTER = re.compile(rb"<([0-9A-Fa-f]{4})>\s*<([0-9A-Fa-f]+)>\s*?\n")  # of a type's /ToUnicode
# What the operators of a page set, show and paint.
SETS = {b"Tf": "type", b"Tr": "mode", b"Tz": "width", b"Ts": "rise", b"Tc": "gap", b"Tw": "blank",
        b"gs": "state", b"cs": "space", b"CS": "stroke space", b"w": "line",
        **dict.fromkeys((b"g", b"rg", b"k", b"sc", b"scn"), "color"),
        **dict.fromkeys((b"G", b"RG", b"K", b"SC", b"SCN"), "stroke")}
OF_WORDS = ("type", "mode", "width", "rise", "gap", "blank", "state", "space", "color")
NAMED = {b"gs": "/ExtGState", b"cs": "/ColorSpace", b"CS": "/ColorSpace", b"Do": "/XObject",
         b"Tf": "/Font"}
SHOWS, PATH = (b"Tj", b"TJ", b"'", b'"'), (b"m", b"l", b"c", b"v", b"y", b"re")
FILLS = (b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*", b"sh", b"Do", b"INLINE IMAGE")
THICK = 3  # points: a line that can hide words
LOOSE = -1  # the piece of what the structure does not name

Box = tuple[float, float, float, float]


def read_pdf(content: bytes, name: str) -> list[Unit]:
    """The sentences of a PDF, what draws its pages, what is read aloud, and what it would run."""
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        raise LedgerError(name, found="an encrypted PDF", expected="one that anybody can read")
    about = {key.strip("/").lower(): str(value) for key, value in (reader.metadata or {}).items()}
    units = [Unit("header", "PDF", f"{key}: {value}") for key, value in sorted(about.items())
             if key != "producer"]
    outside = content[:content.find(b"%PDF-")] + content[content.rfind(b"%%EOF") + 5:].strip()
    if outside or content.count(b"startxref") > 1:
        units.append(Unit("active", "PDF", f"{len(outside)} bytes around it, or later changes"))
    objects = _Objects(reader)
    pages = objects.drawn
    heads = ""  # rows of tables, of which the first stand again on the next page
    for group, text, markup, links in _structured(objects):
        units += [Unit(group, "PDF", one, _letters(one), markup=markup)
                  for one in (sentences(text) if group == "text" else [text])]
        units += [Unit("text", "PDF", f"[link] {one}") for one in links]
        heads += f"|{_letters(text)}" * (group == "exhibits")
    drawn = [("PDF", page.drawn(paints)) for page in pages
             for piece, paints in sorted(page.paints.items()) if piece != LOOSE]
    drawn += [("each page", one) for one in sorted(
        {page.drawn([one]) for page in pages for one in page.paints[LOOSE]})]
    units += [Unit("exhibits", place, f"[drawn] {digest(one)}", content=one)
              for place, one in drawn]
    loose = {re.sub(r"\d+", "#", squeeze(line)) for page in pages for line in page.loose
             if _letters(line) not in heads}
    known = {look for page in pages for piece, looks in page.looks.items() if piece != LOOSE
             for look in looks}
    loose |= {f"[look] {look}" for page in pages for look in page.looks[LOOSE] - known}
    units += [Unit("header", "each page", line) for line in sorted(loose)]
    units += [Unit("text", "PDF", f"[bookmark] {one}") for one in _bookmarks(reader.outline)]
    units += [Unit("exhibits", "PDF", f"[letter] {one}") for one in sorted(
        set().union(*(page.letters for page in pages)))]
    for number, (page, drawing) in enumerate(zip(reader.pages, pages, strict=True), start=1):
        place, notes = f"page {number}", list(_held(page, "/Annots"))
        for note in notes:
            if note.get_object().get("/Subtype") != "/Link":
                units.append(Unit("active", place, f"an annotation: {note['/Subtype']}"))
            elif note.idnum not in objects.linked:
                units.append(Unit("text", place, f"[link] {objects.target(note.get_object())}"))
        shown = notes + [page.raw_get(key) for key in sorted(page.keys() - NOT_SHOWN)]
        stream = page.get_contents()
        whole = objects.told(shown, stream.get_data() if stream is not None else b"")
        words = digest(drawing.whole.encode("utf-8", "replace"))
        units.append(Unit("exhibits", place, f"[page] {words}", content=whole))
    root = reader.root_object
    for key in sorted(root.keys() - {"/Pages", "/Type"}):
        units.append(Unit(OF_WHOLE.get(key, "active"), "PDF", key,
                          content=objects.told(root.raw_get(key))))
    units += [Unit("exhibits", "PDF", one) for one in objects.said]
    held = {*reader.xref.get(0, {}), *reader.xref_objStm}
    parts = {key for number in held for key in RUNS_CODE
             if key in repr(reader.get_object(number))}
    return units + [Unit("active", "PDF", key) for key in sorted(parts)]


class _Objects:
    """The objects of a PDF as bytes that two readings share: pages are told by their number."""

    def __init__(self, reader: PdfReader):
        self.reader = reader
        self.pages = {(one.indirect_reference.idnum, one.indirect_reference.generation): place
                      for place, one in enumerate(reader.pages)}
        self.digests: dict[int, bytes] = {}  # of streams, such as the type
        self.said: list[str] = []  # read aloud in place of what is seen
        self.linked: set[int] = set()  # the annotations that the structure names
        self.letters: dict[int, set[str]] = {}  # of each type
        self.drawn = [_Drawn(page, self) for page in reader.pages]

    def told(self, value: object, drawn: bytes = b"") -> bytes:
        """What an object holds, and all that it refers to, each once."""
        parts = [PAGE, drawn]
        self._tell(value, parts, {})
        return b"\n".join(parts)

    def _tell(self, value: object, parts: list[bytes], known: dict) -> None:
        if isinstance(value, IndirectObject):
            key = value.idnum, value.generation
            if key in self.pages or key in known:
                parts.append(b"page %d" % self.pages[key] if key in self.pages
                             else b"@%d" % known[key])
                return
            known[key] = len(known)
            value = value.get_object()
        if isinstance(value, dict):
            kind = "formula" if value.get("/S") == "/Formula" else "alt"
            self.said += [f"[{kind}] {value[key]}" for key in SAID if key in value]
            for key in sorted(value.keys() - {*PACKED, *SAID}):
                parts.append(key.encode("utf-8", "replace"))
                self._tell(dict.__getitem__(value, key), parts, known)
        elif isinstance(value, list):
            for one in (*value, "]"):
                self._tell(one, parts, known)
        else:
            parts.append(repr(value).encode("utf-8", "replace"))
        if isinstance(value, StreamObject) and value.get("/Subtype") == "/Form":
            parts.append(value.get_data())
        elif isinstance(value, StreamObject):
            if id(value) not in self.digests:
                self.digests[id(value)] = digest(value.get_data()).encode()
            parts.append(self.digests[id(value)])

    def words(self, pieces: list[tuple[int, int]]) -> str:
        """What is read in pieces of pages, in the order in which it is drawn."""
        return squeeze("".join(self.drawn[page].words.get(one, "")
                               for page, one in sorted(pieces)))

    def target(self, link: dict) -> str:
        """Where a link leads: an address, or the first words at the place in this PDF."""
        action = _held(link, "/A")
        if "/URI" in action:
            return str(action["/URI"])
        place = next((one[key] for one in (action, link) for key in ("/D", "/Dest")
                      if key in one), "")
        if isinstance(place, str) and place in self.reader.named_destinations:
            place = self.reader.named_destinations[place].dest_array
        if isinstance(place, list) and place and isinstance(place[0], IndirectObject):
            number = self.pages.get((place[0].idnum, place[0].generation))
            top = place[3] if len(place) > 3 else None
            if number is not None and isinstance(top, float | int):
                return f"“{self.drawn[number].words_at(float(top))}”"
        return str(place)


class _Drawn:
    """What draws a page: words, and how they look, and lines, by the pieces of the structure."""

    def __init__(self, page, objects: _Objects):
        self.objects, self.resources = objects, _held(page, "/Resources")
        self.words: dict[int, str] = defaultdict(str)
        self.loose: list[str] = []
        self.looks: dict[int, set[str]] = defaultdict(set)
        self.paints: dict[int, list[tuple[str, list]]] = defaultdict(list)
        self.letters: set[str] = set()
        self.shown: list[tuple[int, float, float, float]] = []  # piece, left, right, height
        self.box = tuple(map(float, page.cropbox))
        self.state, self.saved = {"clip": self.box}, []
        self.within: list[int | None] = []
        self.path: list[tuple[float, float]] = []
        self.clips = False
        self.whole = page.extract_text(visitor_operand_before=self.before, visitor_text=self.text)

    @property
    def piece(self) -> int:
        return next((one for one in reversed(self.within) if one is not None), LOOSE)

    def text(self, words: str, *_: object) -> None:
        self.words[self.piece] += words
        self.loose += [words] if self.piece == LOOSE else []

    def before(self, operator: bytes, operands: list, cm: list, tm: list) -> None:
        if operator in SETS:
            self.state[SETS[operator]] = " ".join(
                [self.named(operator, operands), *map(str, operands[1:])])
        elif operator in (b"BDC", b"BMC"):
            about = operands[1] if len(operands) > 1 else None
            self.within.append(about.get("/MCID") if isinstance(about, dict) else None)
        elif operator == b"EMC" and self.within:
            self.within.pop()
        elif operator == b"q":
            self.saved.append(dict(self.state))
        elif operator == b"Q" and self.saved:
            self.state = self.saved.pop()
        elif operator in PATH:
            numbers = [float(one) for one in operands]
            if operator == b"re":
                x, y, width, height = numbers
                numbers = [x, y, x + width, y, x + width, y + height, x, y + height]
            self.path += [_placed(cm, *one) for one in zip(*[iter(numbers)] * 2, strict=True)]
        elif operator in SHOWS:
            self.show(operands, cm, tm)
        elif operator in (b"W", b"W*"):
            self.clips = True
        elif operator in (*FILLS, b"S", b"s", b"n"):
            self.paint(operator, operands, cm)

    def named(self, operator: bytes, operands: list) -> str:
        """The first operand: of a type its name and letters, of another resource its digest."""
        name = operands[0] if operands else ""
        kind = _held(self.resources, NAMED.get(operator))
        if name not in kind:
            return str(name)
        if operator != b"Tf":
            return digest(self.objects.told(kind.raw_get(name)))
        known, font = self.objects.letters, kind[name]
        if id(font) not in known:
            known[id(font)] = set(_shapes(font))
        self.letters |= known[id(font)]
        return str(font.get("/BaseFont", "")).rpartition("+")[2]

    def show(self, operands: list, cm: list, tm: list) -> None:
        """Words: how they are set, and whether they lie within the page and what clips it."""
        size = float(self.state.get("type", "0").rpartition(" ")[2])
        given = operands[-1] if operands else ""
        count = sum(len(one) for one in given if isinstance(one, str | bytes)) if isinstance(
            given, list) else len(given)
        ends = [_placed(cm, *_placed(tm, 0.4 * size * along, 0.25 * size)) for along in (0, count)]
        (left, height), (right, _) = ends
        self.looks[self.piece].add(" ".join(
            [f"{abs(_placed(tm, 0, 1)[1] - tm[5]):g}",
             *(self.state[key] for key in OF_WORDS if key in self.state)]))
        if not _holds(self.state["clip"], left, height):
            self.looks[self.piece].add("out of sight")
        self.shown.append((self.piece, left, right, height))

    def paint(self, operator: bytes, operands: list, cm: list) -> None:
        """What a path or picture is, and the words before it that it covers."""
        if operator in (b"Do", b"INLINE IMAGE"):
            self.path = [_placed(cm, *one) for one in ((0, 0), (1, 0), (1, 1), (0, 1))]
        elif operator == b"sh":
            self.path = [self.state["clip"][:2], self.state["clip"][2:]]
        box = _around(self.path)
        if self.clips and box:
            old = self.state["clip"]
            self.state["clip"] = (*map(max, old[:2], box[:2]), *map(min, old[2:], box[2:]))
        if (self.clips or operator != b"n") and box:
            label = " ".join([operator.decode(), self.named(operator, operands), *(
                self.state.get(key, "") for key in ("state", "space", "color", "stroke", "line"))])
            self.paints[self.piece].append((label, self.path))
            wide = float(self.state.get("line", "1").strip())
            if operator in FILLS or wide > THICK:
                edge = 0 if operator in FILLS else wide / 2
                low, high = box[1] - edge, box[3] + edge
                for piece, left, right, height in self.shown:
                    if low < height < high and box[0] - edge < right and left < box[2] + edge:
                        self.looks[piece].add("covered")
        self.path, self.clips = [], False

    @staticmethod
    def drawn(paints: list[tuple[str, list]]) -> bytes:
        """Lines and pictures as bytes, wherever on a page they are."""
        x, y = paints[0][1][0]
        return b"\n".join([PAINT, *(" ".join([label, *(
            f"{a - x:.2f} {b - y:.2f}" for (a, b), _ in groupby(path))]).encode()
                for label, path in paints)])

    def words_at(self, top: float) -> str:
        """The first words below a height."""
        below = [one for one in self.shown if one[0] != LOOSE and one[3] < top]
        highest = max((one[3] for one in below), default=0)
        line = dict.fromkeys(piece for _, piece in sorted(
            (one[1], one[0]) for one in below if one[3] > highest - 1))
        return _letters("".join(self.words[piece] for piece in line))[:60]


def _bookmarks(outline: list) -> Iterator[str]:
    """The titles in a PDF's own contents, those of parts after that of the whole."""
    for one in outline:
        if isinstance(one, list):
            yield from _bookmarks(one)
        else:
            yield str(one.title)


def _held(holder: dict, key: str | None) -> dict:
    """What a dictionary holds under a key, itself and no reference; of nothing, nothing."""
    return holder[key] if key in holder else {}  # noqa: SIM401, it resolves references


def _placed(matrix: list, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _around(path: list[tuple[float, float]]) -> Box | None:
    xs, ys = zip(*path, strict=True) if path else ((), ())
    return (min(xs), min(ys), max(xs), max(ys)) if path else None


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] - 1 <= x <= box[2] + 1 and box[1] <= y <= box[3]


def _shapes(font: dict) -> Iterator[str]:
    """What each letter of a type is read as, and the digest of its shape."""
    inner = font["/DescendantFonts"][0] if "/DescendantFonts" in font else font
    about = _held(inner, "/FontDescriptor")
    file = next((about[key] for key in about if key.startswith("/FontFile")), None)
    if file is None:
        yield f"of {font.get('/BaseFont')}, which is not in the file"
        return
    shapes, read = FT2Font(io.BytesIO(file.get_data())), font.get("/ToUnicode")
    letters: dict[int, list[str]] = defaultdict(list)
    for code, letter in LETTER.findall(read.get_data() if read is not None else b""):
        letters[int(code, 16)].append(
            bytes.fromhex(letter.decode()).decode("utf-16-be", "replace"))
    for code in range(shapes.num_glyphs):
        shapes.load_glyph(code, LoadFlags.NO_SCALE | LoadFlags.NO_HINTING)
        points, kinds = shapes.get_path()
        for letter in letters[code] or [""]:
            yield f"{letter} {digest(points.tobytes() + kinds.tobytes())}"


def _letters(text: str) -> str:
    """A text of a PDF without what its lines, and the order of accents, do to it."""
    return re.sub(r"[\s\u00ad\u0300-\u036f]+|(?<=[^\W\d])[\u2010-](?=\s*[^\W\d])", "", text)


def _structured(objects: _Objects) -> Iterator[tuple[str, str, str, list[str]]]:
    """Each paragraph, and each row of a table, as a reader hears it: wherever it floats to.

    Its group, its words, how they look, and where its links lead. Within a paragraph, words are in
    the order in which they are drawn.
    """
    blocks: list[tuple[int | None, list, list]] = [(None, [], [])]  # its row, pieces and links
    root = _held(objects.reader.root_object, "/StructTreeRoot")
    todo, known, rows = [(root, 0, 0, None, None)], set(), 0
    while todo:
        one, page, block, row, link = todo.pop()
        if isinstance(one, IndirectObject):
            if one.idnum in known:
                continue
            known.add(one.idnum)
            one = one.get_object()
        if isinstance(one, list):
            todo += [(each, page, block, row, link) for each in reversed(one)]
        elif isinstance(one, dict) and one.get("/Type") == "/OBJR":
            objects.linked.add(one.raw_get("/Obj").idnum)
            if link is not None:
                link[1][objects.target(one["/Obj"])] = None  # once, though it may fill two lines
        elif isinstance(one, dict):
            if "/Pg" in one:
                reference = one.raw_get("/Pg")
                page = objects.pages.get((reference.idnum, reference.generation), 0)
            tag = one.get("/S")
            if tag == "/TR":
                row = rows = rows + 1
            elif tag and (tag not in WITHIN if row is None else tag in ("/TD", "/TH")):
                block = len(blocks)
                blocks.append((row, [], []))
            elif tag == "/Link":
                link = [], {}
                blocks[block][2].append(link)
            todo.append((dict.get(one, "/MCID", dict.get(one, "/K")), page, block, row, link))
        elif isinstance(one, int):
            for pieces in (blocks[block][1], *([link[0]] if link else [])):
                pieces.append((page, one))
    for row, same in groupby(blocks, key=lambda one: one[0]):
        cells = list(same)
        for some in [cells] if row else [[cell] for cell in cells]:
            text = " | ".join(objects.words(pieces) for _, pieces, _ in some)
            looks = {look for _, pieces, _ in some for page, one in pieces
                     for look in objects.drawn[page].looks.get(one, ())}
            if row or text:
                yield ("exhibits" if row else "text", text,
                       "".join(f"<{look}>" for look in sorted(looks)),
                       [f"{_letters(objects.words(pieces))} to {target}"
                        for *_, links in some for pieces, targets in links for target in targets])


def read_strange_pdf(content: bytes, name: str) -> list[Unit]:
    """The same in a process of its own, which is ended where it takes too long or too much."""
    command = [sys.executable, "-m", "claimledger.replication.pdf", name]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=10 * SECONDS)
        *_, last = done.stderr.decode("utf-8", "replace").strip().splitlines() or [""]
        found = re.sub(r"^pypdf[\w.]+: ", "", last) or f"a PDF that is not read in {SECONDS} s"
    except subprocess.TimeoutExpired:
        done, found = None, f"a PDF that is not read in {10 * SECONDS} s"
    if done is None or done.returncode:
        raise LedgerError(name, found=found[:300], expected="a PDF")
    return [Unit(*told, markup=markup, content=content.encode("latin-1"))
            for *told, markup, content in json.loads(done.stdout)]


def main() -> None:
    """Read a PDF from standard input, and write its units as JSON."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    except (ImportError, ValueError, OSError):
        pass  # a system without such limits
    try:
        units = read_pdf(sys.stdin.buffer.read(), sys.argv[1])
    except LedgerError as error:
        sys.exit(error.found)
    print(json.dumps([(one.group, one.place, one.text, one.masked, one.markup,
                       one.content.decode("latin-1")) for one in units]))


if __name__ == "__main__":
    main()
