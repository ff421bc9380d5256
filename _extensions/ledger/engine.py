"""How Quarto's hooks reach the engine, from whatever Python Quarto happens to use."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("QUARTO_PROJECT_DIR") or Path(__file__).resolve().parents[2])


def _python() -> str:
    """The project's own environment if it has been made, else this Python if it has the engine."""
    for place in (".venv/bin/python", ".venv/Scripts/python.exe"):
        if (ROOT / place).is_file():
            return str(ROOT / place)
    if importlib.util.find_spec("claimledger"):
        return sys.executable
    sys.exit(
        "No Python with claimledger.\n  expected: .venv, or a Python that has it installed\n"
        "  to mend:  run `make paper` once, or `pip install -e .` in the Python that Quarto uses"
    )


def run(*arguments: str) -> None:
    """Run a module of the engine in the project's folder; its failure stops the render."""
    sys.exit(subprocess.run([_python(), "-m", *arguments], cwd=ROOT, check=False).returncode)
