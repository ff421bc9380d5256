"""Is an export what the registration says it should be? Every problem at once, with a remedy."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy.stats import chisquare

from claimledger.registration.models import Registration, Scale
from claimledger.survey import qualtrics
from claimledger.survey.exclusions import exclude
from claimledger.survey.problem import Problem, at, require, short
from claimledger.survey.reading import Export, coded, read_export
from claimledger.survey.scrutiny import missing_by_arm, persons, platform, questions, uneven

__all__ = ["Findings", "Problem", "check", "check_export", "examine", "require"]

_MOST = 1000     # rows told one by one for each column
_RARE = 0.001    # an allocation less probable than this is worth a look


@dataclass(frozen=True)
class Findings:
    """All that a check finds: problems, errors first; and, where it came so far, two tables.

    flow: rows dropped by each registered exclusion (see `exclude`).
    missing: answers missing among those asked, by item and arm (see `missing_by_arm`).
    kept: the coded rows that stay.
    """

    problems: list[Problem]
    flow: pd.DataFrame | None = None
    missing: pd.DataFrame | None = None
    kept: pd.DataFrame | None = None


def check(path: Path, registration: Registration, mapping: Path | None = None) -> list[Problem]:
    """Every problem of an export, errors first."""
    return check_export(read_export(path, registration, mapping), registration)


def check_export(export: Export, registration: Registration) -> list[Problem]:
    """The same for an export that has been read."""
    return examine(export, registration).problems


def examine(export: Export, registration: Registration) -> Findings:
    """Every problem, and the tables that go with them."""
    problems = [
        Problem("file", doubt, "no doubt", "look at it, or say it in a mapping", severity="warning")
        for doubt in export.doubts
    ]
    frame, strange = coded(export, registration)
    whole = frame.copy(deep=False)
    for name in strange:
        if strange[name].any():
            whole[name] = frame[name].astype(object).mask(strange[name], export.cells[name])
    try:
        schema(registration).validate(whole, lazy=True)
    except pa.errors.SchemaErrors as error:
        problems += _failures(export, registration, error.failure_cases)
    problems += platform(export, registration) + questions(export, registration)
    flow = missing = kept = None
    if not any(p.row is None and p.severity == "error" for p in problems):
        kept, flow = exclude(frame, registration)
        missing = missing_by_arm(export, registration, kept)
        problems += _kept(export, registration, kept)
        problems += _allocation(registration, kept)
        if registration.design.respondent is None:  # else persons have several rows each
            problems += persons(export, registration, frame, kept)
        problems += uneven(missing, _RARE)
    problems.sort(key=lambda p: (p.severity, p.row or 0))
    return Findings(problems, flow, missing, kept)


def schema(registration: Registration) -> pa.DataFrameSchema:
    """What the registration implies for an export with items as codes and factors as level ids."""
    instrument = registration.instrument
    columns = {}
    for name, item in instrument.items.items():
        scale = instrument.scales[item.scale]
        checks = [] if scale.kind == "text" else [_allows(scale)]
        columns[name] = pa.Column(None, checks, nullable=True, required=scale.kind != "text")
    for name, factor in registration.design.factors.items():
        columns[name] = pa.Column(None, pa.Check.isin(list(factor.levels)), nullable=True)
    weighting = registration.weighting
    named = {rule.column for rule in registration.exclusions}
    design = registration.design
    named |= {design.respondent, design.blocks, design.clusters, *(
        (weighting.column, weighting.strata, weighting.clusters) if weighting else ())}
    named -= {None, *instrument.derived}
    for name in [*qualtrics.BEFORE, *qualtrics.embedded(registration), *sorted(named)]:
        checks = [pa.Check(_is_date)] if name in qualtrics.DATES else []
        columns.setdefault(name, pa.Column(None, checks, nullable=True, required=name in named))
    ordered = pa.Check(_in_order, name="order", ignore_na=False)
    return pa.DataFrameSchema(columns, checks=ordered, strict=True)


def _allows(scale: Scale) -> pa.Check:
    if scale.labels:
        return pa.Check.isin([float(code) for code in scale.labels])
    low = -np.inf if scale.minimum is None else scale.minimum
    high = np.inf if scale.maximum is None else scale.maximum
    return pa.Check(lambda s: pd.to_numeric(s, errors="coerce").between(low, high), name="range")


def _dates(cells: pd.Series) -> pd.Series:
    return pd.to_datetime(cells, errors="coerce", format="ISO8601")


def _is_date(cells: pd.Series) -> pd.Series:
    """Dates as exported today, or with slashes as of old, after the platform's beginning."""
    found = _dates(cells)
    for order in ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y"):
        if found.notna().all():
            break
        found = found.fillna(pd.to_datetime(
            cells.str.replace(r" \d+:\d+(:\d+)?( ?[AP]M)?$", "", regex=True), errors="coerce",
            format=order))
    return found.dt.year.between(2000, 2099) | (cells == "")


