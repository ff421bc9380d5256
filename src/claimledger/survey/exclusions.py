"""The registered exclusions, one after the other, with the rows that each drops."""

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Exclusion, Registration


def exclude(frame: pd.DataFrame, registration: Registration) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that stay, and the flow: columns id, label, dropped, left (first row: all).

    `frame` holds items as codes and the platform's columns as text. A blank differs from any
    value; a blank number is not below anything; a blank key repeats nothing.
    """
    flow = [("read", "Rows in the file", 0, len(frame))]
    for rule in registration.exclusions:
        if rule.column not in frame:
            raise LedgerError(
                f"exclusion {rule.id}", found=f"no column {rule.column!r}",
                expected="the column that the rule is about",
                mend="export it, or name it in the mapping",
            )
        drop = _matches(frame[rule.column], rule)
        frame = frame[~drop]
        flow.append((rule.id, rule.label, int(drop.sum()), len(frame)))
    return frame, pd.DataFrame(flow, columns=["id", "label", "dropped", "left"])


def _matches(column: pd.Series, rule: Exclusion) -> pd.Series:
    if rule.below is not None:
        return pd.to_numeric(column, errors="coerce") < rule.below
    if rule.repeats:
        return column.duplicated() & column.notna() & (column.astype(str).str.strip() != "")
    listed = _equal(column, rule.equals or rule.differs_from)
    return listed if rule.equals else ~listed


def _equal(column: pd.Series, values: list[str | int]) -> pd.Series:
    """Equality with any of the values, as numbers or as texts without regard to capitals."""
    if pd.api.types.is_numeric_dtype(column):
        return column.isin([v for v in values if not isinstance(v, str)])
    return column.str.strip().str.casefold().isin([str(v).casefold() for v in values])
