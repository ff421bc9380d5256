"""Run one notebook, and make its executed copy clean: the same inputs give the same bytes."""

import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.ledger.external import run_for
from claimledger.pipeline import kernels
from claimledger.project import Run, write_atomic
from claimledger.settings import settings
from claimledger.yaml_files import near

CELL_SECONDS = 1800  # default time limit of one cell; `cell_seconds` below `ledger:` overrides
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
CELL_FILE = re.compile(r"[^\s\"']*ipykernel_\d+/\d+\.py")
LABEL = re.compile(r"^#\|\s*label:\s*[\"']?([\w.:-]+)[\"']?\s*$", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

# jsonschema checks addresses by a grammar that takes two seconds to set up; here are none to check.
sys.modules.setdefault("rfc3987_syntax", None)

OnCell = Callable[[int, int], None]  # (cell now running, number of cells), both from one


def source_of(run: Run, stem: str) -> Path:
    """The notebook as it was written, without outputs."""
    return run.root / "notebooks" / f"{stem}.ipynb"


def executed_of(run: Run, stem: str) -> Path:
    """The executed copy, which the paper embeds."""
    return run.notebooks / f"{stem}.ipynb"


def fragment_of(run: Run, stem: str) -> Path:
    """The part of the ledger that the notebook wrote."""
    return run.fragments / f"{stem}.json"


def figures_of(run: Run, stem: str) -> list[Path]:
    """The figure files that the notebook saved, by the exhibits in its fragment."""
    exhibits = _fragment(run, stem).get("exhibits", {})
    return [path for label in exhibits for path in sorted(run.figures.glob(f"{label}.*"))]


def _fragment(run: Run, stem: str) -> dict:
    path = fragment_of(run, stem)
    try:
        found = json.loads(path.read_text("utf-8"))
        if isinstance(found, dict) and isinstance(found.get("exhibits", {}), dict):
            return found
    except (OSError, ValueError, RecursionError):
        pass
    raise LedgerError(run.relative(path), found="no JSON as study.save() writes it",
                      expected="what the notebook found", mend="end it with study.save()")


def parameters(run: Run) -> dict[str, str | int]:
    """What a run hands to a notebook; paths from the project's root, where the notebook runs."""
    def path(place: Path) -> str:
        inside = place.is_relative_to(run.root)
        return place.relative_to(run.root).as_posix() if inside else str(place)

    return {
        "registration": path(run.registration), "data": path(run.data), "seed": run.seed,
        "output": path(run.base),
    }


def execute(run: Run, stem: str, on_cell: OnCell = lambda number, of: None) -> Path:
    """Run `notebooks/<stem>.ipynb`; return its executed copy, the same on every machine.

    Raises LedgerError for a notebook that cannot be read, an unknown parameter, a failing cell,
    a cell over its time limit, and a notebook that records nothing.
    """
    import nbformat

    kernels.warm(run)
    run.note()
    run = run_for(run, stem)
    source, fragment = source_of(run, stem), fragment_of(run, stem)
    notebook = _read(source)
    values = parameters(run)
    _refuse_unknown(run.relative(source), notebook, values)
    fragment.unlink(missing_ok=True)  # a fragment of an earlier run must not pass for this one's
    fragment.parent.mkdir(parents=True, exist_ok=True)
    executed = _run_cells(run, source, notebook, values, on_cell)
    if not fragment.is_file():
        raise LedgerError(
            run.relative(source), found=f"no {run.relative(fragment)} after its last cell",
            expected="a notebook that records what it found",
            mend="end the notebook with study.save()",
        )
    clean(executed, run)
    require_cells(executed, _fragment(run, stem), run.relative(source))
    return write_atomic(executed_of(run, stem), nbformat.writes(executed) + "\n")


def _read(source: Path):
    import nbformat

    try:
        text = source.read_text(encoding="utf-8")
        if "cells" not in json.loads(text) or "nbformat" not in json.loads(text):
            raise ValueError("no list of cells, or no version")
        notebook = nbformat.reads(text, as_version=4)
    except FileNotFoundError:
        raise LedgerError(
            source, found="no such file", expected="a notebook that _quarto.yml names",
            mend="correct ledger.notebooks in _quarto.yml, or write the notebook",
        ) from None
    except (ValueError, nbformat.ValidationError) as error:
        raise LedgerError(
            source, found=str(error)[:200], expected="a notebook in Jupyter's format",
        ) from None
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells):
        if notebook.nbformat_minor < 5 or not cell.get("id"):
            cell["id"] = f"cell-{number}"
    notebook.nbformat_minor = max(5, notebook.nbformat_minor)
    return notebook


