"""What a survey platform's export looks like: its own columns, its three header rows, its signs."""

import csv
import io
import json
import re
from collections.abc import Iterable
from datetime import datetime, timedelta

import pandas as pd

from claimledger.registration.models import Registration

# Name, text in the second header row, import id in the third.
BEFORE = {
    "StartDate": ("Start Date", "startDate"),
    "EndDate": ("End Date", "endDate"),
    "Status": ("Response Type", "status"),
    "IPAddress": ("IP Address", "ipAddress"),
    "Progress": ("Progress", "progress"),
    "Duration (in seconds)": ("Duration (in seconds)", "duration"),
    "Finished": ("Finished", "finished"),
    "RecordedDate": ("Recorded Date", "recordedDate"),
    "ResponseId": ("Response ID", "_recordId"),
    "RecipientLastName": ("Recipient Last Name", "recipientLastName"),
    "RecipientFirstName": ("Recipient First Name", "recipientFirstName"),
    "RecipientEmail": ("Recipient Email", "recipientEmail"),
    "ExternalReference": ("External Data Reference", "externalDataReference"),
    "LocationLatitude": ("Location Latitude", "locationLatitude"),
    "LocationLongitude": ("Location Longitude", "locationLongitude"),
    "DistributionChannel": ("Distribution Channel", "distributionChannel"),
    "UserLanguage": ("User Language", "userLanguage"),
}
PLATFORM = frozenset(BEFORE)
DATES = ("StartDate", "EndDate", "RecordedDate")
ZONE = "America/New_York"
SOURCE = "data_source"       # embedded data that says whether a person answered
UNANSWERED = "-99"           # seen but unanswered

# What the platform writes into two of its columns, with choice texts or with codes.
ANSWERS = {
    "Status": frozenset({
        "ip address", "survey preview", "survey test", "imported", "spam", "preview spam",
        "imported spam", "offline", "offline survey preview", "synthetic",
        "ex", "ex spam", "ex offline", "0", "1", "2", "4", "8", "9", "12", "16", "17", "32", "40",
        "48",
    }),
    "Finished": frozenset({"true", "false", "1", "0"}),
}
_OLDER = {  # names and import ids of older formats, without signs and capitals
    "recordid": "ResponseId", "externaldatareference": "ExternalReference",
    "emailaddress": "RecipientEmail", "duration": "Duration (in seconds)",
}


def canonical(name: str) -> str | None:
    """The platform's column that a name of any format means, or None.

    Signs and capitals do not matter; digits do: "Finished (1)", "Finished.1" and "Finished_1" are
    columns that somebody else named.
    """
    bare = name.removeprefix("panel-").removeprefix("Location-").casefold()
    return _KNOWN.get(re.sub(r"[^a-z0-9]", "", bare))


def identified(import_id: str) -> str | None:
    """The platform's column that has this import id, to the letter, or None."""
    return _IDS.get(import_id)


_KNOWN = {re.sub(r"[^a-z]", "", name.casefold()): name for name in BEFORE} | _OLDER
_IDS = {identifier: name for name, (_, identifier) in BEFORE.items()} | {
    "responseId": "ResponseId", "panel-ExternalDataReference": "ExternalReference",
    **{f"panel-{name}": name for name in BEFORE if name.startswith("Recipient")},
    **{f"Location-{name}": name for name in BEFORE if name.startswith("Location")},
}

# Answers of nobody: what stands in Status for rows that no respondent gave, as text and as code.
TESTS = frozenset({
    "survey preview", "survey test", "spam", "preview spam", "imported spam",
    "offline survey preview", "synthetic", "1", "2", "8", "9", "12", "17", "40",
})


def key_columns(registration: Registration) -> list[str]:
    """Columns by which a person is recognized twice: those of the exclusions on repeats."""
    return [rule.column for rule in registration.exclusions if rule.repeats]


def named(registration: Registration) -> list[str]:
    """Columns that design, weighting and exclusions name, but for derived variables."""
    design, weighting = registration.design, registration.weighting
    found = [design.respondent, design.blocks, design.clusters]
    found += [weighting.column, weighting.strata, weighting.clusters] if weighting else []
    found += [rule.column for rule in registration.exclusions]
    return [name for name in dict.fromkeys(found)
            if name and name not in registration.instrument.derived]


def further(registration: Registration) -> list[str]:
    """Those of them that neither the platform nor a question makes, and that are no person's."""
    made = {*PLATFORM, *registration.design.factors, *registration.instrument.items,
            *key_columns(registration)}
    return [name for name in named(registration) if name not in made]


