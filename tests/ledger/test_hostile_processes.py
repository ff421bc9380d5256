"""Notebooks in real kernels that reach for what lies around them, while the build runs and after.

Each is one notebook of a small project with its own copy of the engine. Either the build stops and
no ledger is written, or the ledger's registered results are those that file and registration give,
and they stay so. What a process of the same user does to Python itself (installed packages,
bytecode) is out of reach here: `verify` on another machine shows it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from honest_notebook import HONEST, TURN, write_study

pytestmark = [pytest.mark.slow,
              pytest.mark.skipif(sys.platform != "linux", reason="processes are adopted on Linux")]
OPEN = ('registration = ""\ndata = ""\nseed = 0\noutput = ""',
        'from claimledger import Study\nstudy = Study.open("a", registration, data, seed, output)')
# Forged results, written by a program that is no child of anybody's for long.
FORGE = r'''
import json, pathlib, time
def forge():
    path = pathlib.Path("results/ledger.json")
    path.parent.mkdir(exist_ok=True)
    try:
        ledger = json.loads(path.read_text())
    except (OSError, ValueError):
        ledger = {"header": {}, "entries": {"H3a": {"id": "H3a", "status": "registered"}}}
    ledger["entries"]["H3a"] |= {"verdict": "supported", "value": -9.0}
    path.write_text(json.dumps(ledger))
'''
LATER = FORGE + '''
import os
import re
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for signal_ in (1, 2, 15): __import__("signal").signal(signal_, 1)
        for _ in range(6000):
            WHAT
            time.sleep(0.005)
    os._exit(0)
'''
PROGRAM = FORGE + '''
import subprocess, sys, inspect
pathlib.Path("later.py").write_text("import json, pathlib, time\\n" + inspect.getsource(forge)
                                    + "\\nwhile True:\\n    forge(); time.sleep(0.005)\\n")
subprocess.Popen([sys.executable, "later.py"], start_new_session=True)
'''
ENGINE = "import claimledger\nengine = pathlib.Path(claimledger.__file__).parent\n"
# Code before what is honest, code after it, and what the build says if it stops; None: it goes on;
# "": either, as who is first decides.
HOSTILE = {
    "numpy patched": (
        "import numpy as np\nold = np.linalg.pinv\nnp.linalg.pinv = lambda *a, **k: -old(*a, **k)",
        "", ""),
    "scipy patched": (
        "from scipy import stats\nold = stats.t.sf\nstats.t.sf = lambda *a: old(*a) / 9", "",
        "H1a, p"),
    "statsmodels and the kernel's engine patched alike": (
        "from claimledger.ledger import audit\n"
        "own = audit.estimate\ndef turned(*a, **k):\n    t = own(*a, **k)\n"
        "    t['estimate'] = -t['estimate']\n    return t\naudit.estimate = turned\n"
        "whole = study.results\ndef results(*a, **k):\n    t = whole(*a, **k)\n"
        "    t[['estimate', 'low', 'high']] = -t[['estimate', 'high', 'low']].to_numpy()\n"
        "    return t\nstudy.results = results", "", "claimledger deviate"),
    "answers turned around where the kernel's audit reads them": (
        f"rows = study.survey.frame; {TURN}", "", "claimledger deviate"),
    "a ledger and a record of steps of its own": (
        "", FORGE + "forge()\npathlib.Path('build/steps.json').write_text(json.dumps({'ledger': {"
        "'inputs': 'x', 'config': 'y', 'used': {}, 'made': {'results/ledger.json': 'z'}}}))", None),
    "a process that outlives its kernel and forges the ledger": (
        "", LATER.replace("WHAT", "forge()"), None),
    "a program that goes on forging": ("", PROGRAM, None),
    "a process that waits for its fragment and forges that": ("", LATER.replace("WHAT", (
        "p = pathlib.Path('build/fragments/a.json'); t = p.read_text() if p.exists() else ''; "
        "p.write_text(t.replace('\"verdict\": \"undecided\"', '\"verdict\": \"supported\"')) "
        "if t else None")), ""),
    "a thread that forges the fragment": (
        "", "import pathlib, threading, time\ndef late():\n    for _ in range(400):\n"
        "        p = pathlib.Path('build/fragments/a.json')\n        time.sleep(0.005)\n"
        "        if p.exists():\n            p.write_text(p.read_text().replace("
        "'\"status\": \"registered\"', '\"status\": \"registered\", \"value\": -9'))\n"
        "            return\nthreading.Thread(target=late).start()\nstudy.save(); time.sleep(0.2)",
        ""),
    "something that writes at the kernel's end": (
        "", FORGE + "import atexit\natexit.register(forge)\n"
        "get_ipython().events.register('post_run_cell', lambda *_: forge())", None),
    "a pipe in the place of its fragment": (
        "", LATER.replace("WHAT", (
            "p = pathlib.Path('build/fragments/a.json')\n            "
            "if p.is_file(): p.unlink(); os.mkfifo(p)")), "a.json|a.ipynb"),
    "the answers replaced": (
        "import pathlib, pandas as pd\np = pathlib.Path(data)\n"
        "p.write_bytes(p.read_bytes().replace(b'Female', b'Male'))", "", "while the notebooks ran"),
    "the answers behind a link": (
        "", "import pathlib, shutil\nshutil.copy(data, 'other.csv')\n"
        "open('other.csv', 'a').write('x')\npathlib.Path(data).unlink()\n"
        "pathlib.Path(data).symlink_to(pathlib.Path('other.csv').resolve())",
        "while the notebooks ran"),
    "a deviation declared by the notebook itself": (
        "", "import pathlib\nfrom claimledger.registration.lock import deviate\n"
        "deviate(pathlib.Path('registration.yml'), dict(analysis='H3a', aspect='vcov', run='HC3', "
        "reason='a', when='b', impact='c'), ['H3a'])", "while the notebooks ran"),
    "the engine on disk": (
        "", "import pathlib\n" + ENGINE + "p = engine / 'ledger/audit.py'\n"
        "p.write_text(p.read_text().replace('return wrong + ', 'return [] and '))",
        "while the notebooks ran"),
    "bytecode of the engine on disk": (
        "", "import pathlib, py_compile, os\n" + ENGINE + "p = engine / 'ledger/audit.py'\n"
        "kept, at = p.read_text(), p.stat()\n"
        "p.write_text(kept.replace('return wrong + ', 'return [] and '))\n"
        "os.utime(p, ns=(at.st_atime_ns, at.st_mtime_ns)); py_compile.compile(str(p))\n"
        "p.write_text(kept); os.utime(p, ns=(at.st_atime_ns, at.st_mtime_ns))", None),
    "variables of the environment": (
        "import os\nos.environ |= {'CLAIMLEDGER_DATA': 'x', 'PYTHONPATH': '/nowhere', "
        "'TMPDIR': '/nowhere', 'HOME': '/nowhere'}", "", None),
    "numbers of cells that were not run": (
        "get_ipython().execution_count = 999; In = ['#| label: tbl-h3']", "", None),
    "the end of what looks after it": (
        "", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", "process")}


@pytest.fixture(scope="module")
def prepared(root, tmp_path_factory) -> Path:
    """A project with 150 simulated respondents and its own engine."""
    place = write_study(tmp_path_factory.mktemp("processes") / "project")
    shutil.copytree(root / "src/claimledger", place / "src/claimledger")
    (place / "notebooks").mkdir()
    return place


def built(place: Path, before: str = "", after: str = "") -> subprocess.CompletedProcess:
    """`claimledger build` of the honest notebook with something before and after it."""
    cells = [*OPEN, before, HONEST, "rest()", after, "study.save()"]
    made = [new_code_cell(source, id=f"c{n}") for n, source in enumerate(cells)]
    made[0].metadata["tags"] = ["parameters"]
    nbformat.write(new_notebook(cells=made), place / "notebooks/a.ipynb")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLEDGER_")}
    return subprocess.run([sys.executable, "-m", "claimledger", "build"], cwd=place, text=True,
                          capture_output=True, timeout=300,
                          env=kept | {"PYTHONPATH": str(place / "src"), "CI": "true"})


def registered(place: Path) -> dict:
    """The registered results, but for the cell that a notebook says it recorded them in."""
    entries = json.loads((place / "results/ledger.json").read_text())["entries"]
    return {id: entry | {"cell": ""} for id, entry in entries.items()
            if entry["status"] == "registered"}


@pytest.fixture(scope="module")
def truth(prepared, tmp_path_factory) -> dict:
    place = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("honest") / "project"))
    done = built(place)
    assert done.returncode == 0, done.stderr
    return registered(place)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_notebook_does_around_it_changes_no_registered_result(
        prepared, truth, tmp_path, name):
    before, after, error = HOSTILE[name]
    place = Path(shutil.copytree(prepared, tmp_path / "project"))
    done = built(place, before, after)
    if done.returncode:
        assert error is not None and re.search(error, done.stderr), done.stderr
        assert "Traceback" not in done.stderr and not (place / "results/ledger.json").exists()
        return
    assert not error, done.stderr
    for _ in range(2):
        assert registered(place) == truth
        time.sleep(0.5)
