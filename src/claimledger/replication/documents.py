"""The text of a paper as PDF or Word, in the same units as a page's, read within limits."""

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from xml.parsers import expat

from claimledger.errors import LedgerError
from claimledger.replication.reading import PAGE, Unit, sentences, squeeze

UNPACKED = 64_000_000  # bytes of one part of a Word file; the paper's has 2 million
SECONDS, MEMORY = 120, 4_000_000_000  # of the process that reads a stranger's PDF
PARTS = re.compile(
    r"word/(document|header\d*|footer\d*|footnotes|comments)\.xml|docProps/core\.xml")
LINKS = "word/_rels/document.xml.rels"
RUNS_CODE = ("/JavaScript", "/JS", "/Launch", "/SubmitForm", "/ImportData", "/EmbeddedFiles")


def read_docx(content: bytes, name: str) -> list[Unit]:
    """Paragraphs, rows of tables, alt texts and pictures of a Word file, and what it would run."""
    units: list[Unit] = []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = set(packed.namelist())
            if "word/document.xml" not in names:
                raise _broken(name, "a zip without word/document.xml", "a paper as Word file")
            links: dict[str, str] = {}
            if LINKS in names:
                _Word(LINKS, links, packed, name).read(_member(packed, LINKS, name))
            for part in sorted(names):
                if PARTS.fullmatch(part):
                    units += _Word(part, links, packed, name).read(_member(packed, part, name))
                elif not part.startswith("word/media/"):  # styles, settings, and whatever it runs
                    digest = hashlib.sha256(_member(packed, part, name)).hexdigest()[:12]
                    units.append(Unit("active", "Word", f"[{part}] {digest}"))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise _broken(name, str(error) or "a broken zip", "a paper as Word file") from None
    return units


def _member(packed: zipfile.ZipFile, part: str, name: str) -> bytes:
    with packed.open(part) as file:
        data = file.read(UNPACKED + 1)
    if len(data) > UNPACKED:
        raise _broken(name, f"{part}: more than {UNPACKED:,} bytes unpacked", "a paper")
    return data


def _broken(name: str, found: str, expected: str) -> LedgerError:
    return LedgerError(name, found=found[:300], expected=expected,
                       mend="name the paper's HTML, PDF or DOCX file, or its ledger.json")


