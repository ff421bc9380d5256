"""A registration that promises no analysis, for projects whose data are no survey."""

import datetime
from pathlib import Path

import yaml

from claimledger.registration.lock import freeze

ROOT = Path(__file__).resolve().parents[2]


def write_registration(folder: Path) -> None:
    """The study's registration without hypotheses and comparisons, frozen, in a folder."""
    content = yaml.safe_load((ROOT / "registration.yml").read_text(encoding="utf-8"))
    content |= {"hypotheses": [], "comparisons": []}
    path = folder / "registration.yml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    freeze(path, datetime.date(2026, 1, 2))
