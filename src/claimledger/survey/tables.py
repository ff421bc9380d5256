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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.survey import qualtrics

csv.field_size_limit(2**31 - 1)     # a long answer is no mistake; the file bounds the memory

_PIECE = 1 << 22                    # bytes looked at at once
_ROWS = 50_000                      # records turned into columns at once
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
    encoding = _encoding(path)
    try:
        with open(path, encoding=encoding, newline="") as file:
            first = file.readline()
            said = re.fullmatch(r'"?sep=(.)"?\s*', first, re.IGNORECASE)   # a spreadsheet's line
            start = file.tell() if said else 0
            separator = said[1] if said else _separator(first, file)
            if separator not in _NAMED:
                raise LedgerError(
                    path, found=f"{first.strip()!r} as first line",
                    expected="commas, semicolons or tabs between the cells", mend=_AGAIN)
            file.seek(start)
            rows = _rows(csv.reader(file, delimiter=separator, strict=True))
            return _table(path, rows, encoding, separator, frozenset(map(plain, wordings)),
                          bool(said))
    except (csv.Error, UnicodeDecodeError) as error:
        raise LedgerError(
            path, found=str(error), expected="text in columns, each quote closed", mend=_AGAIN,
        ) from error


_NAMED = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SPOKEN = {"utf-8-sig": "UTF-8 with byte-order mark", "utf-8": "UTF-8", "utf-16": "UTF-16",
           "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "cp1252"}


def _separator(line: str, file: Iterable[str]) -> str:
    """The sign that stands most often outside quotes in the first record."""
    record = line
    for more in islice(file, 100):
        if record.count('"') % 2 == 0:
            break
        record += more
    bare = re.sub(r'"[^"]*"', "", record)
    return max(_NAMED, key=bare.count)


def _table(
    path: Path, rows: "_Counted", encoding: str, separator: str, wordings: frozenset[str],
    said: bool,
) -> Table:
    first, lines = [], [0]
    for row in islice(rows, 4):
        first.append(row)
        lines.append(rows.reader.line_num)
    if not first:
        raise LedgerError(
            path, found="an empty file", expected="an export of the survey platform", mend=_AGAIN,
        )
    count = _header_rows(first, wordings)
    head, width = first[:count], len(first[0])
    names = unique(_names(head))
    fast = None if encoding.startswith("utf-16") else _regular(
        path, encoding, separator, lines[count] + said, width)
    if fast is None:
        parts = (list(zip(*part, strict=True))
                 for part in _parts(chain(first[count:], rows), width, path))
        fast = _columns(parts, width)
    cells = {name: column for name, column in zip(names, fast, strict=True)
             if not (re.fullmatch(r"column \d+", name) and not _any(column))}
    size = len(fast[0]) if fast else 0
    index = pd.RangeIndex(1, size + 1, name="record")
    doubts = []
    if encoding == "cp1252":
        doubts.append("not UTF-8: read as cp1252, so letters outside English may be wrong")
    if not _ends_with_line(path):
        doubts.append("the last line has no end: the file may have been cut off")
    form = f"CSV, {_SPOKEN[encoding]}, {_NAMED[separator]}, {count} header row{'s' * (count > 1)}"
    ids = [import_id(cell) or "" for cell in head[-1]] if count > 1 else []
    texts = head[1] if count > 1 else []
    return Table(
        form, count, pd.DataFrame(cells, index=index),
        texts={n: t for n, t in zip(names, texts, strict=False) if t},
        ids={n: i for n, i in zip(names, ids, strict=False) if i}, doubts=doubts,
    )


def _any(column: object) -> bool:
    texts = column.categories if isinstance(column, pd.Categorical) else column
    return any(texts)


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
            if fits and not (piece.isascii() and not decoder.getstate()[0]):
                try:
                    decoder.decode(piece)
                except UnicodeDecodeError:
                    fits = False
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            fits = False
        return "utf-8" if fits else "cp1252"


class _Counted:
    """The records of a reader without empty lines; `reader.line_num` says how far it has come."""

    def __init__(self, reader):
        self.reader = reader

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        row = next(self.reader)
        while not row:              # an empty line is no record
            row = next(self.reader)
        return row


_rows = _Counted


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


def _columns(parts: Iterable[Iterable], width: int) -> list:
    """Columns from parts of them: categories where few texts repeat, else an array of texts."""
    made = [_Column() for _ in range(width)]
    for part in parts:
        for column, cells in zip(made, part, strict=True):
            column.add(cells)
    return [column.finish() for column in made]


class _Column:
    """One column as it grows: codes of the texts seen so far, or, where most differ, the texts."""

    def __init__(self):
        self.codes: list[np.ndarray] = []
        self.places: dict[str, int] = {}
        self.texts: list[np.ndarray] | None = None

    def add(self, cells) -> None:
        """Cells as a sequence of texts."""
        codes, texts = pd.factorize(np.asarray(cells, dtype=object))
        if self.texts is None and not self.codes and len(texts) > max(1000, len(codes) // 2):
            self.texts = []
        if self.texts is not None:
            self.texts.append(np.asarray(texts, dtype=object)[codes])
            return
        table = np.array([self.places.setdefault(text, len(self.places)) for text in texts],
                         dtype=np.int32)
        size = np.int8 if len(self.places) < 127 else np.int32
        self.codes.append(table[codes].astype(size) if len(codes) else np.zeros(0, np.int8))

    def finish(self):
        if self.texts is not None:
            return np.concatenate(self.texts)
        codes = np.concatenate(self.codes) if self.codes else np.zeros(0, np.int8)
        return pd.Categorical.from_codes(codes, pd.Index(list(self.places), dtype=object))


def _regular(path: Path, encoding: str, separator: str, lines: int, width: int) -> list | None:
    """Columns read by pandas' parser, in parts; None for a file that has to be read with care.

    Pandas fills up short rows without a word, and takes quotes in the midst of a cell. So the
    records are counted first (`_records`), and only a file in which each has as many cells as the
    header, and every quote encloses a cell, is read in this way, which is ten times as fast.
    """
    with open(path, "rb") as file:
        for _ in range(lines):
            if not file.readline().endswith(b"\n"):
                return None
        begin = file.tell()
        records = _records(file, ord(separator), width)
        if not records:
            return None
        file.seek(begin)
        reader = pd.read_csv(
            file, sep=separator, header=None, names=range(width), dtype=object,
            na_filter=False, encoding="utf-8" if encoding == "utf-8-sig" else encoding,
            engine="c", chunksize=_ROWS, index_col=False,
        )
        try:
            parts = ([part[i].to_numpy() for i in range(width)] for part in reader)
            columns = _columns(parts, width)
        except pd.errors.ParserError:
            return None
    return columns if len(columns[0]) == records else None


def _records(file, separator: int, width: int) -> int | None:
    """How many records follow, if each has `width` cells and quotes stand only around cells."""
    starts = np.array([10, separator, 34])          # what may stand before an opening quote
    ends = np.array([10, 13, separator, 34])        # ... and behind a closing one
    inside, seen, records, last = False, 0, 0, 10
    while piece := file.read(_PIECE):
        byte = np.frombuffer(piece, dtype=np.uint8)
        if last == 34 and not inside and byte[0] not in ends:
            return None
        quotes = np.flatnonzero(byte == 34)
        within = np.logical_xor.accumulate(byte == 34) ^ inside     # after each byte: in quotes?
        opening, closing = quotes[within[quotes]], quotes[~within[quotes]]
        before = np.where(opening > 0, byte[opening - 1], last)
        if not np.isin(before, starts).all():
            return None
        closing = closing[closing < len(byte) - 1]
        if not np.isin(byte[closing + 1], ends).all():
            return None
        marks = np.flatnonzero(((byte == 10) | (byte == separator) | (byte == 13)) & ~within)
        signs = byte[marks]
        returns = marks[signs == 13]
        following = byte[np.minimum(returns + 1, len(byte) - 1)]
        if ((following != 10) & (returns < len(byte) - 1)).any() or (last == 13 and byte[0] != 10):
            return None
        marks = marks[signs != 13]
        at = np.flatnonzero(byte[marks] == 10)      # places of line ends among the signs
        if len(at):
            cells = np.diff(at, prepend=-1)
            cells[0] += seen
            if (cells != width).any():
                return None
            records += len(at)
            seen = len(marks) - int(at[-1]) - 1
        else:
            seen += len(marks)
        inside, last = bool(within[-1]), int(byte[-1])
    if inside or last == 13:
        return None
    if last != 10:
        return records + 1 if seen == width - 1 else None
    return records


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


_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "\u00a0": " "})


