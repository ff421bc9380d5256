"""What a sentence is about: a direction is said only of what a condition or a token vouches for.

"Thinks worse of a letter that is long" under a condition on another comparison is refused,
whatever came out: the entry that would make it true or false is not asked for. Names are the labels
of levels and of the items that are compared, and further words that `_quarto.yml` lists below
`ledger: subjects:`, each with what it stands for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the lint starts without the libraries that a registration is checked with
    from claimledger.registration.models import Registration

_TERM = re.compile(r"([\w.]+)\[(?:T\.)?([^\]]+)\]")


@dataclass(frozen=True)
class Subjects:
    """`names`: pattern of words, and the levels, items or factors that they stand for."""

    names: tuple[tuple[re.Pattern, frozenset[str]], ...]
    about: dict[str, frozenset[str]]  # id of an analysis or family: what it is about
    known: frozenset[str]
    factors: dict[str, frozenset[str]]

    @classmethod
    def of(cls, registration: "Registration", listed: Iterable[dict] = ()) -> "Subjects":
        """From the registration, and a list of `{words: [...], means: [...]}`."""
        about: dict[str, set[str]] = {}
        for h in registration.hypotheses:
            terms = [t for t, weight in (h.contrast or {}).items() if weight]
            about[h.id] = _of_terms(terms, registration)
            about.setdefault(h.family, set()).update(about[h.id])
        for c in registration.comparisons:
            about[c.id] = set(c.levels)
        known = set().union(*about.values()) if about else set()
        factors = {name: frozenset({name, *factor.levels})
                   for name, factor in registration.design.factors.items()}
        names = [([registration.label(key)], {key}) for key in sorted(known)]
        names += [(one["words"], set(one["means"])) for one in listed]
        patterns = tuple(
            (re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b", re.IGNORECASE),
             frozenset(means)) for words, means in names
        )
        return cls(patterns, {id: frozenset(keys) for id, keys in about.items()}, frozenset(known),
                   factors)

    def covered(self, id: str) -> frozenset[str]:
        """What an entry is about: a pair its two levels, a set all that it compares."""
        parts = id.split(".")
        own = frozenset(part for part in parts if part in self.known)
        own = own.union(*(self.factors.get(part, ()) for part in parts))
        base = next((".".join(parts[:i]) for i in range(len(parts), 0, -1)
                     if ".".join(parts[:i]) in self.about), None)
        if base is None:
            return own
        rest = parts[len(base.split(".")):]
        inside = [part for part in rest if part in self.about[base]]
        pair = len(inside) == len(rest) > 0
        return own if pair and own <= self.about[base] else own | self.about[base]

    def missing(self, sentence: str, ids: Iterable[str]) -> list[str]:
        """The words of a sentence whose meaning none of the entries is about."""
        covered = frozenset().union(*(self.covered(id) for id in ids))
        return [found[0] for pattern, means in self.names if not means <= covered
                for found in [pattern.search(sentence)] if found]


def _of_terms(terms: Iterable[str], registration: "Registration") -> set[str]:
    """Levels, factors and items of a contrast's terms, the reference level included."""
    keys: set[str] = set()
    for term in terms:
        for variable, level in _TERM.findall(term):
            keys.add(level)
            factor = registration.design.factors.get(variable)
            if factor:
                keys |= {variable, next(iter(factor.levels))}
    return keys
