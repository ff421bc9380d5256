"""The check of an export as a page for people: what is wrong, where, and how to mend it."""

from pathlib import Path

import pandas as pd

from claimledger.page import page, paragraph, section
from claimledger.registration.models import Registration
from claimledger.survey.anonymity import anonymity, identifying_variables
from claimledger.survey.checks import Findings
from claimledger.survey.disclosure import private_columns
from claimledger.survey.problem import Problem
from claimledger.survey.reading import Export
from claimledger.survey.recoding import recode

_ROWS = 5        # records named for one kind of problem


def html_report(export: Export, findings: Findings, registration: Registration) -> str:
    """The whole report; every text of the export is escaped, and nothing in the page runs."""
    errors = [p for p in findings.problems if p.severity == "error"]
    warnings = [p for p in findings.problems if p.severity == "warning"]
    verdict = (f"The paper cannot be built: {len(errors)} problem(s) have to be mended."
               if errors else "As registered: the paper can be built.")
    parts = [
        paragraph(verdict, "verdict"),
        paragraph(f"Recognised: {export.form}; {len(export.cells):,} records."),
        paragraph("This page quotes cells and ids of the export: it is as private as the file."),
        section("To mend", grouped(errors)), section("To look at", grouped(warnings)),
    ]
    if findings.flow is not None:
        parts.append(section("Exclusions, in order", findings.flow))
    if findings.missing is not None:
        parts.append(section("Answers missing among those asked, by arm", findings.missing))
    if findings.kept is not None and not errors and len(findings.kept):
        names = identifying_variables(registration)
        table = anonymity(recode(findings.kept, registration), names).as_table()
        parts.append(section("Anonymity of " + ", ".join(names), table))
    forms = pd.DataFrame(
        list(export.recognised.items()), columns=["item or factor", "its answers stand as"])
    parts.append(section("How answers were read", forms))
    private = pd.DataFrame({"column": private_columns(export.cells)})
    parts.append(section("Columns that may tell who answered: read, and never passed on", private))
    return page(f"Check of {Path(export.path).name}", parts)


def grouped(problems: list[Problem]) -> pd.DataFrame:
    """Like problems in one row, with the records where they stand."""
    groups: dict[tuple, list[Problem]] = {}
    for one in problems:
        groups.setdefault((one.column, one.found, one.expected, one.mend), []).append(one)
    rows = []
    for (column, found, expected, mend), members in groups.items():
        places = [f"{p.row} ({p.response or 'no id'})" for p in members if p.row]
        more = f" and {len(places) - _ROWS} more" if len(places) > _ROWS else ""
        rows.append((column, ", ".join(places[:_ROWS]) + more, found, expected, mend))
    return pd.DataFrame(
        rows, columns=["column", "row (response)", "found", "expected", "how to mend"])
