"""Papers whose numbers and verdicts are bound to a ledger of results."""

__version__ = "0.1.0"


def __getattr__(name: str):
    """Import `Study` only when it is asked for: the command line must start fast."""
    if name == "Study":
        from claimledger.study import Study

        return Study
    raise AttributeError(name)
