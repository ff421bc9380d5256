"""Results of the shipped ledger that no verdict rests on, by another path than the notebooks'."""

import json
from pathlib import Path

import independent_replication
import numpy as np
import pytest
from scipy import integrate

LEDGER = Path(__file__).resolve().parents[1] / "results" / "ledger.json"
ENTRIES = json.loads(LEDGER.read_text(encoding="utf-8"))["entries"]


@pytest.mark.parametrize("id", ["H3a", "H3b", "H3c"])
def test_the_bayes_factor_is_that_of_the_statistic_its_df_and_two_groups(id):
    """The integral of Rouder et al. (2009); nearly equal groups, so n1 n2 / n is about n / 4."""
    entry, r = ENTRIES[id], np.sqrt(0.5)
    t2, df, n = entry["statistic"] ** 2, entry["df"], entry["n"] / 4

    def weighed(g):
        likelihood = (1 + n * g) ** -0.5 * (1 + t2 / ((1 + n * g) * df)) ** (-(df + 1) / 2)
        return likelihood * r / np.sqrt(2 * np.pi) * g**-1.5 * np.exp(-(r**2) / (2 * g))

    null = (1 + t2 / df) ** (-(df + 1) / 2)
    against = integrate.quad(weighed, 0, np.inf, limit=500)[0]
    assert ENTRIES[f"jzs.{id}"]["value"] == pytest.approx(null / against, rel=0.03)


def test_the_registered_results_are_found_without_the_engine(capsys, monkeypatch):
    """And a ledger that says something else is told apart."""
    monkeypatch.setattr("sys.argv", ["independent_replication.py"])
    assert independent_replication.main() == 0, capsys.readouterr().out
    changed = json.dumps({**json.loads(LEDGER.read_text("utf-8")), "entries": ENTRIES | {
        "H3b": ENTRIES["H3b"] | {"verdict": "supported"}}})
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: changed)
    assert independent_replication.main() == 1
    assert "DIFFERS H3b" in capsys.readouterr().out
