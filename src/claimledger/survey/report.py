"""The check of an export as a page for people: what is wrong, where, and how to mend it."""

from html import escape
from pathlib import Path

import pandas as pd

from claimledger.registration.models import Registration
from claimledger.survey.anonymity import anonymity, identifying_variables
from claimledger.survey.checks import Findings
from claimledger.survey.disclosure import private_columns
from claimledger.survey.problem import Problem
from claimledger.survey.reading import Export
from claimledger.survey.recoding import recode

_ROWS = 5        # records named for one kind of problem
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid #ccc; overflow-wrap: anywhere }
.verdict { font-weight: bold; font-size: 1.15rem }
"""


def html_report(export: Export, findings: Findings, registration: Registration) -> str:
    """The whole report; every text of the export is escaped, and nothing in the page runs."""
    errors = [p for p in findings.problems if p.severity == "error"]
    warnings = [p for p in findings.problems if p.severity == "warning"]
    verdict = (f"The paper cannot be built: {len(errors)} problem(s) have to be mended."
               if errors else "As registered: the paper can be built.")
    parts = [
        _paragraph(verdict, "verdict"),
        _paragraph(f"Recognised: {export.form}; {len(export.cells):,} records."),
        _paragraph("This page quotes cells and ids of the export: it is as private as the file."),
        _section("To mend", grouped(errors)), _section("To look at", grouped(warnings)),
    ]
    if findings.flow is not None:
        parts.append(_section("Exclusions, in order", findings.flow))
    if findings.missing is not None:
        parts.append(_section("Answers missing among those asked, by arm", findings.missing))
    if findings.kept is not None and not errors and len(findings.kept):
        names = identifying_variables(registration)
        table = anonymity(recode(findings.kept, registration), names).as_table()
        parts.append(_section("Anonymity of " + ", ".join(names), table))
    forms = pd.DataFrame(
        list(export.recognised.items()), columns=["item or factor", "its answers stand as"])
    parts.append(_section("How answers were read", forms))
    private = pd.DataFrame({"column": private_columns(export.cells)})
    parts.append(_section("Columns that may tell who answered: read, and never passed on", private))
    title = f"Check of {escape(Path(export.path).name)}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


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


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>"


def _section(title: str, table: pd.DataFrame) -> str:
    heading = f"<h2>{escape(title)}</h2>"
    if table.empty:
        return f"{heading}\n<p>Nothing.</p>"
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    return (f"{heading}\n<table>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody>\n</table>")
