"""The generated parts of `docs/`: keys, calls, commands and fields, from models and docstrings.

A page holds its own words and marked regions; `make docs` writes the regions anew.
"""

import inspect
import re
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from claimledger.ledger.entries import VERDICTS, Entry, Equivalence
from claimledger.ledger.recording import Record
from claimledger.ledger.results import tost, verdicts
from claimledger.registration import analyses, lock, models
from claimledger.settings import AnotherStudy, Notebook, Settings, Subject
from claimledger.simulation import assumptions
from claimledger.study import Study
from claimledger.survey.mapping import Mapping, Tasks
from claimledger.yaml_files import expected

REGION = re.compile(r"<!-- made: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
KEYS = (
    models.Registration, models.Study, models.Person, models.Design, models.Factor, models.Level,
    models.Vignette, models.Instrument, models.Scale, models.Item, models.Derived,
    models.Exclusion, models.Weighting, analyses.Family, analyses.Hypothesis, analyses.Comparison,
    analyses.Bound, analyses.Robustness,
)


def refresh(folder: Path, commands: list) -> dict[Path, str]:
    """The text that each page should have; `commands` are those of the command line."""
    made = {name: make() for name, make in REGIONS.items()} | {"commands": _commands(commands)}
    return {
        path: REGION.sub(lambda found: f"<!-- made: {found[1]} -->\n{made[found[1]].strip()}\n"
                         "<!-- end -->", path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.md"))
    }


def _keys(*kinds: type[BaseModel], by_hand: bool = True) -> str:
    """A section for each model: its docstring, and a table of its keys."""
    parts = []
    heads = ["key", "type", "default", "what it says", "example", "an error expects"]
    for kind in kinds:
        rows = ["| " + " | ".join(heads if by_hand else heads[:4]) + " |",
                "|" + "---|" * (6 if by_hand else 4)]
        for name, field in kind.model_fields.items():
            cells = [f"`{field.alias or name}`", type_of(field.annotation), _default(field),
                     field.description or ""]
            if by_hand:
                example = f"`{_shown(field.examples[0])}`" if field.examples else ""
                cells += [example, _refused(field)]
            rows.append("| " + " | ".join(map(_cell, cells)) + " |")
        said = inspect.cleandoc(kind.__doc__ or "")
        parts.append(f"## {kind.__name__}\n\n{said}\n\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _refused(field: FieldInfo) -> str:
    """What the error says was expected, where a value cannot be."""
    adapter, said = TypeAdapter(Annotated[field.annotation, Field(), *field.metadata]), []
    for wrong in ("?", -1):      # a text for a number, a number for a text, out of range
        try:
            adapter.validate_python(wrong)
        except ValidationError as error:
            first = error.errors()[0]
            said.append(expected(first["type"], first.get("ctx", {})))
    return next((text for text in said if text.startswith("a number ")), said[0] if said else "")


def type_of(kind: object) -> str:
    """A type in words of YAML."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return type_of(inner[0])
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in (Union, UnionType):
        return " or ".join(type_of(one) for one in inner if one is not type(None))
    if origin is list:
        return f"list of {type_of(inner[0])}"
    if origin is dict:
        return f"{type_of(inner[0])}: {type_of(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))  # type: ignore[call-overload]


def _default(field) -> str:
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else ""
    if field.default is None or isinstance(field.default, BaseModel):
        return "none"
    return f"`{_shown(field.default)}`"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if value in ("", "null"):      # which YAML would read as nothing
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _calls() -> str:
    """What a notebook may call: signatures and docstrings."""
    parts = []
    for owner, name in ((Study, "study"), (Record, "record")):
        parts.append(f"## {owner.__name__}\n\n{inspect.cleandoc(owner.__doc__ or '')}")
        for key, member in vars(owner).items():
            function = getattr(member, "__func__", None) or getattr(member, "fget", None) or (
                getattr(member, "func", None) or member)
            hidden = key.startswith("_") and key != "__call__"
            if hidden or not inspect.isfunction(function):
                continue
            called = name if key == "__call__" else f"{name}.{key}"
            takes = "" if isinstance(member, property | cached_property) else _signature(function)
            parts.append(f"### `{called}{takes}`\n\n{inspect.cleandoc(function.__doc__ or '')}")
    for function in (tost, verdicts):
        parts.append(f"## `{function.__name__}{_signature(function)}`\n\n"
                     + inspect.cleandoc(function.__doc__ or ""))
    return "\n\n".join(parts)


def _signature(function) -> str:
    takes = [p for p in inspect.signature(function).parameters.values()
             if p.name not in ("self", "cls")]
    shown = [p.replace(annotation=inspect.Parameter.empty) for p in takes]
    return str(inspect.Signature(shown))


def _commands(commands: list) -> str:
    rows = ["| command | what it does |", "|---|---|"]
    for info in commands:
        if info.hidden:
            continue
        name = info.name or info.callback.__name__
        said = inspect.cleandoc(info.callback.__doc__ or "").split("\n\n")[0]
        example = re.sub(r"\[/?bold\]|Example: +", "", info.epilog or "")
        rows.append(f"| `claimledger {name}` | {_cell(said)} `{_cell(example)}` |")
    return "\n".join(rows)


def _verdicts() -> str:
    rows = ["| decision | verdicts |", "|---|---|"]
    return "\n".join([*rows, *(f"| {kind} | {', '.join(f'`{v}`' for v in words)} |"
                               for kind, words in VERDICTS.items())])


REGIONS = {
    "settings": lambda: _keys(Settings, Notebook, Subject, AnotherStudy),
    "registration": lambda: _keys(*KEYS),
    "mapping": lambda: _keys(Mapping, Tasks),
    "simulation": lambda: _keys(
        assumptions.Simulation, assumptions.Margin, assumptions.Pairs, assumptions.Outcome,
        assumptions.Column, assumptions.Effect, assumptions.Slopes, assumptions.Gap,
        assumptions.Recall, assumptions.Fieldwork, assumptions.World),
    "ledger": lambda: _keys(Entry, Equivalence, by_hand=False),
    "verdicts": _verdicts,
    "deviations": lambda: _keys(lock.Deviation, lock.Amendment),
    "calls": _calls,
}


if __name__ == "__main__":
    from claimledger.cli import app

    for page, text in refresh(Path(__file__).parent, app.registered_commands).items():
        page.write_text(text, encoding="utf-8")
