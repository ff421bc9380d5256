"""Paths, settings and files of a project: each path is named here once."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import yaml

from claimledger.errors import LedgerError

CONFIG = "_quarto.yml"
SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it exists
NOTE = "run.json"  # below a run's folder: what the run consists of
_PLAIN = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEP, _MANY = 50, 1_000_000      # levels and values that a YAML file may hold, aliases written out
PARTIAL = ".partial"  # the end of the name of a file that is being written


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
            mend="free space, or change the folder's permissions",
        ) from error


def inside(root: Path, name: str, where: str) -> Path:
    """A path below the root, by a name that somebody wrote into a file; never one outside."""
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise LedgerError(
            where, found=name, expected="a file of this project",
            mend="copy the file into the project, and name it from the project's folder",
        )
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


def sha256_tree(folder: Path, pattern: str = "*.py") -> str:
    """One SHA-256 for all files under a folder that match, by relative name and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
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
        mend="change to the project's folder",
    )


_WORDS = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")


class _Safe(SAFE):
    """YAML that makes plain values only, and refuses a key given twice, which YAML would drop.

    As in YAML 1.2, which editors and Quarto read, `yes` and `no` are words, and so are dates.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in _WORDS]
        for first, pairs in SAFE.yaml_implicit_resolvers.items()
    }


class _Texts(_PLAIN):
    """YAML in which every value is text, so that Yes is a word and 1 a code."""


def _unique_keys(loader, node: yaml.MappingNode) -> dict:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a list or a mapping in the place of a key", key.start_mark)
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key.value}` stands twice", key.start_mark)
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Safe.add_implicit_resolver(_WORDS[0], re.compile(r"(true|false)$", re.IGNORECASE), list("tTfF"))
for _loader in (_Safe, _Texts):
    _loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_keys)


def load_yaml(path: Path, expected: str, texts: bool = False) -> object:
    """The content of a YAML file, as plain values (or as texts only).

    Refused are a key that stands twice, code, more than 50 levels, and aliases that would make
    more than a million values of a few lines.

    Parameters
    ----------
    path : file, in UTF-8.
    expected : what the file should be, in words, for the errors.
    texts : whether all values stay texts.

    Raises
    ------
    LedgerError
        No such file, not UTF-8, or not such YAML; with the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        _bound(text)
        return yaml.load(text, Loader=_Texts if texts else _Safe)
    except FileNotFoundError as error:
        raise LedgerError(path, found="no such file", expected=expected) from error
    except OSError as error:
        raise LedgerError(path, found=error.strerror, expected=expected) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise LedgerError(
            path, found=" ".join(str(error).split())[:500], expected=f"valid YAML: {expected}",
            mend="correct the line named above",
        ) from error


def _bound(text: str) -> None:
    """Raise for YAML too deep, or too large with its aliases written out, before it is built."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    count = 0
    for event in yaml.parse(text, Loader=SAFE):
        if isinstance(event, yaml.events.AliasEvent):
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.events.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.events.CollectionStartEvent):
            open_.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = count - before
        if len(open_) > _DEEP or count > _MANY:
            raise yaml.MarkedYAMLError(
                problem=f"more than {_DEEP} levels" if len(open_) > _DEEP
                else f"more than {_MANY:,} values", problem_mark=event.start_mark)


def settings(root: Path) -> dict:
    """`_quarto.yml` as a dictionary; under `ledger` stand the paths, the seed, what is linted."""
    path = Path(root) / CONFIG
    config = load_yaml(path, "the settings of the paper")
    for key in ("registration", "data", "seed", "lint"):
        ledger = config.get("ledger") if isinstance(config, dict) else None
        if key not in (ledger if isinstance(ledger, dict) else {}):
            raise LedgerError(
                f"{CONFIG}: ledger.{key}", found="nothing", expected="a value",
                mend=f"add `{key}:` under `ledger:`",
            )
    if config["ledger"].get("notebooks"):  # named there, Quarto does not convert each four times
        manuscript = config.get("manuscript") or {}
        config["manuscript"] = manuscript | {"notebooks": config["ledger"]["notebooks"]}
    return config


def notebook_stems(root: Path) -> list[str]:
    """The notebooks in reading order, as `_quarto.yml` lists them."""
    listed = settings(root).get("manuscript", {}).get("notebooks", [])
    names = [entry if isinstance(entry, str) else entry["notebook"] for entry in listed]
    if not names:
        raise LedgerError(
            f"{CONFIG}: ledger.notebooks", found="nothing", expected="a list of notebooks",
        )
    return [Path(name).stem for name in names]


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
    def open(
        cls, root: Path | None = None, name: str = "record", data: Path | str | None = None,
        mapping: Path | str | None = None, external: dict[str, Path] | None = None,
    ) -> "Run":
        """Read the settings; arguments win over them."""
        root = find_root(root)
        ledger = settings(root)["ledger"]
        inside(root / "build" / "runs", f"{name}/x", f"run {name}")
        mapping = mapping or ledger.get("mapping")
        return cls(
            root=root, name=name, registration=root / ledger["registration"],
            data=root / (data or ledger["data"]), mapping=root / mapping if mapping else None,
            seed=int(ledger["seed"]), external=external or {},
        )

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
    def fragments(self) -> Path:
        """What each notebook found, before it is merged into the ledger."""
        return self.base / "fragments"

    @property
    def ledger(self) -> Path:
        """The ledger of results."""
        return (self.root / "results" if self.is_record else self.base) / "ledger.json"

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