def embedded(registration: Registration) -> list[str]:
    """Embedded data: keys of persons, further columns, assigned levels, the source of the data."""
    keys = [k for k in key_columns(registration) if k not in PLATFORM]
    return [*keys, *further(registration), *registration.design.factors, SOURCE]


def columns(registration: Registration) -> list[str]:
    """Every column of an export, in order."""
    return [*BEFORE, *registration.instrument.items, *embedded(registration)]


def header(registration: Registration) -> str:
    """The three header rows: names, question texts, import ids as JSON."""
    found = [(name, text, {"ImportId": identifier} | ({"timeZone": ZONE} if name in DATES else {}))
             for name, (text, identifier) in BEFORE.items()]
    for number, (name, item) in enumerate(registration.instrument.items.items(), start=1):
        suffix = "_TEXT" if registration.scale_of(name).kind == "text" else ""
        found.append((name, item.wording, {"ImportId": f"QID{number}{suffix}"}))
    found += [(name, name, {"ImportId": name}) for name in embedded(registration)]
    names, texts, ids = zip(*found, strict=True)
    return "".join(map(line, (names, texts, [json.dumps(i, separators=(",", ":")) for i in ids])))


def line(cells: Iterable[str]) -> str:
    """One record of a CSV file, quoted where needed, ending in a line feed."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def cell(text: str) -> str:
    """One cell, quoted where needed."""
    return line([text, ""])[:-2]


_STAMP = re.compile(
    r"(\d{1,4})[-/.](\d{1,2})[-/.](\d{1,4})"
    r"(?:[T ,]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:[.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?)?"
    r"\s*(?:Z|UTC|GMT|([+-])(\d{2}):?(\d{2}))?", re.ASCII)


def moments(columns: dict[str, pd.Series]) -> tuple[dict[str, pd.Series], bool]:
    """Texts of dates as moments (NaT where a text is none), and whether the order is in doubt.

    A distance from Greenwich is taken off. Dates with the year first are read as such. Whether
    others have the month or the day first is decided once for all columns of the file: by the dates
    that can be read in one way only, else by the way in which fewer responses end before they
    start. `True` is returned where both ways are as good and differ.
    """
    found, rest = {}, {}
    for name, cells in columns.items():
        read = getattr(cells.array, "moments", lambda cells=cells: pd.to_datetime(
            cells.astype(object), format="%Y-%m-%d %H:%M:%S", errors="coerce"))
        found[name] = pd.Series(read(), cells.index)
        left = cells[found[name].isna()].astype(object)
        left = left[left.str.strip() != ""]
        if len(left):
            distinct = pd.Series(left.unique())
            rest[name] = left, {text: _STAMP.fullmatch(text.strip()) for text in distinct}
    if not rest:
        return found, False
    ways = {}
    for day_first in (False, True):
        read = {name: left.map({text: _moment(match, day_first) for text, match in parts.items()})
                for name, (left, parts) in rest.items()}
        whole = {name: cells.copy() for name, cells in found.items()}
        for name, values in read.items():
            whole[name].loc[values.index] = pd.to_datetime(values)
        lost = sum(int(values.isna().sum()) for values in read.values())
        back = 0
        if {"StartDate", "EndDate"} <= set(whole):
            back = int((whole["EndDate"] < whole["StartDate"]).sum())
        ways[day_first] = (lost, back), whole
    best = min(ways, key=lambda way: (ways[way][0], way))
    same = ways[True][0] == ways[False][0] and not all(
        ways[True][1][name].equals(ways[False][1][name]) for name in found)
    return ways[best][1], same


def _moment(match: re.Match | None, day_first: bool) -> datetime | None:
    """The moment of a text in parts; None where there is none such."""
    if match is None:
        return None
    one, two, three, hour, minute, second, half, sign, ahead, part = match.groups()
    year, month, day = int(one), int(two), int(three)
    if len(one) < 3:
        month, day, year = int(one), int(two), int(three)
        if day_first:
            month, day = day, month
        year += 2000 if len(three) == 2 else 0
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half[0] in "Pp" else 0) if 1 <= hours <= 12 else 99
    try:
        moment = datetime(year, month, day, hours, int(minute or 0), int(second or 0))
        ahead = timedelta(hours=int(ahead or 0), minutes=int(part or 0))
        return moment + ahead if sign == "-" else moment - ahead
    except (ValueError, OverflowError):
        return None
