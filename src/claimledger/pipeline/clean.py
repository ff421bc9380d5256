"""Make an executed notebook the same on every machine, and give its figures their alt texts."""

import json
import re
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
CELL_FILE = re.compile(r"[^\s\"']*ipykernel_\d+/\d+\.py")
LABEL = re.compile(r"^#\|\s*label:\s*[\"']?([\w.:-]+)[\"']?\s*$", re.MULTILINE)
ALT = re.compile(r"^#\|\s*fig-alt:")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def clean(notebook, run: Run) -> None:
    """Take out what differs from machine to machine and from run to run, in place."""
    notebook.metadata = METADATA
    scrub = _scrubber(run)
    for cell in notebook.cells:
        for key in ("papermill", "execution", "widgets"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
            cell.source = scrub(cell.source)
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = scrub(output["text"])
            bundle = output.get("data", {})
            bundle.pop("application/vnd.jupyter.widget-view+json", None)
            if "text/plain" in bundle:  # Quarto would load scripts from a network for a data frame
                bundle.pop("text/html", None)
            for kind, value in bundle.items():
                if kind.startswith("text/"):
                    bundle[kind] = scrub(value)


def _scrubber(run: Run) -> Callable[[str], str]:
    """A function that takes terminal colours, addresses and this machine's paths out of a text."""
    places = {
        sys.prefix: "[environment]", sys.base_prefix: "[python]", str(run.root): ".",
        str(run.data.parent): "[data]", str(Path.home()): "~",
    }
    if run.data.is_relative_to(run.root):
        del places[str(run.data.parent)]
    rules = [
        (re.compile(rf"(?<![\w.~-]){re.escape(path)}(?![\w.-])"), name)
        for path, name in sorted(places.items(), key=lambda item: -len(item[0])) if len(path) > 1
    ]
    below_root = re.compile(rf"(?<![\w.~-]){re.escape(str(run.root))}/(?=\w)")

    def scrub(text: str) -> str:
        text = CELL_FILE.sub("[cell]", ADDRESS.sub("0x…", ANSI.sub("", text)))
        for path, name in rules:
            if name == ".":
                text = below_root.sub("", text)
            text = path.sub(name, text)
        return text

    return scrub


def write_alt_texts(notebook, fragment: dict, where: str) -> None:
    """Write each exhibit's computed alt text into the options of the cell that shows it."""
    cells = {found[1]: cell for cell in notebook.cells if (found := LABEL.search(cell.source))}
    for label, exhibit in sorted(fragment.get("exhibits", {}).items()):
        if label not in cells:
            near = get_close_matches(label, cells) or sorted(cells)
            raise LedgerError(
                f"{where}: exhibit {label}", found="no cell with this label",
                expected=f"`#| label: {label}` in the cell that shows it",
                mend=f"nearest labels: {', '.join(near) or 'none'}",
            )
        if exhibit.get("alt"):
            cells[label].source = _with_alt(cells[label].source, exhibit["alt"])


def _with_alt(source: str, alt: str) -> str:
    lines = [line for line in source.split("\n") if not ALT.match(line)]
    last = max(i for i, line in enumerate(lines) if line.startswith("#|"))
    lines.insert(last + 1, f"#| fig-alt: {json.dumps(alt, ensure_ascii=False)}")
    return "\n".join(lines)
