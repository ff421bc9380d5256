"""The report of a verification: for people as text and as a page, for machines as JSON.

Everything that comes from the published file is shown as plain text, whatever it contains.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path

from claimledger.ledger.comparison import ABSOLUTE, Claim
from claimledger.project import write_atomic
from claimledger.replication.published import plain
from claimledger.replication.verify import Report

OUTCOME = {
    "same": "survives", "not re-run": "recorded, not re-run", "moved": "a number moved",
    "verdict": "another verdict", "text": "printed otherwise", "described": "described otherwise",
    "missing": "not found here", "page": "the page prints it otherwise",
}
STYLE = """
body{font:1rem/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%}
caption{text-align:left;font-weight:600}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ccc;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.no{background:#fdecea}.was{color:#8a1c00}.is{color:#005a2b}
pre{white-space:pre-wrap}.wide{overflow-x:auto}"""


def headline(report: Report) -> str:
    """The answer in one sentence."""
    number, fallen = len(report.claims), len(report.fallen)
    recorded = sum(claim.outcome == "not re-run" for claim in report.claims)
    ran = f" ({recorded} of them recorded, not re-run)" if recorded else ""
    if report.survives:
        return f"{plain(report.target)}: all {number} claims survive{ran}"
    text = f"{plain(report.target)}: {fallen} of {number} claims not confirmed here{ran}"
    if report.passages:
        text += f"; {len(report.passages)} passages of the page are not those of the source"
    return text + ("; a notebook failed" if report.failure else "")


def notes(report: Report) -> list[str]:
    """The notes, with the tolerance that was applied."""
    tolerance = (f"tolerance: {report.relative:g} of the published number or {ABSOLUTE:g}, "
                 "whichever is larger; verdicts and texts must be equal")
    return [*report.notes, tolerance]


def text(report: Report, every: bool = False) -> str:
    """Plain text: the claims that do not survive with their sentences; `every`: all claims."""
    lines = [headline(report), *(f"  {note}" for note in notes(report))]
    if report.failure:
        lines += ["", "a notebook could not be run here:"]
        lines += [f"  {line}" for line in report.failure.splitlines()]
    for claim in report.fallen:
        lines += ["", *_claim(claim), *_sentences(report, claim.id)]
    if report.passages:
        lines += ["", "passages of the page that are not those of the source:"]
        lines += [f"  {passage}" for passage in report.passages]
    if every:
        lines += ["", "id | published | here | difference | verdict | outcome"]
        lines += [" | ".join(_cells(claim)) for claim in report.claims]
    return "\n".join(lines) + "\n"


def page(report: Report) -> str:
    """A page that runs no script and fetches nothing."""
    rows = "\n".join(_row(claim) for claim in report.claims)
    head = "".join(f"<th scope=col>{name}</th>" for name in (
        "Claim", "Published", "Here", "Difference", "Verdict", "Outcome"))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(headline(report))}</title><style>{STYLE}</style></head><body><main>
<h1>{escape(headline(report))}</h1>
<ul>{"".join(f"<li>{escape(note)}</li>" for note in notes(report))}</ul>
{f"<h2>A notebook could not be run here</h2><pre>{escape(report.failure)}</pre>"
 if report.failure else ""}
{_changes(report)}
<h2>All claims</h2>
<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div>
</main></body></html>
"""


def data(report: Report) -> str:
    """JSON: everything, for a program."""
    content = {
        "schema": 1, "target": report.target, "survives": report.survives,
        "headline": headline(report), "notes": notes(report), "failure": report.failure,
        "tolerance": {"relative": report.relative, "absolute": ABSOLUTE},
        "claims": [
            asdict(claim) | {"difference": claim.difference, "survives": claim.survives}
            for claim in report.claims
        ],
        "sentences": [asdict(sentence) for sentence in report.sentences],
        "passages": report.passages,
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def write(report: Report, folder: Path) -> list[Path]:
    """Write the three reports into a folder."""
    return [
        write_atomic(folder / "report.html", page(report)),
        write_atomic(folder / "report.txt", text(report, every=True)),
        write_atomic(folder / "report.json", data(report)),
    ]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"


def _verdict(claim: Claim) -> str:
    if claim.verdict == claim.verdict_here or claim.outcome == "page":
        return f"{plain(claim.verdict)}, unchanged" if claim.verdict else ""
    return f"{plain(claim.verdict or 'none')} -> {claim.verdict_here or 'none'}"


def _cells(claim: Claim) -> list[str]:
    return [
        plain(claim.id), _number(claim.published), _number(claim.recomputed),
        _number(claim.difference), _verdict(claim), OUTCOME[claim.outcome],
    ]


def _claim(claim: Claim) -> Iterator[str]:
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


def _row(claim: Claim) -> str:
    cells = [escape(cell) for cell in _cells(claim)]
    numbers = "".join(f'<td class="n">{cell}</td>' for cell in cells[1:4])
    kind = "" if claim.survives else ' class="no"'
    title = escape(plain(claim.label), quote=True)
    return (f'<tr{kind}><th scope="row" title="{title}">{cells[0]}</th>{numbers}'
            f"<td>{cells[4]}</td><td>{cells[5]}</td></tr>")


def _changes(report: Report) -> str:
    """Claims that do not survive, their sentences, and passages that differ."""
    parts = []
    for claim in report.fallen:
        lines = [escape(line.strip()) for line in _claim(claim)]
        parts.append(f"<h3>{lines[0]}</h3><p>{'<br>'.join(lines[1:])}</p>")
        for one in report.sentences_of(claim.id):
            where = f"{escape(one.file)}:{one.line}"
            was = "" if one.published == one.here else (
                f'<br><span class="was">published: {escape(plain(one.published))}</span>')
            parts.append(f'<p>{where}{was}<br><span class="is">here: {escape(one.here)}</span></p>')
    if parts:
        parts.insert(0, "<h2>Claims that do not survive</h2>")
    if report.passages:
        listed = "".join(f"<li>{escape(passage)}</li>" for passage in report.passages)
        parts.append(f"<h2>Passages that are not those of the source</h2><ul>{listed}</ul>")
    return "\n".join(parts)
