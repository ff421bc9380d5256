"""Read a published paper or ledger, which anybody may have written: data, never instructions.

Kind, size, depth, types and characters are checked before anything is compared or shown. A Word
file gives the same units as a page.
"""

import io
import json
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated
from xml.parsers import expat

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from claimledger.errors import LedgerError
from claimledger.replication.pdf import read_strange_pdf
from claimledger.replication.reading import (
    OWN,
    TURN,
    Unit,
    digest,
    read_page,
    sentences,
    settle,
    squeeze,
    unturned,
)

LARGEST = 64_000_000  # bytes of a file; the paper of record has 3 million
UNPACKED = 64_000_000  # bytes of all parts of a Word file; the paper's has 2 million
IN_FOLDER = ("_manuscript/index.html", "index.html", "results/ledger.json", "ledger.json")
PAGES = "build/notebooks"  # beside the paper: the pages of its notebooks
PARTS = re.compile(
    r"word/(document|header\d*|footer\d*|footnotes|comments)\.xml|docProps/core\.xml")
HEADING = re.compile(r"Heading\d|Title|AbstractTitle")
LINKS = "word/_rels/document.xml.rels"
QUARTO = re.compile(r"(.*Rendered by:?\s+)?Quarto \d")
EXPECTED = "a paper (HTML, PDF or DOCX) or a ledger (JSON)"
NAME_IT = "name the paper's HTML, PDF or DOCX file, or its ledger.json"

