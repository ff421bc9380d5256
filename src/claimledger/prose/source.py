"""The source as people write it: where prose stands in papers and notebooks, and where it does not.

Sources are Quarto Markdown (`.qmd`, `.md`) and notebooks (`.ipynb`). Of a notebook the captions and
alt texts in cell options, the Markdown cells and the Markdown outputs with tokens are read.
Every position is kept, so that a message can name file, line and column.
"""

import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from claimledger.errors import LedgerError

TOKEN = "\ufffc"  # stands for each character of a shortcode in masked text
QUOTED = r'"(?:\\.|[^"\\])*"' + r"|'(?:\\.|[^'\\])*'"

_LEXEME = re.compile(
    rf"""(?P<fence>^[ \t>]*(?P<ticks>`{{3,}}|~{{3,}})[^\n]*\n
        (?:.*?^[ \t>]*(?P=ticks)[`~]*[ \t]*$|.*))
    |(?P<comment><!--.*?-->)
    |(?P<escaped>\{{\{{\{{<.*?>\}}\}}\}}|\{{\{{</\*.*?\*/>\}}\}})
    |(?P<shortcode>\{{\{{<(?:[^"'>]|{QUOTED}|>(?!\}}\}}))*>\}}\}})
    |(?P<escape>\\[^\w\s])
    |(?P<code>(?<!`)(?P<tick>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=tick)(?!`))
    |(?P<display>\$\$.+?\$\$)
    |(?P<math>\$(?!\s)(?:(?!\n[ \t]*\n)[^$\\]|\\.)*?(?<!\s)\$(?!\d))""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
_HEADING = re.compile(
    r"^(?P<marks>#{1,6})[ \t]+(?:[^\n]*\{[^}\n]*#(?P<id>[\w.:-]+)[^}\n]*\})?"
    r"|^[ \t>]*:{3,}[ \t]*(?P<div>[^\n]*)$", re.MULTILINE
)
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
    warning: bool = False

    def __str__(self) -> str:
        """`file:line:column: what was found`, and below it how to mend it."""
        kind = "warning: " if self.warning else ""
        mend = f"\n    to mend: {self.mend}" if self.mend else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}{self.found}{mend}"


@dataclass(frozen=True)
class Source:
    """A stretch of Markdown; `at` maps its characters to those of the file, None: one to one."""

    file: str
    text: str
    kind: str = "article"  # or caption, alt, cell, output
    raw: str = ""
    at: tuple[int, ...] | None = None

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column in the file, from one."""
        raw, position = (self.text, offset) if self.at is None else (self.raw, self.at[offset])
        start = raw.rfind("\n", 0, position)
        return raw.count("\n", 0, position) + 1, position - start

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
        for line in _HEADING.finditer(self.masked):
            if line["div"] is not None:
                depth = max(0, depth + (1 if line["div"] else -1))
            elif not depth:
                found.append((line.start(), len(line["marks"]), line["id"] or ""))
        return found

    def section(self, offset: int) -> int:
        """Number of the heading below which a character stands; zero above the first."""
        return bisect([start for start, *_ in self.headings], offset)


def read_sources(paths: Iterable[Path]) -> list[Source]:
    """Read papers and notebooks; LedgerError for a file that cannot be read."""
    sources = []
    for path in map(Path, paths):
        try:
            raw = path.read_text(encoding="utf-8")
            notebook = json.loads(raw) if path.suffix == ".ipynb" else None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise LedgerError(
                path, found=str(error), expected="a paper or a notebook, in UTF-8"
            ) from error
        if notebook is None:
            sources.append(Source(str(path), raw))
        else:
            sources += _notebook(str(path), raw, notebook)
    return sources


def _notebook(file: str, raw: str, notebook: dict) -> Iterator[Source]:
    position = 0
    for cell in notebook.get("cells", []):
        for output in cell.get("outputs", []):  # in the file they stand before the cell's source
            markdown = output.get("data", {}).get("text/markdown", "")
            if "{{<" in "".join(markdown):
                text, at, position = _locate(markdown, raw, position)
                yield Source(file, text, "output", raw, at)
        text, at, position = _locate(cell.get("source", ""), raw, position)
        if cell.get("cell_type") == "markdown":
            yield Source(file, text, "cell", raw, at)
        for option in _OPTION.finditer(text if cell.get("cell_type") == "code" else ""):
            value = list(re.finditer(r"\\([\"\\])|(\n#\|[ \t]*)|''|.", option[2], re.DOTALL))
            shown = "".join(m[1] or (" " if m[2] else m[0][0]) for m in value)
            places = tuple(at[option.start(2) + m.start()] for m in value)
            kind = "caption" if option[1].endswith("cap") else "alt"
            yield Source(file, shown, kind, raw, places)


def _locate(content: list[str] | str, raw: str, position: int) -> tuple[str, tuple[int, ...], int]:
    """Text of a JSON string or list of strings, each character's place in the file, and the end."""
    at: list[int] = []
    for piece in [content] if isinstance(content, str) else content:
        plain, escaped = json.dumps(piece, ensure_ascii=False), json.dumps(piece)
        written = plain if raw.find(plain, position) >= 0 else escaped
        place = max(raw.find(written, position), position) + 1  # behind the quotation mark
        if len(written) == len(piece) + 2:  # nothing in it is escaped
            at += range(place, place + len(piece))
        for character in piece if len(written) > len(piece) + 2 else "":
            at.append(place)
            place += len(json.dumps(character, ensure_ascii=written is not plain)) - 2
        position = at[-1] + 1 if at else position
    return "".join(content), tuple(at), position
