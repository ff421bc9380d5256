"""Is an export what the registration says it should be? Every problem at once, with a remedy.

`examine` is the one way from an export to the frame that is analysed: the command `check` shows
what it finds, and `open_survey` refuses an export for the same errors.
"""

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration
from claimledger.survey import plausibility, qualtrics
from claimledger.survey.disclosure import assert_public, known_private, words_of
from claimledger.survey.plausibility import RARE, missing_by_arm
from claimledger.survey.problem import Problem, at, require, short, shown
from claimledger.survey.reading import OPEN, Export, coded, read_export
from claimledger.survey.recoding import exclude, recode
from claimledger.survey.weighting import Raking, rake_as_registered

__all__ = ["Findings", "Problem", "check", "check_export", "examine", "require"]

_MOST = 1000     # rows told one by one for each column


@dataclass(frozen=True)
class Findings:
    """All that a check finds: problems, errors first; and, where it came so far, four tables.

    flow: rows dropped by each registered exclusion (see `exclude`).
    missing: answers missing among those asked, by item and arm (see `missing_by_arm`).
    kept: the coded rows that stay.
    frame: the frame that is analysed (see `recode`).
    """

    problems: list[Problem] = field(default_factory=list)
    flow: pd.DataFrame | None = None
    missing: pd.DataFrame | None = None
    kept: pd.DataFrame | None = None
    frame: pd.DataFrame | None = None
    raking: Raking | None = None


def check(path: Path, registration: Registration, mapping: Path | None = None) -> list[Problem]:
    """Every problem of an export, errors first."""
    return check_export(read_export(path, registration, mapping), registration)


def check_export(export: Export, registration: Registration) -> list[Problem]:
    """The same for an export that has been read."""
    return examine(export, registration).problems


def examine(export: Export, registration: Registration, root: Path | None = None) -> Findings:
    """Every problem, and the tables that go with them.

    With the project's `root` the registered margins are read, and raking is tried, too.
    """
    problems = _file(export) + _columns(export, registration)
    frame, strange = coded(export, registration)
    problems += _strange(export, registration, strange) + _ranges(export, registration, frame)
    del strange
    problems += plausibility.dates(export)
    problems += plausibility.platform(export, registration)
    problems += plausibility.questions(export, registration)
    problems += plausibility.rounded_ids(export, registration)
    if any(p.row is None and p.severity == "error" for p in problems):
        return Findings(_sorted(problems))
    kept, flow = exclude(frame, registration)
    problems += plausibility.losses(registration, flow, len(frame))
    missing = made = raking = None
    if len(kept):
        problems += _empty_arms(registration, kept, "warning" if root is None else "error")
        missing = missing_by_arm(export, registration, kept)
        problems += _kept(export, registration, kept)
        problems += plausibility.allocation(registration, kept)
        problems += plausibility.test_rows(export, kept)
        problems += plausibility.repeats(export, registration, frame)
        if registration.design.respondent is None:  # else persons have several rows each
            problems += plausibility.persons(export, registration, frame, kept)
        problems += plausibility.uneven(missing, RARE)
    del frame
    if len(kept) and not any(p.severity == "error" for p in problems):
        try:
            made = recode(kept, registration)
            assert_public(
                made, known=known_private(export.columns, registration, words_of(made)))
            if root is not None and registration.weighting and registration.weighting.margins:
                raking = rake_as_registered(made, registration, root)
        except LedgerError as error:
            problems.append(Problem(error.where, error.found, error.expected, error.mend))
    return Findings(_sorted(problems), flow, missing, kept, made, raking)


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda p: (p.severity, p.row or 0))


def _file(export: Export) -> list[Problem]:
    """Doubts about the file, and what it declares missing."""
    problems = [
        Problem("file", doubt, "no doubt", "look at it, or say it in a mapping", severity="warning")
        for doubt in export.doubts
    ]
    problems += [
        Problem(name, f"{count:,} values that the file declares missing", "answers",
                "nothing to do if they are no answers", severity="warning",
                kind="values that the file itself declares missing were taken as missing")
        for name, count in export.missing.items() if name in export.meanings
    ]
    return problems


