"""A whole project that builds in seconds: two small notebooks, real kernels, a real render."""

import shutil
import subprocess
import sys
from pathlib import Path

from engine import surroundings
from unhypothesized import write_registration

ROOT = Path(__file__).resolve().parents[2]
SMALL = Path(__file__).parent / "small"


def write_project(place: Path) -> Path:
    """The project, with seed 7."""
    shutil.copytree(SMALL, place)
    write_registration(place)
    shutil.copytree(ROOT / "_extensions", place / "_extensions")
    set_seed(place, 7)
    return place


def set_seed(place: Path, seed: int) -> None:
    """Another seed is another parameter, so that everything runs anew; the prose changes too."""
    config, paper = ((SMALL / name).read_text("utf-8") for name in ("_quarto.yml", "paper.qmd"))
    (place / "_quarto.yml").write_text(config.replace("seed: 7", f"seed: {seed}"))
    (place / "paper.qmd").write_text(paper + "Here is a line.\n" * (seed % 2))


def start(place: Path, *prefix: str, **options) -> subprocess.Popen:
    """`claimledger render` in its own process, which a program before it may restrict."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "claimledger", "render"], cwd=place,
        env=surroundings(ROOT), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        **options)


def render(place: Path, *prefix: str, **options) -> tuple[int, str]:
    """Status of a build, and what it said."""
    process = start(place, *prefix, **options)
    said = "".join(process.communicate(timeout=300))
    return process.returncode, said


def record(place: Path) -> dict[str, bytes]:
    """Everything that a reader may open: ledger, figures, executed notebooks, paper, data."""
    found = {}
    for folder in ("results", "figures", "build/notebooks", "build/fragments", "_manuscript",
                   "data"):
        for path in sorted((place / folder).rglob("*")):
            if path.is_file() and not path.name.endswith(".partial"):
                found[path.relative_to(place).as_posix()] = path.read_bytes()
    return found
