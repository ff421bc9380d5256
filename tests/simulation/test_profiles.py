"""Several profiles a respondent, excluded combinations, blocks, clusters, weights: simulated."""

import datetime

import numpy as np
import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.calibration import calibrate
from claimledger.simulation.platform_file import export
from claimledger.simulation.respondents import simulate
from claimledger.start.assumed import assumptions
from claimledger.start.folder import start
from claimledger.survey.loading import open_survey
from claimledger.survey.recoding import recode
from claimledger.yaml_files import Source

BLOCKED = {"blocks": "region", "clusters": "school"}


@pytest.fixture
def study(tmp_path):
    """A changed design of the template, and its assumptions changed, too."""
    def write(design, change=lambda r: None, assume=lambda s: None):
        folder = tmp_path / f"new {len(list(tmp_path.iterdir()))}"
        start(folder, datetime.date(2026, 1, 2), design)
        path = folder / "registration.yml"
        content = Source.read(path).content
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        (folder / "registration.lock").unlink()
        text = yaml.safe_load(assumptions(load(path)))
        assume(text)
        assumed = folder / "data" / "simulation.yml"
        assumed.write_text(yaml.safe_dump(text))
        registration = load(path)
        return path, registration, load_simulation(assumed, registration)

    return write


def test_one_profile_of_each_task_is_chosen_with_the_assumed_effects(study):
    _, registration, simulation = study("conjoint")
    frame = recode(simulate(registration, simulation, "example", 1, 6000), registration)
    assert len(frame) == 6000 * 8
    assert frame.groupby("respondent")["age"].nunique().max() == 1
    assert (frame.groupby(["respondent", "task"])["chosen"].sum() == 1).all()
    assert frame["task"].max() == 4 and frame["profile"].max() == 2
    for factor, level, reference, effect in (("light", "south", "north", 0.25),
                                             ("rent", "high", "low", -0.25),
                                             ("way", "none", "long", 0.25)):
        share = frame.groupby(factor, observed=True)["chosen"].mean()
        assert share[level] - share[reference] == pytest.approx(effect * 0.5, abs=0.015)
    null = recode(simulate(registration, simulation, "null", 1, 6000), registration)
    assert null.groupby("rent", observed=True)["chosen"].mean().std() < 0.01


def test_ratings_of_one_respondent_are_alike_as_assumed(study):
    def rated(content):
        content["instrument"]["scales"]["chosen"] = {
            "kind": "ordinal", "labels": {i: f"Point {i}" for i in range(1, 8)}}
        content["hypotheses"] = [h | {"sesoi": 0.2} for h in content["hypotheses"]]
        content["comparisons"] = []

    _, registration, simulation = study("conjoint", rated, lambda s: s.update(repeated=0.5))
    frame = simulate(registration, simulation, "null", 1, 4000)
    values = frame["chosen"].to_numpy().reshape(4000, 8)
    assert np.corrcoef(values[:, 0], values[:, 7])[0, 1] == pytest.approx(0.5, abs=0.06)


def test_excluded_combinations_never_occur_and_effects_stay(study):
    rule = {"rent": ["low"], "way": ["none", "short"]}
    path, registration, simulation = study(
        "conjoint", lambda r: r["design"].update(restrictions=[rule]))
    frame = simulate(registration, simulation, "example", 1, 5000)
    assert not (frame["rent"].eq("low") & frame["way"].isin(["none", "short"])).any()
    counts = frame.groupby(["rent", "way"], observed=False).size()
    assert counts[counts > 0].std() / counts.max() < 0.03      # equal among those that can occur
    both = frame[frame["rent"] != "low"].groupby("light", observed=True)["chosen"].mean()
    assert both["south"] - both["north"] == pytest.approx(0.125, abs=0.02)


def test_clusters_are_assigned_whole_lie_in_blocks_and_are_alike(study):
    path, registration, simulation = study(
        "two-arm", lambda r: (r["design"].update(BLOCKED),
                              r["hypotheses"][0].update(vcov="CR2")),
        lambda s: s["columns"]["school"].update(groups=100, alike=0.3))
    frame = recode(simulate(registration, simulation, "null", 1, 9000), registration)
    assert frame["cluster"].nunique() == 100 and frame["block"].nunique() == 4
    for name in ("letter", "block"):
        assert frame.groupby("cluster", observed=True)[name].nunique().max() == 1
    groups = frame.groupby("cluster", observed=True)["willing"]
    icc = 1 - groups.var().mean() / frame["willing"].var()
    assert 0.2 < icc < 0.4
    data = path.parent / "clustered.csv"
    export(data, path, path.parent / "data" / "simulation.yml", "example", 1, 300)
    survey = open_survey(data, registration, path.parent, None)
    assert survey.frame["cluster"].nunique() > 80 and len(survey.frame) == 300


