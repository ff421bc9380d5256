"""How an export's names, texts and codes differ from the registration's."""

import re
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
from claimledger.survey.tables import plain

OPEN = "?"               # marks what a person has to finish
MISSING = "missing"      # a text or code that is no answer, such as "Don't know"
NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class Mapping(Model):
    """What a mapping file says.

    `columns` maps the export's column names to names of the registration; `values` maps, for a
    name of the registration, texts or codes of the export to codes (of an item), level ids (of a
    factor) or `missing`; `codes` says for items that stand as numbers which way their scale runs.
    """

    columns: Annotated[dict[str, str], Field(description="export name: registration name")] = {}
    values: dict[str, dict[str, str]] = {}
    codes: dict[str, Literal["registered", "reversed"]] = {}


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
    if isinstance(content, dict):
        for key, value in content.items():
            if str(key).startswith(OPEN):
                yield f"{above}{key}"
            else:
                yield from _unfinished(value, f"{above}{key}: ")
    elif isinstance(content, str) and content.startswith(OPEN):
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
        for value in values.values():
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


def apply(
    mapping: Mapping, cells: pd.DataFrame, registration: Registration, path: Path
) -> tuple[pd.DataFrame, list[str]]:
    """The cells with the registration's names and codes, and doubts about the mapping itself."""
    absent = [name for name in mapping.columns if name not in cells]
    if absent:
        _unknown(f"{path}: a column that the mapping names", absent[0], list(cells.columns))
    taken = [name for old, name in mapping.columns.items() if name in cells and name != old
             and name not in mapping.columns]
    if taken:
        raise LedgerError(
            path, found=f"the mapping gives a column the name {taken[0]!r}, which another has",
            expected="each name once", mend="map, rename or remove one of them",
        )
    cells = cells.rename(columns=mapping.columns)
    doubts = []
    for name in dict.fromkeys([*mapping.values, *mapping.codes]):
        if name not in cells:
            continue
        table = {plain(k): "" if v == MISSING else v
                 for k, v in mapping.values.get(name, {}).items()}
        unique = {cell: plain(cell) for cell in cells[name].unique()}
        unused = sorted(set(table) - set(unique.values()))
        if unused:
            doubts.append(f"mapping: no cell of {name!r} says " + ", ".join(map(repr, unused[:5])))
        flip = _flipped(name, registration) if mapping.codes.get(name) == "reversed" else {}
        meant = {c: table.get(p, flip.get(p, c)) for c, p in unique.items()}
        cells[name] = cells[name].map(meant).astype(object)
    return cells, doubts


def _flipped(name: str, registration: Registration) -> dict[str, str]:
    labels = registration.instrument.scales[registration.instrument.items[name].scale].labels
    ends = min(labels) + max(labels)
    return {str(code): str(ends - code) for code in labels}
