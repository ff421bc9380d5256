"""Other studies that a paper draws on, whose data may not be on this machine.

`_quarto.yml` names each below `ledger: external:`, with its registration, its notebook, the place
of its data, their SHA-256, and a file of recorded results. Where the data are, the notebook runs
on them; elsewhere the recorded results stand in its place, each marked as recorded. Both ways must
give the same results: a build with the data that finds anything else stops.
"""

import datetime
import json
from dataclasses import dataclass, replace
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, sha256_file, write_atomic
from claimledger.settings import CONFIG, settings


@dataclass(frozen=True)
class External:
    """One other study: paths, and the SHA-256 that its data must have."""

    name: str
    registration: Path
    notebook: str
    data: Path
    sha256: str
    recorded: Path
    mapping: Path | None

    @property
    def present(self) -> bool:
        """Whether the data are here; a LedgerError where they are not the ones described."""
        if not self.data.is_file():
            return False
        found = sha256_file(self.data)
        if found != self.sha256:
            raise LedgerError(
                self.data, found=f"SHA-256 {found[:16]}…",
                expected=f"{self.sha256[:16]}…, the data of {self.name}",
                mend="fetch the file again as the README beside it says, or take it away")
        return True

    def inputs(self) -> list[Path]:
        """Files on which its notebook depends, those that are here."""
        lock = self.registration.with_suffix(".lock")
        named = [self.registration, lock, self.mapping, self.recorded, self.data]
        return [path for path in named if path and path.is_file()]


def externals(run: Run) -> list[External]:
    """All other studies that the settings name."""
    root, listed = run.root, settings(run.root)["ledger"].get("external") or {}
    return [External(
        name, root / given["registration"], given["notebook"],
        root / run.external.get(name, given["data"]), given["sha256"], root / given["recorded"],
        root / given["mapping"] if given.get("mapping") else None)
        for name, given in listed.items()]


def placed(run: Run, given: list[str]) -> Run:
    """The run with data of other studies where `NAME=FILE` of a command line says they lie."""
    found = {}
    for one in given:
        name, _, file = one.partition("=")
        found[named(run, name).name] = Path(file).resolve()
        if not found[name].is_file():
            raise LedgerError(f"--external {one}", found="no such file",
                              expected=f"NAME=FILE: the data of {name}")
    return replace(run, external=found)


def named(run: Run, name: str) -> External:
    """The other study of that name."""
    known = {one.name: one for one in externals(run)}
    if name not in known:
        raise LedgerError(
            name, found="no such study", expected="one of: " + (", ".join(known) or "none"),
            mend=f"add it below `ledger: external:` in {CONFIG}")
    return known[name]


def external_of(run: Run, notebook: str) -> External | None:
    """The other study that a notebook belongs to, or None."""
    return next((one for one in externals(run) if one.notebook == notebook), None)


def run_for(run: Run, notebook: str) -> Run:
    """The run as a notebook sees it: with the data and the registration of its own study."""
    one = external_of(run, notebook)
    if one is None:
        return run
    return replace(run, registration=one.registration, data=one.data, mapping=one.mapping)


def recorded(one: External) -> dict:
    """The recorded results: a notebook's fragment, and the date on which it was recorded."""
    from claimledger.ledger.entries import load_ledger  # slow to import: pydantic

    if not one.recorded.is_file():
        raise LedgerError(
            one.data, found=f"no such file, and no {one.recorded.name}",
            expected=f"the data of {one.name}, or results that were recorded from them",
            mend="fetch the file as the README beside it says")
    content = load_ledger(one.recorded)
    for what, found, wanted in (
        ("data", content["data"]["sha256"], one.sha256),
        ("registration", content["registration"]["sha256"], sha256_file(one.registration))):
        if found != wanted:
            raise LedgerError(
                one.recorded, found=f"results from {what} with SHA-256 {found[:16]}…",
                expected=f"{wanted[:16]}…",
                mend=f"with the data at hand: claimledger record {one.name}")
    return content


def keep(one: External, fragment: dict, today: datetime.date) -> Path:
    """Write what a notebook found on the data as the recorded results."""
    from claimledger.ledger.entries import dump

    if "recorded" in fragment:
        raise LedgerError(
            one.data, found="no such file", expected=f"the data of {one.name}",
            mend=f"name its place: --external {one.name}=FILE")
    return write_atomic(one.recorded, dump(fragment | {"recorded": today.isoformat()}))


def require_same(one: External, fragment: dict) -> None:
    """Stop where the data give anything else than what was recorded from them."""
    from claimledger.ledger.entries import added, compare

    if not one.recorded.is_file():
        return
    old, new = json.loads(one.recorded.read_text("utf-8")), fragment
    wrong = [f"{claim.id}: {claim.outcome} ({', '.join(claim.differs)})"
             for claim in compare(old, new) if not claim.survives]
    wrong += [f"{id}: not recorded" for id in added(old, new)]
    wrong += [f"other {part}" for part in ("exhibits", "deviations") if old[part] != new[part]]
    if wrong:
        raise LedgerError(
            one.recorded, found=f"{len(wrong)} difference(s): {'; '.join(wrong[:5])}",
            expected="the results that its data give",
            mend=f"if the new results are right: claimledger record {one.name}")
