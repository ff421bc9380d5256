"""What must never leave: everything that could say who answered."""

import ipaddress
import re
from collections.abc import Iterable
from itertools import pairwise

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration
from claimledger.survey import qualtrics

_PATTERNS = {
    "an e-mail address": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+"),
    "the id of a response": re.compile(r"\bR_[0-9A-Za-z]{11,17}\b"),
    "coordinates": re.compile(r"(?i)\b(lat|lon|lng)[a-z]*\W{1,3}-?\d{1,3}\.\d{2,}"),
    "a phone number": re.compile(
        r"(?<![\w.-])(\+\d{1,3}[ -]?)?(\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])"
        r"|(?<![\w.])\+\d{1,3}([ -]?\d{2,4}){3,4}(?![\w.])"),
}
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_ADDRESS_6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])")
_VERSION = re.compile(r"(?i)(version|release|[=<>~]=?|\bv|[\w]-)\s*$")   # before a version's number
_COLUMNS = re.compile(
    r"latitude|longitude|ipaddress|ip_address|e-?mail|recipient|externalref|phone|first_?name|"
    r"last_?name|(^|_)zip(code)?$|postal_?code|street|user_?agent", re.IGNORECASE)
# Columns in which panels and crowd-work platforms say who somebody is.
PANEL = re.compile(
    r"(?i)(.*panel_?id|prolific(_?p)?id|.*worker_?id|participant_?id|respondent_?id|rid|psid|mid|"
    r"transaction_?id|ExternalReference)")
_LETTERS = 20    # a free text at least this long is looked for word by word


def private_columns(columns: Iterable[str]) -> list[str]:
    """Those among the columns of an export that may tell who answered, by their names."""
    return [c for c in columns if qualtrics.canonical(str(c)) in _TELLING
            or c in _TELLING or _COLUMNS.search(str(c)) or PANEL.fullmatch(str(c))]


_TELLING = frozenset(qualtrics.BEFORE) - {
    "Status", "Progress", "Duration (in seconds)", "Finished", "DistributionChannel",
    "UserLanguage", *qualtrics.DATES}


def known_private(cells: pd.DataFrame, registration: Registration) -> list[str]:
    """What this export itself says of who answered: ids, addresses, full names and free texts.

    Short words and numbers are left out, for they would be found anywhere.
    """
    known: set[str] = set()
    names = [c for c in cells if qualtrics.canonical(str(c)) in _NAMES]
    for column in [*private_columns(cells), *qualtrics.key_columns(registration)]:
        if column in cells and column not in names:
            known |= {v for v in cells[column].unique() if _telling(str(v))}
    if len(names) == len(_NAMES):
        last, first = (cells[c].str.strip() for c in sorted(names, key=qualtrics.canonical)[::-1])
        known |= set((first + " " + last)[(first != "") & (last != "")])
    for name, item in registration.instrument.items.items():
        if registration.instrument.scales[item.scale].kind == "text" and name in cells:
            known |= {v for v in cells[name].unique() if len(v) >= _LETTERS}
    return sorted(known)


_NAMES = ("RecipientFirstName", "RecipientLastName")


def _telling(value: str) -> bool:
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return (len(value) >= 6 and mixed) or _ADDRESS.fullmatch(value) is not None


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
    if any(_is_address(match, text) for match in _ADDRESS.finditer(text)) or any(
            _is_address(match, text) for match in _ADDRESS_6.finditer(text)):
        found.append("an IP address")
    if _holds(text, values, known):
        found.append("what a respondent wrote, or the id of a person")
    if found:
        raise LedgerError(
            where, found=" and ".join(found), expected="nothing that can tell who answered",
            mend="remove it before anything is published",
        )


def _holds(text: str, values: Iterable, known: Iterable[str]) -> bool:
    """Whether any known word, pair of words or longer text is there."""
    words, known = text.split(), set(filter(None, known))
    there = set(re.findall(r"[\w-]+", text)) | set(map(str, values))
    there |= {word.strip(".,:;-+") for word in re.findall(r"[\w.@+:-]+", text)}
    there |= set(map(" ".join, pairwise(words)))
    if not there.isdisjoint(known):
        return True
    whole = " ".join(words)
    return any(" ".join(key.split()) in whole for key in known if key.count(" ") > 1)


def _is_address(match: re.Match, text: str) -> bool:
    """An address, and not the number of a version: small parts throughout, or named as one."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    if address.version == 4:
        small = all(int(part) < 20 for part in match[0].split("."))
        before = text[max(0, match.start() - 12):match.start()]
        if small or _VERSION.search(before):
            return False
    return not (address.is_unspecified or address.is_loopback)
