"""The frozen registration: SHA-256, date and text, and what was changed after it, with reasons.

`registration.lock` holds the text that is registered now and, for each amendment, the difference
to the text before it: every earlier version can be restored from the lock alone. A seal over its
content tells a change made by hand from one made by `freeze`, `amend` or `deviate`. The seal keeps
honest people from a slip; a promise that strangers must trust needs a registry or a public
repository as witness of the dates.
"""

import datetime
import difflib
import re
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field

from claimledger.errors import LedgerError
from claimledger.project import sha256_file, write_atomic
from claimledger.yaml_files import SAFE, Model, Source, about, near, one_of, validated

ASPECTS = ("model", "vcov", "weights", "sample", "outcome", "correction", "sesoi", "other")
HEAD = (
    "# The registration is frozen. This file is written by claimledger freeze, amend (a change of\n"
    "# the registration) and deviate (a difference between what is registered and what is run),\n"
    "# and sealed against changes by hand.\n"
)
ALTERED = "restore the file: changes go through claimledger freeze, amend and deviate"
Day = Annotated[datetime.date, Field(strict=False)]      # a file holds it as text
Said = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Amendment(Model):
    """A change of the registration after it was frozen."""

    date: Day = about("When.", "2026-05-01")
    what: Said = about("What was changed.", "H4 added")
    why: Said = about("Why.", "asked for by a reviewer")
    sha256: str = about("SHA-256 of the text after it.")
    touched: list[str] = about("Analyses whose own lines, sample, family or variables it changes.",
                               ["H4"], default=[])
    diff: str = about("From the text before it to the text after it.", default="")


class Deviation(Model):
    """A declared difference between what was registered and what is run.

    The audit computes it as it is run; `other` is anything else, in words, which it cannot.
    """

    analysis: str = about("A hypothesis or a set of comparisons.", "H1")
    aspect: Literal[ASPECTS] = about("What differs.", "vcov")  # type: ignore[valid-type]
    run: Said = about(
        "What is run instead, to the letter: a formula (model), an estimator (vcov), none or "
        "weighted (weights), a registered sample, an outcome, a correction, a bound in SD (sesoi).",
        "HC3")
    reason: Said = about("Why.", "A reviewer asked for it.")
    when: Said = about("When it was decided: before or after the answers were seen.",
                       "After the data were seen.")
    impact: Said = about("What it changes in the result.", "None of the verdicts.")


class Lock(Model):
    """What stands in `registration.lock`; `text` is what is registered now."""

    registration: str
    sha256: str
    frozen: Day
    amendments: list[Amendment] = []
    deviations: list[Deviation] = []
    text: str = ""
    seal: str = ""

    @property
    def current(self) -> str:
        """The SHA-256 that the registration must have now."""
        return self.amendments[-1].sha256 if self.amendments else self.sha256

    def amended(self, analysis: str) -> list[int]:
        """Numbers, from one, of the amendments that change how an analysis is computed."""
        return [n for n, (changed, _) in enumerate(self.effects, 1) if analysis in changed]

    @property
    def texts(self) -> list[str]:
        """Every text that was registered, from the first one on."""
        found = [self.text]
        for one in reversed(self.amendments):
            found.insert(0, undo(found[0], one.diff))
        return found

    @property
    def effects(self) -> list[tuple[list[str], list[str]]]:
        """Of each amendment the analyses that it changes, and those of which only words change."""
        return [effects_of(before, after) for before, after in pairwise(self.texts)]

    def header(self) -> dict:
        """What the ledger's header says of the registration."""
        return {
            "first_sha256": self.sha256, "frozen": self.frozen.isoformat(), "sha256": self.current,
            "amendments": [
                {"number": n, "date": one.date.isoformat(), "what": one.what, "why": one.why,
                 "sha256": one.sha256, "touched": changed, "worded": words, "diff": one.diff}
                for n, (one, (changed, words)) in enumerate(
                    zip(self.amendments, self.effects, strict=True), 1)]}


def lock_path(registration: Path) -> Path:
    """`registration.yml` is locked by `registration.lock` beside it."""
    return Path(registration).with_suffix(".lock")


