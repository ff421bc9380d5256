"""Two ledgers, claim by claim: which survive, which moved, and which verdicts changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

RELATIVE = 1e-6  # of the published number; ten significant digits are printed in the ledger
ABSOLUTE = 1e-9
SURVIVES = ("same", "not re-run")


@dataclass(frozen=True)
class Claim:
    """One published claim beside what was found here.

    `outcome`: same; not re-run (recorded from data that are not shipped); verdict (another one);
    moved (a number beyond tolerance); text (printed otherwise, within tolerance); described
    (another label, status, model ...); missing (not found here); page (the page prints otherwise).
    """

    id: str
    label: str
    outcome: str
    published: float | None = None
    recomputed: float | None = None
    verdict: str | None = None
    verdict_here: str | None = None
    differs: tuple[str, ...] = ()

    @property
    def survives(self) -> bool:
        """Whether what was published still holds here."""
        return self.outcome in SURVIVES

    @property
    def difference(self) -> float | None:
        """Recomputed minus published value."""
        if self.published is None or self.recomputed is None:
            return None
        return self.recomputed - self.published


def agree(a: object, b: object, relative: float = RELATIVE) -> bool:
    """Numbers within tolerance of the published one, `a`; everything else equal."""
    if _is_number(a) and _is_number(b):
        return a == b or (isfinite(b) and abs(a - b) <= max(ABSOLUTE, relative * abs(a)))
    return type(a) is type(b) and a == b


def compare(published: dict, here: dict, relative: float = RELATIVE) -> list[Claim]:
    """Every claim of the published ledger, in its order, then its exhibits and deviations."""
    claims = [
        _claim(id, entry, here["entries"].get(id), relative)
        for id, entry in published["entries"].items()
    ]
    for label, exhibit in published.get("exhibits", {}).items():
        found = here.get("exhibits", {}).get(label)
        differs = _differs(exhibit, found or {}, relative)
        outcome = "missing" if found is None else "described" if differs else "same"
        claims.append(Claim(label, "exhibit and its description", outcome, differs=differs))
    if published.get("deviations", []) != here.get("deviations", []):
        claims.append(Claim("deviations", "the table of deviations", "described"))
    return claims


def added(published: dict, here: dict) -> list[str]:
    """Entries that are found here, and that the published ledger does not have."""
    return sorted(set(here["entries"]) - set(published["entries"]))


def _claim(id: str, old: dict, new: dict | None, relative: float) -> Claim:
    known = {"id": id, "label": old.get("label", ""), "published": old["value"],
             "verdict": old.get("verdict")}
    if new is None:
        return Claim(outcome="missing", **known)
    differs = _differs(old, new, relative)
    known |= {"recomputed": new["value"], "verdict_here": new.get("verdict"), "differs": differs}
    return Claim(outcome=_outcome(old, new, differs), **known)


def _outcome(old: dict, new: dict, differs: tuple[str, ...]) -> str:
    if not differs:
        return "not re-run" if new.get("recorded") else "same"
    if old.get("verdict") != new.get("verdict"):
        return "verdict"
    leaves = dict(_leaves(old)), dict(_leaves(new))
    if any(_is_number(leaves[0].get(name)) and _is_number(leaves[1].get(name)) for name in differs):
        return "moved"
    return "text" if any(name.startswith("text.") for name in differs) else "described"


def _differs(old: dict, new: dict, relative: float) -> tuple[str, ...]:
    """Names of the fields in which two entries do not agree, such as `ci.0` or `text.est`."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    return tuple(
        name for name in sorted((before.keys() | after.keys()) - {"recorded"})
        if not agree(before.get(name), after.get(name), relative)
    )


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every number, text and truth value with its name; what is empty is as if it were absent."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif value not in (None, "") and value is not False:
        yield name, value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
