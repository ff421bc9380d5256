"""The whole way from a file to a frame."""

import shutil

import pytest

from claimledger import study
from claimledger.errors import LedgerError, require
from claimledger.figures import flow_diagram
from claimledger.simulation.platform_file import export
from claimledger.survey.loading import examine, open_survey
from claimledger.survey.reading import read_export


@pytest.fixture(scope="module")
def shipped(root, registration):
    return open_survey(
        root / "data" / "raw" / "alliance-cohesion-simulated-published.csv", registration, root
    )


def test_the_shipped_survey(shipped, registration):
    assert len(shipped.frame) == registration.study.size == shipped.flow["left"].iloc[-1]
    assert (shipped.status, shipped.world, shipped.seed) == ("simulated", "published", 20250901)
    assert shipped.warnings == [] and len(shipped.sha256) == 64
    assert shipped.recognized["trust"] == "choice texts"


def test_its_weights_meet_the_population(shipped, registration):
    assert shipped.weights.index.equals(shipped.frame.index)
    assert shipped.weights.mean() == pytest.approx(1)
    assert shipped.weights.max() <= registration.weighting.trim
    assert 1 < shipped.raking.design_effect < 1.5
    male = shipped.weights[shipped.frame["sex"] == "Male"].sum() / len(shipped.frame)
    assert male == pytest.approx(0.49)


def test_nothing_in_the_frame_tells_who_answered(shipped):
    text = shipped.frame.to_csv()
    for private in ("R_", "192.0.2", "example.org", "@", "P12", "2025-", "Thank you"):
        assert private not in text


def test_a_renamed_file_without_manifest_is_still_simulated(exported, registration, root, tmp_path):
    path = tmp_path / "real.csv"
    shutil.copy(exported, path)
    survey = open_survey(path, registration, root)
    assert (survey.status, survey.world, survey.seed) == ("simulated", "published", 5)


def without_source(path) -> str:
    text = path.read_text(encoding="utf-8")
    text = text.replace(',"simulated: world published, seed 5"', "")
    return text.replace(",data_source", "").replace(',"{""ImportId"":""data_source""}"', "")


def test_the_name_and_the_manifest_alone_say_so_too(exported, registration, root, tmp_path):
    named = tmp_path / "simulated-answers.csv"
    named.write_text(without_source(exported), encoding="utf-8")
    assert open_survey(named, registration, root).status == "simulated"
    plain = tmp_path / "answers.csv"
    plain.write_text(without_source(exported), encoding="utf-8")
    assert open_survey(plain, registration, root).status == "collected"
    assert open_survey(plain, registration, root).world is None
    shutil.copy(exported.with_suffix(".manifest.json"), tmp_path / "answers.manifest.json")
    assert open_survey(plain, registration, root).status == "simulated"
    for broken in ("{", "[]"):
        (tmp_path / "answers.manifest.json").write_text(broken)
        with pytest.raises(LedgerError, match="manifest"):
            open_survey(plain, registration, root)


@pytest.mark.parametrize(("n", "said"), [(12, "nobody in"), (2, "nobody stays in")])
def test_check_and_build_say_the_same_of_a_small_world(
    files, registration, root, tmp_path, n, said
):
    path = tmp_path / "x.csv"
    export(path, *files, "null", 1, n=n)
    found = examine(read_export(path, registration), registration, root).problems
    with pytest.raises(LedgerError, match=said) as checked:
        require(path, found)
    with pytest.raises(LedgerError) as built:
        open_survey(path, registration, root)
    assert str(built.value) == str(checked.value)


def test_a_survey_opened_ahead_is_taken_once_and_while_its_files_are_the_same(
    exported, registration, root, tmp_path, monkeypatch
):
    data, manifest = (tmp_path / path.name for path in (
        exported, exported.with_suffix(".manifest.json")))
    margins = tmp_path / registration.weighting.margins
    margins.parent.mkdir()
    for source, copy in ((exported, data), (exported.with_suffix(".manifest.json"), manifest),
                         (root / registration.weighting.margins, margins)):
        shutil.copy(source, copy)
    afresh = []
    monkeypatch.setattr(study, "open_survey", lambda *a: afresh.append(a) or open_survey(*a))
    for change in (None, data, manifest, margins, "promise"):
        study.open_ahead(root / "registration.yml", data, tmp_path)
        if change in (data, manifest, margins):
            change.write_bytes(change.read_bytes() + b"\n")
        other = {"hypotheses": []} if change == "promise" else {}
        given = data, registration.model_copy(update=other), tmp_path, None
        afresh.clear()
        first = study._survey(*given)
        assert len(afresh) == (change is not None), change
        assert study._survey(*given) is not first


def test_an_implausible_loss_stands_in_the_flow_figure(spoil, registration, root):
    path = spoil((",True,", ",False,"), count=180)
    survey = open_survey(path, registration, root)
    worst = survey.flow.loc[survey.flow["doubt"] != ""]
    assert worst["id"].tolist() == ["unfinished"]
    assert any("drops" in line for line in survey.doubts)
    assert not any("R_" in line for line in survey.doubts)
    figure, alt = flow_diagram(survey.flow, survey.doubts)
    drawn = "".join(text.get_text() for text in figure.axes[0].texts)
    for line in (worst["doubt"].iloc[0], "To look at: "):
        assert line in drawn and line in alt


def test_errors_stop_it(spoil, registration, root):
    with pytest.raises(LedgerError, match="Plenty"):
        open_survey(spoil(("Quite a lot", "Plenty")), registration, root)
