"""Steps of a build: run what is stale, side by side, and remember what came of it.

Staleness is decided by content. A step is current when the contents of its inputs, its settings
and the contents of everything that it made are those of its last success; so an output that
somebody deleted or edited by hand is made anew. doit schedules the steps and keeps the record.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

from doit.control import TaskControl
from doit.dependency import Dependency, JsonDB
from doit.reporter import ZeroReporter
from doit.runner import MThreadRunner
from doit.task import dict_to_task

from claimledger.errors import LedgerError
from claimledger.pipeline.progress import Progress
from claimledger.project import sha256_file, write_atomic

Report = Callable[[int, int], None]  # (part now at work, number of parts), both from one


@dataclass(frozen=True)
class Step:
    """One thing to do: `action` makes files from `inputs` and `config`, and returns those made."""

    name: str
    action: Callable[[Report], Iterable[Path]]
    inputs: list[Path]
    config: dict = field(default_factory=dict)
    after: list[str] = field(default_factory=list)  # steps whose outputs are inputs here
    produced: list[Path] = field(default_factory=list)  # inputs that those steps make


@contextlib.contextmanager
def alone(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock: two builds at once would run the same notebooks over each other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise LedgerError(
            folder, found=error.strerror, expected="a folder that can be written to",
            mend="change the folder's permissions",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            progress.say(f"another build (process {lock.read().strip()}) is at work: waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def run_steps(
    steps: list[Step], database: Path, root: Path, progress: Progress, workers: int | None = None,
    proceed: bool = False,
) -> list[str]:
    """Run every stale step, as many side by side as there are cores; return their names.

    Raises the first error of a step, after the steps that ran beside it have ended, or with
    `proceed` all that do not depend on it; what they made stays and is not made again.
    """
    _require_inputs(steps, root)
    failures: list[BaseException] = []
    memory = _Memory(database, progress)
    reporter = _Reporter(memory)
    tasks = [_task(step, root, progress, failures) for step in steps]
    control = TaskControl(tasks)
    control.process(None)
    runner = MThreadRunner(
        memory, reporter, continue_=proceed, num_process=workers or max(2, os.cpu_count() or 2))
    with progress:
        runner.run_all(control.task_dispatcher())
    if failures:
        raise failures[0]
    if reporter.problems:
        raise RuntimeError("\n".join(reporter.problems))
    return reporter.ran


def digests(paths: Iterable[Path], root: Path) -> dict[str, str | None]:
    """Each file's SHA-256 by its name below the root; None where there is no such file."""
    return {os.path.relpath(path, root): _digest(path) for path in sorted(set(paths))}


def _digest(path: Path) -> str | None:
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return None
    key = (str(path), state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
    if key not in _seen:
        _seen[key] = sha256_file(path)
    return _seen[key]


_seen: dict[tuple, str] = {}  # within one process: a large export is read once, not once a step


def _require_inputs(steps: list[Step], root: Path) -> None:
    for step in steps:
        for path in set(step.inputs) - set(step.produced):
            if not path.is_file():
                raise LedgerError(
                    os.path.relpath(path, root), found="no such file",
                    expected=f"a file that step {step.name} needs",
                    mend="restore the file, or correct its name in _quarto.yml",
                )


def _task(step: Step, root: Path, progress: Progress, failures: list[BaseException]):
    """The step as a task of doit; the inputs are hashed before the action, not after.

    So an input that is edited while the action runs counts as changed next time.
    """
    def signature() -> dict:
        inputs = json.dumps(digests(step.inputs, root), sort_keys=True)
        config = json.dumps(step.config, sort_keys=True)
        return {name: hashlib.sha256(text.encode()).hexdigest()
                for name, text in (("inputs", inputs), ("config", config))}

    def is_current(task, values) -> bool:
        if any(values.get(key) != value for key, value in signature().items()):
            return False
        made = values.get("made") or {}
        return bool(made) and made == digests([root / name for name in made], root)

    def action() -> dict | bool:
        before, start = signature(), monotonic()
        progress.begin(step.name)
        try:
            made = digests(step.action(partial(progress.part, step.name)), root)
        except BaseException as error:  # kept for the caller: doit would only keep its text
            failures.append(error)
            progress.end(step.name, monotonic() - start, ok=False)
            return False
        progress.end(step.name, monotonic() - start, ok=True)
        return {**before, "made": made}

    return dict_to_task({
        "name": step.name, "actions": [action], "uptodate": [is_current], "task_dep": step.after,
        "io": {"capture": False}, "verbosity": 2,
    })


class _Database(JsonDB):
    """doit's record as JSON; a broken one is thrown away, and it is renamed into place."""

    progress: Progress

    def _load(self) -> dict:
        try:
            record = json.loads(Path(self.name).read_text("utf-8"))
            values = [entry.get("_values_:", {}) for entry in record.values()]
            if not all(isinstance(value.get("made", {}), dict) for value in values):
                raise ValueError
        except (ValueError, AttributeError, OSError):
            self.progress.say("the record of earlier builds is unreadable: everything runs anew")
            return {}
        return record

    def dump(self) -> None:
        write_atomic(Path(self.name), json.dumps(self._db, sort_keys=True))


class _Memory(Dependency):
    def __init__(self, path: Path, progress: Progress):
        database = type("Database", (_Database,), {"progress": progress})
        super().__init__(database, str(path))


class _Reporter(ZeroReporter):
    """Keeps each success at once, so that a build that is killed goes on where it was."""

    def __init__(self, memory: _Memory):
        super().__init__(None, {})
        self.memory = memory
        self.ran: list[str] = []
        self.problems: list[str] = []

    def add_success(self, task) -> None:
        self.ran.append(task.name)
        self.memory.backend.dump()

    def add_failure(self, task, fail) -> None:
        self.problems.append(f"{task.name}: {fail.get_msg()}")

    def runtime_error(self, msg: str) -> None:
        self.problems.append(msg)
