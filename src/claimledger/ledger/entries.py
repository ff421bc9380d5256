"""One line of the ledger: a result with its provenance, its verdict and its ready texts."""

import json
import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from claimledger.errors import LedgerError
from claimledger.ledger.numbers import tidy

# Every kind of decision, and all the verdicts that it can come to.
VERDICTS = {
    "hypothesis": ["supported", "refuted", "negligible", "undecided"],
    "comparison": ["higher", "lower", "negligible", "undecided"],
    "omnibus": ["differs", "undecided"],
    "rank": ["clear", "tied"],
    "pattern": ["all", "some", "none"],
    "status": ["simulated", "collected"],
}


class Equivalence(BaseModel):
    """Two one-sided tests against the smallest effect of interest."""

    model_config = ConfigDict(extra="forbid")
    bound: float
    ci: list[float]
    p: float
    p_adjusted: float


class Entry(BaseModel):
    """One result; see DESIGN of the ledger in the README of `results/`."""

    model_config = ConfigDict(extra="forbid")
    id: str
    label: str
    value: float | int
    unit: str = ""
    se: float | None = None
    ci: list[float] | None = None
    ci_level: float | None = None
    statistic: float | None = None
    df: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    equivalence: Equivalence | None = None
    n: int | None = None
    model: str | None = None
    vcov: str | None = None
    family: str | None = None
    decision: str | None = None
    verdict: str | None = None
    verdicts: list[str] = []
    status: Literal["registered", "deviation", "exploratory", "description", "design", "public"]
    deviation: str | None = None
    notebook: str = ""
    cell: str = ""
    source: str = ""  # the other study whose data gave this result
    recorded: bool | None = None  # true: taken from the record of an earlier run
    text: dict[str, str] = Field(default={})

    @model_validator(mode="after")
    def _coherent(self) -> "Entry":
        numbers = [self.value, self.se, self.statistic, self.df, self.p, self.p_adjusted]
        for x in [*numbers, *(self.ci or [])]:
            if x is not None and not math.isfinite(x):
                raise ValueError(f"a value that is not finite ({x})")
        if self.decision and self.verdict not in VERDICTS[self.decision]:
            raise ValueError(f"verdict {self.verdict!r} is not one of {VERDICTS[self.decision]}")
        return self

    def record(self) -> dict:
        """As it is written to JSON: no empty fields, floats to ten significant digits."""
        return _tidy(self.model_dump(exclude_none=True, exclude_defaults=False))


def _tidy(value: object) -> object:
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items() if item not in ("", [], {})}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return tidy(value) if isinstance(value, float) else value


def dump(content: dict) -> str:
    """JSON that is stable to the byte: sorted, one value a line."""
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"


def load_ledger(path: Path) -> dict:
    """A ledger as written by `merge`; its entries are checked against `Entry`."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for entry in content["entries"].values():
            Entry.model_validate(entry)
    except FileNotFoundError as error:
        raise LedgerError(
            path, found="no such file", expected="a ledger", mend="run `make paper`"
        ) from error
    except (json.JSONDecodeError, KeyError, ValidationError, UnicodeDecodeError) as error:
        raise LedgerError(
            path, found=" ".join(str(error).split())[:300], expected="a ledger of results",
            mend="delete the file and run `make paper`",
        ) from error
    return content
