"""One notebook: parameters, errors for people, and a copy without traces of the machine."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from build_project import write_notebook, write_project
from claimledger.errors import LedgerError
from claimledger.pipeline import kernels
from claimledger.pipeline.notebooks import clean, execute, require_cells

SHOW = """\
import os, pathlib, sys, warnings
print(os.getcwd(), sys.prefix, os.environ["OMP_NUM_THREADS"], os.environ["TZ"], data, seed)
print("\\x1b[31mred\\x1b[0m", object(), hash("a"), pathlib.Path.home() / "x")
warnings.warn("careful")"""
FIGURE = """\
#| label: fig-a
#| fig-cap: "A line"
#| fig-alt: "old"
import io
import matplotlib
import matplotlib.pyplot as plt
matplotlib.use("agg")
from IPython.display import SVG
figure, axes = plt.subplots()
axes.plot([1, 2])
text = io.StringIO()
figure.savefig(text, format="svg")
SVG(text.getvalue())"""
ALT = 'A line from 1 to 2, "rising" – 100%: #1'


def test_two_runs_in_two_places_give_the_same_bytes(tmp_path):
    made = []
    for place in ("one", "elsewhere/two"):
        run = write_project(tmp_path / place, "01_a")
        write_notebook(run.root, "01_a", SHOW, FIGURE,
                       exhibits={"fig-a": {"kind": "figure", "alt": ALT}})
        cells = []
        made.append(
            execute(run, "01_a", lambda number, of, seen=cells: seen.append((number, of))))
        assert cells == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert made[0].read_bytes() == made[1].read_bytes()

    text = made[0].read_text("utf-8")
    assert "object at 0x…" in text
    for trace in (str(tmp_path), sys.prefix, f"{Path.home()}/", "\\u001b", "papermill"):
        assert trace not in text
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    shown = notebook.cells[2].outputs
    assert shown[0].text.startswith(". [environment] 1 UTC data/answers.csv 7\nred <object object")
    assert "[cell]:4: UserWarning: careful" in shown[1].text


def test_a_process_started_afresh_gives_what_a_copied_one_gives(tmp_path, monkeypatch):
    made = []
    for name, copies in (("copied", kernels.FORKS), ("afresh", False)):
        monkeypatch.setattr(kernels, "FORKS", copies)
        run = write_project(tmp_path / name, "01_a")
        write_notebook(run.root, "01_a", SHOW, FIGURE,
                       exhibits={"fig-a": {"kind": "figure", "alt": ALT}})
        made.append(execute(run, "01_a").read_bytes())
    assert made[0] == made[1]


def test_a_parameter_that_the_notebook_does_not_know_is_refused(tmp_path):
    run = write_project(tmp_path, "01_a")
    write_notebook(tmp_path, "01_a", parameters='registration = ""\ndataa = ""\nseed = 0')
    with pytest.raises(LedgerError) as caught:
        execute(run, "01_a")
    assert "without data, output" in caught.value.found
    assert "notebooks/01_a.ipynb" in caught.value.where
    assert not run.notebooks.exists()


def test_a_failing_cell_is_named_with_its_label_and_message(tmp_path):
    run = write_project(tmp_path, "01_a")
    write_notebook(tmp_path, "01_a", "fine = 1",
                   "#| label: tbl-share\nshares = {}\nshares['treaty']")
    with pytest.raises(LedgerError) as caught:
        execute(run, "01_a")
    error = caught.value
    assert error.where == "notebooks/01_a.ipynb, cell 3 (tbl-share)"
    assert "KeyError: 'treaty'" in error.found and "at: shares['treaty']" in error.found
    assert "\x1b" not in error.found
    assert not (run.notebooks / "01_a.ipynb").exists()


def test_a_ledger_error_in_a_cell_reads_as_it_was_written(tmp_path):
    run = write_project(tmp_path, "01_a")
    write_notebook(tmp_path, "01_a", "from claimledger.errors import LedgerError\n"
                   "raise LedgerError('tbl-x', found='one', expected='two', mend='count again')")
    with pytest.raises(LedgerError) as caught:
        execute(run, "01_a")
    assert [line.strip() for line in caught.value.found.splitlines() if line] == [
        "tbl-x", "found:    one", "expected: two", "to mend:  count again"]


def test_a_cell_over_its_time_limit_and_a_process_that_dies_are_named(tmp_path):
    run = write_project(tmp_path, "01_a", "02_b", seconds=2)
    write_notebook(tmp_path, "01_a", "import time\ntime.sleep(60)")
    write_notebook(tmp_path, "02_b", "import os\nos._exit(1)")
    with pytest.raises(LedgerError, match="still running after 2 seconds"):
        execute(run, "01_a")
    with pytest.raises(LedgerError, match="Python process died"):
        execute(run, "02_b")


def test_a_notebook_that_records_nothing_is_refused_though_an_old_fragment_lies_there(tmp_path):
    run = write_project(tmp_path, "01_a")
    write_notebook(tmp_path, "01_a", saves=False)
    run.fragments.mkdir(parents=True)
    (run.fragments / "01_a.json").write_text("{}")
    with pytest.raises(LedgerError, match=r"no build/fragments/01_a\.json"):
        execute(run, "01_a")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": []}'])
def test_a_file_that_is_no_notebook_is_an_error_for_people(tmp_path, content):
    run = write_project(tmp_path, "01_a")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_a.ipynb").write_text(content)
    with pytest.raises(LedgerError, match="01_a.ipynb"):
        execute(run, "01_a")


def test_paths_are_cleaned_as_whole_names_only(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "/cache/x/lib/python3.11/site-packages"])
    run = write_project(tmp_path / "home", "01_a")
    root = str(run.root)
    said = f"{root} {root}/data/x.csv '{root}/b' {root}-other file:{sys.prefix}/lib /cache/x/lib"
    cell = new_code_cell("1", outputs=[new_output("stream", text=said)])
    clean(new_notebook(cells=[cell]), run)
    assert cell.outputs[0].text == (
        f". data/x.csv 'b' {root}-other file:[environment]/lib [environment]/lib")


def test_a_data_frame_is_kept_as_text(tmp_path):
    both = new_output("display_data", data={
        "text/html": "<table>", "text/latex": "\\toprule", "text/plain": "a  b"})
    page = new_output("display_data", data={"text/html": "<p>only this</p>"})
    cell = new_code_cell("1", outputs=[both, page])
    clean(new_notebook(cells=[cell]), write_project(tmp_path, "01_a"))
    assert [set(one["data"]) for one in cell.outputs] == [{"text/plain"}, {"text/html"}]


def test_an_exhibit_without_its_cell_is_an_error_that_names_the_nearest_label():
    notebook = new_notebook(cells=[new_code_cell("#| label: fig-support\nplot()")])
    with pytest.raises(LedgerError, match="did you mean fig-support"):
        require_cells(notebook, {"exhibits": {"fig-suport": {"alt": "x"}}}, "n.ipynb")
