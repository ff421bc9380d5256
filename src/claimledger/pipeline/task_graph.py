"""Steps of a build: run what is stale, side by side, and remember what came of it.

Staleness is decided by content. A step is current when the contents of its inputs, its settings
and the contents of everything that it made are those of its last success; so an output that
somebody deleted or edited by hand is made anew. `graphlib` orders the steps.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from time import monotonic

from claimledger.errors import LedgerError
from claimledger.progress import Progress, Report
from claimledger.project import digest, write_atomic

Digests = dict[str, str | None]  # of files by their names below the root; None: no such file


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
            progress.say(f"another build (process {holder(folder)}) is at work: waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        lock.truncate(0)


def holder(folder: Path) -> int | None:
    """The number of the process that holds the folder's lock; None where none does."""
    with contextlib.suppress(OSError, ValueError), (folder / ".lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read())
    return None


def run_steps(
    steps: list[Step], record: Path, root: Path, progress: Progress, proceed: bool = False,
    stop: Callable[[], None] = lambda: None,
) -> list[str]:
    """Run every stale step, as many side by side as there are cores; return their names.

    Raises the first error of a step, after the steps that ran beside it have ended, or with
    `proceed` all that do not depend on it; what they made stays and is not made again. `stop` ends
    what the steps have started; what they made must then be as they made it.
    """
    _require_inputs(steps, root)
    by_name = {step.name: step for step in steps}
    order = TopologicalSorter({s.name: set(s.after) & set(by_name) for s in steps})
    order.prepare()
    memory, ran, failures = _read(record, progress), [], []
    running: dict[Future, str] = {}
    pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2))
    ready: list[str] = []
    try:
        with progress:
            while order.is_active() or running:
                ready += sorted(order.get_ready(), key=list(by_name).index)
                for name in [] if failures and not proceed else ready:
                    job = pool.submit(_run, by_name[name], memory.get(name), root, progress)
                    running[job] = name
                ready = [] if proceed or not failures else ready
                if not running:
                    break  # what is left depends on a step that failed
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    try:
                        success = future.result()
                    except BaseException as error:
                        failures.append(error)
                        continue
                    if success:
                        ran.append(name)
                        # Kept at once, so that a build that is killed goes on where it was.
                        memory[name] = success
                        write_atomic(record, json.dumps(memory, sort_keys=True))
                    order.done(name)
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    with contextlib.suppress(*[LedgerError] * bool(failures)):  # the first error is the one told
        stop()
    if failures:
        raise failures[0]
    for step in steps:
        _require_made(step, memory[step.name]["made"], root)
    return ran


def _require_made(step: Step, made: Digests, root: Path) -> None:
    """Stop where something has changed what a step made, other than a file that it also reads."""
    now = digests([root / name for name in made], root)
    own = {os.path.relpath(path, root) for path in step.inputs}
    changed = sorted(name for name in made if now[name] != made[name] and name not in own)
    if changed:
        raise LedgerError(
            changed[0], found=f"changed after step {step.name} made it", expected="as it was made",
            mend="look at what changed it (a notebook, another program), then run it again",
        )


def _run(step: Step, last: dict | None, root: Path, progress: Progress) -> dict | None:
    """What a success leaves in the record; None where the step is current.

    Inputs are hashed before the action, so that one that is edited meanwhile is stale next time.
    """
    now = {"inputs": _digest_of(digests(step.inputs, root)), "config": _digest_of(step.config)}
    if last and all(last[key] == value for key, value in now.items()) and last["made"] == digests(
            [root / name for name in last["made"]], root) != {}:
        return None
    start = monotonic()
    progress.begin(step.name)
    try:
        made = digests(step.action(partial(progress.part, step.name)), root)
    except BaseException:
        progress.end(step.name, monotonic() - start, ok=False)
        raise
    progress.end(step.name, monotonic() - start, ok=True)
    return now | {"made": made}


def _digest_of(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digests(paths: Iterable[Path], root: Path) -> Digests:
    """Each file's SHA-256 by its name below the root; None where there is no such file."""
    return {os.path.relpath(path, root): digest(path) for path in sorted(set(paths))}


def _require_inputs(steps: list[Step], root: Path) -> None:
    for step in steps:
        for path in set(step.inputs) - set(step.produced):
            if not path.is_file():
                raise LedgerError(
                    os.path.relpath(path, root), found="no such file",
                    expected=f"a file that step {step.name} needs",
                    mend="restore the file, or correct its name in _quarto.yml",
                )


def _read(record: Path, progress: Progress) -> dict[str, dict]:
    """The record of earlier builds; a broken one is thrown away."""
    try:
        memory = json.loads(record.read_text("utf-8"))
        for kept in memory.values():
            if not (kept["inputs"] and kept["config"] and isinstance(kept["made"], dict)):
                raise ValueError
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        progress.say("the record of earlier builds is unreadable: everything runs anew")
        return {}
    return memory
