"""A YAML file with the line of each key, and mistakes in it told with id and line."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import yaml

from claimledger.errors import LedgerError
from claimledger.project import SAFE, load_yaml

OPEN = "?"               # a text that begins with it has to be finished by a person
Key = tuple[str | int | float, ...]


@dataclass
class Source:
    """A YAML file: its content, and the line on which each key stands."""

    path: Path
    content: dict
    lines: dict[Key, int] = field(default_factory=dict)

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
        source = cls(path, content)
        source._number(yaml.compose(path.read_text(encoding="utf-8"), Loader=SAFE), (), content)
        return source

    def _number(self, node: yaml.Node, key: Key, value: object) -> None:
        if isinstance(node, yaml.MappingNode) and isinstance(value, dict):
            for (name, child), actual in zip(node.value, value, strict=False):
                self.lines[(*key, actual)] = name.start_mark.line + 1
                self._number(child, (*key, actual), value[actual])
        elif isinstance(node, yaml.SequenceNode) and isinstance(value, list):
            for place, child in enumerate(node.value):
                self.lines[(*key, place)] = child.start_mark.line + 1
                self._number(child, (*key, place), value[place])

    def line(self, key: Key) -> int | None:
        """The line of a key, or of the nearest one above it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

    def name(self, key: Key) -> str:
        """A key with dots; an entry of a list by its id, else by its number, from one."""
        value, parts = self.content, []
        for part in key:
            try:
                value = value[part]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                value = None
            named = isinstance(part, int) and isinstance(value, dict) and value.get("id")
            parts.append(named if isinstance(named, str) else str(part + 1) if isinstance(part, int)
                         and not self._is_key(key[: len(parts)], part) else str(part))
        return ".".join(parts)

    def _is_key(self, above: Key, part: object) -> bool:
        value: object = self.content
        for step in above:
            value = value[step]  # type: ignore[index]
        return isinstance(value, dict) and part in value

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
