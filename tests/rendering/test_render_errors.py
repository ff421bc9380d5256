"""What a person sees when the paper asks for something that does not exist."""

import pytest

from claimledger.errors import LedgerError
from claimledger.project import Run
from claimledger.rendering.pages import FILES, write_formats
from fixture.project import make_project

NOTE = "{{< num H1 se >}}"
PHRASE = 'undecided="not clearly less willing"'


@pytest.mark.parametrize(("old", "new", "where", "says"), [
    (NOTE, "{{< num H11 se >}}", "paper.qmd:32", ["no entry `H11`"]),
    (NOTE, "{{< nun H1 >}}", "paper.qmd:32", ["nun H1"]),
    (PHRASE, "", "paper.qmd:70", ["no phrase for the verdict `undecided`"]),
    ('H1="negligible undecided"', 'H1="negligable"', "paper.qmd:57", ["no verdict of `H1`"]),
    ("@fig-support and", "@fig-suport and", "paper.qmd:44", ["'fig-suport'", "@fig-support"]),
    ("of @sec-main", "of @sec-app", "paper.qmd:69", ["unnumbered"]),
    ("@lakens2018", "@lakens2081", "paper.qmd:31", ["@lakens2081"]),
    ("ipynb#fig-support", "ipynb#fig-suport", "paper.qmd:47", ["'fig-suport'", "fig-support"]),
    ("ipynb#fig-support", "ipynb", "paper.qmd:47", ["#label"]),
    ("01_mini.ipynb#fig", "02_mini.ipynb#fig", "paper.qmd:47", ["02_mini.ipynb"]),
    ("> A quotation", "![a](https://example.org/a.png)", "paper.qmd:72", ["from the network"])])
def test_an_error_names_the_place_and_what_exists(tmp_path, old, new, where, says):
    run = Run.open(make_project(tmp_path / "project", paper=(old, new)))
    with pytest.raises(LedgerError) as caught:
        write_formats(run, ["html"])
    assert caught.value.where == where
    for words in says:
        assert words in str(caught.value)
    assert "traceback" not in str(caught.value)
    assert not run.output.exists()


def test_a_picture_without_alt_text_is_an_error(tmp_path):
    root = make_project(tmp_path / "project", ledger=(
        '"notebook": "01_mini", "alt": "Two dots with bars. The right one is 0.21 points higher."',
        '"notebook": "01_mini"'))
    book = root / "build" / "notebooks" / "01_mini.ipynb"
    text = book.read_text(encoding="utf-8").replace("fig-alt", "fig-add")
    book.write_text(text, encoding="utf-8")
    with pytest.raises(LedgerError, match="without an alt text"):
        write_formats(Run.open(root), ["html"])


def test_a_failed_render_leaves_the_last_good_one(tmp_path):
    root = make_project(tmp_path / "project")
    good = {n: p.read_bytes() for n, p in write_formats(Run.open(root)).items()}
    paper = root / "paper.qmd"
    text = paper.read_text(encoding="utf-8")
    paper.write_text(text + "\n{{< num nothing >}}\n", encoding="utf-8")
    with pytest.raises(LedgerError):
        write_formats(Run.open(root))
    names = FILES
    assert good == {n: (root / "_manuscript" / f).read_bytes() for n, f in names.items()}
