"""Read a survey platform's export into one frame of text cells, and answers into codes."""

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import yaml
from pydantic import Field, ValidationError

from claimledger.errors import LedgerError
from claimledger.registration.models import Model, Registration, Scale
from claimledger.survey import qualtrics

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "\u00a0": " "})


class Mapping(Model):
    """How an export's names differ from the registration's.

    `columns` maps the export's column names to names of the registration; `values` maps, for a
    name of the registration, texts of the export to codes (of an item) or level ids (of a factor).
    """

    columns: Annotated[dict[str, str], Field(description="export name: registration name")] = {}
    values: dict[str, dict[str, int | str]] = {}


@dataclass(frozen=True)
class Export:
    """What was read: text cells with the registration's names, index = number of the record.

    `recognised` says, for every item and factor found, in what form its answers stand.
    """

    path: Path
    header_rows: int
    cells: pd.DataFrame
    recognised: dict[str, str]


def read_mapping(path: Path | None) -> Mapping:
    """The mapping file, or one that changes nothing."""
    if path is None:
        return Mapping()
    try:
        return Mapping.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    except FileNotFoundError as error:
        raise LedgerError(path, found="no such file", expected="a mapping of names") from error
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
        raise LedgerError(
            path, found=" ".join(str(error).split()), expected="`columns:` and `values:`",
            mend="write `columns: {export name: registration name}`",
        ) from error


def read_export(path: Path, registration: Registration, mapping: Path | None = None) -> Export:
    """Read an export; its format is told by the file name's ending."""
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise LedgerError(
            path, found=f"a file ending in {path.suffix or 'nothing'}",
            expected="one of " + ", ".join(_READERS), mend="export as CSV, with choice text",
        )
    if not path.is_file():
        raise LedgerError(
            path, found="no such file", expected="an export of the survey platform",
            mend="correct the path, or put the file there",
        )
    header_rows, cells = _READERS[path.suffix.lower()](path)
    names = read_mapping(mapping)
    cells = cells.rename(columns=names.columns)
    twice = sorted(cells.columns[cells.columns.duplicated()].unique())
    if twice:
        raise LedgerError(
            path, found="more than one column " + ", ".join(map(repr, twice)),
            expected="each name once", mend="rename or remove one of them",
        )
    for column, values in names.values.items():
        if column in cells:
            replaced = {_plain(k): str(v) for k, v in values.items()}
            cells[column] = [replaced.get(_plain(c), c) for c in cells[column]]
    recognised = {
        name: _form(cells[name], registration.instrument.scales[item.scale])
        for name, item in registration.instrument.items.items() if name in cells
    }
    recognised |= {f: "level ids or labels" for f in registration.design.factors if f in cells}
    return Export(path, header_rows, cells, recognised)


def _read_csv(path: Path) -> tuple[int, pd.DataFrame]:
    """Number of header rows, and the records below them (all cells as text)."""
    try:
        table = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig",
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LedgerError(
            path, found=" ".join(str(error).split()), expected="a CSV file in UTF-8",
            mend="export again as CSV, without opening the file in a spreadsheet program",
        ) from error
    names = [name.strip() for name in table.iloc[0]]
    rows = 1 + next((i for i in range(min(4, len(table))) if _is_import_row(table.iloc[i])), 0)
    if rows == 1 and len(table) > 1:      # texts of questions, but no import ids below them
        texts = {text for text, _ in qualtrics.BEFORE.values()} | qualtrics.PLATFORM
        rows += sum(cell.replace("ID", "Id") in texts for cell in table.iloc[1]) > 2
    body = table.iloc[rows:].reset_index(drop=True)
    body.columns = names
    body.index = pd.RangeIndex(1, len(body) + 1, name="record")
    return rows, body


_READERS = {".csv": _read_csv}


def _is_import_row(row: pd.Series) -> bool:
    """Whether most cells are objects with an ImportId (JSON, or a dict in single quotes)."""
    return sum(_import_id(cell) is not None for cell in row) * 2 > len(row)


def _import_id(cell: str) -> str | None:
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(cell)["ImportId"]
        except (ValueError, SyntaxError, TypeError, KeyError):
            continue
    return None


def _plain(text: str) -> str:
    """A text without differences that do not matter: quotes, spaces, capitals."""
    return " ".join(str(text).translate(_QUOTES).split()).casefold()


def _form(cells: pd.Series, scale: Scale) -> str:
    if scale.kind == "text":
        return "free text"
    if scale.kind == "numeric":
        return "numbers"
    given = {_plain(c) for c in cells.unique()} - {"", qualtrics.UNANSWERED}
    labels = {_plain(label) for label in scale.labels.values()}
    texts, codes = given & labels, given - labels
    if texts and codes:
        return "choice texts and others"
    return "choice texts" if texts else "codes" if codes else "empty"


def answers(cells: pd.Series, scale: Scale) -> tuple[pd.Series, pd.Series]:
    """Codes (or numbers) as floats, and a mask of cells that are neither answer nor blank.

    Choice text, a code, or a number written as text are understood; blanks and -99 (seen but
    unanswered) become NaN. Codes outside the scale are marked; numbers out of range are not.
    """
    table: dict[str, float] = {"": np.nan, qualtrics.UNANSWERED: np.nan}
    for code, label in scale.labels.items():
        table |= {_plain(label): code, str(code): code}
    unique = cells.unique()
    found = {cell: _number(_plain(cell), table, scale.kind == "numeric") for cell in unique}
    codes = cells.map({k: v for k, (v, _) in found.items()}).astype(float)
    return codes, cells.isin([k for k, (_, fits) in found.items() if not fits])


def _number(cell: str, table: dict[str, float], free: bool) -> tuple[float, bool]:
    if cell in table:
        return table[cell], True
    try:
        value = float(cell)
    except ValueError:
        return np.nan, False
    known = free or str(int(value) if value.is_integer() else value) in table
    return (value if known else np.nan), known


def levels(
    cells: pd.Series, registration: Registration, factor: str
) -> tuple[pd.Series, pd.Series]:
    """Level ids (None where blank), and a mask of cells that name no level of the factor."""
    known = registration.design.factors[factor].levels
    table = {_plain(level.label): name for name, level in known.items()}
    table |= {_plain(name): name for name in known}
    plain = cells.map(_plain)
    blank = plain.isin(["", qualtrics.UNANSWERED])
    return plain.map(table).astype(object), ~blank & ~plain.isin(list(table))


def coded(export: Export, registration: Registration) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The export with items as codes and factors as level ids, and a mask of strange cells.

    Columns of the platform and free texts stay as they are. Columns that are absent stay absent.
    """
    frame = export.cells.copy()
    strange = pd.DataFrame(False, index=frame.index, columns=[])
    for name, item in registration.instrument.items.items():
        scale = registration.instrument.scales[item.scale]
        if name in frame and scale.kind != "text":
            frame[name], strange[name] = answers(frame[name], scale)
    for name in registration.design.factors:
        if name in frame:
            frame[name], strange[name] = levels(frame[name], registration, name)
    return frame, strange
