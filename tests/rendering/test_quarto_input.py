"""What Quarto would pass over in silence is refused before it renders."""

import zipfile

import pytest

from claimledger.errors import LedgerError
from claimledger.project import Run
from claimledger.rendering.quarto import check_request, prepare
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
    path = prepare(run)
    with zipfile.ZipFile(path) as parts:
        assert "Simulated data" in parts.read("word/header1.xml").decode()
    before = path.stat().st_mtime_ns
    assert prepare(run).stat().st_mtime_ns == before
