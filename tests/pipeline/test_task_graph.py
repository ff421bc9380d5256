"""What is stale runs again, and nothing else, whatever happened to the build before."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from claimledger.errors import LedgerError
from claimledger.pipeline.task_graph import Step, run_steps
from claimledger.progress import Progress


class Copies:
    """Three steps: two copy a file each, and the third joins both copies."""

    def __init__(self, root: Path):
        self.root = root
        self.said: list[str] = []
        for name in "ab":
            (root / name).write_text(name)

    def copy(self, name: str) -> list[Path]:
        return [self.write(f"{name}.copy", (self.root / name).read_text())]

    def join(self) -> list[Path]:
        return [self.write("joined", "".join(path.read_text() for path in self.copies))]

    def write(self, name: str, text: str) -> Path:
        (self.root / name).write_text(text)
        return self.root / name

    @property
    def copies(self) -> list[Path]:
        return [self.root / "a.copy", self.root / "b.copy"]

    def steps(self) -> list[Step]:
        first = [Step(name, lambda report, name=name: self.copy(name), [self.root / name])
                 for name in "ab"]
        last = Step("join", lambda report: self.join(), self.copies, after=["a", "b"],
                    produced=self.copies)
        return [*first, last]

    def run(self) -> list[str]:
        progress = Progress()
        progress.say = self.said.append
        return sorted(run_steps(self.steps(), self.root / "steps.json", self.root, progress))


@pytest.fixture
def copies(tmp_path):
    made = Copies(tmp_path)
    assert made.run() == ["a", "b", "join"]
    assert made.run() == []
    return made


def test_a_touched_input_is_current_and_a_changed_one_is_not(copies):
    os.utime(copies.root / "a", (1, 1))
    assert copies.run() == []
    stat = (copies.root / "a").stat()
    copies.write("a", "z")  # same size, same time: only the content tells
    os.utime(copies.root / "a", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert copies.run() == ["a", "join"]
    assert (copies.root / "joined").read_text() == "zb"


def test_what_a_step_made_and_another_changed_is_an_error_and_made_anew(copies, monkeypatch):
    def join():
        copies.write("a.copy", "forged")
        return Copies.join(copies)

    monkeypatch.setattr(copies, "join", join)
    copies.write("b", "y")
    with pytest.raises(LedgerError, match="a.copy\n.*changed after step a made it"):
        copies.run()
    monkeypatch.undo()
    copies.write("b", "x")
    assert copies.run() == ["a", "b", "join"]
    assert (copies.root / "joined").read_text() == "ax"


def test_what_depends_on_an_output_stays_when_the_output_is_the_same(copies):
    copies.copy = lambda name: [copies.write(f"{name}.copy", name)]
    copies.write("b", "other")
    assert copies.run() == ["b"]


@pytest.mark.parametrize("content", [
    "", '{"a": {"inp', "[]", "null", '{"a": 3}', '{"a": {"inputs": 3}}',
    '{"a": {"inputs": "x", "config": "x", "made": [1]}}', "\x00\xff"])
def test_a_broken_record_is_thrown_away(copies, content):
    (copies.root / "steps.json").write_text(content)
    copies.said.clear()
    assert {"a"} <= set(copies.run())
    assert any("unreadable" in line for line in copies.said)
    assert copies.run() == []


def test_a_failure_is_raised_as_it_is_and_what_was_done_is_kept(copies):
    def fails():
        raise LedgerError("joined", found="no glue")

    join, copies.join = copies.join, fails
    copies.write("a", "new")
    with pytest.raises(LedgerError, match="no glue"):
        copies.run()
    copies.join = join
    assert copies.run() == ["join"]
    assert (copies.root / "joined").read_text() == "newb"


def test_an_input_that_is_edited_during_the_run_is_run_again(copies):
    plain = copies.copy

    def slow(name):
        made = plain(name)
        copies.write(name, "edited meanwhile")
        return made

    copies.copy = slow
    copies.write("a", "first")
    copies.run()
    copies.copy = plain
    assert copies.run() == ["a", "join"]
    assert (copies.root / "a.copy").read_text() == "edited meanwhile"


def test_a_missing_input_is_named_before_anything_runs(copies):
    (copies.root / "b").unlink()
    copies.write("a", "new")
    with pytest.raises(LedgerError, match="^b\n"):
        copies.run()
    assert (copies.root / "a.copy").read_text() == "a"


def test_steps_that_do_not_wait_for_each_other_run_side_by_side(tmp_path):
    together = threading.Barrier(2, timeout=30)

    def action(report):
        together.wait()  # breaks unless the other step is also at work
        return []

    steps = [Step(name, action, []) for name in "ab"]
    assert len(run_steps(steps, tmp_path / "db", tmp_path, Progress())) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_task_graph import Copies
copies = Copies(Path({root!r}))
copies.join = lambda: (copies.write("joined", "half"), os.kill(os.getpid(), signal.SIGKILL))
copies.run()
"""


def test_a_build_that_is_killed_goes_on_where_it_was(tmp_path):
    code = KILLED.format(tests=str(Path(__file__).parent), root=str(tmp_path))
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    copies = Copies(tmp_path)
    assert (tmp_path / "joined").read_text() == "half"
    assert copies.run() == ["join"]
    assert (tmp_path / "joined").read_text() == "ab"


def test_plain_progress_says_start_and_end(capsys):
    progress = Progress()
    progress.begin("01_a")
    progress.part("01_a", 3, 12)
    progress.end("01_a", 1.26, ok=True)
    assert capsys.readouterr().err.splitlines() == ["01_a: starts", "01_a: done after 1.3 s"]


def test_the_record_holds_no_absolute_path(copies):
    assert str(copies.root) not in json.dumps(json.loads((copies.root / "steps.json").read_text()))
