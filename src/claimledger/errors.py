"""What is said to people: the one exception, and problems of a file in words."""

import errno
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
SHOWN = 20       # problems in one message
NAMED = 8        # columns in one line
_LONG = 120      # letters of a cell that are shown


class LedgerError(Exception):
    """A mistake that a person can mend: where, what was found, what was expected, how to mend it.

    The command line prints it without a traceback and exits with status 1.
    """

    def __init__(self, where: object, *, found: object = "", expected: object = "", mend: str = ""):
        """Keep the four parts apart, so that a report can lay them out."""
        self.where = str(where)
        self.found = str(found)
        self.expected = str(expected)
        self.mend = mend
        super().__init__(str(self))

    def __reduce__(self):
        """Survive the way back from a worker process."""
        parts = {"found": self.found, "expected": self.expected, "mend": self.mend}
        return partial(LedgerError, self.where, **parts), ()

    def __str__(self) -> str:
        """One line for each part that says something."""
        parts = {"found:": self.found, "expected:": self.expected, "to mend:": self.mend}
        return "\n".join([self.where, *(f"  {name:<10}{said}" for name, said in parts.items()
                                        if said)])


def errors_of(where: object) -> Callable[[str, str, str], LedgerError]:
    """What makes the errors of one module: found, expected, and how to mend it."""
    return lambda found, expected, mend: LedgerError(
        where, found=found, expected=expected, mend=mend)


def no_room(error: OSError) -> LedgerError:
    """A full disk or a forbidden folder, for people; any other error of the system as it is."""
    if error.errno not in NO_ROOM:
        raise error
    return LedgerError(
        error.filename or "the disk", found=error.strerror, expected="room to write",
        mend="free space, or change the folder's permissions; what was finished is kept")


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


def alike(problems: Iterable[Problem]) -> list[list[Problem]]:
    """The problems, those of one kind together: by name, or by column, finding and remedy."""
    groups: dict[tuple, list[Problem]] = {}
    for one in problems:
        key = (one.kind,) if one.kind else (one.column, one.found, one.mend)
        groups.setdefault(key, []).append(one)
    return list(groups.values())


def warning_lines(problems: list[Problem]) -> list[str]:
    """The warnings among the problems in words: a line for each kind, not one for each column."""
    lines = []
    for group in alike(problem for problem in problems if problem.severity == "warning"):
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


def public_lines(problems: list[Problem]) -> list[str]:
    """The warnings by kind, in words that name no row and no person."""
    return list(dict.fromkeys(
        problem.kind or f"{shown(problem.column)}: {problem.found}"
        for problem in problems if problem.severity == "warning"))


def require(path: Path, problems: list[Problem]) -> None:
    """Raise one LedgerError that lists the errors among the problems, like ones together."""
    groups = alike(problem for problem in problems if problem.severity == "error")
    if not groups:
        return
    told = [
        f"{group[0]}" + (f" (and {len(group) - 1} more rows)" if len(group) > 1 else "")
        for group in groups]
    if len(told) > SHOWN:
        told = [*told[:SHOWN], f"and {len(groups) - SHOWN} other problems"]
    raise LedgerError(
        path, found=f"{len(groups)} problem(s)\n    " + "\n    ".join(told),
        expected="an export as the registration describes it",
        mend="; ".join(list(dict.fromkeys(group[0].mend for group in groups))[:SHOWN]) + (
            f"; `claimledger map {shown(path.name)}` starts a mapping"
            if any(re.search(r"\bmap", group[0].mend) for group in groups) else ""))


def short(cell: object) -> str:
    """A cell in quotes, without signs that a terminal would act on, cut where it is long."""
    text = str(cell)
    return repr(text if len(text) <= _LONG else f"{text[:_LONG]} ... ({len(text):,} letters)")


def shown(name: object) -> str:
    """A name as it is, or like a cell where it is very long or has signs that act on a terminal."""
    text = str(name)
    return text if text.isprintable() and len(text) <= _LONG else short(text)
