"""What goes into an archive, and what is known of it: files, data, exhibits, authors."""

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.ledger.entries import load_ledger
from claimledger.pipeline import build
from claimledger.pipeline import notebooks as execute
from claimledger.project import Run, load_yaml, settings, sha256_file
from claimledger.rendering.document import epoch, read_paper

CHECKSUMS = "SHA256SUMS"
RAW = "data/raw"
GENERATED = ("build", "_manuscript", "figures", "__pycache__")


@dataclass(frozen=True)
class Exhibit:
    """A figure or table: its label, the caption as printed, and the notebook that makes it."""

    label: str
    kind: str
    caption: str
    notebook: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """A built paper of record, as an archive wants to describe it."""

    run: Run

    @cached_property
    def ledger(self) -> dict:
        """The ledger of record."""
        return load_ledger(self.run.ledger)

    @property
    def header(self) -> dict:
        """The header of the ledger."""
        return self.ledger["header"]

    @property
    def moment(self) -> int:
        """The one date of all outputs, in seconds."""
        paper = read_paper(build.article(self.run), settings(self.run.root))
        return epoch(paper.options, dict(os.environ))

    @cached_property
    def citation(self) -> dict:
        """`CITATION.cff`: title, authors, licences, version."""
        path = self.run.root / "CITATION.cff"
        content = load_yaml(path, "how this paper is cited, in the Citation File Format, 1.2.0")
        for key in ("title", "authors", "license", "version", "abstract"):
            if not isinstance(content, dict) or not content.get(key):
                raise LedgerError(f"{path.name}: {key}", found="nothing", expected="a value")
        return content

    @cached_property
    def sources(self) -> list[str]:
        """Files of the project, without raw data that may not be published."""
        return [name for name in _listed(self.run.root) if name not in self.withheld]

    @cached_property
    def withheld(self) -> list[str]:
        """Raw files that are not shown to be simulated: they may hold what identifies people."""
        raw = [name for name in _listed(self.run.root) if name.startswith(f"{RAW}/")]
        open_files = {name for name in raw if _is_simulated(self.run.root / name)}
        beside = {str(Path(name).with_suffix(".manifest.json")) for name in open_files}
        return [name for name in raw if name not in open_files | beside and
                Path(name).name != "README.md"]

    @cached_property
    def outputs(self) -> list[str]:
        """What the build made: the paper, its pages, the executed notebooks, the figures."""
        made = [self.run.output / name for name in build.OUTPUTS.values()]
        made += sorted((self.run.output / "build" / "notebooks").glob("*.html"))
        made += [execute.executed_of(self.run, stem) for stem in build.stems(self.run)]
        made += sorted(path for path in self.run.figures.glob("*.*") if path.suffix != ".md")
        return [self.run.relative(path) for path in made]

    @cached_property
    def exhibits(self) -> list[Exhibit]:
        """Every figure and table, in the order of the paper, those that it does not show last."""
        page = (self.run.output / build.OUTPUTS["html"]).read_text("utf-8")
        place = {label: page.find(f'id="{label}"') for label in self.ledger["exhibits"]}
        order = sorted(place, key=lambda label: (place[label] < 0, place[label], label))
        return [
            Exhibit(
                label, known["kind"], _caption(page, place[label]), known["notebook"],
                tuple(name for name in self.outputs if Path(name).stem == label),
            )
            for label in order for known in [self.ledger["exhibits"][label]]
        ]

    def sha256(self, name: str) -> str:
        """A file's checksum."""
        return sha256_file(self.run.root / name)


def checksums(files: dict[str, bytes]) -> str:
    """One line a file, as `sha256sum --check` reads it."""
    return "".join(
        f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)
    )


def _listed(root: Path) -> list[str]:
    """The files that belong to the project: as git has them, as an archive lists them, or all.

    In a folder that is neither, such as a new study's, all files are the project's but for what is
    hidden or generated.
    """
    if (root / CHECKSUMS).is_file() and not (root / ".git").exists():
        lines = (root / CHECKSUMS).read_text("utf-8").splitlines()
        names = [line.split("  ", 1)[1] for line in lines if "  " in line]
    elif not (names := _tracked(root)):
        paths = (path.relative_to(root) for path in root.rglob("*"))
        names = [path.as_posix() for path in paths if path.parts[0] not in GENERATED
                 and not any(part.startswith(".") for part in path.parts)]
    return sorted(name for name in names if _inside(root, name))


def _tracked(root: Path) -> list[str]:
    """What git has of a folder; nothing without git, or outside a checkout."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z", "--cached"], cwd=root, capture_output=True, text=True)
    except OSError:
        if (root / ".git").exists():
            raise LedgerError(
                "archive", found="a checkout, and no git on this machine",
                expected="a list of the files that belong to the project", mend="install git",
            ) from None
        return []
    return [name for name in done.stdout.split("\0") if name] if not done.returncode else []


def _inside(root: Path, name: str) -> bool:
    """Whether it is a file of the project itself: no link, nothing above the root."""
    path = root / name
    return path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root)


def _is_simulated(path: Path) -> bool:
    """Whether the manifest beside says so of these very bytes."""
    try:
        manifest = json.loads(path.with_suffix(".manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return manifest.get("simulated") is True and manifest.get("sha256") == sha256_file(path)


def _caption(page: str, start: int) -> str:
    """The caption as printed, with its number; empty for what the paper does not show."""
    if start < 0:
        return ""
    found = re.compile(r"<(figcaption|caption)\b[^>]*>(.*?)</\1>", re.S).search(page, start)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", found[2])).split()) if found else ""
