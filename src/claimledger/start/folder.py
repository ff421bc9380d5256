"""The folder of a new study, from a design or the file of a survey platform."""

import datetime
import json
import re
import shutil
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.prose.lint import states_result
from claimledger.registration.analyses import POINTS, Analysis, Hypothesis
from claimledger.registration.loading import load, write_schema
from claimledger.registration.lock import freeze
from claimledger.registration.models import Registration
from claimledger.settings import CONFIG, settings
from claimledger.simulation.assumptions import FILE as SIMULATION_FILE
from claimledger.simulation.platform_file import export
from claimledger.start.assumed import assumptions
from claimledger.start.draft import draft
from claimledger.statistics.estimators import contrasts_of, moderator_values
from claimledger.templates import TEMPLATE, fill

PACKAGE = TEMPLATE.parent
DESIGNS = tuple(sorted(path.stem for path in (TEMPLATE / "designs").glob("*.yml")))
EXTENSION = Path("_extensions/ledger")
WORLD = "example"
DATA = f"data/raw/answers-simulated-{WORLD}.csv"
STEM = "01_results"


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
    text, mapping = draft(source) if source else (
        (TEMPLATE / "designs" / f"{design}.yml").read_text(encoding="utf-8"), "")
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
        write_atomic(folder / "mapping.yml", mapping)
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
            ("paper.qmd", paper(registration)),
            ("CITATION.cff", fill("parts/CITATION.cff", study=registration.study)),
        ) if not (run.root / name).exists()]
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


# What it starts from, by its registration: notebook, paper, and how it is cited.


class Group:
    """One family of hypotheses, or one set of comparisons, as notebook and paper show it."""

    def __init__(self, r: Registration, id: str, members: list[Analysis]):
        """Gather the models that are fitted, and the panels of the figure."""
        self.id, self.members, self.family = id, members, r.families[members[0].family]
        self.key = re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-")      # in labels of cells
        self.name = re.sub(r"\W+", "_", id.lower())
        self.title = typed(self.family.label, "as registered")
        self.caption = self.title.replace('"', '\\"')
        self.method, self.procedure = {
            "holm": ("holm", "Holm's step-down procedure"),
            "bh": ("fdr_bh", "the procedure of Benjamini and Hochberg")}.get(
                self.family.correction, ("", ""))
        self.bounded = any(a.bound(1.0) is not None for a in members)
        self._fit(r)
        self._draw(r)

    def _fit(self, r: Registration) -> None:
        """What is fitted, each model once; of each member the name of its fit, or None."""
        self.fits, given = {}, {}
        known = {*r.instrument.items, *r.instrument.derived}
        for a in self.members:
            if _own(r, a):
                given[a.id] = "None"
                continue
            kind = (a.frame, a.sample, tuple(a.stack) or a.outcome, a.model, a.weighted, a.vcov)
            if kind not in self.fits:
                names = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", a.model))
                used = [name for name in names if name in known]
                rows = (f'study.stacked({json.dumps(a.stack)}, "{a.sample}")' if a.stack else
                        f'study.sample("{a.sample}").dropna(subset={json.dumps(used)})')
                self.fits[kind] = {
                    "a": a, "name": f"fit_{len(self.fits) + 1}" if self.fits else "fit",
                    "rows": rows if len(rows) < 90 else rows.replace("(", "(\n    ", 1)}
            given[a.id] = self.fits[kind]["name"]
        self.own = [id for id, fit in given.items() if fit == "None"]
        self.each = given[self.members[0].id] if len({*given.values()}) == 1 else "{" + ", ".join(
            f'"{id}": {fit}' for id, fit in given.items()) + "}"
        vcov = next((a for a in self.members if a.id not in self.own), self.members[0]).vcov
        rows = "cluster" if r.design.clusters else "respondent"
        self.clustered = (f', groups=rows["{rows}"], correction="{vcov}"'
                          if self.fits and vcov in ("CR2", "stata", "survey") else "")

    def _draw(self, r: Registration) -> None:
        """A panel for all that have the same outcome and bound; joint tests have no estimate."""
        panels: dict[str, list[Analysis]] = {}
        for a in self.members:
            if not getattr(a, "joint", []):
                bound = str((a.sesoi, getattr(a, "margin", None)))
                panels.setdefault(f"{a.stack or a.outcome} {bound}", []).append(a)
        self.panels = [{
            "ids": json.dumps([a.id for a in part]), "bounded": part[0].bound(1.0) is not None,
            "unit": "as a share" if _unit(r, part[0]) == POINTS else "in points",
        } for part in panels.values()]
        self.heights = [round(0.75 + 0.35 * _rows(part), 2) for part in panels.values()]
        self.height = round(sum(self.heights) if len(panels) > 1
                            else 1.1 + 0.35 * _rows(self.members), 2)

    def corrected(self, p: str) -> str:
        """The code that corrects p values."""
        return f'multipletests({p}, method="{self.method}")[1]' if self.method else p


def _groups(r: Registration) -> list[Group]:
    families = {name: [h for h in r.hypotheses if h.family == name] for name in r.families}
    return [Group(r, name, members) for name, members in (
        families | {one.id: [one] for one in r.comparisons}).items() if members]


def notebook(registration: Registration) -> str:
    """A notebook that tests every registered family and comparison, without stored output."""
    text = fill("parts/notebook.txt", stem=STEM, groups=_groups(registration))
    parts = re.split(r"^# %% (\w+)\n", text, flags=re.MULTILINE)[1:]
    cells = []
    for number, (kind, source) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        cell = {"cell_type": "markdown" if kind == "markdown" else "code", "id": f"01-{number:02}",
                "metadata": {"tags": ["parameters"]} if kind == "parameters" else {},
                "source": source.rstrip("\n").splitlines(keepends=True)}
        cells.append(cell if kind == "markdown" else cell | {
            "execution_count": None, "outputs": []})
    return json.dumps({
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }, indent=1, ensure_ascii=False) + "\n"


def paper(registration: Registration) -> str:
    """The text of `paper.qmd`: one sentence a line, numbers and verdicts by tokens."""
    def unit(h: Hypothesis) -> str:
        said = _unit(registration, h)
        return f" {POINTS}" if said == POINTS else " points" if said else ""

    return fill("parts/paper.qmd", study=registration.study, hypotheses=registration.hypotheses,
                groups=_groups(registration), stem=STEM, typed=typed, unit=unit)


def typed(text: str, reason: str) -> str:
    """A text whose numbers and words of direction may stand as they are typed."""
    return f'[{text}]{{.typed reason="{reason}"}}' if states_result(text) else text


def _unit(r: Registration, a: Analysis) -> str:
    return r.unit((a.stack or [str(a.outcome)])[0])


def _rows(members: list[Analysis]) -> int:
    """Rows of a figure: of hypotheses one each, of a comparison its pairs at each value."""
    return sum(len(contrasts_of(a)) * max(1, len(moderator_values(a))) for a in members)


def _own(r: Registration, a: Analysis) -> bool:
    """Whether only the estimators of this package give what is registered to the letter."""
    sampled = r.weighting and (r.weighting.strata or r.weighting.clusters)
    return (a.estimator != "ols" or a.missing != "complete" or bool(a.at)
            or bool(a.vcov == "survey" and sampled))
