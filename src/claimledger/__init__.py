"""Papers whose numbers and verdicts are bound to a ledger of results."""