def _columns(export: Export, registration: Registration) -> list[Problem]:
    """Columns that are missing, not registered, or not certain."""
    instrument, design, weighting = (
        registration.instrument, registration.design, registration.weighting)
    needed = [n for n, item in instrument.items.items()
              if instrument.scales[item.scale].kind != "text"]
    needed += [*design.factors, *(rule.column for rule in registration.exclusions)]
    needed += [design.respondent, design.blocks, design.clusters]
    needed += [weighting.column, weighting.strata, weighting.clusters] if weighting else []
    needed = [n for n in dict.fromkeys(needed) if n and n not in instrument.derived]
    known = {*needed, *instrument.items, *qualtrics.PLATFORM, *qualtrics.embedded(registration)}
    there = list(export.columns)
    clashing = {name: text for name, text in export.clashes.items() if name in {
        *needed, *qualtrics.ANSWERS, *qualtrics.key_columns(registration), "ResponseId"}}
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
    for name in needed:
        if name in there or name in clashing:
            continue
        near = get_close_matches(name, strangers, n=1)
        problems.append(Problem(
            name, f"no such column{f' (but {near[0]!r})' if near else ''}", "the column",
            f"map {near[0]!r} to {name!r}" if near else f"export {name!r}, or map a column to it",
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


def _strange(
    export: Export, registration: Registration, strange: pd.DataFrame
) -> list[Problem]:
    """Cells that mean nothing registered."""
    problems = []
    for column in strange:
        rows = strange.index[strange[column].to_numpy()]
        problems += _told(export, column, rows, *_wanted(registration, column))
    return problems


def _told(export: Export, column: str, rows: pd.Index, expected: str, mend: str) -> list[Problem]:
    """A problem for each of the rows, up to a thousand."""
    problems = []
    if len(rows) > _MOST:
        problems.append(Problem(
            column, f"{len(rows):,} such cells, of which {_MOST:,} are listed", expected, mend))
    cells = export.columns[column].loc[rows[:_MOST]]
    problems += [at(export, row, column, short(cell), expected, mend)
                 for row, cell in cells.items()]
    return problems


def _ranges(export: Export, registration: Registration, frame: pd.DataFrame) -> list[Problem]:
    """Numbers outside the registered range."""
    problems = []
    for name, item in registration.instrument.items.items():
        scale = registration.instrument.scales[item.scale]
        if scale.kind != "numeric" or name not in frame:
            continue
        low = -np.inf if scale.minimum is None else scale.minimum
        high = np.inf if scale.maximum is None else scale.maximum
        outside = frame[name].notna() & ~frame[name].between(low, high)
        problems += _told(export, name, frame.index[outside], *_wanted(registration, name))
    return problems


def _wanted(registration: Registration, column: str) -> tuple[str, str]:
    """What a column may hold, and how to mend it."""
    if column in registration.design.factors:
        levels = registration.design.factors[column].levels
        return ", ".join(levels), f"map the values of {column!r} to level ids"
    scale = registration.instrument.scales[registration.instrument.items[column].scale]
    if scale.labels:
        labels = ", ".join(f"{code} {label!r}" for code, label in scale.labels.items())
        return labels, f"map the values of {column!r} to codes"
    ends = [f"{'from' if at == 0 else 'to'} {end:g}"
            for at, end in enumerate((scale.minimum, scale.maximum)) if end is not None]
    return (" ".join(["a number", *ends]),
            f"correct {column!r} on the platform, or exclude the row there")


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
            at(export, row, factor, short(cell) if str(cell).strip() else "nothing",
               "an assigned level",
               f"find out why {factor!r} was not assigned, or exclude the row")
            for row, cell in cells.items() if cell not in unknown
        ]
    outsiders: dict[str, np.ndarray] = {}
    for sample, conditions in registration.samples.items():
        outside = np.zeros(len(kept), dtype=bool)
        for factor, levels in conditions.items():
            if factor in registration.design.factors:
                outside |= (~kept[factor].isin(levels) & kept[factor].notna()).to_numpy()
        outsiders[sample] = outside
    for name, item in registration.instrument.items.items():
        if name not in kept or item.asked not in outsiders:
            continue
        outside = outsiders[item.asked]
        problems += [
            at(export, row, name, "an answer", f"none outside the sample {item.asked!r}",
                f"check who was shown {shown(name)!r}")
            for row in kept.index[outside & kept[name].notna()]
            if str(export.columns[name].loc[row]).strip()
        ]
    return problems
