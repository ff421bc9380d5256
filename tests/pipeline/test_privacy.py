"""A would-be published file that holds what tells who answered stops the build."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from claimledger.errors import LedgerError
from claimledger.pipeline import build
from claimledger.progress import Progress
from claimledger.project import Run
from claimledger.registration.loading import load
from claimledger.survey.disclosure import check_private, text_of
from claimledger.survey.reading import read_export


@pytest.fixture
def run(root) -> Run:
    return Run.open(root)


@pytest.fixture
def first(run):
    return read_export(run.data, load(run.registration)).cells.iloc[0]


def notebook(path: Path, **output) -> Path:
    cell = {"cell_type": "code", "source": ["study.frame"], "outputs": [output]}
    path.write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    return path


def test_the_ledger_of_record_holds_nothing_private(run):
    check_private(run, [run.ledger])


@pytest.mark.parametrize("column", ["ResponseId", "IPAddress", "RecipientEmail", "panel_id"])
@pytest.mark.parametrize("kind", ["text", "data", "svg"])
def test_what_a_notebook_printed_stops_it(run, first, tmp_path, column, kind):
    said = f"row of {first[column]}, and more"
    output = {"text": {"text": [said]}, "data": {"data": {"text/html": [f"<td>{said}</td>"]}},
              "svg": {"data": {"image/svg+xml": f"<text>{said}</text>"}}}[kind]
    path = notebook(tmp_path / "01_sample.ipynb", output_type="stream", **output)
    with pytest.raises(LedgerError, match=r"01_sample\.ipynb") as caught:
        check_private(run, [path])
    assert first[column] not in str(caught.value)


def test_pictures_in_pixels_are_not_text(tmp_path):
    path = notebook(tmp_path / "x.ipynb", data={"image/png": "UlQ=", "text/html": [
        '<img src="data:image/png;base64,R12345abcdefgh==">shown']})
    assert "base64" not in text_of(path) and "UlQ=" not in text_of(path)
    assert "shown" in text_of(path)


def test_outlines_of_a_drawing_are_not_text_and_all_else_of_it_is(tmp_path):
    path = notebook(tmp_path / "x.ipynb", data={
        "image/svg+xml": '<svg><path d="M12 3.4l-5.25.5zv8" id="a"/><g d="R_1">label</g></svg>'})
    assert text_of(path).split("\n")[-1] == (
        '<svg><path d="" id="a"/><g d="R_1">label</g></svg>')


def test_the_build_stops_before_the_ledger_is_written(run, first, tmp_path, monkeypatch):
    own = replace(run, root=tmp_path)
    own.fragments.mkdir(parents=True)
    own.notebooks.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (own.fragments / "01_a.json").write_text("{}")
    notebook(own.notebooks / "01_a.ipynb", text=[f"mail {first['RecipientEmail']}"])
    monkeypatch.setattr("claimledger.ledger.merging.merge", lambda run: pytest.fail("merged"))
    with pytest.raises(LedgerError, match=r"01_a\.ipynb"):
        build._merge_step(own, ["01_a"], Progress()).action(lambda part, of: None)
