"""From the notebooks' fragments to the ledger of results: what is registered is audited anew."""

import importlib.metadata
import math
from collections.abc import Callable
from pathlib import Path

from pydantic import ConfigDict

import claimledger
from claimledger.errors import LedgerError
from claimledger.ledger.audit import Audit, groups, tests_of
from claimledger.ledger.entries import Results, dump, load_results
from claimledger.ledger.external import External, external_of, recorded, require_same
from claimledger.ledger.sets import lock_entries, ready_texts, set_entries
from claimledger.project import Run, sha256_file, sha256_tree, write_atomic
from claimledger.registration.loading import load
from claimledger.registration.lock import Lock, check_lock
from claimledger.settings import notebook_stems, settings
from claimledger.survey.loading import Survey, open_survey

PACKAGES = ("matplotlib", "numpy", "pandas", "papermill", "scipy", "seaborn", "statsmodels")


class Fragment(Results):
    """What a notebook's process wrote: data, never trusted."""

    model_config = ConfigDict(strict=True)
    data: dict
    exhibits: dict[str, dict]


def merge(
    run: Run, stems: list[str] | None = None, tell: Callable[[str], None] | None = None
) -> Path:
    """Write the ledger from all fragments, after an audit of everything called registered.

    With `stems`, from these alone: registered analyses of other notebooks may then be missing.
    `tell` is called with each warning about the data, as `check` gives them.

    A fragment is what a notebook's process says it found. What it says of registered analyses is
    computed again here, from the raw file and the registration; a difference, a result that is
    missing, and a status that only the audit may give are errors, and nothing is written.
    """
    lock = check_lock(run.registration)
    registration = load(run.registration)
    fragments = {
        stem: load_results(run.fragments / f"{stem}.json", f"what notebook {stem} found",
                           "end the notebook with study.save()", Fragment)
        for stem in stems or notebook_stems(run.root)}
    own, entries, exhibits, origin, deviations, others, ours = {}, {}, {}, {}, [], {}, {}
    for stem, fragment in fragments.items():
        for id, entry in fragment["entries"].items():
            if id in origin or entry.get("id") != id:
                raise LedgerError(
                    f"{stem}: {id}", found=f"also recorded by {origin.get(id, 'another id')}",
                    expected="one notebook", mend="give one of them another id")
            origin[id] = entry["notebook"] = stem
        exhibits |= {k: v | {"notebook": stem} for k, v in fragment["exhibits"].items()}
        other = external_of(run, stem)
        if other is None:
            own |= fragment["entries"]
            ours[stem] = fragment["data"]
        else:
            found, rows, others[other.name] = _other(run, other, fragment)
            entries |= found
            deviations += rows
    if not ours:
        raise LedgerError(
            "notebooks", found=f"only those of other studies: {', '.join(fragments)}",
            expected="at least one of this study", mend="look at why the others did not run")
    audit, data = None, next(iter(ours.values()))
    if groups(registration):
        survey = open_survey(run.data, registration, run.root, run.mapping)
        audit, data = Audit.of(registration, lock, survey), provenance(run, survey)
        for line in survey.warnings if tell else ():
            tell(f"{run.data.name}: warning: {line}")
    for stem, theirs in ours.items():
        if theirs != data:
            raise LedgerError(
                run.fragments / f"{stem}.json", found=str(theirs)[:200], expected=str(data)[:200],
                mend="all notebooks must run on the same data: run `make paper`")
    found, rows = audited(audit, own, origin, part=stems is not None)
    header = _header(run, lock, data) | ({"external": others} if others else {})
    every = entries | found
    found = {id: every[id] for id in origin}
    # What the prose asks for beside: sets, the lock, ready texts, and phrases of the settings.
    config = settings(run.root)["ledger"]
    found |= set_entries(found, registration, config.get("words") or {}, config.get("sets") or {})
    found |= lock_entries(lock)
    for entry in found.values():
        entry["text"] = entry.get("text", {}) | ready_texts(entry)
    content = {"header": header, "entries": found, "exhibits": exhibits,
               "deviations": [*rows, *deviations]}
    phrases = {"phrases": config["phrases"]} if config.get("phrases") else {}
    return write_atomic(run.ledger, dump(content | phrases))


