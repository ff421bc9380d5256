"""A file as a pydantic model, and what does not fit it in words for a person."""

import re
from types import UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from claimledger.yaml_files import Mistake, Source, complain, near, one_of

Checked = TypeVar("Checked", bound=BaseModel)
IDENTIFIER, ENTRY, SHA256 = (
    r"^[A-Za-z][A-Za-z0-9_]*$", r"^[A-Za-z][A-Za-z0-9_.]*$", "^[0-9a-f]{64}$")
PATTERNS = {IDENTIFIER: "a letter, then letters, digits and underscores",
            ENTRY: "a letter, then letters, digits, underscores and dots",
            SHA256: "64 hexadecimal digits"}


class Model(BaseModel):
    """The common rules: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def about(text: str, *example: object, **rules) -> Field:
    """A field with its description and an example, as the reference prints them."""
    return Field(description=text, examples=list(example) or None, **rules)


def validated(source: Source, model: type[Checked], content: dict, mend: str = "") -> Checked:
    """The content as a model; a LedgerError in words where it does not fit."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = {}  # of the branches of a union, the one that came nearest is told
        for problem in sorted(error.errors(), key=lambda one: -len(one["loc"])):
            mistake = _mistake(model, content, problem)
            found.setdefault(mistake.key, (len(problem["loc"]), mistake))
        told = [mistake for key, (depth, mistake) in found.items() if depth <= len(key)
                or not any(key != other and other[:len(key)] == key for other in found)]
        raise complain(source, told, mend) from None


def _mistake(model: type[BaseModel], content: object, problem: dict) -> Mistake:
    key, value, kind, above = [], content, model, model
    for part in problem["loc"]:      # parts that name a branch of a union are passed over
        listed = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if listed or (isinstance(value, dict) and part in value):
            key.append(part)
        elif problem["type"] == "missing" and part == problem["loc"][-1]:
            return Mistake(tuple([*key, part]), "nothing", _wanted(kind, part))
        elif part == "[key]":
            name = problem["loc"][problem["loc"].index(part) - 1]
            return Mistake(tuple(key), f"the name {name!r}",
                           expected(problem["type"], problem.get("ctx", {})),
                           "quote it, or choose another name")
        else:
            continue
        above, kind, value = kind, _below(kind, part), value[part]
    where, said = tuple(key), problem["type"]
    if said in ("extra_forbidden", "invalid_key"):
        names = list(_fields(above))
        return Mistake(where, "an unknown key", one_of(names), near(key[-1], names))
    if said == "literal_error":
        names = [arg for arg in get_args(_bare(kind)) if get_origin(_bare(kind)) is Literal]
        return Mistake(where, repr(value), one_of(names), near(value, names))
    if said == "value_error":
        return Mistake(where, _shown(value), problem["msg"].removeprefix("Value error, "))
    return Mistake(where, _shown(value), expected(said, problem.get("ctx", {})))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        short = [f"{key}: {one}" for key, one in value.items()
                 if not isinstance(one, dict | list) and len(str(one)) <= 40]
        return ", ".join(short or map(str, value))[:200] or "no keys"
    return f"{value!r:.60}"


def _wanted(kind: object, name: object) -> str:
    known = _fields(kind).get(name)
    text = (known.description or "").rstrip(".") if known else ""
    text = text if text[:2].isupper() else text[:1].lower() + text[1:]
    return f"a value for `{name}`" + (f": {text}" if text else "")


def expected(kind: str, context: dict) -> str:
    """What was expected, by the kind of pydantic's error and its context."""
    limits = {"greater_than": ("above", "gt"), "greater_than_equal": ("of at least", "ge"),
              "less_than": ("below", "lt"), "less_than_equal": ("of at most", "le")}
    if kind in limits:
        word, name = limits[kind]
        return f"a number {word} {context[name]:g}"
    if kind == "literal_error":
        return "one of " + re.sub(r"'|\"", "", str(context["expected"])).replace(" or ", ", ")
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], "a text that is not empty")
    words = {
        "string": "a text (in quotes where it looks like something else)",
        "int": "a whole number", "float": "a number", "bool": "true or false",
        "list": "a list, such as [a, b]", "dict": "keys with values", "model": "keys with values",
        "too_short": "at least one entry", "finite_number": "a number that is finite",
        "date": "a date such as 2026-05-01",
    }
    return next((text for start, text in words.items() if kind.startswith(start)),
                "a value of another kind")


def _bare(kind: object) -> object:
    """A type without its annotations and without `None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        rest = [arg for arg in get_args(kind) if arg is not type(None)]
        models = [arg for arg in rest if isinstance(arg, type) and issubclass(arg, BaseModel)]
        return _bare((models or rest)[0])
    return kind


def _below(kind: object, part: object) -> object:
    """The type of what stands under a key of a type."""
    if fields := _fields(kind):
        return fields[part].annotation if part in fields else object
    return (get_args(_bare(kind)) or [object])[-1]


def _fields(kind: object) -> dict:
    """The fields of a model, by the keys of a file; of another type none."""
    fields = getattr(_bare(kind), "model_fields", {})
    return {field.alias or name: field for name, field in fields.items()}