def read_lock(registration: Path) -> Lock:
    """The lock of a registration; a missing, mistyped or altered one is an error."""
    path = lock_path(registration)
    if not path.exists():
        raise LedgerError(path, found="no such file", expected="the lock of a frozen registration",
                          mend="freeze it: claimledger freeze")
    source = Source.read(path, "the lock of a frozen registration")
    lock = validated(source, Lock, source.content, ALTERED)
    _check_history(path, lock)
    return lock


def _check_history(path: Path, lock: Lock) -> None:
    """Dates in order, and the seal over all that was written unbroken."""
    dates = [lock.frozen, *(one.date for one in lock.amendments)]
    for number, (before, after) in enumerate(pairwise(dates), 1):
        if after < before:
            raise LedgerError(
                f"{path}: amendment {number}", found=f"dated {after}",
                expected=f"{before} or later: it was {'amended' if number > 1 else 'frozen'} then",
                mend="restore the file, or set this machine's clock and amend again")
    if lock.seal != _seal(lock):
        raise LedgerError(path, found="changed by hand: its seal is broken",
                          expected="the file as it was written", mend=ALTERED)


def check_lock(registration: Path) -> Lock:
    """The lock, after making sure that the registration is the one that was frozen."""
    lock = read_lock(registration)
    found = sha256_file(registration)
    if found != lock.current:
        raise LedgerError(
            registration, found=f"SHA-256 {found[:12]}…, changed since it was frozen",
            expected=f"{lock.current[:12]}… as in {lock_path(registration).name}",
            mend='undo the change, or declare it: claimledger amend --what "…" --why "…"')
    return lock


def freeze(registration: Path, today: datetime.date) -> Path:
    """Write the first lock; an existing one is never overwritten."""
    path = lock_path(registration)
    if path.exists():
        raise LedgerError(
            path, found="a lock", expected="none",
            mend='declare a change instead: claimledger amend --what "…" --why "…"')
    registration = Path(registration)
    return _write(path, Lock(
        registration=registration.name, sha256=sha256_file(registration), frozen=today,
        text=registration.read_bytes().decode()))


def amend(registration: Path, what: str, why: str, today: datetime.date) -> Path:
    """Add an amendment that makes the registration as it is now the valid one."""
    lock, registration = read_lock(registration), Path(registration)
    found = sha256_file(registration)
    if found == lock.current:
        raise LedgerError(registration, found="no change since the lock", expected="a change")
    for name, said in (("--what", what), ("--why", why)):
        if not said.strip():
            raise LedgerError(f"amend {name}", found="an empty text",
                              expected="what was changed, and why", mend="say it in a sentence")
    text = registration.read_bytes().decode()
    amendment = Amendment(
        date=today, what=what, why=why, sha256=found, touched=effects_of(lock.text, text)[0],
        diff=difference(lock.text, text))
    update = {"amendments": [*lock.amendments, amendment], "text": text}
    return _write(lock_path(registration), lock.model_copy(update=update))


def deviate(registration: Path, deviation: dict[str, str], known: list[str]) -> Path:
    """Declare a deviation; `known` are the registered analyses and families."""
    lock = check_lock(registration)
    said = {name: deviation.get(name, "").strip() for name in Deviation.model_fields}
    for name, text in said.items():
        allowed = {"analysis": known, "aspect": ASPECTS}.get(name)
        if not text or (allowed and text not in allowed):
            raise LedgerError(
                f"deviate --{name}", found=repr(text),
                expected=one_of(allowed) if allowed else "a text",
                mend=near(text, allowed or []) or "claimledger deviate --help says what it holds")
    one = Deviation.model_validate(said)
    if one in lock.deviations:
        raise LedgerError("deviate", found="the same deviation in the lock", expected="a new one")
    update = {"deviations": [*lock.deviations, one]}
    return _write(lock_path(registration), lock.model_copy(update=update))


def difference(before: str, after: str) -> str:
    """Unified difference of two texts, with line numbers; without the names of files."""
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=1)
    # An empty line of context without its blank, so that YAML can hold the whole as a block.
    return "\n".join("" if line == " " else line for line in list(lines)[2:])


