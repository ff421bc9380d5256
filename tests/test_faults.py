"""Whatever happens to a build, the next one is right, and nothing of record is half-written.

CLAIMLEDGER_KILLS sets how often a build is killed at a random moment: 100 for the long run.
"""

import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest

from claimledger.errors import LedgerError
from claimledger.project import PARTIAL, sweep, write_atomic
from small_paper import record, render, set_seed, start, write_project

KILLS = int(os.environ.get("CLAIMLEDGER_KILLS", "4"))
pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A project, last built with seed 7, and every file of record under both seeds."""
    place = write_project(tmp_path_factory.mktemp("calm") / "paper")
    found = {}
    for seed in (8, 7):
        set_seed(place, seed)
        status, said = render(place)
        assert status == 0, said
        found[seed] = record(place)
    assert all(found[7][name] != found[8][name] for name in (
        "results/ledger.json", "figures/fig-a.svg", "build/notebooks/01_a.ipynb",
        "_manuscript/index.html", "_manuscript/paper.docx", "_manuscript/paper.pdf"))
    return place, found


@pytest.fixture
def papers(calm):
    """Every file of record by seed, as undisturbed builds make them."""
    return calm[1]


@pytest.fixture
def place(calm, tmp_path):
    """A copy of the project in which everything is up to date."""
    return Path(shutil.copytree(calm[0], tmp_path / "paper"))


def whole(place: Path, papers: dict) -> None:
    """Each file is that of one seed or of the other: none is half-written."""
    for name, content in record(place).items():
        assert content in (papers[7].get(name), papers[8].get(name)), name


@pytest.mark.build
@pytest.mark.slow
def test_killed_at_random_moments(place, papers):
    moment = random.Random(20250901)
    started = time.monotonic()
    set_seed(place, 8)
    assert render(place)[0] == 0
    longest, seed, killed = time.monotonic() - started, 8, 0
    assert record(place) == papers[8]
    while killed < KILLS:
        seed = 15 - seed
        set_seed(place, seed)
        process = start(place)
        time.sleep(moment.uniform(0, longest))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        whole(place, papers)
        if moment.random() < 0.3 or killed == KILLS:  # else the next one is killed as well
            status, said = render(place)
            assert status == 0, said
            assert record(place) == papers[seed]
            assert not list(place.rglob(f"*{PARTIAL}"))


def limited(size: int):
    """No file may grow beyond `size` bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.parametrize("size", [100, 3_000, 20_000])
def test_a_full_disk_is_an_error_for_people_and_the_record_stays_whole(place, papers, size):
    set_seed(place, 8)
    status, said = render(place, preexec_fn=limited(size))
    assert status == 1 and "Error " in said and "Traceback" not in said, said
    assert "to mend:" in said
    whole(place, papers)
    assert render(place)[0] == 0
    assert record(place) == papers[8]


POWERS = "-dac_override,-dac_read_search"  # with these, root may write anywhere
AS_OTHERS = ["setpriv", f"--bounding-set={POWERS}", f"--inh-caps={POWERS}"]


@pytest.mark.build
@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None,
                    reason="root may write anywhere, and there is no setpriv")
def test_a_read_only_project_is_an_error_for_people(place, papers):
    set_seed(place, 8)
    folders = [path for path in [place, *place.rglob("*")] if path.is_dir()]
    files = [path for path in place.rglob("*") if path.is_file()]
    for path in [*files, *folders]:
        path.chmod(0o555)
    try:
        status, said = render(place, *(AS_OTHERS if os.geteuid() == 0 else []))
    finally:
        for path in folders:
            path.chmod(0o755)
    assert status == 1 and "permission" in said.lower() and "Traceback" not in said, said
    whole(place, papers)


@pytest.mark.build
def test_two_builds_at_once_wait_for_each_other(place, papers):
    set_seed(place, 8)
    both = [start(place), start(place)]
    said = ["".join(one.communicate(timeout=300)) for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sorted("up to date" in one for one in said) == [False, True]
    assert sum("is at work: waiting" in one for one in said) == 1
    assert record(place) == papers[8]


@pytest.mark.build
def test_a_clock_that_jumps_changes_nothing(place, papers):
    """All files are from far in the future, and then one from 1970: content decides, not time."""
    for path in place.rglob("*"):
        os.utime(path, (86_400 * 365 * 60,) * 2)
    status, said = render(place)
    assert status == 0 and "paper: up to date" in said
    (place / "paper.qmd").write_text((place / "paper.qmd").read_text() + "\nOne line.\n")
    os.utime(place / "paper.qmd", (1, 1))
    assert "made anew: paper" in render(place)[1]


@pytest.mark.build
def test_truncated_files_of_earlier_builds_are_made_anew(place, papers):
    for path in [*place.glob("build/*.json"), *place.glob("build/*/*"), *place.glob("results/*"),
                 *place.glob("_manuscript/*.*"), *place.glob("figures/*")]:
        if path.is_file():
            path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    status, said = render(place)
    assert status == 0, said
    assert record(place) == papers[7]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    write_atomic(tmp_path / "ledger.json", "old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LedgerError, match="No space left"):
        write_atomic(tmp_path / "ledger.json", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]
    assert (tmp_path / "ledger.json").read_text() == "old"


def test_what_a_killed_build_was_writing_is_swept_and_nothing_else(tmp_path):
    for name in (f".ledger.json.x{PARTIAL}", ".hidden", f"mine{PARTIAL}", "ledger.json"):
        (tmp_path / name).write_text("")
    sweep([tmp_path, tmp_path / "missing"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".hidden", "ledger.json", f"mine{PARTIAL}"]
