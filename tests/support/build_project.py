"""A project of two tiny notebooks, for tests of the build."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from claimledger.project import Run

PARAMETERS = 'registration = ""\ndata = ""\nseed = 0\noutput = ""'
SAVE = """\
import json, pathlib
folder = pathlib.Path(output, "fragments")
folder.mkdir(parents=True, exist_ok=True)
(folder / "{stem}.json").write_text(json.dumps({{"exhibits": {exhibits}}}))"""


def write_notebook(root: Path, stem: str, *cells: str, exhibits: dict | None = None,
                   parameters: str = PARAMETERS, saves: bool = True) -> Path:
    """Parameters, the given cells, and a last cell that saves what a study would save."""
    sources = [*cells, *([SAVE.format(stem=stem, exhibits=exhibits or {})] if saves else [])]
    code = [new_code_cell(parameters, id="p", metadata={"tags": ["parameters"]})]
    code += [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    path = root / "notebooks" / f"{stem}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=code), path)
    return path


def write_project(root: Path, *stems: str, seconds: int = 60) -> Run:
    """The files around the notebooks."""
    (root / "data").mkdir(parents=True)
    listed = "".join(f"    - notebook: build/notebooks/{stem}.ipynb\n" for stem in stems)
    (root / "_quarto.yml").write_text(
        "ledger:\n  registration: registration.yml\n  data: data/answers.csv\n  seed: 7\n"
        f"  lint: []\n  cell_seconds: {seconds}\n"
        f"manuscript:\n  article: paper.qmd\n  notebooks:\n{listed}")
    for name in ("registration.yml", "registration.lock", "data/answers.csv", "paper.qmd"):
        (root / name).write_text(f"{name}\n")
    return Run.open(root, name="record")
