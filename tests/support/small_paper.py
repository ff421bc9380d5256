"""A whole project that builds in seconds: two small notebooks, real kernels, a real render."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from build_project import PARAMETERS
from engine import surroundings
from unhypothesized import write_registration

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """ledger:
  registration: registration.yml
  data: data/raw/answers.csv
  seed: {seed}
  cell_seconds: 60
  lint: [sec-results]
project:
  type: manuscript
manuscript:
  article: paper.qmd
  notebooks:
    - {{notebook: build/notebooks/01_a.ipynb, title: "One"}}
    - {{notebook: build/notebooks/02_b.ipynb, title: "Two"}}
format:
  html: {{toc: true}}
"""
PAPER = """---
title: "A small paper"
author: Nobody
---

# Results {{#sec-results}}

The first notebook finds {{{{< num a >}}}}, the second {{{{< num b >}}}}.
{more}
"""
CELL = """\
import hashlib, json, pathlib
from claimledger.project import Run, write_atomic
from claimledger.ledger.entries import Entry, dump
run = Run.of_notebook(output)
content = pathlib.Path(data).read_bytes()
value = seed * {times}
entry = Entry(id="{id}", label="The seed, times {times}", value=value, status="description",
              notebook="{stem}", text={{"est": str(value)}})
picture = f"<svg xmlns='http://www.w3.org/2000/svg' id='s{{seed}}'/>"
write_atomic(run.figures / "fig-{id}.svg", picture)
write_atomic(pathlib.Path(output, "fragments", "{stem}.json"), dump({{
    "notebook": "{stem}", "entries": {{"{id}": entry.record()}}, "deviations": [],
    "exhibits": {{"fig-{id}": {{"kind": "figure", "alt": "A picture"}}}},
    "data": {{"file": data, "sha256": hashlib.sha256(content).hexdigest(), "status": "simulated",
             "world": "none"}},
}}))
print("x" * {size})"""


def write_project(place: Path, seed: int = 7, size: int = 10) -> Path:
    """`size`: characters that the second notebook prints."""
    for folder in ("data/raw", "notebooks"):
        (place / folder).mkdir(parents=True)
    write_registration(place)
    shutil.copytree(ROOT / "_extensions", place / "_extensions")
    (place / "data/raw/answers.csv").write_text("answer\n1\n")
    for stem, id, times in (("01_a", "a", 1), ("02_b", "b", 3)):
        label = f"#| label: fig-{id}\n"
        source = label + CELL.format(id=id, times=times, stem=stem, size=size)
        cells = [new_code_cell(PARAMETERS, id="p", metadata={"tags": ["parameters"]}),
                 new_code_cell(source, id="c")]
        nbformat.write(new_notebook(cells=cells), place / "notebooks" / f"{stem}.ipynb")
    set_seed(place, seed)
    return place


def set_seed(place: Path, seed: int) -> None:
    """Another seed is another parameter, so that everything runs anew; the prose changes too."""
    (place / "_quarto.yml").write_text(CONFIG.format(seed=seed))
    (place / "paper.qmd").write_text(PAPER.format(more="Here is a line." if seed % 2 else ""))


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