def plain(text: str) -> str:
    """A text without differences that do not matter: quotes, spaces, capitals, loose accents."""
    text = str(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_SIGNS)
    return " ".join(text.split()).casefold()


# --- statistical programs -------------------------------------------------------------------------


def read_spss(path: Path) -> Table:
    """An SPSS file: labelled codes become their labels, declared missing values become blanks."""
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
        given[name]: {_text(code): str(label) for code, label in texts.items()}
        for name, texts in about.variable_value_labels.items() if name in given
    }
    texts = {given[name]: text for name, text in about.column_names_to_labels.items()
             if text and name in given}
    cells = {name: _texts(frame[name], labels.get(name, {}), missing.get(name)) for name in frame}
    labelled = sum(map(bool, labels.values()))
    return Table(
        f"{program}, {about.file_encoding or 'UTF-8'}, {labelled} columns with value labels", 1,
        pd.DataFrame(cells, index=pd.RangeIndex(1, len(frame) + 1, name="record")),
        texts=texts, labels=labels,
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
    from fastparquet import ParquetFile

    frame = _guarded(path, "Parquet", lambda: ParquetFile(str(path)).to_pandas(index=False))
    frame.columns = unique([_name(str(name)) for name in frame.columns])
    cells = {name: _texts(frame[name], {}, None) for name in frame}
    index = pd.RangeIndex(1, len(frame) + 1, name="record")
    return Table("Parquet", 1, pd.DataFrame(cells, index=index))


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
    """A column of values as texts; labelled codes become their labels."""
    codes, distinct = pd.factorize(values.astype(object), use_na_sentinel=False)
    texts = [labels.get(text, text) for text in map(_text, distinct)]
    cells = np.array([*texts, ""], dtype=object)[codes]
    if missing is not None:
        cells[missing.to_numpy()] = ""
    column = _Column()
    column.add(cells)
    return column.finish()


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
