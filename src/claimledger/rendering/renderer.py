"""Which program renders the paper, Quarto or the embedded renderer, and how it is called."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.progress import Progress, Report
from claimledger.project import Run
from claimledger.rendering.document import epoch, read_paper
from claimledger.rendering.pages import write_formats
from claimledger.settings import settings

OLDEST = (1, 9)  # as the extension asks: quarto-required in its _extension.yml
CHOICE = "CLAIMLEDGER_RENDERER"
QUARTO_FORMAT = {"html": "html", "pdf": "typst", "docx": "docx", "jats": "jats"}


@dataclass(frozen=True)
class Renderer:
    """The program, or None for the embedded renderer, and its name for the colophon."""

    program: str | None
    name: str


def choose(run: Run, progress: Progress) -> Renderer:
    """Quarto where it is on the machine and new enough; CLAIMLEDGER_RENDERER decides otherwise."""
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "quarto", "embedded"):
        raise LedgerError(CHOICE, found=choice, expected="quarto or embedded")
    embedded = Renderer(None, "embedded renderer")
    if choice == "embedded" or not run.is_record:  # `_quarto.yml` names the notebooks of record
        return embedded
    program = shutil.which("quarto", path=_path())
    version = _version(program) if program else None
    if version and tuple(map(int, version.split(".")[:2])) >= OLDEST:
        return Renderer(program, f"Quarto {version}")
    found = f"Quarto {version or 'of unknown version'}" if program else "no Quarto"
    if choice == "quarto":
        raise LedgerError(
            f"{CHOICE}=quarto", found=found, expected=f"Quarto {OLDEST[0]}.{OLDEST[1]} or newer",
            mend=f"install it, or unset {CHOICE} for the embedded renderer")
    if program:
        progress.say(f"{found} is older than {OLDEST[0]}.{OLDEST[1]}: using the embedded renderer")
    return embedded


def _path() -> str:
    """The search path, with this interpreter's own programs first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _version(program: str) -> str | None:
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+\.\d+(\.\d+)?", asked.stdout)
    return found[0] if asked.returncode == 0 and found else None


def run_renderer(
    run: Run, formats: list[str], chosen: Renderer, check: Callable[[], None], report: Report
) -> list[Path]:
    """Render what passes the `check` of the prose; return every file of the output folder."""
    if chosen.program:
        check()
        _run_quarto(run, formats, chosen.program, report)
    else:
        pages = len(settings(run.root)["manuscript"]["notebooks"]) if "html" in formats else 0
        done = count(1)
        write_formats(run, formats, lambda name: report(next(done), len(formats) + pages), check)
    return [path for path in run.output.rglob("*") if path.is_file()]


def _run_quarto(run: Run, formats: list[str], program: str, report: Report) -> None:
    """One call for the whole manuscript, or one for each format that was asked for."""
    whole = set(formats) == set(QUARTO_FORMAT)
    calls = [[]] if whole else [["--to", QUARTO_FORMAT[name]] for name in formats]
    for later in calls[1:]:
        later.append("--no-clean")  # or it would remove what the one before has made
    environment = {
        **os.environ, "PATH": _path(),
        "QUARTO_PYTHON": sys.executable, "SOURCE_DATE_EPOCH": str(moment(run))}
    for number, options in enumerate(calls, start=1):
        report(number, len(calls))
        done = subprocess.run(
            [program, "render", *options], cwd=run.root, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if done.returncode:
            last = "\n    ".join(done.stdout.strip().splitlines()[-25:])
            raise LedgerError(
                "quarto render " + " ".join(options), found=f"it failed:\n    {last}",
                expected="a rendered manuscript",
                mend="mend what it names, or set CLAIMLEDGER_RENDERER=embedded")


def moment(run: Run) -> int:
    """The one date of all outputs, the same as the embedded renderer's."""
    return epoch(read_paper(run).options)
