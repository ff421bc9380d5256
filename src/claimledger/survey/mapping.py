"""How an export's names, texts and codes differ from the registration's."""

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, ValidationError

from claimledger.errors import LedgerError
from claimledger.project import load_yaml
from claimledger.registration.models import Model, Registration
from claimledger.survey import qualtrics
from claimledger.survey.profiles import Tasks
from claimledger.survey.tables import plain

OPEN = "?"               # marks what a person has to finish
MISSING = "missing"      # a text or code that is no answer, such as "Don't know"
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class Mapping(Model):
    """What a mapping file says.

    `columns` maps the export's column names to names of the registration; `values` maps, for a
    name of the registration, texts or codes of the export to codes (of an item), level ids (of a
    factor) or `missing`; `codes` says of an item's numbers that they are the registered codes, that
    they run the other way, or that they are the labels of the scale.
    """

    columns: Annotated[dict[str, str], Field(description="export name: registration name")] = {}
    values: dict[str, dict[str, str]] = {}
    tasks: Tasks | None = None
    codes: dict[str, Literal["registered", "reversed", "texts"]] = {}


def read_mapping(path: Path | None, registration: Registration) -> Mapping:
    """The mapping file, or one that changes nothing; what is unfinished in it is an error."""
    if path is None:
        return Mapping()
    content = load_yaml(path, "a mapping of names", texts=True) or {}
    _refuse_unfinished(path, content)
    try:
        mapping = Mapping.model_validate(content)
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise LedgerError(
            path, found="; ".join(found), expected="`columns:`, `values:`, `codes:`",
            mend="write `columns: {export name: registration name}`",
        ) from error
    _check_targets(path, mapping, registration)
    return mapping


def _refuse_unfinished(path: Path, content: object) -> None:
    found = list(_unfinished(content))
    if found:
        raise LedgerError(
            path, found=f"{len(found)} unfinished: " + "; ".join(found[:20]),
            expected=f"no {OPEN!r} left",
            mend="replace each `?` by what it means; delete lines of what was not asked",
        )


def _unfinished(content: object, above: str = "") -> Iterable[str]:
    """Lines whose right side is open, and columns that were not found: `"? name": name`."""
    if isinstance(content, dict):
        for key, value in content.items():
            if isinstance(value, str) and key == f"{OPEN} {value}" and above == "columns: ":
                yield f"{above}{key}"
            else:
                yield from _unfinished(value, f"{above}{key}: ")
    elif isinstance(content, str) and content.strip() == OPEN:
        yield f"{above}{content}"


def known_names(registration: Registration) -> list[str]:
    """Every name of a column that the registration, or the platform, gives a meaning."""
    design, weighting = registration.design, registration.weighting
    named = [rule.column for rule in registration.exclusions]
    named += [c for factor in design.factors.values() for c in factor.columns.values()]
    named += [design.respondent, design.blocks, design.clusters]
    named += [weighting.column, weighting.strata, weighting.clusters] if weighting else []
    named = [name for name in named if name and name not in registration.instrument.derived]
    return list(dict.fromkeys([*qualtrics.columns(registration), *named]))


def _check_targets(path: Path, mapping: Mapping, registration: Registration) -> None:
    """Names, codes and levels on the right-hand side must be the registration's."""
    names = known_names(registration)
    twice = [name for name in mapping.columns.values()
             if list(mapping.columns.values()).count(name) > 1]
    if twice:
        raise LedgerError(f"{path}: columns", found=f"{twice[0]!r} twice", expected="once")
    for key, used in (("columns", mapping.columns.values()), ("values", mapping.values),
                      ("codes", mapping.codes)):
        for name in used:
            if name not in names:
                _unknown(f"{path}: {key}", name, names)
    items, scales = registration.instrument.items, registration.instrument.scales
    for name, values in mapping.values.items():
        allowed: list[str] | None = None
        if name in registration.design.factors:
            allowed = list(registration.design.factors[name].levels)
        elif name in items and scales[items[name].scale].labels:
            allowed = [str(code) for code in scales[items[name].scale].labels]
        seen: dict[str, str] = {}
        for key, value in values.items():
            if seen.setdefault(plain(key), value) != value:
                raise LedgerError(
                    f"{path}: values.{name}", found=f"{key!r} with two meanings",
                    expected="one: capitals, quotes and spaces do not tell answers apart",
                    mend="keep one of the lines",
                )
            if allowed is not None and value not in (*allowed, MISSING):
                _unknown(f"{path}: values.{name}", value, [*allowed, MISSING])
    for name, way in mapping.codes.items():
        kind = scales[items[name].scale].kind if name in items else "no item"
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
    return cells.rename(columns=columns)


def unused(name: str, values: dict[str, str], given: list[str]) -> list[str]:
    """Answers that the mapping names and no cell has, in words."""
    there = {plain(cell) for cell in given}
    absent = sorted(key for key in values if plain(key) not in there)
    if not absent:
        return []
    return [f"mapping: no cell of {name!r} says " + ", ".join(map(repr, absent[:5]))]


def replaced(cells: pd.Series, values: dict[str, str]) -> pd.Series:
    """A column of the platform with the mapped texts in place of its own."""
    table = {plain(key): "" if value == MISSING else value for key, value in values.items()}
    texts = cells.astype(object)
    meant = {cell: table.get(plain(cell), cell) for cell in texts.unique()}
    return texts.map(meant).astype(object)
