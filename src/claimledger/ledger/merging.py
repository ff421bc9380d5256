"""From the notebooks' fragments to the ledger of results."""

import importlib.metadata
import json
from pathlib import Path

import claimledger
from claimledger.errors import LedgerError
from claimledger.ledger.entries import dump
from claimledger.ledger.external import external_of, require_same
from claimledger.ledger.sets import ready_texts, set_entries
from claimledger.project import Run, settings, sha256_tree, write_atomic
from claimledger.registration.loading import load
from claimledger.registration.lock import check_lock

PACKAGES = ("matplotlib", "numpy", "pandas", "papermill", "scipy", "seaborn", "statsmodels")


def notebook_stems(run: Run) -> list[str]:
    """The paper's notebooks in reading order, from `_quarto.yml`."""
    listed = settings(run.root).get("manuscript", {}).get("notebooks", [])
    return [Path(one["notebook"]).stem for one in listed]


def merge(run: Run, stems: list[str] | None = None) -> Path:
    """Write the ledger from all fragments, or those of `stems`; an id claimed twice is an error."""
    entries, exhibits, deviations, origin, others = {}, {}, [], {}, {}
    data = None
    for stem in notebook_stems(run) if stems is None else stems:
        path = run.fragments / f"{stem}.json"
        try:
            fragment = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise LedgerError(
                path, found="no such file", expected=f"what notebook {stem} found",
                mend="end the notebook with study.save()",
            ) from error
        if "external" in fragment:
            others[fragment["external"]] = _other(run, stem, fragment)
        elif data not in (None, fragment["data"]):
            raise LedgerError(
                path, found=fragment["data"]["sha256"][:12], expected=data["sha256"][:12],
                mend="all notebooks must run on the same data: run `make paper`",
            )
        else:
            data = fragment["data"]
        for id in fragment["entries"]:
            if id in entries:
                raise LedgerError(
                    f"{stem}: {id}", found=f"also recorded by {origin[id]}",
                    expected="one notebook",
                    mend="give one of them another id",
                )
            origin[id] = stem
        entries |= fragment["entries"]
        exhibits |= {k: v | {"notebook": stem} for k, v in fragment["exhibits"].items()}
        deviations += [row for row in fragment["deviations"] if row not in deviations]
    if data is None:
        raise LedgerError("_quarto.yml: manuscript.notebooks", found="none", expected="notebooks")
    header = _header(run, data) | ({"external": others} if others else {})
    content = {"header": header, "entries": entries, "exhibits": exhibits, "deviations": deviations}
    return write_atomic(run.ledger, dump(content | complete(run, entries)))


def complete(run: Run, entries: dict[str, dict]) -> dict[str, dict]:
    """What the prose asks of the ledger beside the notebooks' own entries.

    Adds the ready texts `test` and `stat` and the entries of all sets to `entries`, in place.
    Returns the phrases that `_quarto.yml` names, which both renderers read from the ledger.
    """
    config = settings(run.root).get("ledger", {})
    words, sets = config.get("words") or {}, config.get("sets") or {}
    entries |= set_entries(entries, load(run.registration), words, sets)
    for entry in entries.values():
        entry["text"] = entry.get("text", {}) | ready_texts(entry)
    return {"phrases": config["phrases"]} if config.get("phrases") else {}


def _other(run: Run, stem: str, fragment: dict) -> dict:
    """What the header says of another study, whose entries are marked as from there."""
    one = external_of(run, stem)
    if one is not None and "recorded" not in fragment:
        require_same(one, fragment)
    for entry in fragment["entries"].values():
        entry["source"] = fragment["external"]
    known = {key: fragment[key] for key in ("data", "registration", "recorded") if key in fragment}
    return known | {"status": known["data"].pop("status")}


def _header(run: Run, data: dict) -> dict:
    """Where the results come from: data, registration, code, packages, seed."""
    lock = check_lock(run.registration)
    return {
        "schema": 1, "status": data["status"],
        "data": {k: v for k, v in data.items() if k != "status"},
        "registration": {"file": run.relative(run.registration)} | lock.header(),
        "code": {"version": claimledger.__version__, "sha256": sha256_tree(_package(), "*.py")},
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "seed": run.seed,
    }


def _package() -> Path:
    return Path(claimledger.__file__).parent
