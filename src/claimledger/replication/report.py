"""The report of a verification: for people as text and as a page, for machines as JSON.

Everything that comes from the published file is shown as plain text, whatever it contains.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from claimledger.ledger.entries import ABSOLUTE, RELATIVE, Claim
from claimledger.project import write_atomic
from claimledger.replication.differences import GROUPS, Difference
from claimledger.replication.published import plain
from claimledger.replication.verify import Report
from claimledger.templates import page

OUTCOME = {
    "same": "survives", "not re-run": "recorded, not re-run", "moved": "a number moved",
    "verdict": "another verdict", "text": "printed otherwise", "described": "described otherwise",
    "missing": "not found here", "page": "the page prints it otherwise",
}
SHOWN = 100  # differences of a group in the text; the JSON has all


def headline(report: Report) -> str:
    """The answer in one sentence."""
    number, fallen = len(report.claims), len(report.fallen)
    recorded = sum(claim.outcome == "not re-run" for claim in report.claims)
    ran = f" ({recorded} of them recorded, not re-run)" if recorded else ""
    if report.survives:
        return f"{plain(report.target)}: all {number} claims survive{ran}, and nothing else differs"
    parts = [f"{fallen} of {number} claims not confirmed here{ran}"] if fallen else [
        f"all {number} claims survive{ran}"]
    parts += [f"{len(found)} {'difference' if len(found) == 1 else 'differences'}: {GROUPS[group]}"
              for group, found in grouped(report).items()]
    parts += ["a notebook failed"] if report.failure else []
    return f"{plain(report.target)}: {'; '.join(parts)}"


def grouped(report: Report) -> dict[str, list[Difference]]:
    """The differences that are no claim's, by group."""
    found = {group: [one for one in report.differences if one.group == group] for group in GROUPS}
    return {group: listed for group, listed in found.items() if listed}


def notes(report: Report) -> list[str]:
    """The notes, with the tolerance that was applied."""
    tolerance = (f"tolerance: {RELATIVE:g} of the published number or {ABSOLUTE:g}, "
                 "whichever is larger; verdicts, texts and all else must be equal")
    return [*filter(None, [report.first]), *report.notes, tolerance]


def text(report: Report, every: bool = False) -> str:
    """Plain text: what does not hold, by group; `every`: all claims, too."""
    lines = [headline(report), *(f"  {note}" for note in notes(report))]
    if report.failure:
        lines += ["", "a notebook could not be run here:"]
        lines += [f"  {line}" for line in report.failure.splitlines()]
    if report.fallen:
        lines += ["", "CLAIMS that do not hold here"]
    for claim in report.fallen:
        lines += ["", *_claim(claim, report), *_sentences(report, claim.id)]
    for group, found in grouped(report).items():
        lines += ["", GROUPS[group].upper()]
        for one in found[:SHOWN]:
            lines += _difference(one)
        lines += [f"  and {len(found) - SHOWN} more: see report.json"] if found[SHOWN:] else []
    if every:
        lines += ["", "ALL CLAIMS"]
        lines += [line for claim in report.claims for line in _claim(claim, report)]
    return "\n".join(lines) + "\n"


def html(report: Report) -> str:
    """The same on a page that runs no script and fetches nothing."""
    _, _, rest = text(report, every=True).partition("\n")
    return page(headline(report), [("pre", rest)])


def data(report: Report) -> str:
    """JSON: everything, for a program."""
    content = {
        "schema": 2, "target": report.target, "survives": report.survives,
        "headline": headline(report), "notes": notes(report), "failure": report.failure,
        "tolerance": {"relative": RELATIVE, "absolute": ABSOLUTE},
        "claims": [
            asdict(claim) | {"difference": claim.difference, "survives": claim.survives,
                             "amendments": report.amended.get(claim.id, [])}
            for claim in report.claims
        ],
        "sentences": [asdict(sentence) for sentence in report.sentences],
        "differences": [asdict(one) for one in report.differences],
    }
    return json.dumps(content, ensure_ascii=True, indent=1) + "\n"


def write(report: Report, folder: Path) -> list[Path]:
    """Write the three reports into a folder."""
    return [
        write_atomic(folder / "report.html", html(report)),
        write_atomic(folder / "report.txt", text(report, every=True)),
        write_atomic(folder / "report.json", data(report)),
    ]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"


def _verdict(claim: Claim) -> str:
    if claim.verdict == claim.verdict_here or claim.outcome == "page":
        return f"{plain(claim.verdict)}, unchanged" if claim.verdict else ""
    return f"{plain(claim.verdict or 'none')} -> {claim.verdict_here or 'none'}"


def _claim(claim: Claim, report: Report) -> Iterator[str]:
    yield f"{plain(claim.id)}: {OUTCOME[claim.outcome]}"
    if claim.label:
        yield f"  {plain(claim.label)}"
    if claim.published is not None:
        yield (f"  published {_number(claim.published)}, here {_number(claim.recomputed)}, "
               f"difference {_number(claim.difference)}")
    if _verdict(claim):
        yield f"  verdict: {_verdict(claim)}"
    if claim.differs:
        yield f"  differs: {plain(', '.join(claim.differs))}"
    for amendment in report.amended.get(claim.id, []):
        yield f"  {amendment}"


def _sentences(report: Report, id: str) -> Iterator[str]:
    for number, one in enumerate(report.sentences_of(id)):
        if number == 0:
            yield "  sentences that would have to change:"
        yield f"    {one.file}:{one.line}"
        if one.published == one.here:
            yield f"      should read: {one.here}"
        else:
            yield f"      published: {plain(one.published)}"
            yield f"      here:      {one.here}"


def _difference(one: Difference) -> Iterator[str]:
    yield f"  {plain(one.place)}" + (f" ({plain(one.note)})" if one.note else "")
    yield f"    published: {plain(one.published)[:400] or '(nothing)'}"
    yield f"    here:      {plain(one.here)[:400] or '(nothing)'}"
