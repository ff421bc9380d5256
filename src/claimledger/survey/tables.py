"""Read a survey platform's file into text cells, before anything is known of the study."""

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from sys import intern

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.survey import qualtrics

csv.field_size_limit(2**31 - 1)     # a long answer is no mistake; the file bounds the memory

_PIECE = 1 << 20                    # bytes read at once when the encoding is found out
_ROWS = 20_000                      # rows turned into columns at once
_SHOWN = 5                          # ragged rows in one message
_AGAIN = "export again as CSV, without opening the file in a spreadsheet program"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}
_FORMS = {                          # what an answer in a column of the platform looks like
    "ResponseId": r"R_\w+", "Progress": r"\d+", "Duration (in seconds)": r"\d+",
    "Finished": r"(?i:true|false|0|1)", "LocationLatitude": r"-?[\d.]+",
    "LocationLongitude": r"-?[\d.]+", "IPAddress": r"[\d.]+|[\da-fA-F:]+|\*+",
} | dict.fromkeys(qualtrics.DATES, r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")


@dataclass(frozen=True)
class Table:
    """Text cells as they stand in a file, index = number of the record, from 1.

    form: the format that was recognised, in words.
    texts, ids: question text and import id of each column that has one.
    labels: for each column with value labels, its codes and their texts.
    doubts: what was read but may not be as meant.
    """

    form: str
    header_rows: int
    cells: pd.DataFrame
    texts: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def read_csv(path: Path, wordings: Iterable[str] = ()) -> Table:
    """Read text in columns: encoding, separator and number of header rows are found out.

    `wordings` are question texts by which a second header row is known where nothing else tells.
    Raises LedgerError for a file that is not text, rows of unequal length and open quotes.
    """
    encoding = _encoding(path)
    try:
        with open(path, encoding=encoding, newline="") as file:
            separator = _separator(file.readline())
            file.seek(0)
            rows = _rows(csv.reader(file, delimiter=separator, strict=True))
            return _table(path, rows, encoding, separator, frozenset(map(plain, wordings)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise LedgerError(
            path, found=str(error), expected="text in columns, each quote closed", mend=_AGAIN,
        ) from error


def _table(
    path: Path, rows: Iterator[list[str]], encoding: str, separator: str, wordings: frozenset[str]
) -> Table:
    first = list(islice(rows, 4))
    if not first:
        raise LedgerError(
            path, found="an empty file", expected="an export of the survey platform", mend=_AGAIN,
        )
    count = _header_rows(first, wordings)
    head, width = first[:count], len(first[0])
    names = unique(_names(head))
    columns: list[list[str]] = [[] for _ in names]
    for part in _parts(chain(first[count:], rows), width, path):
        for column, values in zip(columns, zip(*part, strict=True), strict=True):
            column.extend(values)
    cells = {name: column for name, column in zip(names, columns, strict=True)
             if not (re.fullmatch(r"column \d+", name) and not any(column))}
    size = len(columns[0])
    index = pd.RangeIndex(1, size + 1, name="record")
    doubts = []
    if encoding == "cp1252":
        doubts.append("not UTF-8: read as cp1252, so letters outside English may be wrong")
    if not _ends_with_line(path):
        doubts.append("the last line has no end: the file may have been cut off")
    named = {",": "commas", ";": "semicolons", "\t": "tabs"}[separator]
    form = f"CSV, {_SPOKEN[encoding]}, {named}, {count} header row{'s' * (count > 1)}"
    ids = [import_id(cell) or "" for cell in head[-1]] if count > 1 else []
    texts = head[1] if count > 1 else []
    return Table(
        form, count, pd.DataFrame(cells, index=index, dtype=object),
        texts={n: t for n, t in zip(names, texts, strict=False) if t},
        ids={n: i for n, i in zip(names, ids, strict=False) if i}, doubts=doubts,
    )


_SPOKEN = {"utf-8-sig": "UTF-8 with byte-order mark", "utf-8": "UTF-8", "utf-16": "UTF-16",
           "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "cp1252"}


def _encoding(path: Path) -> str:
    """UTF-8 where the bytes are UTF-8, UTF-16 by its mark or its zeros, else cp1252."""
    with open(path, "rb") as file:
        start = file.read(4096)
        for mark, name in _MARKS.items():
            if start.startswith(mark):
                return name
        for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[0::2])):
            if len(zeros) > 1 and zeros.count(0) > len(zeros) * 0.8:
                return name
        file.seek(0)
        decoder, fits = codecs.getincrementaldecoder("utf-8")(), True
        while piece := file.read(_PIECE):
            if b"\0" in piece:
                kind = "an Excel or ZIP file" if start[:2] == b"PK" else "bytes that are no text"
                raise LedgerError(path, found=kind, expected="a CSV file", mend=_AGAIN)
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                fits = False
                break
        return "utf-8" if fits else "cp1252"


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _rows(reader) -> Iterator[list[str]]:
    for row in reader:
        if row:                     # an empty line is no record
            yield [intern(cell) for cell in row]


def _parts(rows: Iterable[list[str]], width: int, path: Path) -> Iterator[list[list[str]]]:
    """The records in parts of some thousand rows, each of the header's width."""
    ragged: list[str] = []
    part: list[list[str]] = []
    for number, row in enumerate(rows, start=1):
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) != width:
            ragged.append(f"row {number} has {len(row)}")
            if len(ragged) > _SHOWN:
                break
            continue
        part.append(row)
        if len(part) == _ROWS:
            yield part
            part = []
    if ragged:
        raise LedgerError(
            path, found=", ".join(ragged[:_SHOWN]) + (", and more" * (len(ragged) > _SHOWN)),
            expected=f"{width} cells in every row, as in the header", mend=_AGAIN,
        )
    if part:
        yield part


def _header_rows(first: list[list[str]], wordings: frozenset[str]) -> int:
    """1, 2 or 3: names; texts of the questions; import ids, or answers at once."""
    for place in range(1, len(first)):
        row = first[place]
        if sum(import_id(cell) is not None for cell in row) * 2 > sum(map(bool, row)) > 0:
            return place + 1
    if len(first) == 1:
        return 1
    known = [qualtrics.canonical(name) for name in _names(first[:2])]
    seen = [(form, cell) for name, cell in zip(known, first[1], strict=False)
            if cell and (form := _FORMS.get(name))]
    answers = sum(re.fullmatch(form, cell, re.DOTALL) is not None for form, cell in seen)
    asked = sum(plain(cell) in wordings for cell in first[1])
    return 2 if asked > 1 or (len(seen) > 1 and not answers) else 1


def _names(head: list[list[str]]) -> list[str]:
    """Names of the columns; in the oldest format the platform's own stand in the second row."""
    if len(head) < 2 or len(head[0]) != len(head[1]):
        return [name.strip() for name in head[0]]
    return [
        (text if re.fullmatch(r"V\d+", name) and qualtrics.canonical(text) else name).strip()
        for name, text in zip(*head[:2], strict=True)
    ]


def unique(names: list[str]) -> list[str]:
    """Names of which none stands twice: those that do get a number each, so that none is taken."""
    named = [name or f"column {place}" for place, name in enumerate(names, start=1)]
    often, seen = Counter(named), Counter()
    result = []
    for name in named:
        seen[name] += 1
        result.append(f"{name} ({seen[name]})" if often[name] > 1 else name)
    return result if len(set(result)) == len(result) else unique(result)


def import_id(cell: str) -> str | None:
    """The ImportId of a cell of the third header row: JSON, or a dict in single quotes."""
    if not cell.startswith("{") or len(cell) > 1000:
        return None
    try:
        found = json.loads(cell).get("ImportId")
    except (ValueError, RecursionError):
        single = re.match(r"\{'ImportId': *'([^']*)'", cell)
        found = single and single[1]
    return found and str(found)


def _ends_with_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4))
        return not {b"\n", b"\r"}.isdisjoint(bytes([byte]) for byte in file.read())


_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "\u00a0": " "})


def plain(text: str) -> str:
    """A text without differences that do not matter: quotes, spaces, capitals."""
    return " ".join(str(text).translate(_SIGNS).split()).casefold()
