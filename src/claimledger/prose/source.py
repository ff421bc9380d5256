"""The source as people write it: where prose stands in papers and notebooks, and where it does not.

Sources are Quarto Markdown (`.qmd`, `.md`) and notebooks (`.ipynb`). A file that a paper includes
stands in its place. Of a notebook the captions and alt texts in cell options, the Markdown cells
and the Markdown outputs with tokens are read.
Every position is kept, so that a message can name file, line and column; in a notebook cell, line
and column, for in Jupyter nobody sees the lines of the file.
"""

import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from claimledger.errors import LedgerError

TOKEN = "\ufffc"  # stands for each character of a shortcode in masked text
QUOTED = r'"(?:\\.|[^"\\])*"' + r"|'(?:\\.|[^'\\])*'"

# What stands between the marks of a shortcode; `>}}` inside quotation marks does not end it.
SHORTCODE = rf"\{{\{{<(?:[^\"'>]|{QUOTED}|>(?!\}}\}}))*>\}}\}}"
ESCAPED = r"\{\{\{<.*?>\}\}\}|\{\{</\*.*?\*/>\}\}"  # shown, and not carried out
ATTRIBUTES = rf"\{{((?:[^{{}}\"']|{QUOTED})*)\}}"
_WORD = re.compile(rf"(?:([\w.:-]+)\s*=\s*)?({QUOTED}|[^\s\"']+)")
_INCLUDE = re.compile(r"^\{\{<\s*include\s+(\S+)\s*>\}\}[ \t]*$", re.MULTILINE)
_LEXEME = re.compile(
    rf"""(?P<fence>^[ \t>]*(?P<ticks>`{{3,}}|~{{3,}})[^\n]*\n
        (?:.*?^[ \t>]*(?P=ticks)[`~]*[ \t]*$|.*))
    |(?P<comment><!--.*?-->)
    |(?P<escaped>{ESCAPED})
    |(?P<shortcode>{SHORTCODE})
    |(?P<escape>\\[^\w\s])
    |(?P<code>(?<!`)(?P<tick>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=tick)(?!`))
    |(?P<display>\$\$.+?\$\$)
    |(?P<math>\$(?!\s)(?:(?!\n[ \t]*\n)[^$\\]|\\.)*?(?<!\s)\$(?!\d))""",
    re.VERBOSE | re.MULTILINE | re.DOTALL)
HEADING = re.compile(
    r"^(?P<marks>#{1,6})[ \t]+(?:[^\n]*\{[^}\n]*#(?P<id>[\w.:-]+)[^}\n]*\})?"
    r"|^[ \t>]*:{3,}[ \t]*(?P<div>[^\n]*)$", re.MULTILINE)
_OPTION = re.compile(
    r"^#\|[ \t]*([\w-]+-(?:sub)?(?:cap|alt)):(.*(?:\n#\|[ ]{2,}.*)*)", re.MULTILINE
)


@dataclass(frozen=True)
class Problem:
    """Something to mend, at a place of the source; columns and lines count from one."""

    file: str
    line: int
    column: int
    found: str
    mend: str = ""

    def __str__(self) -> str:
        """`file:line:column: what was found`, and below it how to mend it."""
        mend = f"\n    to mend: {self.mend}" if self.mend else ""
        return f"{self.file}:{self.line}:{self.column}: {self.found}{mend}"


@dataclass(frozen=True)
class Piece:
    """A stretch of an article's text: where it starts there, and in which file it stands."""

    start: int
    file: str  # as the article names it; empty for the article itself
    raw: str
    at: int  # where it starts in the file


