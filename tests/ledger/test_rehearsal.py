"""The whole analysis on simulated studies: what the quick diagnosis cannot do."""

import datetime

import pytest

from claimledger.ledger.rehearsal import needs_rehearsal, rehearse
from claimledger.registration.loading import load
from claimledger.simulation.assumptions import load_simulation
from claimledger.start.folder import start


@pytest.mark.parametrize(("design", "needed"), [("two-arm", False), ("factorial", False),
                                                ("within", False), ("conjoint", True)])
def test_only_what_the_quick_diagnosis_cannot_do_is_rehearsed(root, design, needed):
    path = root / "src" / "claimledger" / "template" / "designs" / f"{design}.yml"
    assert needs_rehearsal(load(path)) is needed


@pytest.mark.slow
def test_a_conjoint_finds_what_is_there_and_not_what_is_not(tmp_path):
    start(tmp_path / "new", datetime.date(2026, 1, 2), "conjoint")
    registration = load(tmp_path / "new" / "registration.yml")
    simulation = load_simulation(tmp_path / "new" / "data" / "simulation.yml", registration)
    table = rehearse(registration, simulation, tmp_path, 12, 1, [400]).set_index(["world", "id"])
    assert len(table) == 3 * 4 and (table["n"] == 400).all()
    assert table.loc[("example", "H2"), "supported"] == 1
    assert table.loc[("reversed", "H1"), "refuted"] == 1
    assert table.loc[("null", "H1"), ["supported", "refuted"]].sum() <= 0.25
    rest = table.loc["null"]
    assert (rest["sd"] / rest["se"]).between(0.4, 1.8).all()
