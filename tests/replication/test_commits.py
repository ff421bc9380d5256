"""The commit that a page is of is found by its words and its engine."""

import subprocess
from dataclasses import replace

import pytest

from claimledger.project import Run, sha256_tree
from claimledger.replication import commits, verify
from claimledger.replication.published import Published
from claimledger.replication.reading import Page, Unit
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
    now, engine = commits.words_here(run), sha256_tree(run.root / "src/claimledger")
    assert commits.find(run, now, engine).id == ids[0]
    assert commits.find(run, now, "unknown") == replace(
        commits.find(run, now, engine), exact=False)
    git(run.root, "checkout", "-q", ids[2])
    then, older = commits.words_here(run), sha256_tree(run.root / "src/claimledger")
    git(run.root, "checkout", "-q", ids[0])
    assert then != now and commits.find(run, then, older).id == ids[2]
    assert commits.find(run, now, older).id == ids[1]
    assert commits.find(run, "0" * 40, engine) is None


def test_the_words_change_with_what_is_included_and_git_says_the_same(run):
    before = commits.words_here(run)
    blob = git(run.root, "hash-object", "paper.qmd", "paper/h1.qmd").split()
    listed = f"paper.qmd {blob[0]}\npaper/h1.qmd {blob[1]}\n"
    assert before == commits.hashlib.sha1(listed.encode()).hexdigest()
    (run.root / "paper/h1.qmd").write_text("another")
    assert commits.words_here(run) != before


@pytest.mark.parametrize(("words", "said"), [
    ("0" * 40, "words that no commit known here has"), ("old", "which could not be built here"),
    ("new", None),
])
def test_a_page_of_another_state_is_told_so_first(run, monkeypatch, words, said):
    if words == "old":
        git(run.root, "checkout", "-q", "HEAD~2")
        words = commits.words_here(run)
        git(run.root, "checkout", "-q", "-")
    words = commits.words_here(run) if words == "new" else words
    page = Page("x.html", [Unit("header", "colophon", f"Words: paper.qmd, SHA-1 {words}")])
    published = Published("x.html", "html", found_here(), page, page.units)
    monkeypatch.setattr(commits, "build", lambda *_: None)
    monkeypatch.setattr(verify, "rendered", lambda published, here, run: here)
    here = verify.Here(found_here(), 1)
    found = verify.of_commit(published, here, run, verify.Progress(live=False))
    assert (found is None) == (said is None) and (said is None or said in found.commit)
    if found:
        report = verify.judge(published, found, [])
        assert report.first == found.commit


def test_without_git_no_commit_is_found(tmp_path, monkeypatch):
    (tmp_path / "_quarto.yml").write_text(CONFIG)
    monkeypatch.setenv("PATH", "")
    assert commits.find(Run.open(tmp_path, name="record"), "0" * 40, "") is None
