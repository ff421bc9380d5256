"""Other versions: what is asked for, and an error for people where it cannot be had."""

import importlib.metadata

import pytest

from claimledger.errors import LedgerError
from claimledger.replication import environment


def test_the_engine_keeps_its_versions_but_for_those_that_are_replaced():
    kept = environment.pins(environment.requirements(["Pandas==3.0.0", "pydantic"]))
    assert kept[-2:] == ["Pandas==3.0.0", "pydantic"]
    assert not [one for one in kept if one.startswith(("pandas", "pydantic=="))]
    assert f"numpy=={importlib.metadata.version('numpy')}" in kept
    assert not [one for one in kept if one.startswith("pytest")]


@pytest.mark.parametrize("wanted", [
    "pandas=3", "--index-url=x", "", "pandas @ file:///x", "pandas @ git+ssh://host/x", "-r other",
])
def test_only_names_and_versions_are_taken(wanted):
    with pytest.raises(LedgerError, match="a name and a version"):
        environment.requirements([wanted])


def test_without_an_index_the_error_says_so(tmp_path, root, monkeypatch):
    try:
        uv = environment._uv(root)
    except LedgerError:
        pytest.skip("no uv on this machine")
    monkeypatch.setattr(environment, "_uv", lambda _: uv)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(LedgerError, match="a package index within reach") as caught:
        environment.run_there(tmp_path, ["pandas==3.0.0"], ["--version"])
    assert "--with pandas==3.0.0" in caught.value.where


def test_without_uv_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(environment.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(LedgerError, match="make paper"):
        environment.run_there(tmp_path, ["pandas==3.0.0"], [])


def test_a_home_that_cannot_be_written_to_needs_no_cache_there(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    assert environment._environment(tmp_path)["UV_CACHE_DIR"] == str(tmp_path / "build" / "uv")
