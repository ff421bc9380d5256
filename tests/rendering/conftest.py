"""The small paper, rendered once for all tests that only read it."""

import pytest

from claimledger.project import Run
from claimledger.rendering.pages import write_formats
from fixture.project import make_project


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    return Run.open(make_project(tmp_path_factory.mktemp("small") / "project"))


@pytest.fixture(scope="session")
def files(small):
    return write_formats(small)