def undo(after: str, diff: str) -> str:
    """The text before a `difference`."""
    old, lines, place = [], after.split("\n"), 0
    for line in diff.split("\n"):
        if hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line):
            # An empty side of a hunk is numbered by the line before it (POSIX diff -u).
            start = int(hunk[1]) - (0 if hunk[2] == "0" else 1)
            old += lines[place:start]
            place = start
        elif line.startswith("-"):
            old.append(line[1:])
        elif line.startswith("+"):
            place += 1
        else:
            old += lines[place:place + 1]
            place += 1
    return "\n".join(old + lines[place:])


@lru_cache(maxsize=64)
def effects_of(before: str, after: str) -> tuple[list[str], list[str]]:
    """Ids of the analyses that a change of the text moves, and of those whose words alone it does.

    The former may come out differently; of the latter, what is read differs, not what is computed.
    """
    try:
        old, new = (yaml.load(text, Loader=SAFE) or {} for text in (before, after))
        changed = [{id for id in was.keys() | now.keys() if was.get(id) != now.get(id)}
                   for words in (False, True)
                   for was, now in [(_concerns(old, words), _concerns(new, words))]]
    except (yaml.YAMLError, AttributeError, TypeError, KeyError):
        return [], []
    return sorted(changed[0]), sorted(changed[1] - changed[0])


# What is read and decides no number.
_WORDS = {"mark", "label", "wording", "text", "block", "estimand", "statement", "criterion"}


def _concerns(content: dict, words: bool) -> dict[str, object]:
    """For each analysis all that decides its result, as plain values; with the words, or without.

    The order of levels counts, because the first is the reference. The labels of an ordinal scale
    are words, those of a nominal one are the groups of a model.
    """
    def plain(value: object, key: str = "") -> object:
        if isinstance(value, dict) and not words:
            if value.get("kind") == "ordinal" and isinstance(value.get("labels"), dict):
                value = value | {"labels": list(value["labels"])}
            value = {k: plain(v, k) for k, v in value.items() if k not in _WORDS}
            return list(value.items()) if key == "levels" else value
        return [plain(item) for item in value] if isinstance(value, list) else value

    factors = (content.get("design") or {}).get("factors") or {}
    instrument = content.get("instrument") or {}
    items, derived = (instrument.get(key) or {} for key in ("items", "derived"))
    found = {}
    for one in [*(content.get("hypotheses") or []), *(content.get("comparisons") or [])]:
        names = set(re.findall(r"\w+", str(one.get("model")))) | set(one.get("stack") or [])
        names |= set((content.get("samples") or {}).get(one.get("sample")) or {})
        for _ in derived:      # what derived variables are made of, however far down
            for rule in [derived[name] for name in names & derived.keys()]:
                names |= {*(rule.get("mean") or []), *(rule.get("sum") or []), rule.get("of"),
                          *re.findall(r"\w+", str(rule.get("formula")))}
        used = {name: known[name] for known in (factors, items, derived)
                for name in sorted(known.keys() & names)}
        scales = {items[n]["scale"]: (instrument.get("scales") or {}).get(items[n].get("scale"))
                  for n in used if n in items}
        found[one.get("id")] = plain([
            one, used, scales, (content.get("families") or {}).get(one.get("family")),
            (content.get("samples") or {}).get(one.get("sample")), content.get("exclusions"),
            content.get("weighting") if one.get("weighted") else None,
            [(content.get("design") or {}).get(key) for key in (
                "respondent", "tasks", "profiles", "restrictions", "blocks", "clusters")]])
    return found


def _seal(lock: Lock) -> str:
    content = lock.model_dump(mode="json", exclude={"seal"})
    return sha256(repr(sorted(content.items())).encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, which a person can read."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))


def _write(path: Path, lock: Lock) -> Path:
    lock = lock.model_copy(update={"seal": _seal(lock)})
    _check_history(path, lock)
    content = yaml.dump(
        lock.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return write_atomic(path, HEAD + content)
