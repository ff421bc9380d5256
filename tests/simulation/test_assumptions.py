import re

import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.registration.models import Scale
from claimledger.simulation.assumptions import drawn, load_simulation
from claimledger.simulation.calibration import calibrate, matrix


def test_an_unknown_world_names_the_nearest(simulation):
    with pytest.raises(LedgerError, match="published") as caught:
        simulation.world("publishd")
    assert "no such world" in caught.value.found


@pytest.mark.parametrize(("key", "change"), [
    ("background", lambda r, s: s["background"].pop("sex")),
    ("outcomes", lambda r, s: s["outcomes"].update(nonsense={"mean": 3, "sd": 1})),
    ("recall.right", lambda r, s: s["recall"]["right"].pop("recall_treaty")),
    ("fieldwork.extra", lambda r, s: s["fieldwork"]["extra"].pop("speed")),
    ("background.sex", lambda r, s: s["background"]["sex"]["shares"].update({3: 1})),
    ("effects.democracy.levels", lambda r, s: s["effects"]["democracy"].update(levels={"x": 1})),
    ("effects.treaty.factor", lambda r, s: s["effects"]["treaty"].update(factor="nobody")),
    ("correlations.1", lambda r, s: s["correlations"][0]["between"].append("nobody")),
    ("slopes.2.slopes", lambda r, s: s["slopes"][1]["slopes"].update(nobody=0.1)),
    ("worlds.null.scale", lambda r, s: s["worlds"]["null"].update(scale={"nobody": 1})),
    ("note", lambda r, s: s.pop("note")),
    ("fieldwork.skipped", lambda r, s: s["fieldwork"].update(skipped=3))])
def test_a_wrong_file_is_refused_with_the_key(variant, key, change):
    paths = variant(change)
    with pytest.raises(LedgerError, match=re.escape(key)):
        load_simulation(paths[1], load(paths[0]))


def test_a_missing_file(registration, tmp_path):
    with pytest.raises(LedgerError, match="no such file"):
        load_simulation(tmp_path / "none.yml", registration)


@pytest.mark.parametrize(("change", "said"), [
    (lambda r, s: s["background_correlations"].append(
        {"between": ["sex"], "across": ["age", "income"], "value": 0.95}), "no such variables"),
    (lambda r, s: s["outcomes"]["trust"].update(mean=1.2), r"outcomes\.trust"),
    (lambda r, s: s["gaps"][0].update(sd=1.9), "slopes and gaps")])
def test_what_no_answers_can_have_is_refused(variant, change, said):
    paths = variant(change)
    registration = load(paths[0])
    simulation = load_simulation(paths[1], registration)
    with pytest.raises(LedgerError, match=said):
        calibrate(registration, simulation, simulation.world("published"))


def test_pairs_fill_a_symmetric_matrix(simulation):
    names = list(simulation.outcomes)
    result = matrix(names, simulation.correlations)
    assert (result == result.T).all() and (result.diagonal() == 1).all()
    assert result[names.index("cut_military_aid"), names.index("end_alliance")] == 0.35
    assert result[names.index("no_action"), names.index("end_alliance")] == -0.30


def test_codes_of_those_who_do_not_know_are_not_drawn():
    labels = {1: "No", 2: "Not sure", 3: "Yes", 4: "Don't know"}
    assert drawn(Scale(kind="ordinal", labels=labels)) == [1, 2, 3]
