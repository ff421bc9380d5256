"""Read a survey platform's file into columns of texts, before anything is known of the study.

CSV of every dialect, SPSS, Stata and Parquet become one kind of table: each cell a text, as a CSV
export would hold it. Columns with few different texts are kept as categories (a byte a row).
"""

import codecs
import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from claimledger import big_columns
from claimledger.big_columns import Texts, at_once
from claimledger.errors import LedgerError
from claimledger.survey import qualtrics

csv.field_size_limit(2**31 - 1)     # a long answer is no mistake; the file bounds the memory

_BIG = 1 << 24                      # bytes from which on a file is read in pieces by polars
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

    form: the format that was recognized, in words.
    texts, ids: question text and import id of each column that has one.
    labels: for each column with value labels, its codes and their texts.
    missing: for each column, how many of its cells hold a value that the file declares missing.
    doubts: what was read but may not be as meant.
    """

    form: str
    header_rows: int
    cells: pd.DataFrame
    texts: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


# --- text in columns ------------------------------------------------------------------------------


def read_csv(path: Path, wordings: Iterable[str] = ()) -> Table:
    """Read text in columns: encoding, separator and number of header rows are found out.

    `wordings` are question texts by which a second header row is known where nothing else tells.

    Raises
    ------
    LedgerError
        The file is not text, has rows of unequal length, or a quote that is not closed.
    """
    words = frozenset(map(plain, wordings))
    try:
        if path.stat().st_size >= _BIG:
            with suppress(UnicodeDecodeError, csv.Error, LedgerError):     # told below
                return _read(path, _marked(path) or "utf-8", words, at_once)
        return _read(path, _encoding(path), words, _with_care)
    except (csv.Error, UnicodeDecodeError) as error:
        raise LedgerError(
            path, found=str(error), expected="text in columns, each quote closed, with commas, "
            "semicolons or tabs between (or the sign that a first line `sep=` names)", mend=_AGAIN,
        ) from error


_NAMED = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SPOKEN = {"utf-8-sig": "UTF-8 with byte-order mark", "utf-8": "UTF-8", "utf-16": "UTF-16",
           "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "cp1252"}


def _separator(file: TextIO, start: int) -> str:
    """The sign by which most of the first records have as many cells as the header, and many."""
    scores = {}
    for sign in _NAMED:
        file.seek(start)
        widths: list[int] = []
        with suppress(csv.Error):
            for row in islice(filter(None, csv.reader(file, delimiter=sign)), 20):
                widths.append(len(row))
        same = widths.count(widths[0]) if widths and widths[0] > 1 else 0
        scores[sign] = (same, widths[0] if widths else 0)
    return max(scores, key=scores.__getitem__)


def _read(path: Path, encoding: str, wordings: frozenset[str], way: Callable) -> Table:
    """The table, its columns made in one of two ways: of a big file `at_once`, or `_with_care`."""
    with open(path, encoding=encoding, newline="") as file:
        first = file.readline()
        # a spreadsheet's line, perhaps filled up by another
        said = re.fullmatch(r'"?sep *= *(.)"?[,;\s]*', first, re.IGNORECASE)
        start = file.tell() if said else 0
        separator = said[1] if said else _separator(file, start)
        if separator not in _NAMED:
            raise LedgerError(
                path, found=f"{first.strip()!r} as first line",
                expected="commas, semicolons or tabs between the cells", mend=_AGAIN)
        file.seek(start)
        reader = csv.reader(file, delimiter=separator, strict=True)
        records = ((row, reader.line_num) for row in reader if row)  # an empty line is no record
        begun = list(islice(records, 4))
        if not begun:
            raise LedgerError(path, found="an empty file",
                              expected="an export of the survey platform", mend=_AGAIN)
        count = _header_rows([row for row, _ in begun], wordings)
        head, lines = [row for row, _ in begun[:count]], begun[count - 1][1] + bool(said)
        names = unique(_names(head))
        rows = (row for row, _ in chain(begun[count:], records))
        columns = way(rows, len(names), path, separator, lines)
    cells = {name: column for name, column in zip(names, columns, strict=True)
             if not (re.fullmatch(r"column \d+", name) and not any(pd.unique(column)))}
    doubts = []
    if encoding == "cp1252":
        doubts.append("not UTF-8: read as cp1252, so letters outside English may be wrong")
    if not _ends_with_line(path):
        doubts.append("the last line has no end: the file may have been cut off")
    form = f"CSV, {_SPOKEN[encoding]}, {_NAMED[separator]}, {count} header row{'s' * (count > 1)}"
    ids = [import_id(cell) or "" for cell in head[-1]] if count > 1 else []
    texts = head[1] if count > 1 else []
    return Table(
        form, count, _frame(cells),
        texts={n: t for n, t in zip(names, texts, strict=False) if t},
        ids={n: i for n, i in zip(names, ids, strict=False) if i}, doubts=doubts,
    )


def _frame(columns: dict[str, object]) -> pd.DataFrame:
    """Columns of cells as a frame; the index is the number of the record, from 1."""
    size = len(next(iter(columns.values()), ()))
    return pd.DataFrame(columns, index=pd.RangeIndex(1, size + 1, name="record"), copy=False)


def _marked(path: Path) -> str | None:
    """The encoding that a file says by its mark or by its zeros."""
    with open(path, "rb") as file:
        start = file.read(4096)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[0::2])):
        if len(zeros) > 1 and zeros.count(0) > len(zeros) * 0.8:
            return name
    return None


def _encoding(path: Path) -> str:
    """What the file says; else UTF-8 where all its bytes are UTF-8, and cp1252 where not."""
    if said := _marked(path):
        return said
    decoder, fits = codecs.getincrementaldecoder("utf-8")(), True
    with open(path, "rb") as file:
        while piece := file.read(big_columns.PIECE):
            if b"\0" in piece:
                kind = "an Excel or ZIP file" if piece[:2] == b"PK" else "bytes that are no text"
                raise LedgerError(path, found=kind, expected="a CSV file", mend=_AGAIN)
            try:
                decoder.decode(piece, final=len(piece) < big_columns.PIECE)
            except UnicodeDecodeError:
                fits = False
    return "utf-8" if fits else "cp1252"


def _with_care(rows: Iterable[list[str]], width: int, path: Path, *_) -> list:
    """Columns of records that are looked at one by one; each different text is kept once."""
    ragged: list[str] = []
    kept: list[list[str]] = []
    seen: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) == width:
            kept.append([seen.setdefault(cell, cell) for cell in row])
            continue
        ragged.append(f"row {number} has {len(row)}")
        if len(ragged) > _SHOWN:
            break
    if ragged:
        raise LedgerError(
            path, found=", ".join(ragged[:_SHOWN]) + (", and more" * (len(ragged) > _SHOWN)),
            expected=f"{width} cells in every row, as in the header",
            mend=f"remove lines above the columns' names, and totals or notes below; or {_AGAIN}",
        )
    return [_column(cells) for cells in zip(*kept, strict=True)] or [_column(())] * width


def _column(cells: Iterable[str]) -> pd.Categorical | np.ndarray:
    """Cells as categories, in order of appearance; as they are where most of the first differ."""
    codes, texts = pd.factorize(np.array(cells, dtype=object))
    if len(set(cells[:big_columns.FIRST])) > big_columns.FIRST // 2:
        return texts[codes]
    return pd.Categorical.from_codes(codes, pd.Index(texts, dtype=object))


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
        return [_name(name) for name in head[0]]
    return [
        _name(text if re.fullmatch(r"V\d+", name) and qualtrics.canonical(text) else name)
        for name, text in zip(*head[:2], strict=True)
    ]


def _name(text: str) -> str:
    """A column's name with each letter in one form (an accent may stand apart from its letter)."""
    return unicodedata.normalize("NFC", text).strip()


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


