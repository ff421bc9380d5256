"""How many others share a respondent's background, and coarser values where they are too few.

k-anonymity (Samarati and Sweeney 1998): a table is k-anonymous when every combination of the
variables by which somebody might be known stands in it at least k times.
"""

from dataclasses import dataclass

import pandas as pd

from claimledger.registration.models import Registration

LIMIT = 5                # the smallest cell that may be published
WITHHELD = "withheld"    # what stands in the place of a value that would make a cell too small


@dataclass(frozen=True)
class Anonymity:
    """Cells of the table over `variables`: the smallest, and how many rows are in small ones."""

    variables: list[str]
    rows: int
    cells: int
    smallest: int
    unique: int
    under: int
    limit: int

    def as_table(self) -> pd.DataFrame:
        """The same as two columns for people."""
        return pd.DataFrame([
            ("rows", self.rows), ("combinations that occur", self.cells),
            ("rows in the smallest combination (k)", self.smallest),
            ("rows that are alone in theirs", self.unique),
            (f"rows in combinations of fewer than {self.limit}", self.under),
        ], columns=["what", "number"])


def identifying_variables(registration: Registration) -> list[str]:
    """The background variables by which somebody might be known.

    Those that are also known of the population: the variables to whose margins weights are raked.
    """
    return list(registration.weighting.variables) if registration.weighting else []


def anonymity(frame: pd.DataFrame, variables: list[str], limit: int = LIMIT) -> Anonymity:
    """Count the combinations of the variables; a missing value is a value of its own."""
    sizes = _sizes(frame, variables)
    counts = frame.groupby(variables, dropna=False, observed=True).size() if variables else sizes
    return Anonymity(
        variables, len(frame), len(counts), int(sizes.min()) if len(sizes) else 0,
        int((sizes == 1).sum()), int((sizes < limit).sum()), limit,
    )


def coarsen(frame: pd.DataFrame, variables: list[str], limit: int = LIMIT) -> pd.DataFrame:
    """The variables as texts, with as few values withheld as a simple rule needs.

    Rows in a cell under the limit lose the value of the last variable, then of the one before,
    until their cell is large enough. Where the rows that lost everything are still too few, whole
    cells join them, the smallest first. The result is k-anonymous for k = limit, or all withheld.
    """
    coarse = frame[variables].astype(object).where(frame[variables].notna(), "").astype(str)
    for name in reversed(variables):
        coarse.loc[_sizes(coarse, variables) < limit, name] = WITHHELD
    while True:
        sizes = _sizes(coarse, variables)
        blank = (coarse == WITHHELD).all(axis=1)
        if not (blank & (sizes < limit)).any() or blank.all():
            return coarse
        nearest = sizes[~blank].idxmin()
        coarse.loc[(coarse == coarse.loc[nearest]).all(axis=1)] = WITHHELD


def _sizes(frame: pd.DataFrame, variables: list[str]) -> pd.Series:
    """For each row, how many rows share its combination."""
    if not variables:
        return pd.Series(len(frame), index=frame.index)
    number = frame.groupby(variables, dropna=False, observed=True).ngroup()
    return number.map(number.value_counts())
