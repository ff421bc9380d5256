"""The commit that a page is of, by its words and its engine; and other versions, where asked."""

import importlib.metadata
import subprocess
from dataclasses import replace

import pytest

from claimledger.errors import LedgerError
from claimledger.project import Run, sha256_tree
from claimledger.replication import elsewhere, verify
from claimledger.replication.published import Published
from claimledger.replication.reading import Unit
from published_paper import found_here

CONFIG = "ledger: {registration: r.yml, data: d.csv, seed: 1, lint: []}\n"


@pytest.fixture
def run(tmp_path):
    """Three commits: other words in an included passage, then another engine."""
    (tmp_path / "_quarto.yml").write_text(CONFIG)
    (tmp_path / "paper.qmd").write_text("One.\n{{< include paper/h1.qmd >}}\n")
    for folder in ("paper", "src/claimledger"):
        (tmp_path / folder).mkdir(parents=True)
    for passage, engine in (("old", "a = 1"), ("new", "a = 1"), ("new", "a = 2")):
        (tmp_path / "paper/h1.qmd").write_text(passage)
        (tmp_path / "src/claimledger/a.py").write_text(engine)
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", f"{passage}, {engine}")
    return Run.open(tmp_path, name="record")


def git(root, *words):
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True,
                          text=True).stdout


def test_the_commit_with_the_words_and_the_engine_of_a_page(run):
    ids = git(run.root, "log", "--format=%H").split()
    now, engine = elsewhere.words_here(run), sha256_tree(run.root / "src/claimledger")
    assert elsewhere.find(run, now, engine).id == ids[0]
    assert elsewhere.find(run, now, "unknown") == replace(
        elsewhere.find(run, now, engine), exact=False)
    git(run.root, "checkout", "-q", ids[2])
    then, older = elsewhere.words_here(run), sha256_tree(run.root / "src/claimledger")
    git(run.root, "checkout", "-q", ids[0])
    assert then != now and elsewhere.find(run, then, older).id == ids[2]
    assert elsewhere.find(run, now, older).id == ids[1]
    assert elsewhere.find(run, "0" * 40, engine) is None


def test_the_words_change_with_what_is_included_and_git_says_the_same(run):
    before = elsewhere.words_here(run)
    blob = git(run.root, "hash-object", "paper.qmd", "paper/h1.qmd").split()
    listed = f"paper.qmd {blob[0]}\npaper/h1.qmd {blob[1]}\n"
    assert before == elsewhere.hashlib.sha1(listed.encode()).hexdigest()
    (run.root / "paper/h1.qmd").write_text("another")
    assert elsewhere.words_here(run) != before


@pytest.mark.parametrize(("words", "said"), [
    ("0" * 40, "words that no commit known here has"), ("old", "which could not be built here"),
    ("new", None),
])
def test_a_page_of_another_state_is_told_so_first(run, monkeypatch, words, said):
    if words == "old":
        git(run.root, "checkout", "-q", "HEAD~2")
        words = elsewhere.words_here(run)
        git(run.root, "checkout", "-q", "-")
    words = elsewhere.words_here(run) if words == "new" else words
    units = [Unit("header", "colophon", f"Words: paper.qmd, SHA-1 {words}")]
    published = Published("x.html", "html", found_here(), units)
    monkeypatch.setattr(elsewhere, "build", lambda *_: None)
    monkeypatch.setattr(verify, "rendered", lambda published, here, run: here)
    here = verify.Here(found_here(), 1)
    found = verify.of_commit(published, here, run, verify.Progress())
    assert (found is None) == (said is None) and (said is None or said in found.commit)
    if found:
        report = verify.judge(published, found, [])
        assert report.first == found.commit


def test_without_git_no_commit_is_found(tmp_path, monkeypatch):
    (tmp_path / "_quarto.yml").write_text(CONFIG)
    monkeypatch.setenv("PATH", "")
    assert elsewhere.find(Run.open(tmp_path, name="record"), "0" * 40, "") is None


def test_the_engine_keeps_its_versions_but_for_those_that_are_replaced():
    kept = elsewhere.pins(elsewhere.requirements(["Pandas==3.0.0", "pydantic"]))
    assert kept[-2:] == ["Pandas==3.0.0", "pydantic"]
    assert not [one for one in kept if one.startswith(("pandas", "pydantic=="))]
    assert f"numpy=={importlib.metadata.version('numpy')}" in kept
    assert not [one for one in kept if one.startswith("pytest")]


@pytest.mark.parametrize("wanted", [
    "pandas=3", "--index-url=x", "", "pandas @ file:///x", "pandas @ git+ssh://host/x", "-r other",
])
def test_only_names_and_versions_are_taken(wanted):
    with pytest.raises(LedgerError, match="a name and a version"):
        elsewhere.requirements([wanted])


def test_without_an_index_the_error_says_so(tmp_path, monkeypatch):
    try:
        uv = elsewhere._uv()
    except LedgerError:
        pytest.skip("no uv on this machine")
    monkeypatch.setattr(elsewhere, "_uv", lambda: uv)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(LedgerError, match="a package index within reach") as caught:
        elsewhere.run_there(tmp_path, ["pandas==3.0.0"], ["--version"])
    assert "--with pandas==3.0.0" in caught.value.where


def test_without_uv_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(elsewhere.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(elsewhere.sys, "prefix", str(tmp_path))
    with pytest.raises(LedgerError, match="make paper"):
        elsewhere.run_there(tmp_path, ["pandas==3.0.0"], [])


def test_a_home_that_cannot_be_written_to_needs_no_cache_there(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    assert elsewhere._environment(tmp_path)["UV_CACHE_DIR"] == str(tmp_path / "build" / "uv")
