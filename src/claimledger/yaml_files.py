"""YAML that a person writes: read with bounds, as typed data, mistakes told with line and key."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, reduce
from operator import getitem
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from claimledger.errors import LedgerError

SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it exists
_PLAIN = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEP, _MANY = 50, 1_000_000      # levels and values that a YAML file may hold, aliases written out
OPEN = "?"               # a text that begins with it has to be finished by a person
Key = tuple[str | int | float, ...]
Checked = TypeVar("Checked", bound=BaseModel)
IDENTIFIER, ENTRY, SHA256 = (
    r"^[A-Za-z][A-Za-z0-9_]*$", r"^[A-Za-z][A-Za-z0-9_.]*$", "^[0-9a-f]{64}$")
PATTERNS = {IDENTIFIER: "a letter, then letters, digits and underscores",
            ENTRY: "a letter, then letters, digits, underscores and dots",
            SHA256: "64 hexadecimal digits"}
_WORDS = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")


class _Safe(SAFE):
    """YAML that makes plain values only, and refuses a key given twice, which YAML would drop.

    As in YAML 1.2, which editors and Quarto read, `yes` and `no` are words, and so are dates.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in _WORDS]
        for first, pairs in SAFE.yaml_implicit_resolvers.items()}


class _Texts(_PLAIN):
    """YAML in which every value is text, so that Yes is a word and 1 a code."""


