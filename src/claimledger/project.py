"""Paths, settings and files of a project: each path is named here once."""

import hashlib
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from claimledger.errors import LedgerError
from claimledger.settings import CONFIG, settings

NOTE = "run.json"  # below a run's folder: what the run consists of
PARTIAL = ".partial"  # the end of the name of a file that is being written


def git(root: Path, *words: str) -> bytes:
    """What git says; nothing without git, or outside a checkout."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""


def write_atomic(path: Path, content: str | bytes) -> Path:
    """Write beside, then rename: a reader sees the old file or the new one, never a half."""
    path = Path(path)
    with writing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, piece by piece, that takes its name only when all went well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(PARTIAL, f".{path.name}.", path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LedgerError(
            path, found=error.strerror, expected="a place that can be written to",
            mend="free space, or change the folder's permissions") from error


def inside(root: Path, name: str, where: str) -> Path:
    """A path below the root, by a name that somebody wrote into a file; never one outside."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise LedgerError(
            where, found=name, expected="a file of this project",
            mend="copy the file into the project, and name it from the project's folder")
    return path


def sweep(folders: Iterable[Path]) -> None:
    """Remove what a killed build was writing; only while no other build can be at work there."""
    for folder in folders:
        for path in folder.glob(f".*{PARTIAL}") if folder.is_dir() else ():
            path.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str | None:
    """SHA-256 of a file, read once as long as nothing touches it; None where there is none."""
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(state.st_mode):  # a pipe would never end
        return None
    key = (str(path), state.st_mtime_ns, state.st_ctime_ns, state.st_size, state.st_ino)
    if key not in _seen:
        _seen[key] = sha256_file(path)
    return _seen[key]


_seen: dict[tuple, str] = {}  # of this process and its copies


def sha256_tree(folder: Path) -> str:
    """One SHA-256 for all modules under a folder, by relative name and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def find_root(start: Path | None = None) -> Path:
    """The project's root: the nearest folder upwards that holds `_quarto.yml`."""
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / CONFIG).is_file():
            return folder
    raise LedgerError(
        here, found=f"no {CONFIG} here or above", expected="a folder inside the project",
        mend="change to the project's folder")


@dataclass(frozen=True)
class Run:
    """One passage from data to paper, and every path in it.

    The run of record fills the folders that a reader of the repository expects.
    Any other run (another data file, another world) lives wholly below `build/runs/NAME`.
    """

    root: Path
    name: str
    registration: Path
    data: Path
    mapping: Path | None
    seed: int
    external: dict[str, Path] = field(default_factory=dict)  # other studies: where their data lie

    @classmethod
    def open(cls, root: Path | None = None, name: str = "record") -> "Run":
        """As the settings have it."""
        root = find_root(root)
        ledger = settings(root)["ledger"]
        inside(root / "build" / "runs", f"{name}/x", f"run {name}")
        mapping = ledger.get("mapping")
        return cls(root, name, root / ledger["registration"], root / ledger["data"],
                   root / mapping if mapping else None, ledger["seed"])

    @classmethod
    def of_notebook(cls, output: str) -> "Run":
        """The run that a notebook belongs to, by its parameter `output`.

        A build writes down what a run consists of (`note`), for its notebooks run in processes of
        their own; a notebook that is opened by hand, before any build, belongs to that of record.
        """
        root = find_root()
        run = cls.open(root, "record" if output == "build" else Path(output).name)
        try:
            known = json.loads((run.base / NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return run
        external = {name: Path(place) for name, place in known["external"].items()}
        if run.is_record:  # its data are those that the settings name
            return replace(run, external=external)
        mapping = Path(known["mapping"]) if known["mapping"] else None
        return replace(run, data=Path(known["data"]), mapping=mapping, external=external)

    def note(self) -> Path:
        """Write down what this run consists of, for `of_notebook`."""
        content = {"data": str(self.data), "mapping": str(self.mapping or ""),
                   "external": {name: str(place) for name, place in self.external.items()}}
        return write_atomic(self.base / NOTE, json.dumps(content))

    @property
    def is_record(self) -> bool:
        """Whether this run's ledger is the ledger of record."""
        return self.name == "record"

    @property
    def base(self) -> Path:
        """Where everything generated and not kept lies."""
        return self.root / "build" if self.is_record else self.root / "build" / "runs" / self.name

    @property
    def notebooks(self) -> Path:
        """Executed notebooks."""
        return self.base / "notebooks"

    @property
    def kept(self) -> Path:
        """What pages are made of, as long as it is the same: trees, citations, notebooks' pages."""
        return self.base / "pages"

    @property
    def fragments(self) -> Path:
        """What each notebook found, before it is merged into the ledger."""
        return self.base / "fragments"

    @property
    def ledger(self) -> Path:
        """The ledger of results."""
        return (self.root / "results" if self.is_record else self.base) / "ledger.json"

    @property
    def article(self) -> Path:
        """The paper's source."""
        return self.root / settings(self.root).get("manuscript", {}).get("article", "paper.qmd")

    @property
    def figures(self) -> Path:
        """Figures as SVG, PDF and PNG."""
        return (self.root if self.is_record else self.base) / "figures"

    @property
    def output(self) -> Path:
        """The rendered manuscript."""
        return self.root / "_manuscript" if self.is_record else self.base / "manuscript"

    def relative(self, path: Path) -> str:
        """A path as the ledger has it: from the root, or the bare name of a file elsewhere."""
        path = Path(path).resolve()
        if path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return path.name
