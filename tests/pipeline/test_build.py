"""The graph of a paper: what makes which notebook stale, which run a file belongs to."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from build_project import write_notebook, write_project
from claimledger.errors import LedgerError
from claimledger.pipeline import build
from claimledger.pipeline import notebooks as execute
from claimledger.progress import Progress
from claimledger.project import Run
from claimledger.rendering import renderer

BOTH = ["01_a", "02_b"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose notebooks, merge, lint and render are played by quick stand-ins."""
    run = write_project(tmp_path, *BOTH)
    for stem in BOTH:
        write_notebook(tmp_path, stem)
    engine = tmp_path / "engine"
    shutil.copytree(build.PACKAGE, engine, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build, "PACKAGE", engine)

    def run_notebook(run, stem, report):
        report(1, 1)
        for path in (execute.executed_of(run, stem), execute.fragment_of(run, stem)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"exhibits": {}, "data": run.data.read_text()}))
        return execute.executed_of(run, stem)

    def merge(run, tell):
        run.ledger.parent.mkdir(parents=True, exist_ok=True)
        run.ledger.write_text("".join(p.read_text() for p in sorted(run.fragments.iterdir())))

    def render(run, formats, progress, check):
        check()
        run.output.mkdir(parents=True, exist_ok=True)
        for name in formats:
            (run.output / build.FILES[name]).write_text(run.ledger.read_text())
            progress(name)

    monkeypatch.setattr(execute, "execute", run_notebook)
    monkeypatch.setattr("claimledger.ledger.merging.merge", merge)
    monkeypatch.setattr("claimledger.rendering.renderer.write_formats", render)
    monkeypatch.setattr("claimledger.registration.loading.load", lambda path: None)
    monkeypatch.setattr("claimledger.registration.lock.check_lock", lambda path: None)
    monkeypatch.setattr("claimledger.ledger.audit.dry_run", lambda path: None)
    monkeypatch.setattr(build, "lint", lambda run: [])
    monkeypatch.setattr("claimledger.survey.disclosure.check_private", lambda run, files: None)
    for name in list(os.environ):
        if name.startswith("CLAIMLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLAIMLEDGER_RENDERER", "embedded")
    monkeypatch.chdir(tmp_path)
    return run


def rendered(run, **options) -> list[str]:
    return sorted(build.build_paper(run, **options)[1])


@pytest.fixture
def built(project):
    assert rendered(project) == [*BOTH, "ledger", "paper", "registration"]
    assert rendered(project) == []
    return project


@pytest.mark.parametrize(("changed", "again"), [
    ("notebooks/01_a.ipynb", ["01_a", "paper"]),
    ("data/answers.csv", [*BOTH, "ledger", "paper"]),
    ("registration.yml", [*BOTH, "ledger", "paper", "registration"]),
    ("registration.lock", [*BOTH, "ledger", "paper", "registration"]),
    ("engine/statistics/decision.py", [*BOTH, "ledger", "paper"]),
    ("engine/cli.py", ["ledger", "paper"]),  # which notebooks do not import
    ("engine/rendering/document.py", ["ledger", "paper"]),
    ("engine/prose/lint.py", ["ledger", "paper"]),
    ("engine/rendering/assets/reference.docx", ["paper"]),
    ("paper.qmd", ["paper"]),
    # Added: what notebooks read makes them stale, another file does not.
    *((name, [*BOTH, "ledger", "paper"]) for name in (
        "data/margins.csv", "data/answers.manifest.json", "requirements.lock")),
    ("data/simulation.yml", [*BOTH, "ledger", "paper"]),
    ("README.md", []), ("data/README.md", []), ("notes.txt", [])])
def test_a_change_runs_what_depends_on_it_and_nothing_else(built, changed, again):
    with (built.root / changed).open("ab") as file:
        file.write(b"\n")
    assert rendered(built) == again
    assert rendered(built) == []


@pytest.mark.parametrize(("harmed", "again"), [
    ("build/notebooks/01_a.ipynb", ["01_a"]), ("build/fragments/02_b.json", ["02_b"]),
    ("results/ledger.json", ["ledger"]), ("_manuscript/paper.pdf", ["paper"])])