def factorized(cells: pd.Series) -> tuple[np.ndarray, list]:
    """For each cell the place of its text (-1: none), and the different texts."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return cells.cat.codes.to_numpy(), list(cells.cat.categories)
    codes, texts = pd.factorize(cells.to_numpy())
    return codes, list(texts)


def distinct(cells: pd.Series) -> list[str]:
    """The different texts of a column."""
    codes, texts = factorized(cells)
    often = np.bincount(codes + 1, minlength=len(texts) + 1)[1:]
    return [text for text, count in zip(texts, often, strict=True) if count]


def blanks(cells: pd.Series) -> np.ndarray:
    """Which cells hold no answer."""
    if isinstance(cells.array, Texts):
        return cells.isin([*filter(is_blank, cells.array.wordless())]).to_numpy()
    codes, texts = factorized(cells)
    return np.array([*map(is_blank, texts), True])[codes]


def is_blank(cell: object) -> bool:
    """Whether a cell holds no answer: nothing but spaces, or "seen and unanswered"."""
    return plain(cell) in ("", qualtrics.UNANSWERED)


_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', **dict.fromkeys("‐‑–—−", "-")})
_WHOLE = re.compile(r"(-?\d+)\.0+", re.ASCII)


def plain(text: object) -> str:
    """A text without differences that do not matter.

    Those are quotes, dashes, spaces, capitals, loose accents, signs that take no space, and the
    point that a program puts behind a whole number.
    """
    text = str(text)
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFC", text).translate(_SIGNS)
                       if unicodedata.category(sign) != "Cf")
    text = " ".join(text.split()).casefold()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


# --- statistical programs -------------------------------------------------------------------------


def read_spss(path: Path) -> Table:
    """An SPSS file: labeled codes become their labels, declared missing values become blanks."""
    return _with_labels(path, "read_sav", "SPSS")


def read_stata(path: Path) -> Table:
    """A Stata file, likewise; its extended missing values (.a to .z) become blanks."""
    return _with_labels(path, "read_dta", "Stata")


def _with_labels(path: Path, reader: str, program: str) -> Table:
    import pyreadstat

    frame, about = _guarded(path, program, lambda: getattr(pyreadstat, reader)(
        str(path), user_missing=True, apply_value_formats=False))
    names = unique([_name(str(name)) for name in frame.columns])
    given = dict(zip(frame.columns, names, strict=True))
    frame.columns = names
    missing = {}
    for name, ranges in about.missing_ranges.items():
        missing[given.get(name, name)] = _declared(frame[given.get(name, name)], ranges)
    for name, letters in about.missing_user_values.items():
        missing[given.get(name, name)] = frame[given.get(name, name)].isin(list(letters))
    labels = {
        given[name]: {_text(code): label for code, label in texts.items() if str(label).strip()}
        for name, texts in about.variable_value_labels.items() if name in given
    }
    texts = {given[name]: text for name, text in about.column_names_to_labels.items()
             if text and name in given}
    cells = {name: _texts(frame[name], labels.get(name, {}), missing.get(name)) for name in frame}
    labeled = sum(map(bool, labels.values()))
    return Table(
        f"{program}, {about.file_encoding or 'UTF-8'}, {labeled} columns with value labels", 1,
        _frame(cells), texts=texts, labels=labels,
        missing={name: int(mask.sum()) for name, mask in missing.items() if mask.any()},
    )


def _declared(values: pd.Series, ranges: list[dict]) -> pd.Series:
    """Which values lie in one of the ranges (or are one of the values) that the file declares."""
    mask = pd.Series(False, index=values.index)
    for one in ranges:
        low, high = one["lo"], one["hi"]
        if isinstance(low, str):
            mask |= values.astype(object).map(str).str.rstrip() == low.rstrip()
        else:
            numbers = pd.to_numeric(values, errors="coerce")
            mask |= (numbers >= low) & (numbers <= high)
    return mask


def read_parquet(path: Path) -> Table:
    """A Parquet file; categories become their texts, nulls blanks."""
    import polars as pl

    frame = _guarded(path, "Parquet", lambda: pl.read_parquet(path))
    columns = {
        name: _texts(pd.Series(map(str, column) if column.dtype.is_nested() else column.to_list(),
                               dtype=object), {}, None)
        for name, column in zip(unique([_name(name) for name in frame.columns]), frame, strict=True)
    }
    return Table("Parquet", 1, _frame(columns))


def _guarded(path: Path, kind: str, read: Callable):
    """What the library reads; whatever it says about a broken file is said to a person."""
    try:
        return read()
    except Exception as error:      # of many kinds, from compiled code
        raise LedgerError(
            path, found=f"{type(error).__name__}: {error}"[:300], expected=f"a {kind} file",
            mend="export again, or export as CSV",
        ) from error


def _texts(values: pd.Series, labels: dict[str, str], missing: pd.Series | None):
    """A column of values as texts; labeled codes become their labels."""
    codes, distinct = pd.factorize(values.astype(object), use_na_sentinel=False)
    texts = [labels.get(text, text) for text in map(_text, distinct)]
    cells = np.array([*texts, ""], dtype=object)[codes]
    if missing is not None:
        cells[missing.to_numpy()] = ""
    return _column(cells)


def _text(value: object) -> str:
    """A value as CSV would hold it: blank if missing, whole numbers without a point."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


READERS: dict[str, Callable[..., Table]] = {
    ".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".sav": read_spss, ".dta": read_stata,
    ".parquet": read_parquet,
}
