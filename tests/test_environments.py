"""The environments name the same versions, and no file names a machine or a package index."""

import json
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

BLOCK = re.compile(
    r"^([A-Za-z0-9._-]+)==(\S+)((?:.*\\\n)(?:\s+--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)
ADDRESS = re.compile(r"[\w.-]*(?:pypi|anaconda|conda\.io|pythonhosted|/simple)[\w./-]*", re.I)
MACHINE = re.compile(r"(?<![\w.~$}/-])/(?:home|root|Users|tmp|work|mnt|opt)/[\w.-]+")
PROSE = ("paper.qmd", "references.bib")


@pytest.fixture(scope="module")
def locked(root):
    text = (root / "requirements.lock").read_text("utf-8")
    versions: dict[str, set[str]] = {}
    for found in BLOCK.finditer(text):
        versions.setdefault(canonicalize_name(found[1]), set()).add(found[2])
    assert sum(map(len, versions.values())) <= text.count("==")
    return versions


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def conda(root):
    content = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    plain = [one for one in content["dependencies"] if isinstance(one, str) and "=" in one]
    return dict(one.split("=", 1) for one in plain)


def test_every_entry_of_the_lock_has_its_hash(root):
    text = (root / "requirements.lock").read_text("utf-8")
    entries = re.findall(r"^[A-Za-z0-9._-]+==\S+", text, re.MULTILINE)
    assert len(entries) > 100
    assert [found[1] + "==" + found[2] for found in BLOCK.finditer(text)] == entries
    assert not re.findall(r"^(?![A-Za-z0-9._-]+==|\s+--hash=sha256:).+", text, re.MULTILINE)


def test_the_lock_has_every_dependency_in_its_range(locked, project):
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    for requirement in map(Requirement, asked):
        versions = locked[canonicalize_name(requirement.name)]
        assert any(requirement.specifier.contains(one) for one in versions), requirement


def test_conda_and_lock_name_the_same_versions(root, conda, locked, project):
    quarto = conda.pop("quarto")
    assert SpecifierSet(project["requires-python"]).contains(conda.pop("python") + ".9")
    assert {name: {version} for name, version in conda.items()} == {
        name: locked[name] for name in conda}
    named = {canonicalize_name(Requirement(one).name) for one in project["dependencies"][:8]}
    assert set(conda) == named
    assert project["optional-dependencies"]["quarto"] == [f"quarto-cli=={quarto}"]
    makefile = (root / "Makefile").read_text("utf-8")
    assert re.search(r"^QUARTO_VERSION := (\S+)$", makefile, re.MULTILINE)[1] == quarto


def test_the_ledger_of_record_was_made_with_the_locked_versions(root, locked):
    header = json.loads((root / "results/ledger.json").read_text("utf-8"))["header"]
    for name, version in header["packages"].items():
        assert version in locked[name], name


def targets(text: str) -> list[str]:
    return re.findall(r"\bmake ([a-z]+)", text)


def test_workflows_container_and_binder_call_what_there_is(root):
    makefile = (root / "Makefile").read_text("utf-8")
    called = []
    for path in sorted((root / ".github/workflows").glob("*.yml")):
        jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"]
        runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
        called += targets("\n".join(runs))
    assert {"test", "paper", "verify", "archive"} <= set(called)
    container = json.loads((root / ".devcontainer/devcontainer.json").read_text("utf-8"))
    called += targets(container["postCreateCommand"])
    for name in set(called):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
    binder = root / ".binder"
    listed = (binder / "requirements.txt").read_text("utf-8").split()
    assert listed[0] == "--requirement" and (binder / listed[1]).resolve().is_file()
    python = (binder / "runtime.txt").read_text("utf-8").strip().removeprefix("python-")
    assert container["image"].endswith(python)


def test_the_drift_run_asks_for_every_package_of_the_ledgers_header(root):
    from claimledger.ledger.merging import PACKAGES

    text = (root / ".github/workflows/drift.yml").read_text("utf-8")
    assert set(re.search(r'WITH="([^"]+)"', text)[1].split()) == set(PACKAGES)


def test_no_committed_file_names_a_machine_or_a_package_index(root):
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: which files are committed is not known")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True,
                          check=True)
    found = []
    for name in filter(None, done.stdout.split("\0")):
        if name.startswith("tests/") or name in PROSE or not (root / name).is_file():
            continue
        try:
            text = (root / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {hit[0]}" for hit in MACHINE.finditer(text)]
        if re.search(r"https?://", text):
            found += [f"{name}: {hit[0]}" for hit in ADDRESS.finditer(text) if "://" in hit[0]
                      or re.search(r"https?://\S*" + re.escape(hit[0]), text)]
    assert found == []
