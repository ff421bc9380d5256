"""A project's own engine, for tests that build whole papers."""

import os
import subprocess
import sys
from pathlib import Path


def command(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """`claimledger` with the engine of that place, this interpreter and the embedded renderer."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CLAIMLEDGER_")}
    own = {"PYTHONPATH": str(place / "src"), "CLAIMLEDGER_RENDERER": "embedded", "CI": "true",
           "SOURCE_DATE_EPOCH": "1735689600"}
    return subprocess.run(
        [sys.executable, "-m", "claimledger", *arguments], cwd=place, env=kept | own | environment,
        capture_output=True, text=True,
    )
