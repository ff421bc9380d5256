"""Open a survey: read, check, exclude, recode; and say whether people answered it."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.project import sha256_file
from claimledger.registration.models import Registration
from claimledger.survey import qualtrics
from claimledger.survey.checks import examine, require
from claimledger.survey.problem import warning_lines
from claimledger.survey.reading import distinct, read_export
from claimledger.survey.recoding import WEIGHT
from claimledger.survey.weighting import Raking, rake_as_registered


@dataclass(frozen=True)
class Survey:
    """A survey that is ready to be analysed.

    frame: one row for each respondent who stays (see `recode`).
    flow: rows dropped by each registered exclusion: id, label, dropped, left.
    status: "simulated" or "collected"; world: the simulated world's name, or None.
    recognised: for each item and factor, the form in which its answers stood in the export.
    warnings: what the check found that does not forbid an analysis, a line for each kind.
    """

    registration: Registration
    root: Path
    path: Path
    sha256: str
    frame: pd.DataFrame
    flow: pd.DataFrame
    status: str
    world: str | None
    seed: int | None
    recognised: dict[str, str]
    warnings: list[str]

    @cached_property
    def raking(self) -> Raking:
        """Weights raked to the registered margins, with their report; made when first asked for."""
        return rake_as_registered(self.frame, self.registration, self.root)

    @property
    def weights(self) -> pd.Series:
        """One weight for each row of the frame: raked ones with mean 1, or those given."""
        weighting = self.registration.weighting
        return self.frame[WEIGHT] if weighting and weighting.column else self.raking.weights


def open_survey(
    path: Path, registration: Registration, root: Path, mapping: Path | None = None
) -> Survey:
    """Read, check, exclude and recode an export; a LedgerError lists everything that is wrong."""
    path, root = Path(path), Path(root)
    export = read_export(path, registration, mapping)
    findings = examine(export, registration)
    require(path, findings.problems)
    status, world, seed = provenance(path, export.columns)
    return Survey(
        registration=registration, root=root, path=path, sha256=sha256_file(path),
        frame=findings.frame, flow=findings.flow, status=status, world=world, seed=seed,
        recognised=export.recognised, warnings=warning_lines(findings.problems),
    )


def manifest_path(path: Path) -> Path:
    """Where the manifest of a simulated export lies: beside it."""
    return Path(path).with_suffix(".manifest.json")


def provenance(path: Path, cells: pd.DataFrame) -> tuple[str, str | None, int | None]:
    """Whether anything says that no person answered: manifest, column of the file, or its name."""
    says: list[str] = [Path(path).name]
    manifest = manifest_path(path)
    if manifest.is_file():
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            raise LedgerError(
                manifest, found=str(error), expected="the manifest as it was written",
                mend="restore the file, or remove it",
            ) from error
        if content.get("simulated"):
            return "simulated", content.get("world"), content.get("seed")
    if qualtrics.SOURCE in cells:
        says += distinct(cells[qualtrics.SOURCE])
    for text in reversed(says):
        if "simulated" in text.casefold():
            found = re.search(r"world (\w+), seed (\d+)", text)
            return "simulated", found and found[1], found and int(found[2])
    return "collected", None, None
