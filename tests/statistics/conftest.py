"""Reference constants (from R), and what several tests draw."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="session")
def reference():
    """Load `<name>.json` or `<name>.csv` written by the R scripts of tests/reference."""

    def load(name: str):
        path = REFERENCE / name
        return pd.read_csv(path) if path.suffix == ".csv" else json.loads(path.read_text())

    return load


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20250901)


@pytest.fixture(scope="session")
def factorial():
    """Design of a small factorial: five arms, three binary factors; (n, 8) with an intercept."""

    def build(n: int, seed: int = 3) -> np.ndarray:
        rng = np.random.default_rng(seed)
        arm, context = rng.permutation(n) % 5, rng.integers(0, 2, (n, 3))
        columns = [np.ones(n), *(arm == a for a in range(1, 5)), context]
        return np.column_stack(columns).astype(float)

    return build
