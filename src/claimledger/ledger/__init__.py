"""The record of results: entries, verdicts, comparison with the registration."""
