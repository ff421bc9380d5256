"""Papers whose numbers and verdicts are bound to a ledger of results."""

__version__ = "0.1.0"

_FROM = {  # what a notebook imports, and where it is defined
    "Study": "claimledger.study", "tost": "claimledger.ledger.results",
    "verdicts": "claimledger.ledger.results", "number": "claimledger.ledger.numbers",
    "percent": "claimledger.ledger.numbers",
}
__all__ = sorted(_FROM)


def __getattr__(name: str):
    """Import only what is asked for: the command line must start fast."""
    if name in _FROM:
        from importlib import import_module

        return getattr(import_module(_FROM[name]), name)
    raise AttributeError(name)