def _refuse_unknown(where: str, notebook, values: dict) -> None:
    """Papermill only warns of a parameter that the notebook does not know."""
    import papermill

    known = set(papermill.inspect_notebook(notebook))
    unknown = sorted(set(values) - known)
    if unknown:
        raise LedgerError(
            f"{where}: the cell tagged `parameters`",
            found=f"{', '.join(sorted(known)) or 'no parameters'} (without {', '.join(unknown)})",
            expected=", ".join(sorted(values)), mend="give each its default in that cell",
        )


def _run_cells(run: Run, source: Path, notebook, values: dict, on_cell: OnCell):
    import logging

    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # our own errors say it once
    limit = int(settings(run.root)["ledger"].get("cell_seconds", CELL_SECONDS))
    order = [cell["id"] for cell in notebook.cells]
    now = {"id": order[0] if order else ""}

    def started(cell, cell_index) -> None:
        if cell["id"] in order:  # the cell with the parameters is papermill's, not the author's
            now["id"] = cell["id"]
            on_cell(order.index(cell["id"]) + 1, len(order))

    def place() -> str:
        number = order.index(now["id"])
        label = LABEL.search(notebook.cells[number].source)
        return f"{run.relative(source)}, cell {number + 1}" + (f" ({label[1]})" if label else "")

    with tempfile.TemporaryDirectory(
            prefix="claimledger-", dir=kernels.folder_for_sockets()) as folder:
        try:
            return papermill.execute_notebook(
                notebook, None, parameters=values, kernel_name="python3", progress_bar=False,
                kernel_manager_class=kernels.manager(Path(folder)),
                resources={"metadata": {"path": str(run.root)}}, execution_timeout=limit,
                on_cell_start=started, record_timing=False, coalesce_streams=True,
            )
        except PapermillExecutionError as error:
            raise LedgerError(
                place(), found=_message(error), expected="a cell that runs to its end",
                mend=f"run this notebook alone: claimledger build --notebook {source.stem}",
            ) from None
        except CellTimeoutError:
            raise LedgerError(
                place(), found=f"still running after {limit} seconds",
                expected="an end within the time limit of one cell",
                mend="make the cell faster, or set `cell_seconds` below `ledger:` in _quarto.yml",
            ) from None
        except (DeadKernelError, RuntimeError):  # the second when it does not even start
            raise LedgerError(
                place(), found=f"the notebook's Python process died\n{_last_words(folder)}",
                expected="a cell that runs to its end", mend="most often memory: free some",
            ) from None


def _message(error) -> str:
    """The last lines of what a cell said as it failed, and the line of the cell that failed."""
    text = ANSI.sub("", f"{error.ename}: {error.evalue}").strip()
    if error.ename == "LedgerError":
        return "\n" + "\n".join(f"    {line}" for line in error.evalue.splitlines())
    trace = ANSI.sub("", "\n".join(error.traceback or []))
    line = re.search(r"^-+> *\d+ (.*)$", trace, re.MULTILINE)
    last = "\n    ".join(text.splitlines()[-6:])
    return last + (f"\n    at: {line[1].strip()}" if line and line[1].strip() else "")


def _last_words(folder: str) -> str:
    lines = (Path(folder) / kernels.SAID).read_text("utf-8", "replace").splitlines()
    return "\n".join(f"    {line}" for line in lines if "WARNING" not in line)[-600:]


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
            if "text/plain" in bundle:  # Quarto would load scripts from a network for a data frame,
                bundle.pop("text/html", None)
                bundle.pop("text/latex", None)  # and show nothing in a page where there is this
            for kind, value in bundle.items():
                if kind.startswith("text/"):
                    bundle[kind] = scrub(value)


def _scrubber(run: Run) -> Callable[[str], str]:
    """A function that takes terminal colors, addresses and this machine's paths out of a text."""
    packages = (Path(one) for one in sys.path if Path(one).name == "site-packages")
    places = {str(path.parents[2]): "[environment]" for path in packages} | {  # uv has several
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


def require_cells(notebook, fragment: dict, where: str) -> None:
    """Each exhibit that was recorded has a cell of its label, from which the paper takes it."""
    cells = {found[1] for cell in notebook.cells if (found := LABEL.search(cell.source))}
    for label in sorted(set(fragment.get("exhibits", {})) - cells):
        raise LedgerError(
            f"{where}: exhibit {label}", found="no cell with this label",
            expected=f"`#| label: {label}` in the cell that shows it",
            mend=near(label, cells),
        )
