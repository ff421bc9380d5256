"""Read a registration, and say what is wrong with it in words for a person."""

import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from claimledger.errors import LedgerError
from claimledger.registration.checks import mistakes_of
from claimledger.registration.models import SCHEMA, Registration
from claimledger.registration.source import OPEN, Mistake, Source, complain, near, one_of

Checked = TypeVar("Checked", bound=BaseModel)


def load(path: Path) -> Registration:
    """Load and validate; every mistake found is listed in one LedgerError."""
    return parse(Source.read(path))


def parse(source: Source) -> Registration:
    """Validate what was read: first each value by itself, then what values say of each other."""
    schema = source.content.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise LedgerError(
            source.where(("schema",)), found=f"schema {schema}",
            expected=f"1 or {SCHEMA}: this engine is older than the registration",
            mend="install a newer claimledger",
        )
    unfinished = source.open_marks()
    if unfinished:
        raise LedgerError(
            source.path, found=f"{len(unfinished)} unfinished: " + "; ".join(unfinished[:20]),
            expected=f"no text that begins with {OPEN!r}",
            mend="put in what each stands for, or remove its lines",
        )
    content = lifted(source.content) if schema == 1 else source.content
    registration = validated(source, Registration, content)
    mistakes = mistakes_of(registration)
    if mistakes:
        raise complain(source, mistakes)
    return registration


def lifted(content: dict) -> dict:
    """A registration of schema 1 as schema 2 says it, meaning the same.

    The one difference: codes that a `map` left out were missing without a word; they are now
    named under `missing`.
    """
    instrument = content.get("instrument")
    try:
        items, scales = instrument["items"], instrument["scales"]
        derived = dict(instrument["derived"])
        for name, rule in derived.items():
            if rule.get("map") and not rule.get("missing"):
                used = {code for codes in rule["map"].values() for code in codes}
                left = [c for c in scales[items[rule["of"]]["scale"]]["labels"] if c not in used]
                if left:
                    derived[name] = rule | {"missing": left}
    except (KeyError, TypeError, AttributeError, ValueError):
        return content      # something else is wrong, and validation says what
    return content | {"instrument": instrument | {"derived": derived}}


def validated(source: Source, model: type[Checked], content: dict, mend: str = "") -> Checked:
    """The content as a model; a LedgerError in words where it does not fit."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = {}
        for problem in error.errors():
            mistake = _mistake(model, content, problem)
            known = found.get(mistake.key)
            # Of the branches of a union, the one that came nearest is told.
            if known is None or len(problem["loc"]) > len(known[0]["loc"]):
                found[mistake.key] = (problem, mistake)
        deep = [key for key in found if any(key != k and k[: len(key)] == key for k in found)]
        for key in deep:      # the other branch of a union whose nearer one is told already
            if len(found[key][0]["loc"]) > len(key):
                del found[key]
        raise complain(source, [mistake for _, mistake in found.values()], mend) from None


def _mistake(model: type[BaseModel], content: object, problem: dict) -> Mistake:
    key, value, kind = [], content, model
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
        kind, value = _below(kind, part), value[part]
    where, said = tuple(key), problem["type"]
    if said in ("extra_forbidden", "invalid_key"):
        above = _model_at(model, key[:-1])
        names = [f.alias or n for n, f in above.model_fields.items()] if above else []
        return Mistake(where, "an unknown key", one_of(names), near(key[-1], names))
    if said == "literal_error":
        names = [arg for arg in get_args(_bare(kind)) if get_origin(_bare(kind)) is Literal]
        return Mistake(where, repr(value), one_of(names), near(value, names))
    if said == "value_error":
        return Mistake(where, _shown(value), problem["msg"].removeprefix("Value error, "))
    return Mistake(where, _shown(value), expected(said, problem.get("ctx", {})))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "the keys " + ", ".join(map(str, list(value)[:8])) if value else "no keys"
    return f"{value!r:.60}"


def _wanted(model: object, name: object) -> str:
    fields = getattr(model, "model_fields", {})
    known = fields.get(name) or next((f for f in fields.values() if f.alias == name), None)
    text = (known.description or "").rstrip(".") if known else ""
    return f"a value for `{name}`" + (f": {text[:1].lower()}{text[1:]}" if text else "")


def expected(kind: str, context: dict) -> str:
    """What was expected, by the kind of pydantic's error and its context."""
    limits = {"greater_than": ("above", "gt"), "greater_than_equal": ("of at least", "ge"),
              "less_than": ("below", "lt"), "less_than_equal": ("of at most", "le")}
    if kind in limits:
        word, name = limits[kind]
        return f"a number {word} {context[name]:g}"
    if kind == "literal_error":
        return "one of " + re.sub(r"'|\"", "", str(context["expected"])).replace(" or ", ", ")
    words = {
        "string_pattern": "a letter, then letters, digits and underscores",
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
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, about in kind.model_fields.items():
            if part in (name, about.alias):
                return about.annotation
        return object
    arguments = get_args(kind)
    return arguments[-1] if arguments else object


def _model_at(model: object, key: list) -> type[BaseModel] | None:
    for part in key:
        model = _below(model, part)
    model = _bare(model)
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None