def _in_order(frame: pd.DataFrame) -> pd.Series:
    """Nobody ends before the start."""
    start, end = (frame.get(name, pd.Series("", frame.index)) for name in qualtrics.DATES[:2])
    return ~(_dates(end) < _dates(start))


def _failures(export: Export, registration: Registration, cases: pd.DataFrame) -> list[Problem]:
    """Pandera's failure cases in words."""
    strange = list(cases.loc[cases["check"] == "column_in_schema", "failure_case"])
    problems = [
        Problem(c, "a column that is not registered", "nothing",
                "nothing to do if it holds no answer", severity="warning")
        for c in strange
    ]
    for name in cases.loc[cases["check"] == "column_in_dataframe", "failure_case"]:
        near = get_close_matches(name, strange, n=1)
        problems.append(Problem(
            name, f"no such column{f' (but {near[0]!r})' if near else ''}", "the column",
            f"map {near[0]!r} to {name!r}" if near else f"export {name!r}, or map a column to it",
        ))
    rows = cases[cases["index"].notna()]
    late = rows.loc[rows["check"] == "order", "index"].unique()
    problems += [
        at(export, row, "EndDate", "a date before StartDate", "a later one",
            "export again, and do not edit the file") for row in late
    ]
    told = rows[rows["check"] != "order"]
    often = told["column"].value_counts()
    for column in often.index[often > _MOST]:
        problems.append(Problem(
            column, f"{often[column]:,} such cells, of which {_MOST:,} are listed",
            *_wanted(registration, column),
        ))
    for case in told.groupby("column").head(_MOST).itertuples():
        found = short(export.cells[case.column].loc[case.index])
        problems.append(at(
            export, case.index, case.column, found, *_wanted(registration, case.column)
        ))
    return problems


def _wanted(registration: Registration, column: str) -> tuple[str, str]:
    """What a column may hold, and how to mend it."""
    if column in registration.design.factors:
        levels = registration.design.factors[column].levels
        return ", ".join(levels), f"map the values of {column!r} to level ids"
    if column not in registration.instrument.items:
        return "a date such as 2025-01-31 12:00:00", "export dates in the standard format"
    scale = registration.instrument.scales[registration.instrument.items[column].scale]
    if scale.labels:
        labels = ", ".join(f"{code} {label!r}" for code, label in scale.labels.items())
        return labels, f"map the values of {column!r} to codes"
    return (f"a number from {scale.minimum:g} to {scale.maximum:g}",
            f"correct {column!r} on the platform, or exclude the row there")


def _kept(export: Export, registration: Registration, kept: pd.DataFrame) -> list[Problem]:
    """Respondents who stay must have a cell of the design, and no answer to what was not asked."""
    problems = []
    for factor in registration.design.factors:
        problems += [
            at(export, row, factor, "nothing", "an assigned level",
                f"find out why {factor!r} was not assigned, or exclude the row")
            for row in kept.index[export.cells[factor].loc[kept.index].str.strip() == ""]
        ]
    for name, item in registration.instrument.items.items():
        outside = pd.Series(False, index=kept.index)
        for factor, levels in registration.samples[item.asked].items():
            outside |= ~kept[factor].isin(levels) & kept[factor].notna()
        problems += [
            at(export, row, name, "an answer", f"none outside the sample {item.asked!r}",
                f"check who was shown {name!r}")
            for row in kept.index[outside & kept.get(name, pd.Series(index=kept.index)).notna()]
        ]
    return problems


def _allocation(registration: Registration, kept: pd.DataFrame) -> list[Problem]:
    """Chi-square of the counts of each factor's levels against the registered probabilities."""
    problems = []
    for name, factor in registration.design.factors.items():
        counts = kept[name].value_counts().reindex(list(factor.levels), fill_value=0).to_numpy()
        chances = np.array([level.probability for level in factor.levels.values()])
        p = chisquare(counts, counts.sum() * chances / chances.sum()).pvalue if len(kept) else 1
        if p < _RARE:
            problems.append(Problem(
                name, f"counts {', '.join(map(str, counts))} (p = {p:.2g})",
                "counts near the registered probabilities",
                "find out how the levels were assigned", severity="warning",
            ))
    return problems
