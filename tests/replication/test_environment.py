"""Other versions: what is asked for, and an error for people where it cannot be had."""

import shutil

import pytest

from claimledger.errors import LedgerError
from claimledger.replication import environment

LOCK = """numpy==2.4.6 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
pandas==3.1.1 ; python_full_version < '3.14' \\
    --hash=sha256:cc
typing_extensions==4.15.0 \\
    --hash=sha256:dd
"""


def test_the_locks_versions_but_for_those_that_are_replaced():
    replaced = environment.requirements(["Pandas==3.0.0", "typing-extensions"])
    assert environment.pins(LOCK, replaced) == [
        "numpy==2.4.6", "Pandas==3.0.0", "typing-extensions"]
    assert environment.pins(LOCK, []) == [
        "numpy==2.4.6", "pandas==3.1.1 ; python_full_version < '3.14'", "typing_extensions==4.15.0"]


@pytest.mark.parametrize("wanted", [
    "pandas=3", "--index-url=x", "", "pandas @ file:///x", "pandas @ git+ssh://host/x", "-r other",
])
def test_only_names_and_versions_are_taken(wanted):
    with pytest.raises(LedgerError, match="a name and a version"):
        environment.requirements([wanted])


def test_without_an_index_the_error_says_so(tmp_path, root, monkeypatch):
    uv = root / ".venv/tools/bin/uv"
    if not uv.is_file() and shutil.which("uv") is None:
        pytest.skip("no uv on this machine")
    monkeypatch.setattr(environment, "_uv", lambda _: str(uv if uv.is_file() else "uv"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "requirements.lock").write_text(LOCK)
    with pytest.raises(LedgerError, match="a package index within reach") as caught:
        environment.make(tmp_path, ["pandas==3.0.0"])
    assert "--with pandas==3.0.0" in caught.value.where
    assert not list((tmp_path / "build/verify").glob("*/complete"))


def test_without_uv_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    (tmp_path / "requirements.lock").write_text(LOCK)
    with pytest.raises(LedgerError, match="make paper"):
        environment.make(tmp_path, ["pandas==3.0.0"])
