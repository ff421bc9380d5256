"""From an export to the frame that is analyzed: read, check, exclude, recode, weigh.

`examine` is the one way there: the command `check` shows what it finds, `html_report` makes a page
of it for people, and `open_survey` refuses an export for the same errors.
"""

import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import (
    LedgerError,
    Problem,
    alike,
    public_lines,
    require,
    short,
    shown,
    warning_lines,
)
from claimledger.project import sha256_file
from claimledger.registration.models import Registration
from claimledger.survey import checks, qualtrics
from claimledger.survey.checks import at
from claimledger.survey.disclosure import (
    anonymity,
    assert_public,
    identifying_variables,
    known_private,
    private_columns,
    words_of,
)
from claimledger.survey.reading import OPEN, Coded, Export, read_export
from claimledger.survey.recoding import WEIGHT, asked, exclude, outside, recode, staying
from claimledger.survey.tables import distinct, plain
from claimledger.survey.weighting import Raking, rake_as_registered
from claimledger.templates import page

_ROWS = 5        # records named for one kind of problem
_SHEETS = {65_536, 1_048_576}       # lines of the old and the new kind of spreadsheet


@dataclass(frozen=True)
class Survey:
    """A survey that is ready to be analyzed.

    frame: one row for each respondent who stays (see `recode`).
    flow: rows dropped by each registered exclusion: id, label, dropped, left, doubt.
    status: "simulated" or "collected"; world: the simulated world's name, or None.
    recognized: for each item and factor, the form in which its answers stood in the export.
    warnings: what the check found that does not forbid an analysis, a line for each kind.
    doubts: the same without rows and ids, as it may be published.
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
    recognized: dict[str, str]
    warnings: list[str]
    doubts: list[str]

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
    findings = examine(export, registration, root)
    require(path, findings.problems)
    status, world, seed = provenance(path, export.columns)
    return Survey(
        registration=registration, root=root, path=path, sha256=sha256_file(path),
        frame=findings.frame, flow=findings.flow, status=status, world=world, seed=seed,
        recognized=export.recognized, warnings=warning_lines(findings.problems),
        doubts=public_lines(findings.problems),
    )


def manifest_path(path: Path) -> Path:
    """Where the manifest of a simulated export lies: beside it."""
    return Path(path).with_suffix(".manifest.json")


def manifest_of(path: Path) -> dict:
    """What the manifest beside a file says; nothing where there is none."""
    manifest = manifest_path(path)
    if not manifest.is_file():
        return {}
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{content!r}"[:80])
    except (ValueError, UnicodeDecodeError) as error:
        raise LedgerError(
            manifest, found=str(error), expected="the manifest as it was written",
            mend="restore the file, or remove it",
        ) from error
    return content


def provenance(path: Path, cells: pd.DataFrame) -> tuple[str, str | None, int | None]:
    """Whether anything says that no person answered: manifest, column of the file, or its name."""
    says: list[str] = [Path(path).name]
    content = manifest_of(path)
    if content.get("simulated"):
        return "simulated", content.get("world"), content.get("seed")
    if qualtrics.SOURCE in cells:
        says += distinct(cells[qualtrics.SOURCE])
    for text in reversed(says):
        if "simulated" in text.casefold():
            found = re.search(r"world (\w+), seed (\d+)", text)
            return "simulated", found and found[1], found and int(found[2])
    return "collected", None, None


@dataclass(frozen=True)
class Findings:
    """All that a check finds: problems, errors first; and, where it came so far, three tables.

    flow: rows dropped by each registered exclusion (see `exclude`).
    missing: answers missing among those asked, by item and arm (see `missing_by_arm`).
    frame: the frame that is analyzed (see `recode`).
    """

    problems: list[Problem] = field(default_factory=list)
    flow: pd.DataFrame | None = None
    missing: pd.DataFrame | None = None
    frame: pd.DataFrame | None = None
    raking: Raking | None = None


def examine(export: Export, registration: Registration, root: Path | None = None,
            whole: bool = True) -> Findings:
    """Every problem, and the tables that go with them.

    With the project's `root` the registered margins are read, and raking is tried, too. Where the
    frame is not wanted `whole`, it has only the columns that a report needs.
    """
    problems = _file(export) + _columns(export, registration) + _strange(export, registration)
    frame = Coded(export, registration)
    problems += checks.dates(export)
    problems += checks.platform(export, registration)
    problems += checks.questions(export, registration)
    problems += checks.written_ids(export, registration)
    problems += checks.written_numbers(export, registration)
    decisive = {*registration.design.factors, *(rule.column for rule in registration.exclusions)}
    if any(p.severity == "error" and (p.row is None or p.column in decisive) for p in problems):
        return Findings(_sorted(problems))      # who stays where is not known before it is mended
    masks = staying(frame, registration)
    kept, flow = exclude(frame, registration, masks)
    flow["doubt"] = checks.implausible(flow)
    problems += checks.losses(registration, flow)
    missing = made = raking = None
    if len(kept):
        problems += _empty_arms(registration, kept, "warning" if root is None else "error")
        missing = missing_by_arm(export, registration, kept)
        problems += _kept(export, registration, kept)
        problems += checks.allocation(registration, kept)
        problems += checks.unanswered(export, registration, kept)
        problems += checks.sorted_alone(registration, kept)
        problems += checks.recalled(registration, kept)
        problems += checks.test_rows(export, registration, kept)
        problems += checks.repeats(export, registration, masks)
        if registration.design.respondent is None:  # else persons have several rows each
            problems += checks.persons(export, registration, frame, kept)
        problems += checks.uneven(missing)
    if len(kept) and not any(p.severity == "error" for p in problems):
        try:
            made = recode(kept, registration,
                          None if whole else identifying_variables(registration))
            if not whole:       # what all columns are called
                assert_public(recode(kept[np.array([], dtype=int)], registration))
            assert_public(made, known_private(export.columns, registration, words_of(made)))
            if root is not None and registration.weighting and registration.weighting.margins:
                raking = rake_as_registered(made, registration, root)
        except LedgerError as error:
            problems.append(Problem(error.where, error.found, error.expected, error.mend))
    return Findings(_sorted(problems), flow, missing, made, raking)


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: (p.severity, p.row or 0))


def _file(export: Export) -> list[Problem]:
    """Doubts about the file, and what it declares missing."""
    problems = [
        Problem("file", doubt, "a file that leaves no doubt", severity="warning",
                mend="look at it; nothing to do if it is as meant (a mapping can say so)")
        for doubt in export.doubts
    ]
    if (lines := len(export.columns) + export.header_rows) in _SHEETS:
        problems.append(Problem(
            "file", f"{lines:,} lines, as many as a spreadsheet holds", "the whole export",
            "export again, without opening the file in a spreadsheet program", severity="warning"))
    problems += [
        Problem(name, f"{count:,} values that the file declares missing", "answers",
                "nothing to do if they are no answers", severity="warning",
                kind="values that the file itself declares missing were taken as missing")
        for name, count in export.missing.items() if name in export.meanings
    ]
    return problems


def _columns(export: Export, registration: Registration) -> list[Problem]:
    """Columns that are missing, not registered, or not certain."""
    instrument = registration.instrument
    needed = [name for name in instrument.items if registration.scale_of(name).kind != "text"]
    needed = list(dict.fromkeys(
        [*needed, *registration.design.factors, *qualtrics.named(registration)]))
    known = {*needed, *instrument.items, *qualtrics.PLATFORM, *qualtrics.embedded(registration)}
    there = list(export.columns)
    clashing = {name: text for name, text in export.clashes.items() if name in {
        *needed, *qualtrics.ANSWERS, *qualtrics.DATES, *qualtrics.key_columns(registration),
        "ResponseId"}}
    problems = [
        Problem(name, f"several columns that could be it: {text}", "one column",
                f"say which one in a mapping, such as `columns: {{EXPORT NAME: {name}}}`")
        for name, text in clashing.items()
    ]
    strangers = [name for name in there if name not in known]
    problems += [
        Problem(name, "a column that is not registered", "nothing",
                "nothing to do if they hold no answers", severity="warning",
                kind="columns that are not registered")
        for name in strangers
    ]
    if not {*there, *clashing} & {*needed}:
        return [Problem("file", f"none of the {len(needed)} registered columns, but "
                        + ", ".join(short(name[:40]) for name in there[:5]),
                        "the survey's answers, with names of columns in the first line",
                        "look at what the file is: a page, an archive or another survey?")]
    bare = {plain(stranger): stranger for stranger in strangers}
    for name in needed:
        if name in there or name in clashing:
            continue
        near = [bare[found] for found in get_close_matches(plain(name), bare, n=2)]
        others = " or ".join(map(repr, near))
        problems.append(Problem(
            name, f"no such column{f' (but {others})' if near else ''}", "the column",
            f"map {others} to {name!r}" if near else f"export {name!r}, or map a column to it",
        ))
    for name, meaning in export.meanings.items():
        if meaning.form != OPEN:
            continue
        mend = f"say in a mapping what they are: `values: {{{name}: ...}}`"
        if name in instrument.items:
            mend += f", or `codes: {{{name}: registered}}` (or `reversed`, or `texts`)"
        problems.append(Problem(name, f"not certain: {meaning.uncertain}", "one meaning a cell",
                                mend))
    return problems


def _strange(export: Export, registration: Registration) -> list[Problem]:
    """Cells that mean nothing registered, and numbers outside the registered range."""
    problems = []
    for name, meaning in export.meanings.items():
        scale, wrong = registration.scale_of(name), {*meaning.strange}
        if scale and scale.kind == "numeric":
            wrong |= {cell for cell, number in meaning.table.items()
                      if outside(number, scale.minimum, scale.maximum)}
        if wrong:
            rows = export.columns.index[export.columns[name].isin(wrong)]
            problems += checks.told(export, name, rows, *_wanted(registration, name))
    return problems


def _wanted(registration: Registration, column: str) -> tuple[str, str]:
    """What a column may hold, and how to mend it."""
    if column in registration.design.factors:
        levels = registration.design.factors[column].levels
        return ", ".join(levels), f"map the values of {column!r} to level ids"
    scale = registration.scale_of(column)
    if scale.labels:
        labels = ", ".join(f"{code} {label!r}" for code, label in scale.labels.items())
        return labels, f"map the values of {column!r} to codes"
    ends = [f"{'from' if at == 0 else 'to'} {end:g}"
            for at, end in enumerate((scale.minimum, scale.maximum)) if end is not None]
    return (" ".join(["a number", *ends]),
            f"correct {column!r} on the platform, or say that it is no answer in a mapping: "
            f"`values: {{{column}: {{...: missing}}}}`")


def _empty_arms(registration: Registration, kept: pd.DataFrame, severity: str) -> list[Problem]:
    """Arms in which nobody stays: their effects cannot be estimated."""
    problems = []
    for name, factor in registration.design.factors.items():
        absent = [level for level in factor.levels if not (kept[name] == level).any()]
        if absent:
            problems.append(Problem(
                name, f"nobody stays in {', '.join(absent[:5])} ({len(kept):,} stay in all)",
                "respondents in every arm", "export all responses, or find out who was dropped",
                severity=severity, kind="arms in which nobody stays"))  # type: ignore[arg-type]
    return problems


def _kept(export: Export, registration: Registration, kept: pd.DataFrame) -> list[Problem]:
    """Respondents who stay must have a cell of the design, and no answer to what was not asked."""
    problems = []
    for factor in registration.design.factors:
        gone = kept.index[kept[factor].isna()]
        cells = export.columns[factor].loc[gone]
        unknown = export.meanings[factor].strange
        problems += [
            at(export, row, factor, short(cell) if plain(cell) else "nothing",
               "an assigned level",
               f"find out why {factor!r} was not assigned, or exclude the row")
            for row, cell in cells.items() if cell not in unknown
        ]
    assigned = np.all([kept[f].notna() for f in registration.design.factors], axis=0)
    outsiders = {sample: assigned & ~asked(registration, kept, sample)
                 for sample in registration.samples}
    for name, item in registration.instrument.items.items():
        if name not in kept or item.asked not in outsiders:
            continue
        outside = outsiders[item.asked]
        problems += [
            at(export, row, name, "an answer", f"none outside the sample {item.asked!r}",
                f"check who was shown {shown(name)!r}")
            for row in kept.index[outside & kept[name].notna()]
            if plain(export.columns[name].loc[row])
        ]
    return problems


def missing_by_arm(
    export: Export, registration: Registration, kept: pd.DataFrame
) -> pd.DataFrame:
    """Answers missing among those asked: item, factor, level, asked, unanswered, blank.

    `unanswered` counts cells in which the platform says "seen but unanswered", `blank` the rest.
    """
    rows = []
    items, factors = registration.instrument.items, registration.design.factors
    arms = {(factor, level): (cells == level).to_numpy(dtype=bool)
            for factor, about in factors.items() for cells in [kept[factor]]
            for level in about.levels}
    for name, item in items.items():
        if item.role != "outcome" or name not in kept:
            continue
        shown_it = asked(registration, kept, item.asked)
        marked = [cell for cell in distinct(export.columns[name])
                  if plain(cell) == qualtrics.UNANSWERED]
        seen = export.columns[name].isin(marked).to_numpy()[kept.places]
        blank = kept[name].isna().to_numpy() & ~seen
        for (factor, level), arm in arms.items():
            here = shown_it & arm
            if here.any():
                rows.append((name, factor, level, int(here.sum()), int((here & seen).sum()),
                             int((here & blank).sum())))
    return pd.DataFrame(
        rows, columns=["item", "factor", "level", "asked", "unanswered", "blank"])


def html_report(export: Export, findings: Findings, registration: Registration) -> str:
    """The whole report; every text of the export is escaped, and nothing in the page runs."""
    errors = [p for p in findings.problems if p.severity == "error"]
    warnings = [p for p in findings.problems if p.severity == "warning"]
    verdict = (f"The paper cannot be built: {len(errors)} problem(s) have to be mended."
               if errors else "As registered: the paper can be built.")
    parts: list[tuple[str, str | pd.DataFrame]] = [
        ("verdict", verdict),
        ("note", f"Recognized: {export.form}; {len(export.columns):,} records."),
        ("note", "This page quotes cells and ids of the export: it is as private as the file."),
        ("To mend", grouped(errors)), ("To look at", grouped(warnings)),
    ]
    if findings.flow is not None:
        parts.append(("Exclusions, in order", findings.flow))
    if findings.missing is not None:
        parts.append(("Answers missing among those asked, by arm", findings.missing))
    if findings.frame is not None:
        names = identifying_variables(registration)
        table = anonymity(findings.frame, names)
        parts.append(("Anonymity of " + ", ".join(names), table))
    forms = pd.DataFrame(
        list(export.recognized.items()), columns=["item or factor", "its answers stand as"])
    private = pd.DataFrame({"column": private_columns(export.columns)})
    parts += [("How answers were read", forms),
              ("Columns that may tell who answered: read, and never passed on", private)]
    return page(f"Check of {shown(Path(export.path).name)}", parts)


def grouped(problems: list[Problem]) -> pd.DataFrame:
    """Like problems in one row, with the columns and the records where they stand."""
    rows = []
    for members in alike(problems):
        first = members[0]
        places = [f"{p.row} ({p.response or 'no id'})" for p in members if p.row]
        more = f" and {len(places) - _ROWS} more" if len(places) > _ROWS else ""
        columns = ", ".join(dict.fromkeys(shown(p.column) for p in members))
        found = first.kind if first.kind and len(members) > 1 else first.found
        rows.append((columns, ", ".join(places[:_ROWS]) + more, found, first.expected, first.mend))
    return pd.DataFrame(
        rows, columns=["column", "row (response)", "found", "expected", "how to mend"])