@dataclass(frozen=True)
class Source:
    """A stretch of Markdown; of a notebook, `file` names the cell, too."""

    file: str
    text: str
    kind: str = "article"  # or caption, alt, cell, output, registration
    pieces: tuple[Piece, ...] = ()  # of an article that includes other files

    def where(self, offset: int) -> tuple[str, int, int]:
        """File, line and column, from one."""
        file, raw, position = self.file, self.text, offset
        if self.pieces:
            piece = self.pieces[bisect([piece.start for piece in self.pieces], offset) - 1]
            raw, position = piece.raw, piece.at + offset - piece.start
            file = str(Path(file).parent / piece.file) if piece.file else file
        start = raw.rfind("\n", 0, position)
        return file, raw.count("\n", 0, position) + 1, position - start

    @cached_property
    def lexemes(self) -> list[re.Match]:
        """Code, comments, mathematics, escapes and shortcodes, in their order."""
        return list(_LEXEME.finditer(self.text))

    @cached_property
    def masked(self) -> str:
        """The text at the same positions, blank where there is no prose; shortcodes as TOKEN."""
        parts, last = [], 0
        for found in self.lexemes:
            fill = TOKEN if found.lastgroup == "shortcode" else " "
            parts += [self.text[last:found.start()], re.sub(r"[^\n]", fill, found[0])]
            last = found.end()
        return "".join(parts) + self.text[last:]

    @cached_property
    def headings(self) -> list[tuple[int, int, str]]:
        """Offset, level and id (empty without one) of each heading, but of those inside a Div."""
        found, depth = [], 0
        for line in HEADING.finditer(self.masked):
            if line["div"] is not None:
                depth = max(0, depth + (1 if line["div"] else -1))
            elif not depth:
                found.append((line.start(), len(line["marks"]), line["id"] or ""))
        return found


def read_sources(paths: Iterable[Path]) -> list[Source]:
    """Read papers and notebooks; LedgerError for a file that cannot be read."""
    sources = []
    for path in map(Path, paths):
        try:
            if path.suffix == ".ipynb":
                sources += _notebook(path, path.stat().st_mtime_ns)
            else:
                sources.append(_article(path, path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise LedgerError(
                path, found=str(error), expected="a paper or a notebook, in UTF-8") from error
    return sources


def arguments(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The bare words and the `key="value"` pairs of a shortcode or an attribute list."""
    args, options = [], {}
    for key, value in _WORD.findall(text):
        if value[0] in "\"'":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if key:
            options[key] = value
        else:
            args.append(value)
    return tuple(args), options


def _article(path: Path, raw: str) -> Source:
    """A paper with the files that it includes, each in the place of its line."""
    masked = Source(str(path), raw).masked if "include" in raw else raw
    parts, pieces, last, length = [], [], 0, 0

    def add(text: str, file: str, of: str, at: int) -> None:
        nonlocal length
        pieces.append(Piece(length, file, of, at))
        parts.append(text)
        length += len(text)

    for line in _INCLUDE.finditer(raw):
        if masked[line.start()] != TOKEN:  # in a comment or in code
            continue
        add(raw[last:line.start()], "", raw, last)
        included = path.parent / line[1]
        try:
            text = included.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            where = f"{path.name}:{raw.count(chr(10), 0, line.start()) + 1}"
            raise LedgerError(
                where, found=f"{line[1]}: {getattr(error, 'strerror', None) or error}",
                expected="a file to include, in UTF-8") from error
        if _INCLUDE.search(text):
            raise LedgerError(included, found="a file that is included includes another",
                              expected="includes in the article only")
        add(text, line[1], text, 0)
        last = line.end()
    if not pieces:
        return Source(str(path), raw)
    add(raw[last:], "", raw, last)
    return Source(str(path), "".join(parts), pieces=tuple(pieces))


@lru_cache(maxsize=64)
def _notebook(path: Path, changed: int) -> list[Source]:
    """Of a notebook that was changed last at this time: it is read once."""
    return list(_cells(str(path), json.loads(path.read_text(encoding="utf-8"))))


def _cells(file: str, notebook: dict) -> Iterator[Source]:
    for number, cell in enumerate(notebook.get("cells", []), 1):
        place, text = f"{file}, cell {number}", "".join(cell.get("source", ""))
        for output in cell.get("outputs", []):
            markdown = "".join(output.get("data", {}).get("text/markdown", ""))
            if "{{<" in markdown:
                yield Source(f"{place}, output", markdown, "output")
        if cell.get("cell_type") == "markdown":
            yield Source(place, text, "cell")
        for option in _OPTION.finditer(text if cell.get("cell_type") == "code" else ""):
            shown = re.sub(r"\\([\"\\])|(\n)#\|[ \t]*|''",      # as YAML reads it
                           lambda m: m[1] or (" " if m[2] else "'"), option[2])
            kind = "caption" if option[1].endswith("cap") else "alt"
            yield Source(f"{place}, {option[1]}", shown, kind)
