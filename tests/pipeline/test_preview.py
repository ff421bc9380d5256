"""The preview: made anew at a change, served on this machine, told to the browser."""

import re
import urllib.request

import pytest

from claimledger.errors import LedgerError
from claimledger.pipeline import build
from claimledger.pipeline.preview import Preview, serve
from claimledger.project import Run
from fixture.project import make_project


@pytest.fixture
def shown(tmp_path, monkeypatch):
    root = make_project(tmp_path / "project")
    built = []
    monkeypatch.setattr(build, "build", lambda run: built.append(run))
    monkeypatch.setattr(build, "lint", lambda run: [])
    told = []
    preview = Preview(Run.open(root), told.append)
    preview.built, preview.told = built, told
    return preview


def edit(preview, old, new):
    path = preview.run.root / "paper.qmd"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_an_edited_sentence_is_shown_and_an_edited_notebook_is_run(shown):
    assert shown.look() and not shown.look()
    page = shown.folder / "build/notebooks/01_mini-preview.html"
    before = page.stat().st_mtime_ns
    edit(shown, "A stronger partner", "An anxious partner")
    assert shown.look()
    assert "An anxious partner" in (shown.folder / "index.html").read_text(encoding="utf-8")
    assert page.stat().st_mtime_ns == before and shown.built == []
    source = shown.run.root / "notebooks" / "01_mini.ipynb"
    source.parent.mkdir()
    source.write_text("{}")
    assert shown.look() and shown.built == [shown.run]


def test_an_error_is_told_and_the_last_page_stays(shown):
    shown.look()
    before = (shown.folder / "index.html").read_bytes()
    edit(shown, "{{< num H1 se >}}", "{{< num H11 se >}}")
    assert not shown.look()
    assert "H11" in shown.told[-1] and (shown.folder / "index.html").read_bytes() == before
    edit(shown, "{{< num H11 se >}}", "{{< num H1 se >}}")
    assert shown.look()


def test_the_browser_gets_the_page_and_the_news(shown):
    shown.look()
    server = serve(shown, 0)
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(address + "/") as answer:
            page = answer.read().decode()
        assert re.search(r"/changed.*</script>\s*</body>", page, re.S)
        with urllib.request.urlopen(address + "/changed") as answer:
            assert answer.read() == b"1"
        with pytest.raises(LedgerError):
            serve(shown, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
