"""Running pandoc and typst, and turning what they complain of into errors for people."""

import io
import json
import os
import re
import subprocess
import zipfile
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from claimledger.errors import LedgerError

RUNTIME = ["+RTS", "-A128m", "-RTS"]  # room for what is new: a quarter less time than with 4 MB


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
        LedgerError: with the file and line in `source` where that can be told.
    """
    # Else a file name with an accent is none, where the locale is C.
    known = os.environ | {"SOURCE_DATE_EPOCH": str(moment), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [_pandoc(), *RUNTIME, "--defaults", defaults], input=text, cwd=folder,
        env=known, text=True, encoding="utf-8", capture_output=True, check=False,
    )
    if done.returncode < 0 or (done.returncode and not done.stderr.strip()):
        raise LedgerError(
            source.name, found=f"pandoc was ended (status {done.returncode})",
            expected="a rendered file", mend="free space on the disk, or memory, and try again",
        )
    if done.returncode:
        raise _complaint(done.stderr, source)


def _complaint(stderr: str, source: Path) -> LedgerError:
    """The extension's own message, an unknown citation key, or pandoc's words as they are."""
    own = re.search(
        r"^(?P<where>.+)\n\s+found:\s+(?P<found>.+)(?:\n\s+expected:\s+(?P<expected>.+))?"
        r"(?:\n\s+to mend:\s+(?P<mend>.+))?", stderr, re.M,
    )
    if own:
        parts = {k: v or "" for k, v in own.groupdict().items()}
        where = parts.pop("where").removeprefix("Error running Lua: ").strip()
        return LedgerError(where, **parts)
    unknown = re.findall(r"[Cc]itation (\S+) not found", stderr)
    if unknown:
        return LedgerError(
            find_line(source, "@" + unknown[0]), found="unknown: @" + ", @".join(unknown),
            expected="a key of the bibliography, or a label of the paper",
        )
    return LedgerError(source.name, found=stderr.strip(), expected="no warning from pandoc")


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
            timestamp=moment, pdf_standards=["ua-1"], sys_inputs={"about": json.dumps(about)},
        )
    except typst.TypstError as error:
        raise LedgerError(source.name, found=f"typst: {error}", expected="a PDF") from error


# A table with a label of ours stands inside the wrapper that pandoc gives to every table, and an
# abstract of one paragraph is bare.
_WRAPPED = re.compile(
    r"(</caption>\s*)<table-wrap[^>]*>\s*(<table\b.*?</table>\s*)</table-wrap>", re.S
)
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

    As text a drawing takes a fifth less than in base64.
    """
    def drawing(found: re.Match) -> str:
        svg = (drawings / found[1]).read_text(encoding="utf-8")
        for old, new in _SHORTER:
            svg = re.sub(old, new, svg)
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


_WORD = ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:{0} xmlns:w="http://schemas.'
         'openxmlformats.org/wordprocessingml/2006/main"><w:p><w:pPr><w:pStyle w:val="{1}"/>'
         "</w:pPr>{2}</w:p></w:{0}>")
_PAPER = {"a4": (11906, 16838), "us-letter": (12240, 15840)}  # twentieths of a point


def reference_docx(folder: Path, styles: str, head: str, paper: str, font: str = "Cambria") -> Path:
    """Pandoc's own reference document with other styles, page, head and font.

    `styles` holds `<w:style>` elements; each takes the place of the one with its id. `head` is the
    line over each page, whose parts a tab divides; under it stands the page's number.
    """
    line = escape(head).replace("\t", "</w:t><w:tab/><w:t>")
    parts = {
        "header": _WORD.format("hdr", "Header", f"<w:r><w:t>{line}</w:t></w:r>"),
        "footer": _WORD.format("ftr", "Footer", '<w:fldSimple w:instr=" PAGE "/>'),
    }
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml."
    link = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    width, height = _PAPER.get(paper, _PAPER["a4"])
    page = (f'<w:pgSz w:w="{width}" w:h="{height}"/><w:pgMar w:top="1418" w:right="1418" '
            'w:bottom="1418" w:left="1418" w:header="709" w:footer="709" w:gutter="0"/>')
    refer = "".join(f'<w:{n}Reference xmlns:r="{link[:-1]}" w:type="default" r:id="{n}1"/>'
                    for n in parts)
    changes = {
        "[Content_Types].xml": ("</Types>", "".join(
            f'<Override PartName="/word/{n}1.xml" ContentType="{kind}{n}+xml"/>' for n in parts
        ) + "</Types>"),
        "word/_rels/document.xml.rels": ("</Relationships>", "".join(
            f'<Relationship Id="{n}1" Type="{link}{n}" Target="{n}1.xml"/>' for n in parts
        ) + "</Relationships>"),
        "word/document.xml": ("</w:sectPr>", f"{page}</w:sectPr>"),
    }
    made = subprocess.run(
        [_pandoc(), "--print-default-data-file=reference.docx"], capture_output=True, check=True
    )
    path = folder / "reference.docx"
    with zipfile.ZipFile(io.BytesIO(made.stdout)) as old, zipfile.ZipFile(path, "w") as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename == "word/styles.xml":
                content = _restyled(content.decode(), styles).encode()
            if part.filename.startswith("word/theme/"):
                content = re.sub(rb'(<a:latin typeface=")[^"]*', rb"\1" + font.encode(), content)
            if part.filename in changes:
                content = content.decode().replace(*changes[part.filename]).encode()
            if part.filename == "word/document.xml":
                content = re.sub(rb"<w:sectPr\b[^>]*>", rb"\g<0>" + refer.encode(), content)
            part.date_time = (1980, 1, 1, 0, 0, 0)  # pandoc's is the time of the call
            new.writestr(part, content)
        for name, content in parts.items():
            new.writestr(zipfile.ZipInfo(f"word/{name}1.xml"), content)
    return path


def _restyled(sheet: str, styles: str) -> str:
    for style in re.findall(r"<w:style .*?</w:style>", styles, re.S):
        name = re.search(r'w:styleId="([^"]+)"', style)[1]
        old = rf'<w:style\b[^>]*w:styleId="{name}".*?</w:style>'
        sheet = re.sub(old, "", sheet, flags=re.S).replace("</w:styles>", style + "</w:styles>")
    return sheet
