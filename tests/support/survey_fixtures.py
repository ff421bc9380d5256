"""The study's registration and simulation, a shipped-like export, and ways to spoil one."""

from pathlib import Path

import pytest
import yaml

from claimledger.registration.loading import load
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.platform_file import export
from claimledger.simulation.respondents import simulate


@pytest.fixture(scope="session")
def files(root) -> tuple[Path, Path]:
    return root / "registration.yml", root / "data" / "simulation.yml"


@pytest.fixture(scope="session")
def registration(files):
    return load(files[0])


@pytest.fixture(scope="session")
def simulation(files, registration):
    return load_simulation(files[1], registration)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, files) -> Path:
    path = tmp_path_factory.mktemp("export") / "answers.csv"
    export(path, *files, "published", 5, n=400)
    return path


@pytest.fixture(scope="session")
def big(registration, simulation):
    """20,000 respondents of three worlds."""
    return {
        world: simulate(registration, simulation, world, 11, 20_000)
        for world in ("published", "null", "reversed")}


@pytest.fixture
def spoil(exported, tmp_path):
    """A copy of the export in which texts are replaced (each must be there)."""

    def spoil(*replacements: tuple[str, str], count: int = 1) -> Path:
        text = exported.read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new, count)
        path = tmp_path / "spoilt.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return spoil


@pytest.fixture
def variant(files, tmp_path):
    """Copies of registration and simulation after a change to their contents."""

    def variant(change) -> tuple[Path, Path]:
        contents = [yaml.safe_load(f.read_text(encoding="utf-8")) for f in files]
        change(*contents)
        paths = tmp_path / "registration.yml", tmp_path / "data" / "simulation.yml"
        paths[1].parent.mkdir()
        for path, content in zip(paths, contents, strict=True):
            path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return paths

    return variant