def audited(
    audit: Audit | None, claimed: dict[str, dict], origin: dict[str, str], *, part: bool = False
) -> tuple[dict[str, dict], list[dict]]:
    """Entries with those of registered analyses as the audit gives them, and the deviations.

    In a `part` of the notebooks, a group of which nothing was recorded may be missing.
    """
    found, rows, known = dict(claimed), [], set()
    registered = groups(audit.registration) if audit else {}
    for group in registered:
        tests = [test.id for test in tests_of(audit.registration, group)]
        missing = [id for id in tests if id not in claimed]
        if part and missing == tests:
            continue
        if missing:
            raise LedgerError(
                f"registered: {group}", found=f"no result for {', '.join(missing)}",
                expected="one of each registered analysis, in one of the paper's notebooks",
                mend=f'study.record("{group}", study.results(fit, "{group}")) and so on')
        handed = {id: handed_over(claimed[id]) for id in tests}
        audit.compare(group, handed, origin[tests[0]])
        made = audit.entries(group, handed)
        for id, one in made.items():
            if id not in claimed or claimed[id].get("verdict") != one.verdict:
                raise LedgerError(
                    f"{origin.get(id, group)}: {id}", found=claimed.get(id, {}).get("verdict"),
                    expected=one.verdict, mend=f'record it by study.record("{group}", table)')
            said = {key: claimed[id][key] for key in ("notebook", "cell") if key in claimed[id]}
            found[id] = one.model_copy(update=said).record()
        known |= made.keys()
        rows += audit.deviation_rows(group, made)
    analyses = [one.id for members in registered.values() for one in members]
    for id, entry in claimed.items():
        if entry["status"] == "alternative" and not any(f".{a}." in f".{id}." for a in analyses):
            raise LedgerError(
                f"{origin[id]}: {id}", found="status alternative",
                expected="an id that holds that of a registered analysis, such as H1.weighted",
                mend="name it so, or record it as exploratory")
        if id not in known and entry["status"] in ("registered", "deviation"):
            raise LedgerError(
                f"{origin[id]}: {id}", found=f"status {entry['status']}",
                expected="a status that the notebook may give: this is no registered result",
                mend="record it as exploratory, as an alternative, or as a description; what is "
                'registered as a whole: study.record("H3", table)')
    return found, rows


def handed_over(entry: dict) -> dict:
    """The row of results that an entry came from."""
    known = {name: entry.get(name) for name in ("se", "df", "p", "p_adjusted", "n", "verdict")}
    if entry.get("unit") == "F":  # a joint test has no estimate
        df1 = str((entry.get("text") or {}).get("df1"))
        return known | {"statistic": entry.get("value"), "df1": int(df1) if df1.isdigit() else None}
    if known["df"] is None:  # JSON has no infinity: p values of the normal distribution
        known["df"] = math.inf
    low, high = entry.get("ci") or (None, None)
    return known | {"estimate": entry.get("value"), "low": low, "high": high,
                    "p_equivalence": (entry.get("equivalence") or {}).get("p_adjusted")}


def provenance(run: Run, survey: Survey) -> dict:
    """The data behind the results."""
    data = {"file": run.relative(run.data), "sha256": survey.sha256, "status": survey.status,
            "world": survey.world}
    if run.mapping:
        data["mapping"] = {"file": run.relative(run.mapping), "sha256": sha256_file(run.mapping)}
    return data


def _other(run: Run, one: External, fragment: dict) -> tuple[dict, list[dict], dict]:
    """Entries, deviations and header of another study: audited, or as they were recorded."""
    lock = check_lock(one.registration)
    header = {"registration": {"file": run.relative(one.registration)} | lock.header()}
    if one.present:
        promise = load(one.registration)
        survey = open_survey(one.data, promise, run.root, one.mapping)
        found, rows = audited(Audit.of(promise, lock, survey), fragment["entries"],
                              dict.fromkeys(fragment["entries"], one.notebook))
        if "recorded" not in fragment:
            require_same(one, fragment)
        data = {"file": one.data.name, "sha256": survey.sha256, "world": survey.world}
        status = survey.status
    else:
        earlier = recorded(one)
        require_same(one, fragment)
        found = {id: entry | {"recorded": True} for id, entry in earlier["entries"].items()}
        rows, data = earlier["deviations"], dict(earlier["data"])
        status = data.pop("status")
        header["recorded"] = earlier["recorded"]
    said = {"source": one.name, "notebook": one.notebook}
    found = {id: entry | said for id, entry in found.items()}
    return found, rows, header | {"data": data, "status": status}


def _header(run: Run, lock: Lock, data: dict) -> dict:
    """Where the results come from: data, registration, code, packages, seed."""
    return {
        "schema": 1, "status": data["status"],
        "data": {k: v for k, v in data.items() if k != "status"},
        "registration": {"file": run.relative(run.registration)} | lock.header(),
        "code": {"version": claimledger.__version__,
                 "sha256": sha256_tree(Path(claimledger.__file__).parent)},
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "seed": run.seed}

