"""Running pandoc and typst, and turning what they complain of into errors for people."""

import io
import json
import os
import re
import subprocess
import zipfile
from collections import Counter
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from claimledger.errors import LedgerError

COMPLAINT = "complaint.json"
RUNTIME = ["+RTS", "-A128m", "-RTS"]  # room for what is new: a quarter less time than with 4 MB


def reading(text: str) -> str:
    """How pandoc reads a text: looking for no HTML where none is takes less than half the time."""
    return "markdown" if re.search(r"<[a-zA-Z/!?]", text) else "markdown-raw_html"


@cache
def _pandoc() -> str:
    """The pandoc that came with the Python package, not one that the machine happens to have."""
    bundled = list((Path(find_spec("pypandoc").origin).parent / "files").glob("pandoc*"))
    if bundled:
        return str(bundled[0])
    import pypandoc  # a tenth of a second, only where it must search

    return pypandoc.get_pandoc_path()


@cache
def versions() -> str:
    """The renderer in words, for the colophon."""
    said = subprocess.run([_pandoc(), "--version"], capture_output=True, text=True, check=True)
    pandoc_version = said.stdout.split("\n")[0]
    return f"the embedded renderer ({pandoc_version}, typst {version('typst')})"


def pandoc(defaults: str, text: str, folder: Path, moment: int, source: Path) -> None:
    """Run pandoc on `text` in `folder`, with the options in a file; every warning is an error.

    Raises:
        LedgerError: what the extension left in the folder's COMPLAINT; an unknown citation
            key with the line in `source`; else pandoc's words as they are.
    """
    # Else a file name with an accent is none, where the locale is C.
    known = os.environ | {"SOURCE_DATE_EPOCH": str(moment), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [_pandoc(), *RUNTIME, "--defaults", defaults], input=text, cwd=folder,
        env=known, text=True, encoding="utf-8", capture_output=True, check=False)
    if not done.returncode:
        return
    if (complaint := folder / COMPLAINT).is_file():
        raise LedgerError(**json.loads(complaint.read_text(encoding="utf-8")))
    if done.returncode < 0 or not done.stderr.strip():
        raise LedgerError(
            source.name, found=f"pandoc was ended (status {done.returncode})",
            expected="a rendered file", mend="free space on the disk, or memory, and try again")
    unknown = re.findall(r"[Cc]itation (\S+) not found", done.stderr)
    if unknown:
        raise LedgerError(
            find_line(source, "@" + unknown[0]), found="unknown: @" + ", @".join(unknown),
            expected="a key of the bibliography, or a label of the paper")
    raise LedgerError(source.name, found=done.stderr.strip(), expected="no warning from pandoc")


def find_line(source: Path, text: str) -> str:
    """`paper.qmd:12`, the first line that holds the text, else only the name."""
    lines = source.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if re.search(re.escape(text) + r"(?![\w-])", line):
            return f"{source.name}:{number}"
    return source.name


def compile_pdf(path: Path, about: dict, moment: int, source: Path) -> bytes:
    """A typst file as tagged PDF (PDF/UA-1), with the fonts that typst brings."""
    import typst

    try:
        return typst.compile(
            str(path), root=str(path.parent), format="pdf", ignore_system_fonts=True,
            timestamp=moment, pdf_standards=["ua-1"], sys_inputs={"about": json.dumps(about)})
    except typst.TypstError as error:
        raise LedgerError(source.name, found=f"typst: {error}", expected="a PDF") from error


# A table with a label of ours stands inside the wrapper that pandoc gives to every table, and an
# abstract of one paragraph is bare.
_WRAPPED = re.compile(
    r"(</caption>\s*)<table-wrap[^>]*>\s*(<table\b.*?</table>\s*)</table-wrap>", re.S)
_BARE = re.compile(r"(<abstract>\s*)(?!<p>)(\S.*?)(\s*</abstract>)", re.S)


def valid_jats(text: str) -> str:
    """JATS of pandoc's without a wrapper in a wrapper, and with a paragraph in the abstract."""
    return _BARE.sub(r"\1<p>\2</p>\3", _WRAPPED.sub(r"\1\2", text))