def test_an_edited_or_deleted_output_is_made_anew(built, harmed, again):
    before = (built.root / harmed).read_text()
    (built.root / harmed).write_text("by hand")
    assert rendered(built) == again
    (built.root / harmed).unlink()
    assert rendered(built) == again
    assert (built.root / harmed).read_text() == before


def test_another_seed_is_another_parameter(built):
    config = built.root / "_quarto.yml"
    config.write_text(config.read_text().replace("seed: 7", "seed: 8"))
    assert set(BOTH) <= set(rendered(build.open_run()))


def test_one_notebook_alone_leaves_the_ledger(project):
    assert build.build(project, only="02_b") == ["registration", "02_b"]
    assert not project.ledger.exists()
    with pytest.raises(LedgerError, match="did you mean 02_b"):
        build.build(project, only="02-b")


def test_another_export_is_a_run_of_its_own(built):
    before = built.ledger.read_text()
    other = built.root / "my export.csv"
    other.write_text("other answers")
    run = build.open_run(data=other)
    assert run.name.startswith("my-export-") and run.data == other
    assert set(BOTH) <= set(rendered(run))
    assert "other answers" in run.ledger.read_text()
    assert built.ledger.read_text() == before
    assert rendered(built) == []


def test_runs_are_told_apart_by_place_and_mapping_and_the_own_data_is_the_record(built):
    (built.root / "sub").mkdir()
    (built.root / "m.yml").write_text("")
    names = set()
    for place in ("x.csv", "sub/x.csv"):
        (built.root / place).write_text("x")
        names |= {build.open_run(data=Path(place)).name,
                  build.open_run(data=Path(place), mapping=Path("m.yml")).name}
    assert len(names) == 4
    assert build.open_run(data=Path("data/answers.csv")).is_record
    assert build.open_run(data=Path("data/../data/answers.csv")).is_record
    assert not build.open_run(mapping=Path("m.yml")).is_record


def test_what_is_asked_for_must_be_there_and_fit_together(built):
    for wrong, words in (
        ({"data": Path("missing.csv")}, r"missing\.csv"), ({"mapping": Path("no.yml")}, r"no\.yml"),
        ({"data": Path("data/answers.csv"), "world": "null"}, "one of them")):
        with pytest.raises(LedgerError, match=words):
            build.open_run(**wrong)


def test_a_notebook_finds_its_run_by_its_output_folder(built):
    (built.root / "other.csv").write_text("x")
    run = build.open_run(data=Path("other.csv"))
    run.note()
    assert Run.of_notebook(f"build/runs/{run.name}") == run
    assert Run.of_notebook("build") == Run.open()


def test_a_world_is_simulated_once_into_its_own_run(project, monkeypatch):
    asked = []

    def export(path, registration, simulation, world, seed):
        asked.append((world, seed))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".manifest.json").write_text("{}")
        path.write_text(f"world {world}")
        return [path, path.with_suffix(".manifest.json")]

    monkeypatch.setattr("claimledger.simulation.platform_file.export", export)
    run = build.open_run(world="null")
    assert set(rendered(run, world="null")) >= {"data", *BOTH, "paper"}
    assert rendered(run, world="null") == []
    assert asked == [("null", 7)] and "world null" in (run.output / "paper.pdf").read_text()
    assert run.base == project.root / "build/runs/null" and not project.output.exists()
    for name in ("record", "../x", ""):
        assert name == "" or pytest.raises(LedgerError, build.open_run, world=name)


def test_the_lock_is_asked_for_before_any_work(project):
    project.registration.with_suffix(".lock").unlink()
    with pytest.raises(LedgerError, match="claimledger freeze"):
        rendered(project)


def test_a_problem_in_the_prose_stops_before_the_render(project, monkeypatch):
    from claimledger.prose.source import Problem

    found = Problem("paper.qmd", 3, 9, "typed numeral: five")
    monkeypatch.setattr(build, "lint", lambda run: [found])
    with pytest.raises(LedgerError, match=r"1 problem[\s\S]*paper.qmd:3:9: typed numeral: five"):
        rendered(project)
    assert not project.output.exists() and project.ledger.exists()
    with pytest.raises(LedgerError, match="1 problem"):  # the first step of `quarto render`
        build.build(project, prose=True)


