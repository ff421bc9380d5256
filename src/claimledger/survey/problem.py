"""What is wrong with an export: one thing each, in words, and all of them at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from claimledger.errors import LedgerError
from claimledger.survey.reading import Export

SHOWN = 20       # problems in one message
_LONG = 120      # letters of a cell that are shown


@dataclass(frozen=True)
class Problem:
    """One thing that is not as registered; `row` counts records below the header, from 1."""

    column: str
    found: str
    expected: str
    mend: str
    row: int | None = None
    response: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """Where, what was found, what was expected."""
        place = f"row {self.row} ({self.response or 'no id'}), " if self.row else ""
        return f"{place}{self.column}: {self.found}; expected {self.expected}"


def require(path: Path, problems: list[Problem]) -> None:
    """Raise one LedgerError that lists the errors among the problems, like ones together."""
    groups: dict[tuple, list[Problem]] = {}
    for problem in problems:
        if problem.severity == "error":
            groups.setdefault((problem.column, problem.found, problem.mend), []).append(problem)
    if not groups:
        return
    shown = [
        f"{group[0]}" + (f" (and {len(group) - 1} more rows)" if len(group) > 1 else "")
        for group in groups.values()
    ]
    if len(shown) > SHOWN:
        shown = [*shown[:SHOWN], f"and {len(groups) - SHOWN} other problems"]
    raise LedgerError(
        path, found=f"{len(groups)} problem(s)\n    " + "\n    ".join(shown),
        expected="an export as the registration describes it",
        mend="; ".join(list(dict.fromkeys(mend for _, _, mend in groups))[:SHOWN]),
    )


def at(export: Export, row: int, column: str, found: str, expected: str, mend: str,
       severity: Literal["error", "warning"] = "error") -> Problem:
    """A problem of one record, with the id of its response."""
    ids = export.cells.get("ResponseId")
    response = None if ids is None else str(ids.loc[row])
    return Problem(column, found, expected, mend, row=int(row), response=response,
                   severity=severity)


def short(cell: object) -> str:
    """A cell in quotes, without signs that a terminal would act on, cut where it is long."""
    text = str(cell)
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]} ... ({len(text):,} letters)")
