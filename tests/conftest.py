"""Fixtures that all tests share."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest

import claimledger.pipeline.notebooks  # noqa: F401 - before nbformat, which it makes light
from engine import cloned, command

pytest_plugins = ["survey_fixtures"]

STRANGER = {
    "TZ": "Asia/Kathmandu", "LC_ALL": "POSIX", "LANG": "tr_TR.UTF-8", "USER": "stranger",
    "LOGNAME": "stranger", "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3",
    "PYTHONHASHSEED": "77", "COLUMNS": "61", "MPLBACKEND": "svg",
}


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def realdata(root) -> Path:
    """Other people's files, and the numbers that they printed; skips where they are not."""
    folder = Path(os.environ.get("CLAIMLEDGER_REALDATA", root.parent / "shared" / "realdata"))
    if not (folder / "published.csv").is_file():
        pytest.skip("real data are not here (set CLAIMLEDGER_REALDATA)")
    return folder


@pytest.fixture(scope="session")
def clone(root, tmp_path_factory):
    """A rendered clone of what is committed; `ledger.committed` keeps the ledger of record.

    Its tests share one group, so that it is built once, on one worker.
    """
    place = cloned(root, tmp_path_factory.mktemp("clone") / "paper")
    shutil.copy(place / "results/ledger.json", place / "ledger.committed")
    done = command(place, "render")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="session")
def archived(clone):
    """The archive of the rendered clone."""
    path = clone.parent / "first.zip"
    done = command(clone, "archive", "--out", str(path))
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def unpacked(archived, tmp_path_factory):
    """The archive, unpacked and built by another user of another machine, as far as one can be."""
    place = tmp_path_factory.mktemp("elsewhere") / "päper of a stranger"
    with zipfile.ZipFile(archived) as packed:
        packed.extractall(place)
    for folder in ("_manuscript", "build"):
        shutil.rmtree(place / folder)
    for drawn in [place / "results/ledger.json", *place.glob("figures/fig-*")]:
        drawn.unlink()
    done = command(place, "render", **STRANGER, HOME=str(place.parent / "home"))
    assert done.returncode == 0, done.stderr
    return place
