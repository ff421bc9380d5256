"""The shipped answers as if people had given them: every word of simulation about them is gone.

The rule: where answers are collected, "simulated" may qualify surveys, experiments and worlds, and
what is drawn from the registration (the section on error rates makes them whatever the data are),
and never data, answers or respondents. It may stand in the list of what a status can be.
"""

import csv
import re
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest
from pypdf import PdfReader

from engine import cloned, command

pytestmark = [pytest.mark.build, pytest.mark.slow, pytest.mark.xdist_group("swap")]
OF_WORLDS = re.compile(
    r"simulated\W+(?:surveys|experiments|worlds|from the registration)"
    r'|(?:rates|rates\.other|power)\.simulations|"simulations": ?\d'
    r'|\[ ?"simulated", ?"collected" ?\]|study\.simulated', re.IGNORECASE)
MAKES_WORLDS = "08_error_rates"      # the notebook whose code simulates, whatever the data are
MARK = "Simulated data"


def words_of_simulation(text: str) -> list[str]:
    """Where a text speaks of simulation against the rule, each with what stands around it."""
    plain = OF_WORLDS.sub("", " ".join(re.sub(r"-\n", "", unquote(text)).split()))
    found = re.finditer("simulat", plain, re.IGNORECASE)
    return [plain[max(0, m.start() - 50):m.end() + 40] for m in found]


@pytest.fixture(scope="module")
def swapped(root, tmp_path_factory) -> Path:
    """A clone rendered with the shipped export, its column, manifest and name left behind."""
    place = cloned(root, tmp_path_factory.mktemp("swap") / "paper")
    (shipped,) = (place / "data" / "raw").glob("*.csv")
    data = place.parent / "answers.csv"
    as_collected(shipped, data)
    done = command(place, "render", "--data", str(data))
    assert done.returncode == 0, done.stderr
    return place


def as_collected(shipped: Path, path: Path) -> None:
    """The same answers without what says that a program wrote them."""
    with open(shipped, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    source, name = rows[0].index("data_source"), rows[0].index("RecipientLastName")
    for number, row in enumerate(rows):
        row[name] = row[name] if number < 3 else ""
        del row[source]
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.fixture(scope="module")
def run_folder(swapped) -> Path:
    (folder,) = (swapped / "build" / "runs").iterdir()
    return folder


def test_the_page_the_notebooks_and_the_drawings(run_folder):
    kinds = (".html", ".svg", ".json", ".ipynb", ".xml")
    pages = [path for path in run_folder.rglob("*") if path.suffix in kinds
             and path.name != "parsed.json"]      # which names a variable of the page
    assert len(pages) > 30 and any(p.name == "index.html" for p in pages)
    for path in pages:
        text = path.read_text(encoding="utf-8")
        assert MARK not in text, path
        if not path.name.startswith(MAKES_WORLDS):
            assert words_of_simulation(text) == [], path


def test_pdf_and_docx(run_folder):
    pdf = "\n".join(page.extract_text() for page in PdfReader(
        run_folder / "manuscript" / "paper.pdf").pages)
    with zipfile.ZipFile(run_folder / "manuscript" / "paper.docx") as docx:
        parts = [docx.read(name).decode() for name in docx.namelist() if name.endswith(".xml")]
    word = "\n".join(re.sub(r"<[^>]+>", "", part) for part in parts)
    assert len(pdf) > 10_000 and len(word) > 10_000
    assert words_of_simulation(pdf) == [] and words_of_simulation(word) == []


def test_no_file_is_named_after_a_simulation_and_the_shipped_run_is_untouched(swapped, run_folder):
    names = [str(path.relative_to(run_folder)) for path in run_folder.rglob("*")]
    assert not [name for name in names if "simul" in name.lower()]
    said = subprocess.run(["git", "status", "--porcelain"], cwd=swapped, capture_output=True,
                          text=True, check=True)
    assert said.stdout == "" and not (swapped / "_manuscript").exists()
    assert [path.name for path in (swapped / "figures").iterdir()] == ["README.md"]


@pytest.mark.parametrize(("text", "found"), [
    ("The data are simulated.", 1), ("on 2,000 simulated surveys in each", 0),
    ("simu-\nlated answers", 1), ("%53imulated data", 1), ("rates.simulations", 0),
])
def test_the_rule_can_fail(text, found):
    assert len(words_of_simulation(text)) == found
