"""Columns of a big file: read in pieces by polars, texts packed on the disk: memory stays small."""

import csv
import ctypes
import io
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype

PIECE = 1 << 23                     # bytes looked at at once
FIRST = 2000                        # cells of which half must repeat in a column of categories
_TOGETHER = 1 << 16                 # records of which each column is one part
_LONGEST = 1 << 26                  # bytes of a record from which on it is read with care


Packed = tuple[IO[bytes], int, int]     # a file, where in it a part begins, and how long it is


class TextsType(ExtensionDtype):
    """The type of `Texts`."""

    name, type = "texts", str

    @classmethod
    def construct_array_type(cls) -> type:
        """The class of such columns."""
        return Texts


class Texts(ExtensionArray):
    """A column of many different texts, of which none is missing, packed until it is looked at.

    What is asked of it is found part by part, so that one part is unpacked at a time; Python's own
    texts, which `astype(object)` makes, take a hundred times the memory.
    """

    dtype = TextsType()

    def __init__(self, parts: list[Packed], sizes: list[int]):
        """Hold packed parts (see `pack`), and how many texts each has."""
        self.parts, self.ends = parts, np.cumsum(sizes, dtype=int)

    @classmethod
    def of(cls, *series) -> "Texts":
        """Parts, each a polars Series of texts, packed in memory."""
        return cls([pack(one, io.BytesIO()) for one in series], [*map(len, series)])

    def _each(self, found: Callable) -> np.ndarray:
        """What is found in each part, a polars Series, in a row."""
        return np.concatenate([found(_unpacked(part)) for part in self.parts]
                              or [np.array([], dtype=object)])

    @classmethod
    def _from_sequence(cls, scalars, *, dtype=None, copy=False) -> "Texts":
        import polars as pl

        return cls.of(pl.Series(scalars, dtype=pl.String))

    @classmethod
    def _concat_same_type(cls, to_concat) -> "Texts":
        return cls([part for one in to_concat for part in one.parts],
                   [size for one in to_concat for size in np.diff(one.ends, prepend=0)])

    def __len__(self) -> int:
        """How many."""
        return int(self.ends[-1]) if self.parts else 0

    def __getitem__(self, item):
        """One text, or several as such a column."""
        if isinstance(item, (int, np.integer)):
            place = range(len(self))[item]
            part = int(np.searchsorted(self.ends, place, side="right"))
            return _unpacked(self.parts[part])[place - int(self.ends[part])]
        whole = isinstance(item, slice) and len(range(len(self))[item]) == len(self)
        return self if whole and item.step != -1 else self.take(np.arange(len(self))[item])

    def __iter__(self):
        """Python's own texts, one by one."""
        return chain.from_iterable(map(_unpacked, self.parts))

    def take(self, indices, *, allow_fill=False, fill_value=None) -> "Texts":
        """The texts at places, of which negative ones count from the end."""
        places = np.asarray(indices) % max(1, len(self))
        order = np.argsort(places, kind="stable")
        cuts = np.searchsorted(places, self.ends, sorter=order)
        starts = [0, *self.ends]
        found = [_unpacked(part).gather(places[order[low:high]] - start)
                 for part, start, low, high in zip(self.parts, starts, [0, *cuts], cuts,
                                                   strict=False) if high > low]
        if np.array_equal(order, np.arange(len(order))):
            return Texts.of(*found)
        import polars as pl

        return Texts.of(pl.concat(found).gather(np.argsort(order)))

    def copy(self) -> "Texts":
        """The same: nothing here is ever changed."""
        return self

    def isna(self) -> np.ndarray:
        """None is missing."""
        return np.zeros(len(self), dtype=bool)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """Python's own texts."""
        return self._each(lambda texts: texts.to_numpy())

    def __eq__(self, other) -> np.ndarray:
        """Which texts are equal to one."""
        return self._each(lambda texts: (texts == other).to_numpy()).astype(bool)

    def isin(self, values) -> np.ndarray:
        """Which texts are among some."""
        some = list(values)
        return self._each(lambda texts: texts.is_in(some).to_numpy()).astype(bool)

    def wordless(self) -> list[str]:
        """The different texts without a letter, and without a digit but 0 and 9."""
        return list(set(self._each(
            lambda texts: texts.filter(~texts.str.contains(r"\pL|[1-8]")).unique().to_numpy())))

    def perhaps_repeated(self) -> np.ndarray:
        """Which texts may stand twice, without blanks around them: those with the same hash."""
        hashes = pd.Series(self._each(lambda texts: texts.str.strip_chars().hash().to_numpy()))
        return hashes.duplicated(keep=False).to_numpy()

    def moments(self) -> np.ndarray:
        """Those that are dates such as 2025-01-31 12:00:00 as moments; NaT for all others."""
        import polars as pl

        def read(texts) -> np.ndarray:
            whole = pl.when(texts.str.len_bytes() == 19).then(texts)
            return pl.select(whole.str.to_datetime(
                "%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)).to_series().to_numpy()

        return self._each(read).astype("datetime64[us]")

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(size for *_, size in self.parts)


def pack(series, file: IO[bytes]) -> Packed:
    """A polars Series in few bytes at the end of a file."""
    packed = io.BytesIO()
    series.alias("").to_frame().write_parquet(packed, compression="lz4", statistics=False)
    return file, file.seek(0, io.SEEK_END), file.write(packed.getbuffer())


def _unpacked(part: Packed):
    import polars as pl

    file, start, size = part
    file.seek(start)
    return pl.read_parquet(io.BytesIO(file.read(size))).to_series()


def at_once(
    rows: Iterable[list[str]], width: int, path: Path, separator: str, lines: int
) -> list[pd.Categorical | Texts]:
    """Columns of a big UTF-8 file by polars; csv.Error where its records want care.

    Polars fills up short rows without a word. So each byte of the file, but for quotes and carriage
    returns, must be found in a cell, or be the separator or line end after one.
    """
    import polars as pl

    first = list(zip(*islice(rows, FIRST), strict=False)) or [()] * width
    schema = {str(n): pl.String if len(set(cells)) > FIRST // 2
              else pl.Categorical(pl.Categories.random()) for n, cells in enumerate(first)}
    parts: dict[str, list] = {name: [] for name in schema}
    texts, codes = pl.col(pl.String), pl.col(pl.Categorical)
    file = tempfile.TemporaryFile()     # noqa: SIM115 - without a name; it ends with the columns
    sizes, missing, waiting = [], 0, []

    def put() -> None:
        """Make one part of the texts that wait, and one of all codes: small ones fray memory."""
        together = pl.concat(waiting)
        waiting.clear()
        sizes.append(len(together))
        for name, known in parts.items():
            parts[name] = [*known, pack(together[name], file)] if name in together.columns else [
                np.concatenate(known)]

    for piece, quotes in _pieces(path, lines):
        scan = pl.scan_csv(piece, separator=separator, has_header=False, schema=schema,
                           empty_string_is_null=False)
        try:
            frame = scan.with_columns(codes.fill_null("").to_physical()).collect()
        except pl.exceptions.PolarsError as error:
            raise csv.Error(str(error)) from error
        missing += len(piece) - quotes - piece.count(b"\r") + (
            not piece.endswith(b"\n")) - width * len(frame)
        missing -= sum(map(sum, frame.select(texts.str.len_bytes().sum()).rows()))
        missing += sum(map(sum, frame.select(texts.str.count_matches('["\r]').sum()).rows()))
        for cells in frame.select(pl.exclude(pl.String)):
            numbers = cells.to_numpy()
            parts[cells.name].append(numbers.astype(np.min_scalar_type(numbers.max(initial=0))))
        waiting.append(frame.select(texts))
        if sum(map(len, waiting)) >= _TOGETHER:
            put()
    if waiting:
        put()
    columns: list[pd.Categorical | Texts] = []
    for name, kind in schema.items():
        if kind == pl.String:
            columns.append(Texts(parts[name], sizes))
            continue
        found, places = pd.factorize(np.concatenate(parts.pop(name) or [np.array([], np.uint8)]))
        given = kind.categories.to_series().gather(places).to_list()
        bare = [len(text.encode().translate(None, b'"\r')) for text in given]
        missing -= int(np.bincount(found, minlength=len(given)) @ np.array(bare, dtype=int))
        columns.append(pd.Categorical.from_codes(found, pd.Index(given, dtype=object)))
    if missing or len(columns) != width:
        raise csv.Error("rows of unequal length")
    give_back()
    return columns


def give_back() -> None:
    """Give freed memory back to the system, where the C library can (GNU's)."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _pieces(path: Path, lines: int) -> Iterable[tuple[bytes, int]]:
    """What follows so many lines, cut behind records: at a line end with all quotes closed.

    With each piece, how many quotes are in it.
    """
    with open(path, "rb") as file:
        _require_line_feeds(b"".join(file.readline() for _ in range(lines)))
        rest = b""
        while more := file.read(PIECE):
            piece = rest + more
            _require_line_feeds(piece.removesuffix(b"\r"))
            quotes = np.frombuffer(piece, np.uint8) == ord('"')
            end = piece.rfind(b"\n") + 1
            if np.count_nonzero(quotes[:end]) % 2:    # within a quoted cell
                ends = np.frombuffer(piece, np.uint8) == ord("\n")
                closed = np.flatnonzero(ends & ~np.bitwise_xor.accumulate(quotes))
                end = int(closed[-1]) + 1 if len(closed) else 0
            rest = piece[end:]
            if end:
                yield piece[:end], np.count_nonzero(quotes[:end])
        _require_line_feeds(rest)
        if rest:
            yield rest, rest.count(b'"')


def _require_line_feeds(piece: bytes) -> None:
    """Raise csv.Error for what a fast reader takes otherwise, or a record that is a whole file."""
    returns = piece.count(b"\r")
    if b"\0" in piece or len(piece) > _LONGEST or (returns and returns != piece.count(b"\r\n")):
        raise csv.Error("signs that a fast reader takes otherwise")
