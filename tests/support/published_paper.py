"""A small published paper, and what the notebooks of its project find, for tests of verify."""

import json
from copy import deepcopy

from claimledger.ledger.entries import VERDICTS
from claimledger.prose.source import Source

PAPER = Source("paper.qmd", """---
title: A paper
---
# Results

Support falls by {{< num H1 abs >}} points among {{< num H1 n >}} respondents.
Democracies are {{< says H1 supported="spared" refuted="punished"
negligible="treated alike" undecided="perhaps spared" >}}.
Nothing in this sentence is bound.
[They are spared by everybody who was asked.]{.when H1="supported"}
[They are punished by everybody who was asked.]{.when H1="refuted"}
The other effect is {{< num H2 >}}.
""")


def entry(id: str, value: float, decision: str | None = None, verdict: str | None = None,
          **more) -> dict:
    text = {"est": f"{value:.2f}".replace("-", "−"), "abs": f"{abs(value):.2f}", "n": "1,202"}
    return {
        "id": id, "label": f"The effect {id}", "value": value, "ci": [value - 0.1, value + 0.1],
        "p": 0.012, "n": 1202, "status": "registered", "text": text, "decision": decision,
        "verdict": verdict, "verdicts": VERDICTS[decision] if decision else [], **more}


def found_here() -> dict:
    """What the notebooks find."""
    header = {
        "status": "simulated", "data": {"file": "data/raw/x.csv", "sha256": "d" * 64},
        "registration": {"sha256": "r" * 64}, "code": {"sha256": "c" * 64}, "seed": 1,
        "packages": {"pandas": "3.1.1"}}
    entries = [entry("H1", -0.2112345678, "hypothesis", "supported"), entry("H2", 0.4)]
    return {
        "header": header, "entries": {one["id"]: one for one in entries}, "deviations": [],
        "exhibits": {"fig-a": {"kind": "figure", "alt": "Mean 2.1.", "notebook": "01_a"}}}


def html(ledger: dict, *changes: tuple[str, str]) -> str:
    """The page; `changes` are made in its text after it was rendered."""
    def claim(kind: str, id: str, name: str, text: str) -> str:
        return f'<a class="claim {kind}" href="#claim-{id}" {name}>{text}</a>'

    lines = [
        f'Support falls by {claim("num", "H1", "data-field=abs", "0.21")} points among '
        f'{claim("num", "H1", "data-field=n", "1,202")} respondents. Democracies are '
        f'{claim("says", "H1", "data-verdict=supported", "spared")}.',
        "Nothing in this sentence is bound. They are spared by everybody who was asked.",
        f'The other effect is {claim("num", "H2", "data-field=est", "0.40")}.']
    text = "".join(f"<p>{line}</p>\n" for line in lines)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    embedded = json.dumps(ledger).replace("</", "<\\/")
    script = f'<script type="application/json" id="ledger">{embedded}</script>'
    return f"<body><main>{text}</main>{script}"


def altered(id: str, **fields) -> dict:
    """The ledger with other fields in one entry."""
    ledger = deepcopy(found_here())
    ledger["entries"][id] |= fields
    return ledger
