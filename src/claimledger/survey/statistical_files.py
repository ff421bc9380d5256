"""Read the files of SPSS, Stata and Parquet into the same text cells as a CSV export."""

from collections.abc import Callable
from pathlib import Path
from sys import intern

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.survey.tables import Table, unique


def read_spss(path: Path) -> Table:
    """An SPSS file: labelled codes become their labels, and question texts are kept."""
    return _with_labels(path, "read_sav", "SPSS")


def read_stata(path: Path) -> Table:
    """A Stata file, likewise; a missing value with a label of its own keeps the label."""
    return _with_labels(path, "read_dta", "Stata")


def _with_labels(path: Path, reader: str, program: str) -> Table:
    import pyreadstat

    frame, about = _guarded(path, program, lambda: getattr(pyreadstat, reader)(
        str(path), user_missing=True, apply_value_formats=False))
    frame.columns = unique([str(name) for name in frame.columns])
    labels = {
        name: {_text(code): str(label) for code, label in about.variable_value_labels[name].items()}
        for name in frame.columns if name in about.variable_value_labels
    }
    texts = {name: text for name, text in about.column_names_to_labels.items() if text}
    labelled = sum(map(bool, labels.values()))
    return Table(
        f"{program}, {about.file_encoding or 'UTF-8'}, {labelled} columns with value labels", 1,
        _cells(frame, labels), texts=texts, labels=labels,
    )


def read_parquet(path: Path) -> Table:
    """A Parquet file; categories become their texts."""
    from fastparquet import ParquetFile

    frame = _guarded(path, "Parquet", lambda: ParquetFile(str(path)).to_pandas(index=False))
    frame.columns = unique([str(name) for name in frame.columns])
    return Table("Parquet", 1, _cells(frame, {}))


def _guarded(path: Path, kind: str, read: Callable):
    """What the library reads; whatever it says about a broken file is said to a person."""
    try:
        return read()
    except Exception as error:      # of many kinds, from compiled code
        raise LedgerError(
            path, found=f"{type(error).__name__}: {error}"[:300], expected=f"a {kind} file",
            mend="export again, or export as CSV",
        ) from error


def _cells(frame: pd.DataFrame, labels: dict[str, dict[str, str]]) -> pd.DataFrame:
    columns = {}
    for name in frame.columns:
        words = {code: intern(text) for code, text in labels.get(name, {}).items()}
        texts = map(intern, map(_text, frame[name].astype(object)))
        columns[name] = [words.get(text, text) for text in texts]
    index = pd.RangeIndex(1, len(frame) + 1, name="record")
    return pd.DataFrame(columns, index=index, dtype=object)


def _text(value: object) -> str:
    """A value as CSV would hold it: blank if missing, whole numbers without a point."""
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