def test_unknown_formats_and_profiles_are_refused(project, monkeypatch):
    for formats in (["html", "pfd"], []):
        with pytest.raises(LedgerError, match="html,pdf,docx"):
            rendered(project, formats=formats)
    monkeypatch.setenv("QUARTO_PROFILE", "named")
    with pytest.raises(LedgerError, match=r"no _quarto-named\.yml"):
        build.check_profiles(project.root)
    (project.root / "_quarto-named.yml").write_text("")
    build.check_profiles(project.root)


QUARTO = """#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit; fi
echo "$@ date=$SOURCE_DATE_EPOCH" >> calls
{python} -m claimledger build >> calls
mkdir -p _manuscript && cp results/ledger.json _manuscript/index.html
exit {status}
"""


def write_quarto(project, monkeypatch, version="1.9.38", status=0):
    path = project.root / "bin" / "quarto"
    path.parent.mkdir(exist_ok=True)
    path.write_text(QUARTO.format(
        version=version, status=status, python=sys.executable))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CLAIMLEDGER_RENDERER", raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


def test_quarto_renders_where_it_is_and_is_told_not_to_build_again(project, monkeypatch):
    write_quarto(project, monkeypatch)
    (project.root / "paper.qmd").write_text("---\ndate: 2026-01-02\n---\n")
    name, ran = build.build_paper(project)
    assert name == "Quarto 1.9.38" and "paper" in ran
    assert build.build_paper(project) == (name, [])
    build.build_paper(project, ["pdf"])
    said = (project.root / "calls").read_text().split("\n")
    calls = [re.sub(r"\(.*\)", "", line) for line in said]
    nothing = "ledger: results/ledger.json, up to date "  # Quarto's first step, in this very build
    assert calls == ["render date=1767312000", nothing, "render --to typst date=1767312000",
                     nothing, ""]


def test_an_old_quarto_is_passed_over_with_a_word_and_a_failing_one_is_quoted(
    project, monkeypatch, capsys):
    write_quarto(project, monkeypatch, version="1.3.450")
    assert build.build_paper(project)[0] == "embedded renderer"
    assert "Quarto 1.3.450 is older than 1.9" in capsys.readouterr().err
    monkeypatch.setenv("CLAIMLEDGER_RENDERER", "quarto")
    with pytest.raises(LedgerError, match="1.9 or newer"):
        build.build_paper(project)
    write_quarto(project, monkeypatch, status=3)
    with pytest.raises(LedgerError, match="quarto render"):
        build.build_paper(project)


def test_quarto_renders_only_the_run_of_record(project, monkeypatch):
    write_quarto(project, monkeypatch)
    (project.root / "x.csv").write_text("x")
    assert renderer.choose(build.open_run(data=Path("x.csv")), Progress()).program is None


INTERRUPTED = """
import sys
from unittest import mock
sys.path.insert(0, {tests!r})
from claimledger.__main__ import main
with mock.patch("claimledger.registration.loading.load"), \\
     mock.patch("claimledger.registration.lock.check_lock"), \\
     mock.patch("claimledger.ledger.audit.dry_run"):
    sys.argv = ["claimledger", "build"]
    main()
"""


def test_an_interrupted_build_ends_with_130_one_line_and_no_process_left(tmp_path):
    write_project(tmp_path, "01_a")
    cell = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    write_notebook(tmp_path, "01_a", cell + "time.sleep(600)")
    (tmp_path / "run.py").write_text(INTERRUPTED.format(
        tests=str(Path(__file__).parents[1] / "support")))
    process = subprocess.Popen(
        [sys.executable, "run.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    process.terminate()  # which is handled as Ctrl-C is
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said and said.splitlines()[-1].startswith("Stopped.")
    kernel = int((tmp_path / "pid").read_text())
    while Path(f"/proc/{kernel}/cmdline").exists() and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