class _Word:
    """An XML part, read without a tree: nothing in it is expanded, and depth costs nothing."""

    def __init__(self, part: str, links: dict[str, str], packed: zipfile.ZipFile, name: str):
        self.links, self.packed, self.name = links, packed, name
        self.main = part == "word/document.xml"
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
            raise _broken(self.name, f"XML that is broken: {error}", "a paper as Word file") \
                from None
        return self.units

    def refuse(self, *_: object) -> None:
        raise _broken(self.name, "a document type of its own", "a paper as Word file")

    def add(self, group: str, text: str, content: bytes = b"") -> None:
        self.units.append(Unit(group if self.main else "header", self.place, text,
                               markup="".join(self.marks), content=content))

    def start(self, tag: str, given: dict) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "Relationship":
            self.links[given.get("Id", "")] = given.get("Target", "")
        elif tag in ("t", "instrText", "title", "creator", "subject", "keywords", "description"):
            self.reading = True
        elif tag in ("tab", "br", "cr"):
            self.pieces.append(" ")
        elif tag == "pStyle" and re.match(r"(Heading|Title|Abstract)", given.get("w:val", "")):
            self.heading = True
        elif tag == "tr":
            self.cells = []
        elif tag == "hyperlink" and given.get("r:id"):
            self.add("text", f"[link] {self.links.get(given['r:id'], '')}")
        elif tag == "docPr" and given.get("descr"):
            self.add("exhibits", f"[alt] {squeeze(given['descr'])}")
        elif tag == "blip":
            target = self.links.get(given.get("r:embed", ""), "")
            known = f"word/{target}" in self.packed.namelist()
            data = _member(self.packed, f"word/{target}", self.name) if known else b""
            self.add("exhibits", f"[picture] {hashlib.sha256(data).hexdigest()[:12]}", data)
        elif tag == "vanish":
            self.add("active", "hidden text")
        if tag not in ("t", "r", "p", "tc", "tr", "hyperlink", "docPr", "blip"):
            self.marks.append("".join(["<", tag, *(f' {k}="{v}"' for k, v in given.items()), ">"]))

    def text(self, text: str) -> None:
        if self.reading:
            self.pieces.append(text)

    def end(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        if tag in ("t", "instrText"):
            self.reading = False
        elif tag in ("p", "title", "creator", "subject", "keywords", "description"):
            text, self.pieces, self.reading = squeeze("".join(self.pieces)), [], False
            if self.cells is not None:
                self.cell.append(text)
            elif text:
                if self.heading and self.main:
                    self.place = text[:80]
                for one in sentences(text):
                    self.add("text", one)
                self.marks = []
            self.heading = False
        elif tag == "tc" and self.cells is not None:
            self.cells.append(" ".join(filter(None, self.cell)))
            self.cell = []
        elif tag == "tr" and self.cells is not None:
            self.add("exhibits", " | ".join(self.cells))
            self.cells, self.marks = None, []


def read_pdf(content: bytes, name: str) -> list[Unit]:
    """The sentences of a PDF, its title and authors, its links, and what it would run."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        raise _broken(name, "an encrypted PDF", "a PDF that can be read")
    about = [(key.strip("/").lower(), str(value)) for key, value in (reader.metadata or {}).items()]
    units = [Unit("header", "PDF", f"{key}: {value}")
             for key, value in sorted(about) if key in ("title", "author", "subject", "keywords")]
    pages = [page.extract_text().split("\n") for page in reader.pages]
    running = _running(pages)
    units += [Unit("header", "each page", line) for line in sorted(running)]
    lines = [line for page in pages for line in page if _plain(line) not in running]
    for one in sentences(squeeze("\n".join(lines))):
        units.append(Unit("text", "PDF", one, re.sub(r"[\s\u00ad\u2010-]+", "", one)))
    for number, page in enumerate(reader.pages, start=1):
        units += [Unit("text", f"page {number}", f"[link] {uri}") for uri in _links(page)]
        digest = hashlib.sha256(page.extract_text().encode("utf-8", "replace")).hexdigest()[:12]
        drawn = b"\n".join([PAGE, *_streams(page.get_contents(), page.get("/Resources"))])
        units.append(Unit("exhibits", f"page {number}", f"[page] {digest}", content=drawn))
    code = [key for key in RUNS_CODE if key.encode() in content]
    return units + [Unit("active", "PDF", key) for key in code]


def _plain(line: str) -> str:
    return re.sub(r"\d+", "#", squeeze(line))


def _running(pages: list[list[str]]) -> set[str]:
    """The lines over and under the text of most pages, without their numbers."""
    edges = Counter(_plain(line) for page in pages for line in {*page[:2], *page[-2:]})
    return {line for line, number in edges.items() if line and number > max(2, len(pages) / 2)}


def _links(page) -> Iterator[str]:
    for note in page.get("/Annots") or []:
        uri = (note.get_object().get("/A") or {}).get("/URI")
        if uri:
            yield str(uri)


def _streams(content, resources, depth: int = 0) -> Iterator[bytes]:
    """What draws a page, and what draws the figures on it."""
    if content is not None:
        yield content.get_data()
    forms = (resources.get_object().get("/XObject") or {}) if resources and depth < 9 else {}
    for _, form in sorted(forms.items()):
        one = form.get_object()
        yield from _streams(one, one.get("/Resources"), depth + 1)


def read_strange_pdf(content: bytes, name: str) -> list[Unit]:
    """The same in a process of its own, which is ended where it takes too long or too much."""
    command = [sys.executable, "-m", "claimledger.replication.documents", name]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise _broken(name, f"not read in {SECONDS} s", "a PDF that can be read") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise _broken(name, "".join(last) or "no PDF that can be read", "a PDF that can be read")
    return [Unit(**one | {"content": one["content"].encode("latin-1")})
            for one in json.loads(done.stdout)]


def main() -> None:
    """Read a PDF from standard input, and write its units as JSON."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # a system without such limits
    units = read_pdf(sys.stdin.buffer.read(), sys.argv[1])
    print(json.dumps([{key: value for key, value in asdict(one).items() if key != "bound"} | {
        "content": one.content.decode("latin-1")} for one in units]))


if __name__ == "__main__":
    main()
