"""The command line: examples, readable errors, exit codes, a quick start."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from claimledger.cli import app
from claimledger.registration.loading import load
from engine import called, command

ROOT = Path(__file__).parents[1]
COMMANDS = [info.name or info.callback.__name__ for info in app.registered_commands
            if not info.hidden]
HEAVY = ["pandas", "numpy", "matplotlib", "papermill", "nbclient", "rich.progress"]


def test_help_names_every_command():
    shown = CliRunner().invoke(app, ["--help"]).output
    assert len(COMMANDS) > 15 and all(f" {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example:  claimledger {command}" in result.output


def test_a_diagnosis_of_the_adjusted_and_weighted_analysis(tmp_path):
    """The command, its table and its file; and the error for a name that it does not know."""
    few = ["diagnose", "--sizes", "400", "--effects", "0,0.3", "--simulations", "20"]
    options = ["--covariates", "lin", "--weights", "raked", "--out", str(tmp_path / "d.json")]
    done = called(ROOT, *few, *options)
    assert done.returncode == 0, done.stderr
    assert "covariates: lin, weights: raked" in done.stdout
    found = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert (found["covariates"], found["weights"], found["n"]) == ("lin", "raked", [400])
    assert np.shape(found["hypotheses"]["H3a"]["power"]) == (1, 2)
    wrong = called(ROOT, *few, "--covariates", "all")
    assert wrong.returncode == 1 and "none or lin" in wrong.stderr


def test_outside_a_project_the_error_is_a_block_and_no_traceback(tmp_path):
    result = command(tmp_path, "build")
    assert result.returncode == 1 and result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == f"Error {tmp_path}"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["found", "expected", "to mend"]


def test_an_error_is_printed_as_it_is_but_cannot_steer_a_terminal(root):
    result = command(root, "check", "[bold]no[/bold]\x1b[2J.csv")
    assert result.returncode == 1
    assert r"[bold]no[/bold]\x1b[2J.csv" in result.stderr and "\x1b" not in result.stderr


@pytest.mark.parametrize(("call", "code", "said"), [
    ("biuld", 2, "Error"), ("simulate --out x.csv --n 0", 2, "Error"),
    ("simulate --out x.csv --seed one", 2, "Error"), ("check", 2, "Error"),
    ("render --world ../up", 1, "no name of a world"),
    ("simulate --world nul --out x.csv", 1, "no such world"),
])
def test_a_wrong_call_ends_with_2_and_a_mistake_with_1_and_both_say_what_is_wrong(
        root, call, code, said):
    result = called(root, *call.split())
    assert result.returncode == code and said in result.stdout + result.stderr
    assert not (root / "x.csv").exists()


def test_simulated_answers_pass_the_check_and_come_again_with_the_same_seed(root, tmp_path):
    files = []
    for name in ("one", "two"):
        files.append(tmp_path / f"{name}.csv")
        call = ["simulate", "--world", "null", "--seed", "3", "--n", "300", "--out", str(files[-1])]
        result = called(root, *call)
        assert result.returncode == 0 and "simulated" in result.stdout
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].with_suffix(".manifest.json").is_file()
    result = called(root, "check", str(files[0]))
    assert (result.returncode, result.stderr) == (0, "")
    factor = next(iter(load(root / "registration.yml").design.factors))
    files[1].write_text(files[1].read_text().replace(factor, "another_name"))
    result = called(root, "check", str(files[1]))
    assert result.returncode == 1 and f"{factor}: no such column" in result.stderr


def test_a_registration_is_frozen_once_and_changed_only_with_a_reason(root, tmp_path):
    for name in ("_quarto.yml", "registration.yml"):
        shutil.copy(root / name, tmp_path)
    assert called(tmp_path, "freeze").stdout == "frozen: registration.lock\n"
    again = called(tmp_path, "freeze")
    assert again.returncode == 1 and "claimledger amend" in again.stderr
    change = ["amend", "--what", "a comment", "--why", "clearer"]
    assert called(tmp_path, *change).returncode == 1  # nothing was changed
    with (tmp_path / "registration.yml").open("a") as file:
        file.write("# a comment\n")
    assert called(tmp_path, *change).stdout == "amended: registration.lock\n"
    assert "a comment" in (tmp_path / "registration.lock").read_text()


def test_the_way_of_a_build_with_nothing_to_do_imports_nothing_heavy():
    code = ("import sys\nfrom claimledger import cli\nfrom claimledger.pipeline import build\n"
            f"print([name for name in {HEAVY} if name in sys.modules])")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_ctrl_c_while_python_imports_ends_with_130_and_one_line():
    code = ("import builtins\nown = builtins.__import__\n"
            "def stop(name, *rest, **more):\n    if name == 'typer':\n"
            "        raise KeyboardInterrupt\n    return own(name, *rest, **more)\n"
            "builtins.__import__ = stop\nfrom claimledger.__main__ import main\nmain()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.startswith("Stopped.")
    assert done.stderr.count("\n") == 1