Name = Annotated[str, StringConstraints(max_length=200)]
Words = Annotated[str, StringConstraints(max_length=20_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Entry(BaseModel):
    """What a comparison relies on; further fields are kept, and compared leaf by leaf."""

    model_config = ConfigDict(extra="allow", strict=True)
    value: Number
    label: Words = ""
    verdict: Name | None = None
    recorded: bool = False
    text: dict[Name, Words] = {}


class _Ledger(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    header: dict[Name, object]
    entries: Annotated[dict[Name, _Entry], Field(min_length=1, max_length=20_000)]
    exhibits: Annotated[dict[Name, dict[Name, object]], Field(max_length=5_000)] = {}
    deviations: Annotated[list[object], Field(max_length=5_000)] = []


@dataclass(frozen=True)
class Published:
    """A published paper: its ledger if it carries one, and what a reader of it sees.

    `kind` is html, pdf, docx or json (a ledger alone); `notebooks` are the pages beside it.
    """

    name: str
    kind: str
    ledger: dict | None = None
    units: list[Unit] = field(default_factory=list)
    notebooks: dict[str, list[Unit]] = field(default_factory=dict)

    @property
    def quarto(self) -> bool:
        """Whether it says that Quarto made it."""
        return any(QUARTO.match(unit.text) for unit in self.units)


def read_published(target: Path) -> Published:
    """The paper or ledger in a file, or in a folder that holds one.

    Raises LedgerError for a file that is missing, no regular file, too large or malformed.
    """
    path = _file(Path(target))
    content = _content(path)
    kind = path.suffix.lower().removeprefix(".")  # as a browser does: a file can be of two kinds
    if kind == "pdf":
        return Published(path.name, kind, units=read_strange_pdf(content, path.name))
    if kind == "docx":
        return Published(path.name, kind, units=read_docx(content, path.name))
    if kind == "json":
        return Published(path.name, kind, parse(_text(path), path.name))
    if kind not in ("html", "htm"):
        raise _refused(path.name, f"a file named {path.suffix or 'without an ending'}")
    page = _page(path)
    if len(page.ledgers) != 1:
        raise _refused(path.name, f"{len(page.ledgers) or 'no'} embedded ledgers",
                       'a page with one <script id="ledger">, as this project publishes it')
    beside = {one.name: _page(one).units
              for one in sorted((path.parent / PAGES).glob("*-preview.html"))}
    return Published(path.name, "html", parse(page.ledgers[0], path.name), page.units, beside)


def parse(text: str, name: str) -> dict:
    """A ledger from JSON, with every type checked, as plain data."""
    try:
        content = json.loads(text, parse_constant=_refuse, parse_int=_whole,
                             object_pairs_hook=_once)
        ledger = _Ledger.model_validate(content)
        return json.loads(ledger.model_dump_json())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        found = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise _refused(name, found, "a ledger of results, as this project writes it")


def plain(text: object) -> str:
    """One line without control characters: a stranger's text cannot steer a terminal."""
    shown = (letter for letter in str(text)
             if letter.isspace() or unicodedata.category(letter)[0] != "C")
    return " ".join("".join(shown).split())


def _refused(name: str, found: str, expected: str = EXPECTED) -> LedgerError:
    found = plain(found.encode("utf-8", "replace").decode())[:300]
    return LedgerError(name, found=found, expected=expected, mend=NAME_IT)


def _file(target: Path) -> Path:
    if not os.path.isdir(target):  # False for a name that no system would take
        return target
    for name in IN_FOLDER:
        if (target / name).is_file():
            return target / name
    raise _refused(target.name or "folder", "neither a paper nor a ledger",
                   "one of " + ", ".join(IN_FOLDER))


def _content(path: Path) -> bytes:
    """The bytes of a regular file: a pipe would never end, and a device neither."""
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            known = os.fstat(file.fileno())
            if not stat.S_ISREG(known.st_mode):
                raise _refused(path.name, "a pipe, a device or a folder")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise _refused(path.name, error.strerror.lower()) from None
    except ValueError as error:  # a name with a null
        raise _refused(plain(path.name), str(error)) from None
    if len(content) > LARGEST:
        raise _refused(path.name, f"{known.st_size:,} bytes", f"at most {LARGEST:,}")
    return content


def _page(path: Path):  # units and ledgers
    return read_page(_text(path), path.name, partial(_picture, path.parent))


def _text(path: Path) -> str:
    try:
        return _content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(path.name, str(error)) from None


def _picture(folder: Path, name: str) -> bytes | None:
    """A picture that lies beside the page, and nowhere else."""
    path = (folder / name.partition("?")[0]).resolve() if name and "\0" not in name else folder
    if path.is_relative_to(folder.resolve()) and path.is_file():
        return _content(path)
    return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON knows")


def _whole(digits: str) -> int:
    if len(digits) > 20:  # no float holds it
        raise ValueError(f"{digits[:20]}… is too large a number")
    return int(digits)


def _once(pairs: list[tuple[str, object]]) -> dict:
    """An object of JSON, in which each key stands once: of two, programs read either."""
    if len(found := dict(pairs)) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} twice")
    return found


# Word ----------------------------------------------------------------------------------------


def read_docx(content: bytes, name: str) -> list[Unit]:
    """Paragraphs, rows of tables, alt texts and pictures of a Word file, and what it would run."""
    parts, around = _unpacked(content, name)
    if "word/document.xml" not in parts:
        raise _refused(name, "a zip without word/document.xml")
    units: list[Unit] = []
    links: dict[str, str] = {}
    _Word(LINKS, links, parts, name).read(parts.get(LINKS, b"<none/>"))
    for part, data in sorted(parts.items()):
        if PARTS.fullmatch(part):
            units += [*_Word(part, links, parts, name).read(data),
                      Unit("file", part, "", content=data)]
        else:  # styles, settings, and whatever it runs; a picture is told where it is shown
            told = "" if part.startswith("word/media/") else digest(data)
            units.append(Unit("active", "Word", f"[{part}] {told}"))
    return [*units, Unit("file", "around its parts", "", content=b"%d bytes" % around)]


def _unpacked(content: bytes, name: str) -> tuple[dict[str, bytes], int]:
    """The parts of a zip by name, which are not large together, and how much is no part of it."""
    parts: dict[str, bytes] = {}
    left, around = UNPACKED, len(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for one in packed.infolist():
                if one.filename in parts:
                    raise _refused(name, "a part that stands in it twice")
                with packed.open(one) as file:
                    parts[one.filename] = file.read(left + 1)
                left -= len(parts[one.filename])
                around -= one.compress_size
                if left < 0:
                    raise _refused(name, f"more than {UNPACKED:,} bytes unpacked")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError,
            zlib.error) as error:
        raise _refused(name, str(error) or "a broken zip") from None
    return parts, around


class _Word:
    """An XML part, read without a tree: nothing in it is expanded, and depth costs nothing."""

    def __init__(self, part: str, links: dict[str, str], parts: dict[str, bytes], name: str):
        self.links, self.parts, self.name = links, parts, name
        self.part, self.main = part, part == "word/document.xml"
        self.about = part.startswith("docProps/")  # all of its text is read, each tag apart
        self.running = self.about or part.startswith(("word/header", "word/footer"))
        self.place = part.removesuffix(".xml").rpartition("/")[2]
        self.units: list[Unit] = []
        self.pieces: list[str] = []
        self.cells: list[str] | None = None
        self.cell: list[str] = []
        self.heading = self.reading = False
        self.marks: list[str] = []  # how what follows is set: its size, its color

    def read(self, data: bytes) -> list[Unit]:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = self.refuse
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise _refused(self.name, f"XML that is broken: {error}") from None
        self.add("text", "")  # what is set after the last paragraph: the paper, its margins
        return self.units

    def refuse(self, *_: object) -> None:
        raise _refused(self.name, "a document type of its own")

    def add(self, group: str, text: str, content: bytes = b"") -> None:
        masked, turns = unturned(text)
        markup = "".join(self.marks)
        self.marks = [markup]  # one string, however many sentences a paragraph has
        self.units.append(Unit("header" if self.running else group, self.place, masked,
                               markup=markup, turns=turns, content=content))

    def start(self, tag: str, given: dict) -> None:
        told = (f' {key}="{value}"'.replace("<", "&lt;") for key, value in given.items())
        self.marks.append("".join(["<", tag, *told, ">"]))
        tag = tag.rpartition(":")[2]
        if tag == "Relationship":
            self.links[given.get("Id", "")] = given.get("Target", "")
        elif tag in ("t", "instrText"):
            self.reading = True
        elif tag == "r":
            self.pieces.append(TURN)
        elif tag in ("tab", "br", "cr"):
            self.pieces.append(" ")
        elif tag == "pStyle" and HEADING.fullmatch(given.get("w:val", "")):
            self.heading = True
        elif tag == "tr":
            self.cells = []
        elif tag == "hyperlink" and given.get("r:id"):
            self.add("text", f"[link] {self.links.get(given['r:id'], '')}")
        elif tag == "docPr" and given.get("descr"):
            self.add("exhibits", f"[alt] {squeeze(given['descr'])}")
        elif tag in ("blip", "svgBlip"):
            target = self.links.get(given.get("r:embed", ""), "")
            data = self.parts.get(f"word/{target}", b"")
            self.add("exhibits", f"[picture] {digest(data)}", data)

    def text(self, text: str) -> None:
        if self.reading or self.about:
            self.pieces.append(text.translate(OWN))

    def end(self, tag: str) -> None:
        self.marks.append(f"</{tag}>")
        tag = tag.rpartition(":")[2]
        if tag in ("t", "instrText"):
            self.reading = False
        elif tag == "p" or self.about:
            text, self.pieces = settle(self.pieces).strip(" "), []
            if self.cells is not None:
                self.cell.append(text)
            elif bare := unturned(text)[0].strip():
                if self.heading and self.main:
                    self.place = bare[:80]
                for one in [text] if self.heading else sentences(text):
                    self.add("text", one)
                self.marks = []
            self.heading = False
        elif tag == "tc" and self.cells is not None:
            self.cells.append(" ".join(filter(None, self.cell)))
            self.cell = []
        elif tag == "tr" and self.cells is not None:
            self.add("exhibits", " | ".join(self.cells))
            self.cells, self.marks = None, []
