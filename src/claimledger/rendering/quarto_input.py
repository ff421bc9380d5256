"""Before Quarto: what it was asked for that it would pass over in silence, and what it needs.

Quarto drops parameters for notebooks that it does not execute, overrides of settings that only the
engine reads, and profiles that do not exist; and its `pdf` is LaTeX, for which this paper has no
template. (A notebook of `notebooks/` it renders without calling the project's first step.)
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.rendering.pages import Press
from claimledger.settings import CONFIG

REFERENCE = "reference.docx"  # below `build/`; `_quarto.yml` names it as docx: reference-doc


def command_line() -> list[str]:
    """The words after `quarto`, of the process that called this one; [] without such a process."""
    for parent in psutil.Process().parents():
        try:
            words = parent.cmdline()
        except psutil.Error:
            continue
        for place, word in enumerate(words):
            if Path(word).name == "quarto.js":
                return words[place + 1:]
    return []


def check_request(words: list[str]) -> None:
    """Refuse what Quarto would take without effect.

    Raises
    ------
    LedgerError
        Parameters for the notebooks, an override of a key under `ledger`, or LaTeX's PDF, with the
        way to get what was meant.
    """
    given = " ".join(["quarto", *words])
    for option, value in _options(words):
        if option in ("-P", "--execute-param", "--execute-params"):
            raise LedgerError(
                given, found=f"{option} {value}", expected="no parameters for the notebooks",
                mend=f"set `ledger: seed` or `ledger: data` in {CONFIG}, "
                     "or use: claimledger render --data FILE",
            )
        if option in ("-M", "--metadata") and re.match(r"ledger(\.|:|$)", value):
            raise LedgerError(
                given, found=f"{option} {value}", expected=f"`ledger` as {CONFIG} has it",
                mend=f"write it in {CONFIG}: the results depend on it, and not only the page",
            )
        if option in ("-t", "--to") and set(value.split(",")) & {"pdf", "latex", "beamer"}:
            raise LedgerError(
                given, found=f"{option} {value}", expected="html, typst, docx or jats",
                mend="quarto render --to typst, which makes the PDF",
            )


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, joined, value = word.partition("=")
        if name.startswith("--") and joined:
            yield name, value
        elif word.startswith("-P") and word != "-P" or word.startswith("-M") and word != "-M":
            yield word[:2], word[2:]
        elif word.startswith("-"):
            yield word, following


def prepare(run: Run) -> Path:
    """Write what Quarto reads besides the sources: the reference document of its Word file."""
    with tempfile.TemporaryDirectory(prefix="reference-") as folder:
        made = Press(run, Path(folder), ("docx",)).reference().read_bytes()
    path = run.base / REFERENCE
    if path.is_file() and path.read_bytes() == made:
        return path
    return write_atomic(path, made)
