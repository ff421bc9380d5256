"""A small ledger for tests of what the prose may say."""

from claimledger.ledger.entries import VERDICTS


def entry(decision: str | None = None, verdict: str | None = None, **text: str) -> dict:
    verdicts = VERDICTS[decision] if decision else []
    return {"decision": decision, "verdicts": verdicts, "verdict": verdict, "text": text}


def small_ledger(**verdicts: str) -> dict:
    """H1 supported, H2 negligible, a.b higher, simulated; `verdicts` change what came out."""
    entries = {
        "H1": entry("hypothesis", "supported", est="−0.21", abs="0.21", p="= .012", n="1,202"),
        "H2": entry("hypothesis", "negligible", est="0.01", ci="[−0.05, 0.07]"),
        "a.b": entry("comparison", "higher", est="0.40"),
        "H.pattern": entry("pattern", "some", est="1"),
        "data.status": entry("status", "simulated", est="simulated"),
        "design.arms": entry(est="5", word="five")}
    for id, verdict in verdicts.items():
        entries[id]["verdict"] = verdict
    return {"header": {"status": "simulated"}, "entries": entries}
