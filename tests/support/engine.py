"""A project's own engine, for tests that build whole papers, and clones of what is committed."""

import os
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from claimledger.cli import app
from claimledger.errors import LedgerError


def surroundings(source: Path) -> dict[str, str]:
    """The embedded renderer and the engine of that folder (this one, where it has none)."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLEDGER_")}
    return kept | {"PYTHONPATH": str(source / "src"), "CLAIMLEDGER_RENDERER": "embedded",
                   "CI": "true", "SOURCE_DATE_EPOCH": "1735689600"}


def command(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """`claimledger` in a process of its own, with the engine of that place."""
    return subprocess.run(
        [sys.executable, "-m", "claimledger", *arguments], cwd=place, text=True,
        env=surroundings(place) | environment, capture_output=True, timeout=1800)


def called(folder: Path, *words: str) -> SimpleNamespace:
    """A command in this process; a person's mistake is what it says on stderr."""
    with chdir(folder):
        done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, LedgerError | SystemExit)
    return SimpleNamespace(returncode=done.exit_code, stdout=done.output,
                           stderr=str(done.exception or ""))


def cloned(root: Path, place: Path) -> Path:
    """A clone of what is committed."""
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: nothing to clone")
    subprocess.run(["git", "clone", "--quiet", str(root), str(place)], check=True)
    return place