_DRAWING = re.compile(r'(?<=src="data:image/svg\+xml,)([\w.-]+\.svg)(?=")')
_SPOKEN = re.compile(r' role="img" aria-label="[^"]*"(?=[^>]* alt=")')  # the alt says it
# A table below its caption, which shall be the table's name.
_NAMED = re.compile(
    r'(<figcaption\b[^>]*\sid="([^"]+)"(?:(?!</figure>|<figcaption).)*?<div class="scroll"[^>]*)'
    r' aria-label="Table"(>\s*<table\b)', re.S)
_LONG = re.compile(r"#([0-9a-fA-F])\1([0-9a-fA-F])\2([0-9a-fA-F])\3")
_SHORTER = [
    ("xlink:href=", "href="), (r' xmlns:xlink="[^"]*"', ""), ("(?s)<!--.*?-->", ""),
    (r"translate\([^)]*\)", lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0])),
    ('style="[^"]*"', lambda found: _LONG.sub(r"#\1\2\3", re.sub("([:;]) ", r"\1", found[0]))),
]
_UNSAFE = re.compile(r"""[\x00-\x1f\x7f%#<>&']""")


def light(page: str, drawings: Path) -> str:
    """A page with the drawings that it names as parts of it, each alt text once, named tables.

    As text a drawing takes a fifth less than in base64, and each of its styles stands there once.
    """
    def drawing(found: re.Match) -> str:
        svg = (drawings / found[1]).read_text(encoding="utf-8")
        for old, new in _SHORTER:
            svg = re.sub(old, new, svg)
        styles = Counter(re.findall(r' style="([^"]*)"', svg) if "</style>" in svg else [])
        for name, style in enumerate(style for style, count in styles.items() if count > 1):
            svg = svg.replace(f' style="{style}"', f' class="c{name}"')
            svg = svg.replace("</style>", f".c{name}{{{style}}}</style>", 1)
        svg = _UNSAFE.sub(lambda sign: f"%{ord(sign[0]):02X}", svg)
        return svg.replace('"', "%22" if "%27" in svg else "'")

    page = _NAMED.sub(r'\1 aria-labelledby="\2"\3 aria-labelledby="\2"', page)
    return _SPOKEN.sub("", _DRAWING.sub(drawing, page))


_ROW = re.compile(rb"<w:tr\b(?: [^>]*)?>(?:\s*<w:trPr>)?")
_TIMES = re.compile(rb"(<dcterms:(?:created|modified)\b[^>]*>)[^<]*")


def repack(content: bytes, moment: int, instead: dict[str, bytes] | None = None) -> bytes:
    """A zip file with one time for all, and other parts in the place of some.

    No row of a Word file's tables breaks over pages, for which pandoc has no word.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        parts = {name: old.read(name) for name in old.namelist() if not name.endswith("/")}
    if (core := "docProps/core.xml") in parts:
        day = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%SZ}".encode()
        parts[core] = _TIMES.sub(lambda found: found[1] + day, parts[core])
    if (text := "word/document.xml") in parts and b"<w:cantSplit/>" not in parts[text]:
        parts[text] = _ROW.sub(lambda row: row[0] + b"<w:cantSplit/>" if b"trPr" in row[0] else
                               row[0] + b"<w:trPr><w:cantSplit/></w:trPr>", parts[text])
    new = io.BytesIO()
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, part in (parts | (instead or {})).items():
            packed.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return new.getvalue()


REFERENCE = Path(__file__).parent / "assets" / "reference.docx"
_SIZES = {"us-letter": b'w:w="12240" w:h="15840"'}  # twentieths of a point; else as it is, A4


def reference_docx(folder: Path, head: str, paper: str) -> Path:
    """Our reference document (any editor opens it) for a size of paper, with a line over each page.

    `head` is that line, whose parts a tab divides.
    """
    line = escape(head).replace("\t", "</w:t><w:tab/><w:t>").encode()
    path = folder / REFERENCE.name
    with zipfile.ZipFile(REFERENCE) as ours, zipfile.ZipFile(path, "w") as own:
        for part in ours.infolist():
            content = ours.read(part).replace(b"RUNNING HEAD", line)
            if paper in _SIZES:
                content = re.sub(rb'(?<=<w:pgSz )w:w="\d+" w:h="\d+"', _SIZES[paper], content)
            own.writestr(part, content)
    return path
