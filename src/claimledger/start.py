"""`claimledger new`: a small invented study in an empty folder, whose paper builds as it stands."""

import datetime
import shutil
from pathlib import Path

import claimledger
from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.registration.lock import freeze
from claimledger.simulation.simulate import simulate_file

PACKAGE = Path(claimledger.__file__).parent
TEMPLATE = PACKAGE / "template"
EXTENSION = Path("_extensions/ledger")
WORLD = "example"


def start(folder: Path, today: datetime.date) -> list[Path]:
    """Write the template, its frozen registration, its simulated answers and the extension.

    Returns the files written, sorted. LedgerError for a folder that holds anything.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise LedgerError(
            folder, found="a file" if folder.is_file() else "a folder that is not empty",
            expected="a new or an empty folder", mend="name another folder",
        )
    extension = PACKAGE.parents[1] / EXTENSION
    if not extension.is_dir():
        raise LedgerError(
            extension, found="no such folder", expected="the extension beside the engine's sources",
            mend="install the engine from a clone of its repository: pip install --editable .",
        )
    for source in (path for path in sorted(TEMPLATE.rglob("*")) if path.is_file()):
        name = source.relative_to(TEMPLATE)
        name = name.with_name(".gitignore") if name.name == "gitignore" else name
        write_atomic(folder / name, source.read_bytes())
    shutil.copytree(extension, folder / EXTENSION, ignore=shutil.ignore_patterns("__pycache__"))
    run = Run.open(folder, name="record")
    freeze(run.registration, today)
    simulate_file(run.registration, WORLD, run.data, run.seed)
    return sorted(path for path in folder.rglob("*") if path.is_file())
