"""YAML that a person writes: read with bounds, and mistakes told with file, line and key."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import yaml

from claimledger.errors import LedgerError

SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it exists
_PLAIN = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_DEEP, _MANY = 50, 1_000_000      # levels and values that a YAML file may hold, aliases written out
OPEN = "?"               # a text that begins with it has to be finished by a person
Key = tuple[str | int | float, ...]
_WORDS = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")


class _Safe(SAFE):
    """YAML that makes plain values only, and refuses a key given twice, which YAML would drop.

    As in YAML 1.2, which editors and Quarto read, `yes` and `no` are words, and so are dates.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in _WORDS]
        for first, pairs in SAFE.yaml_implicit_resolvers.items()
    }


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
    """The content of a YAML file, as plain values (or as texts only).

    Refused are a key that stands twice, code, more than 50 levels, and aliases that would make
    more than a million values of a few lines.

    Parameters
    ----------
    path : file, in UTF-8.
    expected : what the file should be, in words, for the errors.
    texts : whether all values stay texts.

    Raises
    ------
    LedgerError
        No such file, not UTF-8, or not such YAML; with the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        _bound(text)
        return yaml.load(text, Loader=_Texts if texts else _Safe)
    except FileNotFoundError as error:
        raise LedgerError(path, found="no such file", expected=expected) from error
    except OSError as error:
        raise LedgerError(path, found=error.strerror, expected=expected) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:500].replace('in "<unicode string>", ', "")
        tab = "'\\t'" in said or "tab character" in said
        raise LedgerError(
            path, found=said, expected=f"valid YAML: {expected}",
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
    def lines(self) -> dict[Key, int]:
        """The line on which each key stands."""
        found: dict[Key, int] = {}

        def number(node: yaml.Node, key: Key, value: object) -> None:
            if isinstance(node, yaml.MappingNode) and isinstance(value, dict):
                for (name, child), actual in zip(node.value, value, strict=False):
                    found[(*key, actual)] = name.start_mark.line + 1
                    number(child, (*key, actual), value[actual])
            elif isinstance(node, yaml.SequenceNode) and isinstance(value, list):
                for place, child in enumerate(node.value):
                    found[(*key, place)] = child.start_mark.line + 1
                    number(child, (*key, place), value[place])

        text = self.path.read_text(encoding="utf-8")
        number(yaml.compose(text, Loader=SAFE), (), self.content)
        return found

    def line(self, key: Key) -> int | None:
        """The line of a key, or of the nearest one above it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

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
        found: list[str] = []

        def walk(value: object, key: Key) -> None:
            children = value.items() if isinstance(value, dict) else (
                enumerate(value) if isinstance(value, list) else ())
            for part, child in children:
                if isinstance(part, str) and part.startswith(OPEN):
                    found.append(f"line {self.line((*key, part))}, {self.name((*key, part))}")
                walk(child, (*key, part))
            if isinstance(value, str) and value.startswith(OPEN):
                found.append(f"line {self.line(key)}, {self.name(key)}: {value:.60}")

        walk(self.content, ())
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
    close = get_close_matches(str(name), [str(one) for one in names], n=3)
    return f"did you mean {' or '.join(close)}?" if close else ""


def one_of(names: Iterable) -> str:
    """A list of what is allowed, not longer than a person reads."""
    words = [str(name) for name in names]
    return "one of " + ", ".join(words[:12]) + (" …" if len(words) > 12 else "")


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
