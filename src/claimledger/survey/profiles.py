"""Conjoint exports with a respondent a row, unfolded into a row for each profile.

A survey platform writes the profiles of a conjoint side by side: columns such as `K-1-2-3` for the
third attribute of the second profile in the first task. Attributes may stand at another place for
each respondent; then a column such as `K-1-3` names the attribute at the third place.
"""

from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.fields import Model, about
from claimledger.registration.models import Registration
from claimledger.survey.tables import plain

PARTS = {"task", "profile", "place"}


class Tasks(Model):
    """Where the tasks and profiles of a conjoint stand in an export with a respondent a row."""

    levels: str | dict[str, str] = about(
        "Columns with the levels, as a pattern with {task}, {profile} and {place}; or, for each "
        "factor, a pattern with {task} and {profile}.", "K-{task}-{profile}-{place}")
    attributes: str | None = about(
        "Columns with the name of the attribute at a place, as a pattern with {task} and {place}.",
        "K-{task}-{place}", default=None)
    names: dict[str, str] = about("Attribute, as it is named there, to the factor.",
                                  {"Housing Cost": "housing"}, default={})
    choice: dict[str, list[str] | str] = about(
        "Item to the columns (one a task, or a pattern with {task}) that say which profile was "
        "chosen.", {"chosen": "choice{task}"}, default={})
    chosen: dict[str, str] = about("Answer to the number of the profile that it chooses.",
                                   {"Community A": "1", "Community B": "2"}, default={})
    ratings: dict[str, str] = about("Item to a pattern with {task} and {profile} of its ratings.",
                                    {"rating": "rate_{task}_{profile}"}, default={})


def unfold(
    cells: pd.DataFrame, tasks: Tasks, registration: Registration, path: Path
) -> pd.DataFrame:
    """A row for each profile, respondent by respondent, task by task; the index starts anew.

    Columns that hold no levels and no choices are repeated. LedgerError for columns that are
    absent, and for an attribute or a choice that the mapping does not know.
    """
    design = registration.design
    if not (design.respondent and design.tasks and design.profiles):
        raise LedgerError(
            path, found="`tasks:` in the mapping", expected="design.respondent, tasks and profiles",
            mend="register how many tasks and profiles each respondent has",
        )
    used: set[str] = set()

    def column(pattern: str, **place: int) -> np.ndarray:
        if {name for _, name, _, _ in Formatter().parse(pattern) if name} - PARTS:
            raise LedgerError(f"{path}: tasks", found=pattern,
                              expected="a pattern with {task}, {profile}, {place}")
        name = pattern.format(**place)
        if name not in cells:
            raise LedgerError(path, found=f"no column {name!r}",
                              expected=f"the columns {pattern!r} that the mapping names",
                              mend="correct `tasks:` in the mapping")
        used.add(name)
        return cells[name].to_numpy(dtype=object)

    shape = (len(cells), design.tasks, design.profiles)
    made = {name: np.full(shape, "", dtype=object)
            for name in (*design.factors, *tasks.choice, *tasks.ratings)}
    for t, p in np.ndindex(shape[1:]):
        place = {"task": t + 1, "profile": p + 1}
        for factor, values in _levels(tasks, registration, column, place, path):
            known = made[factor][:, t, p]
            made[factor][:, t, p] = np.where(values == "", known, values)
        for item, pattern in tasks.choice.items():
            answers = column(pattern if isinstance(pattern, str) else pattern[t], **place)
            made[item][:, t, p] = _chosen(answers, p + 1, tasks, path)
        for item, pattern in tasks.ratings.items():
            made[item][:, t, p] = column(pattern, **place)
    rest = cells.drop(columns=[name for name in used if name in cells])
    long = rest.loc[rest.index.repeat(design.rows)].reset_index(drop=True)
    long = long.drop(columns=[name for name in made if name in long])
    index = pd.RangeIndex(1, len(long) + 1, name=cells.index.name)
    return pd.concat(
        [long, pd.DataFrame({k: v.ravel() for k, v in made.items()})], axis=1).set_index(index)


def _levels(
    tasks: Tasks, registration: Registration, column, place: dict[str, int], path: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Pairs of a factor and its levels (blank where another factor stands) of one profile."""
    if isinstance(tasks.levels, dict):
        for factor, pattern in tasks.levels.items():
            yield factor, column(pattern, **place)
        return
    factors = registration.design.factors
    names = {plain(about.label): name for name, about in factors.items()}
    names |= {plain(name): name for name in factors}
    names |= {plain(text): name for text, name in tasks.names.items()}
    order = list(factors)
    for number in range(1, len(factors) + 1):
        values = column(tasks.levels, **place, place=number)
        if tasks.attributes is None:
            yield order[number - 1], values
            continue
        shown = column(tasks.attributes, **place, place=number)
        for text in pd.unique(shown):
            if plain(text) and plain(text) not in names:
                raise LedgerError(f"{path}: the attribute", found=repr(text),
                                  expected="one of " + ", ".join(factors),
                                  mend="name its factor at `tasks: names:` in the mapping")
            if plain(text):
                yield names[plain(text)], np.where(shown == text, values, "")


def _chosen(answers: np.ndarray, profile: int, tasks: Tasks, path: Path) -> np.ndarray:
    """1 where this profile was chosen, 0 where another was, blank without an answer."""
    table = {plain(text): number for text, number in tasks.chosen.items()}
    meant = {}
    for text in pd.unique(answers):
        number = table.get(plain(text), plain(text))
        if number not in ("", "-99") and not number.isdigit():
            raise LedgerError(f"{path}: a choice", found=repr(text),
                              expected="an answer that `tasks: chosen:` of the mapping explains",
                              mend="add it, with the number of the profile")
        meant[text] = "" if number in ("", "-99") else str(int(int(number) == profile))
    return np.array([meant[text] for text in answers], dtype=object)
