"""The paper under another state: that of the commit which a page is of, or other versions.

The colophon of a page names its words: the SHA-1 over the names and git objects of the article and
of what it includes. The ledger names the engine: the SHA-256 over its modules, as `sha256_tree` has
it. Other versions of packages get a scratch environment, in which `uv run` repeats the command.
"""

import hashlib
import importlib.metadata
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import claimledger
from claimledger.errors import LedgerError
from claimledger.project import Run, git

NEWEST = 500  # commits that are looked through
SECONDS = 1800  # for the build of an old commit
ENGINE = "src/claimledger"
INCLUDE = re.compile(r"\{\{<\s*include\s+(\S+)\s*>\}\}")
OFFER = "name them like `--with pandas==3.0.0`, or `--with pandas` for the newest"


@dataclass(frozen=True)
class Commit:
    """A commit of the project; `exact` where its engine is that of the page, too."""

    id: str
    date: str
    exact: bool

    def __str__(self) -> str:
        """Its short id and date."""
        return f"commit {self.id[:10]} of {self.date}"


def words_here(run: Run) -> str:
    """The digest of the words as they are now."""
    names = _included(run, run.article.read_bytes())
    return _words(names, {name: _blob((run.root / name).read_bytes()) for name in names
                          if (run.root / name).is_file()})


def _words(names: list[str], files: dict[str, str]) -> str:
    """SHA-1 over names and git objects; a file that is missing counts as an empty one."""
    listed = "".join(f"{name} {files.get(name, _blob(b''))}\n" for name in names)
    return hashlib.sha1(listed.encode()).hexdigest()


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d" % len(data) + bytes(1) + data).hexdigest()


def _included(run: Run, content: bytes) -> list[str]:
    """The article and what it includes."""
    return [run.relative(run.article), *INCLUDE.findall(content.decode("utf-8", "replace"))]


def find(run: Run, words: str, engine: str) -> Commit | None:
    """The newest commit with these words, with this engine if there is one; None without git."""
    paper, found = run.relative(run.article), None
    read = cache(lambda blob: git(run.root, "cat-file", "blob", blob))
    for line in git(run.root, "log", f"-n{NEWEST}", "--format=%H %cs").decode().splitlines():
        id, date = line.split()
        listed = git(run.root, "ls-tree", "-r", "-z", id).decode().split("\0")
        files = {name: about.split()[2] for about, _, name in (one.partition("\t")
                                                              for one in listed if one)}
        if paper in files and words == _words(_included(run, read(files[paper])), files):
            commit = Commit(id, date, _engine(read, files) == engine)
            if commit.exact:
                return commit
            found = found or commit
    return found


def _engine(read: Callable[[str], bytes], files: dict[str, str]) -> str:
    """As `sha256_tree` has it."""
    digest = hashlib.sha256()
    for path in sorted(Path(name).relative_to(ENGINE) for name in files
                       if name.startswith(f"{ENGINE}/") and name.endswith(".py")):
        content = read(files[f"{ENGINE}/{path.as_posix()}"])
        digest.update(f"{path.as_posix()}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def build(run: Run, commit: Commit, folder: Path) -> Run | None:
    """The paper of a commit, built in a folder by its own engine; None where that fails."""
    packed = git(run.root, "archive", "--format=tar", commit.id)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tree:
        tree.extractall(folder, filter="data")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLEDGER_")}
    own = {"PYTHONPATH": str(folder / "src"), "CLAIMLEDGER_RENDERER": "embedded", "CI": "true"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "claimledger", "render", "--formats", "html"], cwd=folder,
            env=kept | own, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None
    return Run.open(folder) if done.returncode == 0 else None


def requirements(wanted: list[str]) -> list[Requirement]:
    """The packages to replace; only names and versions, so that nothing strange is fetched."""
    parsed = []
    for one in wanted:
        try:
            requirement = Requirement(one)
            found = "an address" if requirement.url else ""
        except InvalidRequirement as error:
            found = str(error).splitlines()[0]
        if found:
            raise LedgerError(f"--with {one}", found=found, expected="a name and a version",
                              mend=OFFER)
        parsed.append(requirement)
    return parsed


def pins(replaced: list[Requirement]) -> list[str]:
    """What the engine needs, in the versions that it runs with here, but for what is replaced."""
    names = {canonicalize_name(one.name) for one in replaced}
    needed = [Requirement(line) for line in importlib.metadata.requires("claimledger") or []]
    kept = [one.name for one in needed if one.marker is None
            and canonicalize_name(one.name) not in names]
    return [*(f"{name}=={importlib.metadata.version(name)}" for name in kept), *map(str, replaced)]


def run_there(root: Path, wanted: list[str], arguments: list[str]) -> int:
    """`claimledger ARGUMENTS` under other versions; its exit status."""
    uv, asked = _uv(), pins(requirements(wanted))
    with tempfile.TemporaryDirectory(prefix="verify-with-") as folder:
        (Path(folder) / "claimledger").symlink_to(Path(claimledger.__file__).parent)
        command = [uv, "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable]
        command += [part for one in asked for part in ("--with", one)]
        environment = _environment(root) | {"PYTHONPATH": folder, "PYTHONNOUSERSITE": "1"}
        print(f"making an environment with {', '.join(wanted)}", file=sys.stderr, flush=True)
        made = subprocess.run([*command, "python", "-c", "import claimledger"], cwd=root,
                              env=environment, capture_output=True, text=True)
        if made.returncode:
            last = "\n    ".join(made.stderr.strip().splitlines()[-12:])
            raise LedgerError(
                f"--with {' --with '.join(wanted)}",
                found=f"the environment was not made:\n    {last}", mend="correct the versions",
                expected="versions that exist and fit together, and a package index within reach")
        return subprocess.run([*command, "python", "-m", "claimledger", *arguments], cwd=root,
                              env=environment).returncode


def _uv() -> str:
    """Where `make` puts it, in this very environment, or wherever it is installed."""
    places = [str(Path(sys.prefix) / "tools" / "bin"), str(Path(sys.executable).parent)]
    found = shutil.which("uv", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if not found:
        raise LedgerError("--with", found="no uv on this machine", expected="uv, which makes "
                          "environments", mend="run `make paper` once, which fetches it, or "
                          "install uv")
    return found


def _environment(root: Path) -> dict[str, str]:
    """uv with the index that is set for pip, and with a cache that it can write to."""
    variables = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_OFFLINE"} & variables.keys():
        asked = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"],
                               capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.strip():
            variables["UV_DEFAULT_INDEX"] = asked.stdout.strip()
    if not os.access(variables.get("XDG_CACHE_HOME") or Path.home(), os.W_OK):
        variables.setdefault("UV_CACHE_DIR", str(root / "build" / "uv"))
    return variables