def _unique_keys(loader, node: yaml.MappingNode) -> dict:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a list or a mapping in the place of a key", key.start_mark)
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key.value}` stands twice", key.start_mark)
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Safe.add_implicit_resolver(_WORDS[0], re.compile(r"(true|false)$", re.IGNORECASE), list("tTfF"))
for _loader in (_Safe, _Texts):
    _loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_keys)


def load_yaml(path: Path, expected: str, texts: bool = False) -> object:
    """The content of a YAML file, as `parse_yaml` gives it; a LedgerError where there is none."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # it might never end
            raise LedgerError(path, found="a pipe, a device or a folder", expected=expected)
        return parse_yaml(path.read_bytes(), path, expected, texts)
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise LedgerError(path, found=found, expected=expected) from error


def parse_yaml(text: str | bytes, where: object, expected: str, texts: bool = False) -> object:
    """YAML as plain values (or as texts only).

    Refused are a key that stands twice, code, more than 50 levels, and aliases that would make
    more than a million values of a few lines.

    Parameters
    ----------
    text : if bytes, in UTF-8.
    where, expected : the place of the text, and what it should be in words, for the errors.
    texts : whether all values stay texts.

    Raises
    ------
    LedgerError
        Not UTF-8, or not such YAML; with the line.
    """
    try:
        text = text.decode() if isinstance(text, bytes) else text
        _bound(text)
        return yaml.load(text, Loader=_Texts if texts else _Safe)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:500].replace('in "<unicode string>", ', "")
        tab = "'\\t'" in said or "tab character" in said
        raise LedgerError(
            where, found=said, expected=f"valid YAML: {expected}",
            mend="put blanks in place of the tab" if tab else "correct the line named above",
        ) from error


def _bound(text: str) -> None:
    """Raise for YAML too deep, or too large with its aliases written out, before it is built."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    count = 0
    for event in yaml.parse(text, Loader=SAFE):
        if isinstance(event, yaml.events.AliasEvent):
            count += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.events.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.events.CollectionStartEvent):
            open_.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                sizes[anchor] = count - before
        if len(open_) > _DEEP or count > _MANY:
            raise yaml.MarkedYAMLError(
                problem=f"more than {_DEEP} levels" if len(open_) > _DEEP
                else f"more than {_MANY:,} values", problem_mark=event.start_mark)


@dataclass
class Source:
    """A YAML file: its content, and the line on which each key stands."""

    path: Path
    content: dict

    @classmethod
    def read(cls, path: Path, what: str = "a registration", texts: bool = False) -> "Source":
        """Read and parse (see `load_yaml`); an empty file holds no keys."""
        path = Path(path)
        content = load_yaml(path, what, texts) or {}
        if not isinstance(content, dict):
            raise LedgerError(
                path, found="a list" if isinstance(content, list) else f"{content!r:.60}",
                expected=f"{what}: keys and values, such as `key: value`",
                mend="look at the example in docs/")
        return cls(path, content)

    @cached_property
    def marks(self) -> dict[Key, yaml.Mark]:
        """Where each key, and each entry of a list, stands."""
        found: dict[Key, yaml.Mark] = {}

        def number(node: yaml.Node, key: Key, value: object) -> None:
            if isinstance(node, yaml.MappingNode) and isinstance(value, dict):
                for (name, child), actual in zip(node.value, value, strict=False):
                    found[(*key, actual)] = name.start_mark
                    number(child, (*key, actual), value[actual])
            elif isinstance(node, yaml.SequenceNode) and isinstance(value, list):
                for place, child in enumerate(node.value):
                    found[(*key, place)] = child.start_mark
                    number(child, (*key, place), value[place])

        text = self.path.read_text(encoding="utf-8")
        number(yaml.compose(text, Loader=SAFE), (), self.content)
        return found

    def line(self, key: Key) -> int | None:
        """The line of a key, or of the nearest one above it."""
        while key and key not in self.marks:
            key = key[:-1]
        return self.marks[key].line + 1 if key else None

    def name(self, key: Key) -> str:
        """A key with dots; an entry of a list by its id, else by its number, from one."""
        value, parts = self.content, []
        for part in key:
            listed = isinstance(value, list) and isinstance(part, int)
            inside = part < len(value) if listed else isinstance(value, dict) and part in value
            value = value[part] if inside else None
            named = value.get("id") if listed and isinstance(value, dict) else None
            parts.append(named if isinstance(named, str) else str(part + 1 if listed else part))
        return ".".join(parts)

    def where(self, key: Key) -> str:
        """File, line and key."""
        line = self.line(key)
        place = f"{self.path}, line {line}" if line else str(self.path)
        return f"{place}: {self.name(key)}" if key else place

    def open_marks(self) -> list[str]:
        """Every text that still begins with a question mark, with its line."""
        found = []
        for key, mark in self.marks.items():
            value = reduce(getitem, key, self.content)
            if str(key[-1]).startswith(OPEN):
                found.append(f"line {mark.line + 1}, {self.name(key)}")
            if isinstance(value, str) and value.startswith(OPEN):
                found.append(f"line {mark.line + 1}, {self.name(key)}: {value:.60}")
        return found


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: where, what was found, what was expected, and how to mend it."""

    key: Key
    found: str
    expected: str
    mend: str = ""


def near(name: object, names: Iterable) -> str:
    """Did you mean: a sentence, or nothing where no name is near."""
    words = {str(one).lower(): str(one) for one in reversed(list(names))}
    close = [words[one] for one in get_close_matches(str(name).lower(), words, n=3)]
    return f"did you mean {' or '.join(close)}?" if close else ""


def one_of(names: Iterable) -> str:
    """A list of what is allowed, not longer than a person reads."""
    words = [str(name) for name in names]
    return "one of " + ", ".join(words[:12]) + (" …" if len(words) > 12 else "")


def unknown(key: Key, found: Iterable, names: Collection) -> Iterator[Mistake]:
    """A mistake for each of the names found that is not among those there are."""
    for name in found:
        if name not in names:
            expected = one_of(names) if names else "nothing"
            yield Mistake(key, repr(name), expected, near(name, names))


def complain(source: Source, mistakes: list[Mistake], mend: str = "") -> LedgerError:
    """One error for all mistakes of a file, in the order of its lines."""
    mistakes = sorted(mistakes, key=lambda m: source.line(m.key) or 0)
    if len(mistakes) == 1:
        m = mistakes[0]
        return LedgerError(source.where(m.key), found=m.found, expected=m.expected,
                           mend=m.mend or mend or "correct it")
    told = [f"\n    line {source.line(m.key) or 1}, {source.name(m.key)}: {m.found}; expected "
            f"{m.expected}" + f" ({m.mend})" * bool(m.mend) for m in mistakes]
    return LedgerError(source.path, found=f"{len(mistakes)} mistakes" + "".join(told),
                       mend=mend or "correct the lines named above")


# As a model of pydantic: types, bounds, examples.


class Model(BaseModel):
    """The common rules: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    def __hash__(self) -> int:
        """By content; pydantic's own fails on lists."""
        return hash(self.model_dump_json())


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
    if kind == "too_short":
        return f"{context['min_length']} or more entries"
    words = {
        "string": "a text (in quotes where it looks like something else)",
        "int": "a whole number", "float": "a number", "bool": "true or false",
        "list": "a list, such as [a, b]", "dict": "keys with values", "model": "keys with values",
        "finite_number": "a number that is finite",
        "date": "a date such as 2026-05-01"}
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
