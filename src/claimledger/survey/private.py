"""What must never leave: everything that could say who answered."""

import ipaddress
import re
from collections.abc import Iterable

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.survey import qualtrics

_PATTERNS = {
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"),
    "the id of a response": re.compile(r"\bR_[0-9A-Za-z]{11,17}\b"),
    "coordinates": re.compile(r"(?i)\b(lat|lon|lng)[a-z]*\W{1,3}-?\d{1,3}\.\d{2,}"),
}
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_COLUMNS = re.compile(r"latitude|longitude|ipaddress|e-?mail|recipient|externalref", re.IGNORECASE)


def assert_public(content: pd.DataFrame | str, known: Iterable[str] = ()) -> None:
    """Raise unless a frame, or a text, is free of addresses, coordinates, and ids of persons.

    `known` are identifiers to look for besides, such as the panel's ids of this export.
    """
    if isinstance(content, str):
        _check("text", content, [], known)
        return
    for name in content.columns:
        if name in qualtrics.PLATFORM or _COLUMNS.search(str(name)):
            raise LedgerError(
                f"column {name}", found="a column that can tell who answered",
                expected="answers only", mend="drop the column",
            )
        values = content[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = pd.Series(values.cat.categories)
        if not pd.api.types.is_numeric_dtype(values):
            _check(f"column {name}", "\n".join(map(str, values.unique())), values, known)


def _check(where: str, text: str, values: Iterable, known: Iterable[str]) -> None:
    found = [what for what, pattern in _PATTERNS.items() if pattern.search(text)]
    if any(_is_address(match) for match in _ADDRESS.findall(text)):
        found.append("an IP address")
    tokens = set(re.findall(r"[\w-]+", text)) | set(map(str, values))
    if tokens & {key for key in known if key}:
        found.append("the id of a person")
    if found:
        raise LedgerError(
            where, found=" and ".join(found), expected="nothing that can tell who answered",
            mend="remove it before anything is published",
        )


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
