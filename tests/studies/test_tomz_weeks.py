"""The re-analysis of Tomz and Weeks (2013): with their data it gives what is recorded."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from claimledger.ledger import external
from claimledger.pipeline import notebooks as execute
from claimledger.project import Run

NAME, STEM = "tomz-weeks-2013", "09_real_respondents"


def ran(root: Path, name: str, **external: Path) -> tuple[Run, dict]:
    """Run the notebook apart from the run of record; its fragment."""
    run = replace(Run.open(root, name), external=external)
    execute.execute(run, STEM)
    return run, json.loads(execute.fragment_of(run, STEM).read_text("utf-8"))


@pytest.fixture
def without(root) -> tuple[Run, dict]:
    """A run where the file is missing."""
    if external.named(Run.open(root), NAME).data.is_file():
        pytest.skip("the data are in data/external: no run without them")
    return ran(root, "test-without-data")


def test_without_the_data_the_notebook_says_that_nothing_was_computed(without):
    run, fragment = without
    assert fragment["recorded"] and all(e["recorded"] for e in fragment["entries"].values())
    assert "not re-run" in execute.executed_of(run, STEM).read_text("utf-8")


def test_the_data_give_the_recorded_results_and_the_same_figure(root, realdata, without):
    run, computed = ran(root, "test-with-data", **{NAME: realdata / NAME / "peace.csv"})
    assert "recorded" not in computed
    assert not any("recorded" in entry for entry in computed["entries"].values())
    external.require_same(external.named(Run.open(root), NAME), computed)
    assert without[1]["exhibits"] == computed["exhibits"]
    figure = (run.figures / "fig-real.svg").read_bytes()
    assert figure == (without[0].figures / "fig-real.svg").read_bytes()


def test_the_recorded_results_are_the_published_ones(root):
    """Effects and shares as they were printed with two decimals, and one, by others."""
    entries = external.recorded(external.named(Run.open(root), NAME))["entries"]
    shown = {id: entries[id]["text"] for id in ("TW.regime", "TW.alliance")}
    assert [(t["est"], t["se"]) for t in shown.values()] == [("−0.42", "0.08"), ("−0.21", "0.08")]
    assert entries["TW.favour.nondemocracy"]["text"]["est"] == "53.3%"
    assert entries["TW.favour.democracy"]["text"]["est"] == "41.9%"
    assert entries["TW.n"]["value"] == 1273
