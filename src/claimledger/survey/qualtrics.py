"""What a survey platform's export looks like: its own columns, its three header rows, its signs."""

import csv
import io
import json
import re
from collections.abc import Iterable

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
        "0", "1", "2", "4", "8", "9", "12", "16", "17", "32", "40", "48",
    }),
    "Finished": frozenset({"true", "false", "1", "0"}),
}
_OLDER = {  # names and import ids of older formats, without signs and capitals
    "recordid": "ResponseId", "externaldatareference": "ExternalReference",
    "emailaddress": "RecipientEmail", "duration": "Duration (in seconds)",
}


def canonical(name: str) -> str | None:
    """The platform's column that a name, or an import id, of any format means, or None."""
    plain = re.sub(r"[^a-z]", "", name.removeprefix("panel-").removeprefix("Location-").casefold())
    return _KNOWN.get(plain)


_KNOWN = {re.sub(r"[^a-z]", "", name.casefold()): name for name in BEFORE} | _OLDER


def key_columns(registration: Registration) -> list[str]:
    """Columns by which a person is recognised twice: those of the exclusions on repeats."""
    return [rule.column for rule in registration.exclusions if rule.repeats]


def embedded(registration: Registration) -> list[str]:
    """Embedded data: the keys of persons, the assigned levels, and the source of the data."""
    keys = [k for k in key_columns(registration) if k not in PLATFORM]
    return [*keys, *registration.design.factors, SOURCE]


def columns(registration: Registration) -> list[str]:
    """Every column of an export, in order."""
    return [*BEFORE, *registration.instrument.items, *embedded(registration)]


def header(registration: Registration) -> str:
    """The three header rows: names, question texts, import ids as JSON."""
    names, texts, ids = [], [], []
    for name, (text, identifier) in BEFORE.items():
        zone = {"timeZone": ZONE} if name in DATES else {}
        names.append(name)
        texts.append(text)
        ids.append({"ImportId": identifier, **zone})
    for number, (name, item) in enumerate(registration.instrument.items.items(), start=1):
        names.append(name)
        texts.append(item.wording)
        suffix = "_TEXT" if registration.instrument.scales[item.scale].kind == "text" else ""
        ids.append({"ImportId": f"QID{number}{suffix}"})
    for name in embedded(registration):
        names.append(name)
        texts.append(name)
        ids.append({"ImportId": name})
    rows = [names, texts, [json.dumps(i, separators=(",", ":")) for i in ids]]
    return "".join(line(row) for row in rows)


def line(cells: Iterable[str]) -> str:
    """One record of a CSV file, quoted where needed, ending in a line feed."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def cell(text: str) -> str:
    """One cell, quoted where needed."""
    return line([text, ""])[:-2]
