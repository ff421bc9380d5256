"""What people write into files is data: no code, no markup, no formula, no way out."""

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from claimledger.errors import LedgerError
from claimledger.figures import show_figure, show_table
from claimledger.project import Run, inside
from claimledger.registration.loading import load
from claimledger.replication.archive import table_of
from claimledger.settings import settings
from claimledger.simulation.assumptions import load_simulation
from claimledger.survey.mapping import read_mapping
from claimledger.yaml_files import load_yaml

CODE = "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{path}]]"
NASTY = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("reader", [
    load, lambda path: read_mapping(path, None), lambda path: load_simulation(path, None),
    lambda path: settings(path.parent),
])
def test_yaml_runs_no_code(tmp_path, reader):
    path = tmp_path / "_quarto.yml"
    path.write_text("ledger: " + CODE.format(path=tmp_path / "touched"))
    with pytest.raises(LedgerError):
        reader(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [
    "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg",
                                                                            strict=True)),
    "a: " + "[" * 20_000, "a: " + "{b: " * 300 + "1" + "}" * 300, "[a, b]: 1", "a: 1\na: 2",
])
@pytest.mark.parametrize("texts", [True, False])
def test_yaml_that_grows_or_hides_is_refused(tmp_path, content, texts):
    path = tmp_path / "x.yml"
    path.write_text(content)
    with pytest.raises(LedgerError, match="valid YAML"):
        load_yaml(path, "anything", texts)


@pytest.mark.parametrize("name", [
    "../out.csv", "/etc/passwd", "data/../../out.csv", "link/out.csv"])
def test_a_name_in_a_file_cannot_leave_the_project_and_a_link_neither(tmp_path, name):
    (tmp_path / "link").symlink_to(tmp_path.parent)
    assert inside(tmp_path, "data/in.csv", "x") == tmp_path / "data" / "in.csv"
    with pytest.raises(LedgerError, match="a file of this project"):
        inside(tmp_path, name, "registration: weighting.margins")


def test_the_registrations_margins_are_read_from_the_project_only(root):
    from claimledger.survey.loading import open_survey

    promise = load(root / "registration.yml")
    weighting = promise.weighting.model_copy(update={"margins": "../margins.csv"})
    promise = promise.model_copy(update={"weighting": weighting})
    data = Path(settings(root)["ledger"]["data"])
    with pytest.raises(LedgerError, match="weighting.margins: ../margins.csv"):
        open_survey(root / data, promise, root, None)


@pytest.mark.parametrize("name", ["../../elsewhere", "/tmp/elsewhere", "a/../../../b"])
def test_the_name_of_a_run_cannot_leave_its_folder(root, name):
    with pytest.raises(LedgerError, match="a file of this project"):
        Run.open(root, name=name)


def test_the_label_of_a_figure_cannot_leave_its_folder(tmp_path):
    from matplotlib.figure import Figure

    with pytest.raises(LedgerError, match="figure ../../fig-a"):
        show_figure(tmp_path / "figures", "../../fig-a", Figure())
    assert not list(tmp_path.rglob("*.svg"))


def test_a_label_in_a_table_is_no_markup_and_its_tokens_still_work(monkeypatch):
    shown = []
    monkeypatch.setattr("claimledger.figures.display", lambda one: shown.append(one.data))
    show_table(pd.DataFrame({"Label": [NASTY, "</table>", "p < .001", "{{< num H1 >}}", "a | b"]}))
    text = shown[0]
    assert "\\<img" in text and "\\</table>" in text and "a \\| b" in text
    assert "p < .001" in text and "{{< num H1 >}}" in text


def test_a_label_of_the_ledger_is_no_markup_in_the_page(tmp_path):
    from project import make_project

    from claimledger.rendering.pages import write_formats

    place = make_project(tmp_path / "paper")
    path = place / "results/ledger.json"
    text = path.read_text("utf-8")
    assert "Where the data come from" in text
    path.write_text(text.replace("Where the data come from", NASTY), encoding="utf-8")
    made = write_formats(Run.open(place, name="record"), ["html"])["html"].read_text("utf-8")
    page = BeautifulSoup(made, "html.parser")
    assert "onerror=alert(1)" in page.get_text() + made
    assert not page.find_all(attrs={"onerror": True})


def test_a_cell_of_a_codebook_is_no_formula():
    wording = ["=HYPERLINK(1)", "+1", "-1", "@x", "plain, not = this", "−1"]
    rows = list(csv.reader(io.StringIO(table_of(pd.DataFrame({"Wording": wording})).decode())))
    assert [row[0] for row in rows] == [
        "Wording", "'=HYPERLINK(1)", "'+1", "'-1", "'@x", "plain, not = this", "−1"]
