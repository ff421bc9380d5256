"""The check of an export as a page for people: what is wrong, where, and how to mend it."""

from pathlib import Path

import pandas as pd

from claimledger.page import page, paragraph, section
from claimledger.registration.models import Registration
from claimledger.survey.checks import Findings
from claimledger.survey.disclosure import (
    anonymity,
    identifying_variables,
    private_columns,
)
from claimledger.survey.problem import Problem, shown
from claimledger.survey.reading import Export

_ROWS = 5        # records named for one kind of problem


def html_report(export: Export, findings: Findings, registration: Registration) -> str:
    """The whole report; every text of the export is escaped, and nothing in the page runs."""
    errors = [p for p in findings.problems if p.severity == "error"]
    warnings = [p for p in findings.problems if p.severity == "warning"]
    verdict = (f"The paper cannot be built: {len(errors)} problem(s) have to be mended."
               if errors else "As registered: the paper can be built.")
    parts = [
        paragraph(verdict, "verdict"),
        paragraph(f"Recognised: {export.form}; {len(export.columns):,} records."),
        paragraph("This page quotes cells and ids of the export: it is as private as the file."),
        section("To mend", grouped(errors)), section("To look at", grouped(warnings)),
    ]
    if findings.flow is not None:
        parts.append(section("Exclusions, in order", findings.flow))
    if findings.missing is not None:
        parts.append(section("Answers missing among those asked, by arm", findings.missing))
    if findings.frame is not None:
        names = identifying_variables(registration)
        table = anonymity(findings.frame, names).as_table()
        parts.append(section("Anonymity of " + ", ".join(names), table))
    forms = pd.DataFrame(
        list(export.recognised.items()), columns=["item or factor", "its answers stand as"])
    parts.append(section("How answers were read", forms))
    private = pd.DataFrame({"column": private_columns(export.columns)})
    parts.append(section("Columns that may tell who answered: read, and never passed on", private))
    return page(f"Check of {Path(export.path).name}", parts)


def grouped(problems: list[Problem]) -> pd.DataFrame:
    """Like problems in one row, with the columns and the records where they stand."""
    groups: dict[tuple, list[Problem]] = {}
    for one in problems:
        key = (one.kind,) if one.kind else (one.column, one.found, one.expected, one.mend)
        groups.setdefault(key, []).append(one)
    rows = []
    for members in groups.values():
        first = members[0]
        places = [f"{p.row} ({p.response or 'no id'})" for p in members if p.row]
        more = f" and {len(places) - _ROWS} more" if len(places) > _ROWS else ""
        columns = ", ".join(dict.fromkeys(shown(p.column) for p in members))
        found = first.kind if first.kind and len(members) > 1 else first.found
        rows.append((columns, ", ".join(places[:_ROWS]) + more, found, first.expected, first.mend))
    return pd.DataFrame(
        rows, columns=["column", "row (response)", "found", "expected", "how to mend"])
