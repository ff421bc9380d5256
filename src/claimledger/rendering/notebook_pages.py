"""Executed notebooks: the labeled cell as Markdown for the paper, the whole as a page."""

import base64
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path

from pygments.lexers import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

from claimledger.errors import LedgerError
from claimledger.yaml_files import parse_yaml

FIGURES = {"image/svg+xml": ".svg", "image/png": ".png"}
# What is colored, under the names that pandoc gives it.
COLORED = {Comment: "co", String: "st", Number: "dv", Keyword: "kw", Operator.Word: "kw",
            Name.Builtin.Pseudo: "kw"}


@dataclass(frozen=True)
class Cell:
    """A cell: its options (`#| key: value`), its source without them, its outputs."""

    kind: str
    options: dict
    source: str
    outputs: list[dict]

    @property
    def label(self) -> str:
        """The label, or an empty string."""
        return str(self.options.get("label", ""))

    def output(self, mime: str) -> list[str]:
        """All outputs of one media type, as text."""
        bundles = (out.get("data", {}) for out in self.outputs)
        return [_joined(bundle[mime]) for bundle in bundles if mime in bundle]


@dataclass(frozen=True)
class Notebook:
    """An executed notebook."""

    path: Path
    cells: list[Cell]

    @classmethod
    def read(cls, path: Path, asked: str | None = None) -> "Notebook":
        """Read it; `asked` is the place that named the notebook, for the error's sake."""
        try:
            return _read(path, path.stat().st_mtime_ns)
        except FileNotFoundError as error:
            raise LedgerError(asked or path, found=f"no executed notebook {path.name}",
                              expected=path, mend="claimledger build") from error
        except json.JSONDecodeError as error:
            raise LedgerError(path, found=str(error), expected="a notebook") from error

    @property
    def title(self) -> str:
        """The first heading, else the name of the file."""
        for cell in self.cells:
            match = re.search(r"^#\s+(.+)$", cell.source, re.M) if cell.kind == "markdown" else None
            if match:
                return match[1].strip()
        return self.path.stem

    def cell(self, label: str, asked: str) -> Cell:
        """The cell with a label."""
        for cell in self.cells:
            if cell.label == label:
                return cell
        labels = ", ".join(c.label for c in self.cells if c.label)
        raise LedgerError(asked, found=f"no cell '{label}' in {self.path.name}",
                          expected=f"one of {labels}", mend="mend the label, here or there")


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> Notebook:
    """A notebook is read once as long as the time of its last change is the same."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    return Notebook(path, [_cell(cell, path) for cell in raw["cells"]])


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _cell(raw: dict, path: Path) -> Cell:
    lines = _joined(raw["source"]).split("\n")
    head = []
    while raw["cell_type"] == "code" and lines and lines[0].startswith("#|"):
        head.append(lines.pop(0)[2:].removeprefix(" "))
    options = parse_yaml("\n".join(head), path, "cell options") or {}
    return Cell(raw["cell_type"], options, "\n".join(lines), raw.get("outputs", []))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def exhibit(book: Notebook, label: str, asked: str, alt: str = "") -> str:
    """A labeled cell's output as Markdown: a figure or table with caption, else what it printed.

    The picture is named without its ending: `embedded.lua` adds the one its format needs.
    """
    cell = book.cell(label, asked)
    caption = str(cell.options.get("fig-cap") or cell.options.get("tbl-cap") or "")
    if label.startswith("fig-"):
        alt = str(alt or cell.options.get("fig-alt") or "")
        missing = [m for m in FIGURES if not cell.output(m)] + ([] if alt else ["an alt text"])
        if missing:
            raise LedgerError(asked, found=f"{book.path.name}#{label} without {', '.join(missing)}",
                              expected="a figure as SVG and PNG, with its alt text")
        inner = f"![](cells/{label}){{alt={_quoted(alt)}}}"
    else:
        inner = "\n\n".join(cell.output("text/markdown")).strip()
        if not inner:
            raise LedgerError(asked, found=f"{book.path.name}#{label} without Markdown output",
                              expected="a table or a text displayed as Markdown")
    inner += f"\n\n{caption}" if label.startswith(("fig-", "tbl-")) else ""
    return f"::: {{#{label}}}\n{inner}\n:::"


def extract_figures(book: Notebook, folder: Path) -> None:
    """Write the pictures of all labeled figure cells into a folder, under their labels."""
    for cell in book.cells:
        for mime, ending in FIGURES.items():
            for data in cell.output(mime)[:1] if cell.label else []:
                raw = base64.b64decode(data) if ending == ".png" else data.encode()
                (folder / f"{cell.label}{ending}").write_bytes(raw)


def as_page(book: Notebook, alts: dict[str, str]) -> str:
    """The whole notebook as Markdown: prose, code without its option lines, outputs."""
    parts = []
    for cell in book.cells:
        if cell.kind == "markdown":
            parts.append(re.sub(r"\A\s*# .+\n?", "", cell.source))
        elif cell.kind == "code" and cell.source.strip():
            parts.append(_code_cell(book, cell, alts.get(cell.label, "")))
    return "\n\n".join(parts)


def _fence(text: str, classes: str) -> str:
    """A code block: its fence longer than any run of backticks inside, its shortcodes shown."""
    text = re.sub(r"(?<!\{)\{\{<(.*?)>\}\}(?!\})", r"{{{<\1>}}}", text, flags=re.S)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence} {{{classes}}}\n{text.rstrip()}\n{fence}"


def _colored(code: str) -> str:
    """Python as HTML. Pandoc's own colors would take half a second for each notebook."""
    spans = []
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code.strip("\n")):
        name = next((name for wide, name in COLORED.items() if kind in wide), "")
        safe = escape(text, quote=False).replace("{", "&#123;")  # a shortcode is shown, not called
        spans.append(f'<span class="{name}">{safe}</span>' if name else safe)
    block = f'<pre class="sourceCode python"><code>{"".join(spans)}</code></pre>'
    return f'<div class="sourceCode">{block}</div>'


def _code_cell(book: Notebook, cell: Cell, alt: str) -> str:
    parts = [_fence(_colored(cell.source), "=html")]
    for out in cell.outputs:
        data = out.get("data", {})
        if out["output_type"] == "stream":
            parts.append(_fence(_joined(out["text"]), ".output"))
        elif not ("image/svg+xml" in data or "text/markdown" in data) and "text/plain" in data:
            parts.append(_fence(_joined(data["text/plain"]), ".output"))
        elif "text/markdown" in data and not cell.label:
            parts.append(_joined(data["text/markdown"]))
    head = ":::: {.cell}\n"
    if cell.label and (cell.output("text/markdown") or cell.output("image/svg+xml")):
        parts.append(exhibit(book, cell.label, str(book.path), alt))
    elif cell.label:
        head = f":::: {{#{cell.label} .cell}}\n"
    return head + "\n\n".join(parts) + "\n::::"
