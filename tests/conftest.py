"""Fixtures that all tests share."""

import shutil
import subprocess
from pathlib import Path

import pytest
from engine import command


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def clone(root, tmp_path_factory):
    """A rendered clone of what is committed; `ledger.committed` keeps the ledger of record.

    Its tests are marked `build` and share one group, so that it is built once, on one worker.
    """
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: nothing to clone")
    place = tmp_path_factory.mktemp("clone") / "paper"
    subprocess.run(["git", "clone", "--quiet", str(root), str(place)], check=True)
    shutil.copy(place / "results/ledger.json", place / "ledger.committed")
    done = command(place, "render")
    assert done.returncode == 0, done.stderr
    return place
