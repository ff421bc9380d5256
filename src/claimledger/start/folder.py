"""The folder of a new study: from a design to start from, or from the file of a survey platform."""

import datetime
import shutil
from pathlib import Path

import claimledger
from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.registration.loading import load
from claimledger.registration.lock import freeze
from claimledger.registration.schema import write_schema
from claimledger.settings import CONFIG, settings
from claimledger.simulation.assumptions import FILE as SIMULATION_FILE
from claimledger.simulation.platform_file import export
from claimledger.start.assumed import assumptions
from claimledger.start.documents import STEM, citation, notebook, paper
from claimledger.start.draft import columns_of, draft

PACKAGE = Path(claimledger.__file__).parent
TEMPLATE = PACKAGE / "template"
DESIGNS = tuple(sorted(path.stem for path in (TEMPLATE / "designs").glob("*.yml")))
EXTENSION = Path("_extensions/ledger")
WORLD, SEED = "example", 1
DATA = f"data/raw/answers-simulated-{WORLD}.csv"


def start(
    folder: Path, today: datetime.date, design: str = "two-arm", source: Path | None = None
) -> list[Path]:
    """Write the folder of a new study.

    Of a design: with a registration that is frozen, simulated answers, a notebook and a paper that
    build. Of a platform's file (`source`): with a draft of the registration, in which everything
    uncertain is marked; `complete` writes the rest when it is frozen. Returns the files, sorted.

    Raises
    ------
    LedgerError : a folder that holds anything; an unknown design; a file that cannot be read.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise LedgerError(
            folder, found="a file" if folder.is_file() else "a folder that is not empty",
            expected="a new or an empty folder", mend="name another folder")
    if design not in DESIGNS:
        raise LedgerError(f"design {design}", found="no such design",
                          expected="one of " + ", ".join(DESIGNS), mend="correct the name")
    text = (draft(source) if source
            else (TEMPLATE / "designs" / f"{design}.yml").read_text(encoding="utf-8"))
    for path in (path for path in sorted(TEMPLATE.iterdir()) if path.is_file()):
        name = ".gitignore" if path.name == "gitignore" else path.name
        write_atomic(folder / name, path.read_bytes())
    shutil.copytree(_extension(), folder / EXTENSION, ignore=shutil.ignore_patterns("__pycache__"))
    write_atomic(folder / "notebooks/_metadata.yml",
                 (TEMPLATE / "parts" / "notebooks.yml").read_bytes())
    write_atomic(folder / "registration.yml", text)
    write_schema(folder / "registration.yml", "registration")
    write_schema(folder / CONFIG, "settings")
    if source:
        write_atomic(folder / "mapping.yml", columns_of(source))
    else:
        complete(Run.open(folder, name="record"))
        freeze(folder / "registration.yml", today)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def complete(run: Run) -> list[Path]:
    """Write what a study lacks, from its registration: assumptions, answers, notebook, paper.

    What is there is left as it is, and so is a project whose settings name other notebooks.
    """
    named = settings(run.root).get("manuscript", {}).get("notebooks", [])
    if [Path(one["notebook"]).stem for one in named] != [STEM]:
        return []
    registration = load(run.registration)
    written = [
        write_atomic(run.root / name, text) for name, text in (
            (SIMULATION_FILE, assumptions(registration)),
            (f"notebooks/{STEM}.ipynb", notebook(registration)),
            ("paper.qmd", paper(registration)), ("CITATION.cff", citation(registration)),
        ) if not (run.root / name).exists()
    ]
    if not run.data.exists() and run.data == run.root / DATA:
        written += export(
            run.data, run.registration, run.root / SIMULATION_FILE, WORLD, run.seed)
    return written


def _extension() -> Path:
    """The Quarto extension: in the installed package, or beside the sources of a clone."""
    for path in (PACKAGE / EXTENSION, PACKAGE.parents[1] / EXTENSION):
        if path.is_dir():
            return path
    raise LedgerError(
        PACKAGE, found=f"no {EXTENSION}", expected="the Quarto extension of the package",
        mend="install it anew: pip install --force-reinstall claimledger")