def test_an_item_can_be_the_cluster(study):
    def change(content):
        content["design"]["clusters"] = "town"
        content["instrument"]["scales"]["towns"] = {
            "kind": "nominal", "labels": {i: f"Town {i}" for i in range(1, 25)}}
        content["instrument"]["items"]["town"] = content["instrument"]["items"]["garden"] | {
            "scale": "towns", "wording": "Where do you live?"}
        content["hypotheses"][0]["vcov"] = "CR2"

    _, registration, simulation = study("two-arm", change)
    frame = recode(simulate(registration, simulation, "null", 3, 800), registration)
    assert frame.groupby("cluster", observed=True)["letter"].nunique().max() == 1


def test_weights_strata_and_further_columns_are_written(study):
    def change(content):
        content["weighting"] = {"column": "w", "strata": "state", "clusters": "psu"}
        content["hypotheses"][0].update(weighted=True, vcov="survey")
        content["exclusions"].append(
            {"id": "robot", "label": "Robot", "column": "Q_Score", "below": 0.5})
        content["exclusions"].append(
            {"id": "young", "label": "Under 21", "column": "age", "below": 21})

    path, registration, _ = study("two-arm", change)
    data = path.parent / "weighted.csv"
    export(data, path, path.parent / "data" / "simulation.yml", "example", 1, 300)
    survey = open_survey(data, registration, path.parent, None)
    assert len(survey.frame) == 300 and survey.frame["age"].min() == 21
    assert (survey.weights > 0).all() and survey.weights.std() > 0.1
    assert survey.frame.groupby("unit", observed=True)["stratum"].nunique().max() == 1
    assert survey.flow.set_index("id").loc["young", "dropped"] == 6


def test_answers_are_drawn_from_sliders_and_not_from_dont_know(study):
    def change(content):
        scales = content["instrument"]["scales"]
        scales["willing"]["labels"][9] = "Don't know"
        scales["warm"] = {"kind": "numeric", "minimum": 0, "maximum": 100}
        content["instrument"]["items"]["warmth"] = content["instrument"]["items"]["willing"] | {
            "scale": "warm", "wording": "How warm?"}
        content["instrument"]["derived"] = {
            "ready": {"label": "Ready", "of": "willing", "yes": [4, 5], "missing": [9]}}
        content["hypotheses"][0].update(outcome="warmth", model="warmth ~ letter")

    _, registration, simulation = study("two-arm", change)
    frame = simulate(registration, simulation, "example", 1, 4000)
    assert set(frame["willing"]) == {1, 2, 3, 4, 5}
    assert frame["warmth"].nunique() > 90
    means = frame.groupby("letter", observed=True)["warmth"].mean()
    assert means["neighbors"] - means["plain"] == pytest.approx(0.25 * 30, abs=2)


@pytest.mark.parametrize("mean", [0.05, 0.5, 0.93])
def test_yes_no_items_have_any_mean(study, mean):
    def change(content):
        content["instrument"]["scales"]["willing"]["labels"] = {0: "No", 1: "Yes"}

    _, registration, simulation = study("two-arm", change, lambda s: (
        s["outcomes"].update(willing={"mean": mean}),
        s["effects"]["letter"]["levels"].update(neighbors=0.1)))
    sd, latent = np.sqrt(mean * (1 - mean)), calibrate(
        registration, simulation, simulation.world("example"))
    assert latent.sds[0] == pytest.approx(sd)
    frame = simulate(registration, simulation, "example", 1, 20_000)
    assert set(frame["willing"]) == {0, 1}
    assert frame["willing"].mean() == pytest.approx(mean, abs=0.012)
    means = frame.groupby("letter", observed=True)["willing"].mean()
    assert means["neighbors"] - means["plain"] == pytest.approx(0.1 * sd, abs=0.05 * sd)
    with pytest.raises(LedgerError, match=r"outcomes\.willing\.sd"):
        study("two-arm", change, lambda s: s["outcomes"].update(willing={"mean": 0.2, "sd": 1.0}))


@pytest.mark.parametrize(("assume", "said"), [
    (lambda s: s["outcomes"]["chosen"].update(mean=0.3), "outcomes.chosen.choice"),
    (lambda s: s.update(columns={"nowhere": {"groups": 3}}), "columns"),
    (lambda s: s.update(repeated=1), "repeated")])
def test_assumptions_that_cannot_be_are_told(study, assume, said):
    with pytest.raises(LedgerError, match=said):
        study("conjoint", assume=assume)


def test_too_many_combinations_are_told_and_a_million_are_drawn(study):
    def wide(number):
        def change(content):
            factors = content["design"]["factors"]
            for i in range(number):
                factors[f"f{i}"] = {"label": f"F{i}", "levels": {
                    f"f{i}_{j}": {"label": f"L{j}"} for j in range(5)}}
        return change

    _, registration, simulation = study("conjoint", wide(7))      # 18 * 5^7 = 1.4 million
    assert len(simulate(registration, simulation, "example", 1, 50)) == 400
    much = registration.design.factors["f0"]
    factors = registration.design.factors | {f"g{i}": much for i in range(2)}
    design = registration.design.model_copy(update={"factors": factors})
    with pytest.raises(LedgerError, match="combinations of the factors"):
        simulate(registration.model_copy(update={"design": design}), simulation, "null", 1, 5)
