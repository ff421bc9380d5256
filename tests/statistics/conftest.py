"""Reference constants (from R) and, where they are, real data with printed numbers."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "reference"


@pytest.fixture(scope="session")
def reference():
    """Load `<name>.json` or `<name>.csv` written by the R scripts of tests/reference."""

    def load(name: str):
        path = REFERENCE / name
        return pd.read_csv(path) if path.suffix == ".csv" else json.loads(path.read_text())

    return load


@pytest.fixture(scope="session")
def realdata() -> Path:
    folder = Path(os.environ.get("CLAIMLEDGER_REALDATA", ROOT.parent / "shared" / "realdata"))
    if not (folder / "published.csv").exists():
        pytest.skip(f"real data with printed numbers not found in {folder.name}")
    return folder


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
