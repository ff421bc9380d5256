"""What is wrong with an export: one thing each, in words, and all of them at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from claimledger.errors import LedgerError
from claimledger.survey.reading import Export

SHOWN = 20       # problems in one message
NAMED = 8        # columns in one line
_LONG = 120      # letters of a cell that are shown


@dataclass(frozen=True)
class Problem:
    """One thing that is not as registered; `row` counts records below the header, from 1.

    `kind` says in words what kind of thing it is, where many of a kind are told in one line.
    """

    column: str
    found: str
    expected: str
    mend: str
    row: int | None = None
    response: str | None = None
    severity: Literal["error", "warning"] = "error"
    kind: str = ""

    def __str__(self) -> str:
        """Where, what was found, what was expected."""
        place = f"row {self.row} ({self.response or 'no id'}), " if self.row else ""
        return f"{place}{shown(self.column)}: {self.found}; expected {self.expected}"


def warning_lines(problems: list[Problem]) -> list[str]:
    """The warnings among the problems in words: a line for each kind, not one for each column."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.severity == "warning":
            key = problem.kind or f"{problem.column}\0{problem.found}"
            groups.setdefault(key, []).append(problem)
    lines = []
    for group in groups.values():
        columns = list(dict.fromkeys(problem.column for problem in group))
        if group[0].kind and len(group) > 1:
            names = ", ".join(map(shown, columns[:NAMED]))
            more = f" and {len(columns) - NAMED:,} more" if len(columns) > NAMED else ""
            rows = len([problem for problem in group if problem.row])
            counted = f"{rows:,} rows, " if rows else f"{len(columns):,}: "
            lines.append(f"{group[0].kind} ({counted}{names}{more}); {group[0].mend}")
        else:
            again = f" (and {len(group) - 1:,} more rows)" if len(group) > 1 else ""
            lines.append(f"{group[0]}{again}; {group[0].mend}")
    return lines


def require(path: Path, problems: list[Problem]) -> None:
    """Raise one LedgerError that lists the errors among the problems, like ones together."""
    groups: dict[tuple, list[Problem]] = {}
    for problem in problems:
        if problem.severity == "error":
            groups.setdefault((problem.column, problem.found, problem.mend), []).append(problem)
    if not groups:
        return
    told = [
        f"{group[0]}" + (f" (and {len(group) - 1} more rows)" if len(group) > 1 else "")
        for group in groups.values()
    ]
    if len(told) > SHOWN:
        told = [*told[:SHOWN], f"and {len(groups) - SHOWN} other problems"]
    raise LedgerError(
        path, found=f"{len(groups)} problem(s)\n    " + "\n    ".join(told),
        expected="an export as the registration describes it",
        mend="; ".join(list(dict.fromkeys(mend for _, _, mend in groups))[:SHOWN]),
    )


def at(export: Export, row: int, column: str, found: str, expected: str, mend: str,
       severity: Literal["error", "warning"] = "error", kind: str = "") -> Problem:
    """A problem of one record, with the id of its response."""
    ids = export.columns.get("ResponseId")
    response = None if ids is None else str(ids.loc[row])
    return Problem(column, found, expected, mend, row=int(row), response=response,
                   severity=severity, kind=kind)


def short(cell: object) -> str:
    """A cell in quotes, without signs that a terminal would act on, cut where it is long."""
    text = str(cell)
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]} ... ({len(text):,} letters)")


def shown(name: object) -> str:
    """A name as it is, or like a cell where it is very long or has signs that act on a terminal."""
    text = str(name)
    return text if text.isprintable() and len(text) <= _LONG else short(text)
