"""How an export's names, texts and codes differ from the registration's.

A platform writes the profiles of a conjoint side by side: columns such as `K-1-2-3` for the third
attribute of the second profile in the first task. Attributes may stand at another place for each
respondent; then a column such as `K-1-3` names the attribute at the third place. `unfold` makes
such an export, with a respondent a row, one with a row for each profile.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from typing import Literal

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration
from claimledger.survey import qualtrics
from claimledger.survey.tables import blanks, is_blank, plain
from claimledger.yaml_files import Model, Source, about, validated

OPEN = "?"               # marks what a person has to finish
MISSING = "missing"      # a text or code that is no answer, such as "Don't know"
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
PARTS = {"task", "profile", "place"}   # of a conjoint


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
    ratings: dict[str, list[str] | str] = about(
        "Item to a pattern with {task} and {profile} of its ratings, or to one with {profile} for "
        "each task.", {"rating": "rate_{task}_{profile}"}, default={})


class Mapping(Model):
    """What a mapping file says.

    `columns` maps the export's column names to names of the registration, several to one item where
    each person answered in one of them; `values` maps, for a
    name of the registration, texts or codes of the export to codes (of an item), level ids (of a
    factor) or `missing`; `codes` says of an item's numbers that they are the registered codes, that
    they run the other way, or that they are the labels of the scale.
    """

    columns: dict[str, str] = about("Column of the export to the name in the registration.",
                                    {"Q2.1": "age"}, default={})
    values: dict[str, dict[str, str]] = about(
        "Name in the registration to its texts, and what each means.",
        {"support": {"Dont know": "missing", "Strongly agree": "5"}}, default={})
    tasks: Tasks | None = about("Where tasks and profiles stand.", default=None)
    codes: dict[str, Literal["registered", "reversed", "texts"]] = about(
        "Item to what its numbers are.", {"ideology": "reversed"}, default={})


def read_mapping(
    path: Path | None, registration: Registration, columns: Collection[str] = ()
) -> Mapping:
    """The mapping file, or one that changes nothing; what is unfinished in it is an error.

    `columns` are the export's: `"? name": name` is open, but where a column is called so.
    """
    if path is None:
        return Mapping()
    source = Source.read(path, "a mapping of names", texts=True)
    if found := list(_unfinished(source.content, columns)):
        raise LedgerError(
            path, found=f"{len(found)} unfinished: " + "; ".join(found[:20]),
            expected=f"no {OPEN!r} left",
            mend="replace each `?` by what it means; delete lines of what was not asked")
    mapping = validated(source, Mapping, source.content)
    _check_targets(path, mapping, registration)
    return mapping


def _unfinished(content: object, columns: Collection[str], above: str = "") -> Iterable[str]:
    """Lines whose right side is open, and columns that were not found: `"? name": name`."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == f"{OPEN} {value}" and above == "columns: " and key not in columns:
                yield f"{above}{key}"
            else:
                yield from _unfinished(value, columns, f"{above}{key}: ")
    elif isinstance(content, str) and content.strip() == OPEN:
        yield f"{above}{content}"


def known_names(registration: Registration) -> list[str]:
    """Every name of a column that the registration, or the platform, gives a meaning."""
    arms = [c for factor in registration.design.factors.values() for c in factor.columns.values()]
    return list(dict.fromkeys(
        [*qualtrics.columns(registration), *arms, *qualtrics.named(registration)]))


def _check_targets(path: Path, mapping: Mapping, registration: Registration) -> None:
    """Names, codes and levels on the right-hand side must be the registration's."""
    names, items = known_names(registration), registration.instrument.items
    for name, often in Counter(mapping.columns.values()).items():
        if often > 1 and name not in items:
            raise LedgerError(f"{path}: columns", found=f"{name!r} twice", mend="keep one of them",
                              expected="once: only an item can stand in several columns")
    for key, used in (("columns", mapping.columns.values()), ("values", mapping.values),
                      ("codes", mapping.codes)):
        for name in used:
            if name not in names:
                _unknown(f"{path}: {key}", name, names)
    for name, values in mapping.values.items():
        scale = registration.scale_of(name)
        factor = registration.design.factors.get(name)
        allowed = [*factor.levels] if factor else [*map(str, scale.labels)] if scale else []
        seen: dict[str, str] = {}
        for key, value in values.items():
            if seen.setdefault(plain(key), value) != value:
                raise LedgerError(
                    f"{path}: values.{name}", found=f"{key!r} with two meanings",
                    expected="one: capitals, quotes and spaces do not tell answers apart",
                    mend="keep one of the lines",
                )
            if allowed and value not in (*allowed, MISSING):
                _unknown(f"{path}: values.{name}", value, [*allowed, MISSING])
    for name, way in mapping.codes.items():
        kind = registration.scale_of(name).kind if name in items else "no item"
        if kind not in ("ordinal", "nominal") or (way == "reversed" and kind == "nominal"):
            raise LedgerError(
                f"{path}: codes.{name}", found=f"{way!r} for {kind}",
                expected="`reversed` for ordinal scales only",
                mend="give its codes one by one under `values:`",
            )


