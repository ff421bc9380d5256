"""What Quarto would pass over in silence is refused before it renders."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile

import psutil
import pytest

from claimledger.errors import LedgerError
from claimledger.project import Run
from claimledger.rendering import quarto
from claimledger.rendering.pages import write_formats
from claimledger.rendering.quarto import before, check_request, prepare, take_turn
from fixture.project import make_project


@pytest.mark.parametrize(("words", "mend"), [
    ("render -P seed:1", "ledger: seed"),
    ("render paper.qmd -Pseed:1", "ledger: seed"),
    ("render --execute-params p.yml", "ledger: seed"),
    ("render --execute-param=seed:1", "ledger: seed"),
    ("render -M ledger.seed:1", "_quarto.yml"),
    ("render --metadata=ledger:x", "_quarto.yml"),
    ("render --to pdf", "--to typst"),
    ("preview -t html,pdf", "--to typst"),
])
def test_a_request_without_effect_is_refused_with_the_way_to_mend_it(words, mend):
    with pytest.raises(LedgerError) as caught:
        check_request(words.split())
    assert mend in str(caught.value)


@pytest.mark.parametrize("words", [
    "", "render", "render --to html", "render paper.qmd -M title:x", "preview --port 4000",
    "render build/notebooks/01_mini.ipynb --to typst", "render --profile quick",
])
def test_any_other_request_passes(words):
    check_request(words.split())


def test_the_reference_document_bears_the_head_and_is_written_once(tmp_path):
    run = Run.open(make_project(tmp_path / "project"))
    prepare(run)
    path = run.base / "reference.docx"
    with zipfile.ZipFile(path) as parts:
        assert "Simulated data" in parts.read("word/header1.xml").decode()
    first = path.stat().st_mtime_ns
    prepare(run)
    assert path.stat().st_mtime_ns == first


@pytest.mark.parametrize(("words", "read"), [
    ("and", "markdown-raw_html"), ("and <!-- to do --> so", "markdown")])
def test_a_text_without_html_is_read_without_looking_for_it(tmp_path, words, read):
    run = Run.open(make_project(tmp_path / "project", paper=("@fig-support and", words)))
    prepare(run)
    assert (run.base / "quarto.yml").read_text() == f"from: {read}\n"


def test_a_render_that_goes_no_further_leaves_the_pages_as_they_were(tmp_path, monkeypatch):
    run = Run.open(make_project(tmp_path / "project"))
    page = write_formats(run, ["html"])["html"]
    text = page.read_bytes()
    shutil.rmtree(run.output)  # as Quarto does, before it asks
    monkeypatch.setattr(quarto, "calling", lambda: (None, ["render", "-P", "seed:1"]))
    with pytest.raises(LedgerError), before(run):
        pytest.fail("it was not refused")
    assert page.read_bytes() == text
    shutil.rmtree(run.output)
    monkeypatch.setattr(quarto, "calling", lambda: (None, ["render", "--to", "docx"]))
    with before(run):
        pass
    assert page.read_bytes() == text
    new = page.with_name("paper.xml")
    new.write_text("<p>{{&lt; num x &gt;}}</p>")
    monkeypatch.chdir(run.root)
    monkeypatch.setenv("QUARTO_PROJECT_OUTPUT_DIR", str(run.output))
    with pytest.raises(SystemExit, match="a shortcode that nothing resolved"):
        quarto.main()
    assert page.read_bytes() == text and not new.exists()
    os.utime(page, (quarto.BROUGHT, quarto.BROUGHT))
    new.write_text("<p>1</p>")
    quarto.main()
    assert new.exists() and not page.exists()


def test_two_renders_take_turns_and_a_dead_one_has_none(tmp_path, capsys):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        take_turn(tmp_path, psutil.Process(other.pid))
        end = threading.Timer(0.3, other.kill)
        end.start()
        take_turn(tmp_path, psutil.Process())
        assert other.poll() is not None
    assert f"process {other.pid}" in capsys.readouterr().err
    turn = tmp_path / "quarto.turn"
    turn.write_text(f"{os.getppid()} 1.0")  # a number that another process has by now
    take_turn(tmp_path, psutil.Process())
    assert turn.read_text().split()[0] == str(os.getpid())
    assert capsys.readouterr().err == ""
