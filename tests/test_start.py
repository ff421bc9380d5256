"""`claimledger new`, and that neither it nor the engine knows this repository's study."""

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from claimledger.errors import LedgerError
from claimledger.prose.source import read_sources
from claimledger.start import start
from readback import check_page, read_html

WORDS = re.compile(
    r"\b(all(?:y|ies|iances?)|treat(?:y|ies)|misalign\w*|kiratli|nato|regimes?|democra\w+|shaming"
    r"|sanctions?|tomz|weeks \(?2013|vendors?|proliferat\w+|accession)\b", re.IGNORECASE,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "my study"
    start(folder, date(2026, 1, 2))
    return folder


def rendered(folder: Path, *arguments: str) -> tuple[dict, str]:
    """The ledger and the page of a build in a new study, whose prose says what its ledger says."""
    command = [sys.executable, "-m", "claimledger", "render", "--formats", "html", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    base = folder / "build" / "runs" / arguments[-1] if arguments else folder
    ledger = base / ("ledger.json" if arguments else "results/ledger.json")
    page = base / ("manuscript" if arguments else "_manuscript") / "index.html"
    text = page.read_text("utf-8")
    read = read_html(text, page.name)
    assert read.ledger == json.loads(ledger.read_text("utf-8"))
    sources = read_sources([folder / "paper.qmd", folder / "notebooks" / "01_results.ipynb"])
    assert check_page(read, read.ledger, sources) == []
    return read.ledger, text


@pytest.mark.build
@pytest.mark.parametrize(("arguments", "verdicts", "sentence"), [
    ([], {"supported"}, "more willing, as registered"),
    (["--world", "reversed"], {"refuted"}, "less willing, against what was registered"),
    (["--world", "null"], {"negligible", "undecided"}, "bound of"),
])
def test_the_paper_of_a_new_study_builds_and_is_true(folder, arguments, verdicts, sentence):
    ledger, page = rendered(folder, *arguments)
    assert ledger["entries"]["H1"]["verdict"] in verdicts and sentence in page
    assert ledger["header"]["status"] == "simulated" and "The data are simulated" in page
    assert ledger["entries"]["sample.n"]["value"] == 400


def test_a_folder_that_holds_anything_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(LedgerError, match="new or an empty folder"):
            start(place, date.today())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_engine_and_its_template_hold_no_word_of_this_study(root):
    engine = [p for p in (root / "src" / "claimledger").rglob("*")
              if p.is_file() and "__pycache__" not in p.parts]
    engine += [p for p in (root / "_extensions").rglob("*") if p.suffix in (".lua", ".js", ".py")]
    assert len(engine) > 80
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in engine
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if WORDS.search(line)
    ]
    assert found == []
    assert WORDS.search((root / "registration.yml").read_text("utf-8"))