def _unknown(where: str, name: str, names: list[str]) -> None:
    near = get_close_matches(name, names, n=3)
    raise LedgerError(
        where, found=repr(name), expected="one of " + ", ".join(near or names[:20]),
        mend="correct the name",
    )


def rename(
    mapping: Mapping, cells: pd.DataFrame, registration: Registration, path: Path
) -> pd.DataFrame:
    """The cells with the registration's names."""
    known = {unicodedata.normalize("NFC", name): name for name in mapping.columns}
    absent = [name for name in known if name not in cells]
    if absent:
        _unknown(f"{path}: a column that the mapping names", absent[0], list(cells.columns))
    columns = {name: mapping.columns[old] for name, old in known.items()}
    taken = [name for old, name in columns.items() if name in cells and name != old
             and name not in columns]
    if taken:
        raise LedgerError(
            path, found=f"the mapping gives a column the name {taken[0]!r}, which another has",
            expected="each name once", mend="map, rename or remove one of them",
        )
    for name in set(columns.values()):
        first, *others = [old for old, new in columns.items() if new == name]
        for other in others:
            cells = _joined(cells, first, other, path)
    return cells.rename(columns=columns)


def _joined(cells: pd.DataFrame, first: str, other: str, path: Path) -> pd.DataFrame:
    """The cells with two columns made one, of which each row fills one (a text of each arm)."""
    empty = [blanks(cells[c]) for c in (first, other)]
    both = cells.index[~empty[0] & ~empty[1]]
    if len(both):
        raise LedgerError(
            f"{path}: row {both[0]}", found=f"answers in {first!r} and in {other!r}",
            expected="one: the mapping says that they hold the same item of different people",
            mend="map them to two items")
    joined = cells[first].astype(object).where(~empty[0], cells[other].astype(object))
    return cells.assign(**{first: joined}).drop(columns=other)


def unused(name: str, values: dict[str, str], given: list[str]) -> list[str]:
    """Answers that the mapping names and no cell has, in words."""
    there = {plain(cell) for cell in given}
    absent = ", ".join(map(repr, sorted(key for key in values if plain(key) not in there)[:5]))
    return [f"mapping: no cell of {name!r} says {absent}"] if absent else []


def replaced(cells: pd.Series, values: dict[str, str]) -> pd.Series:
    """A column of the platform with the mapped texts in place of its own."""
    table = {plain(key): "" if value == MISSING else value for key, value in values.items()}
    texts = cells.astype(object)
    meant = {cell: table.get(plain(cell), cell) for cell in texts.unique()}
    return texts.map(meant).astype(object)


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

    def column(pattern: str | list[str], **place: int) -> np.ndarray:
        pattern = pattern if isinstance(pattern, str) else pattern[place["task"] - 1]
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
    for item, patterns in (tasks.choice | tasks.ratings).items():
        if not isinstance(patterns, str) and len(patterns) != design.tasks:
            raise LedgerError(f"{path}: tasks", found=f"{len(patterns)} columns of {item!r}",
                              expected=f"one for each of {design.tasks} tasks")
    for t, p in np.ndindex(shape[1:]):
        place = {"task": t + 1, "profile": p + 1}
        for factor, values in _levels(tasks, registration, column, place, path):
            known = made[factor][:, t, p]
            made[factor][:, t, p] = np.where(values == "", known, values)
        for item, pattern in tasks.choice.items():
            made[item][:, t, p] = _chosen(column(pattern, **place), p + 1, shape[2], tasks, path)
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


def _chosen(
    answers: np.ndarray, profile: int, profiles: int, tasks: Tasks, path: Path
) -> np.ndarray:
    """1 where this profile was chosen, 0 where another was, blank without an answer."""
    table = {plain(text): number for text, number in tasks.chosen.items()}
    meant = {}
    for text in pd.unique(answers):
        number = table.get(plain(text), plain(text))
        if not is_blank(number) and number not in map(str, range(profiles + 1)):
            raise LedgerError(f"{path}: a choice", found=repr(text),
                              expected="an answer that `tasks: chosen:` of the mapping explains",
                              mend=f"add it, with the number of the profile, 1 to {profiles}, or 0")
        meant[text] = "" if is_blank(number) else str(int(int(number) == profile))
    return np.array([meant[text] for text in answers], dtype=object)
