"""Read a survey platform's export into one frame of text cells, and answers into codes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration, Scale
from claimledger.survey import mapping as names
from claimledger.survey import qualtrics
from claimledger.survey.statistical_files import read_parquet, read_spss, read_stata
from claimledger.survey.tables import Table, plain, read_csv


@dataclass(frozen=True)
class Export:
    """What was read: text cells with the registration's names, index = number of the record.

    `recognised` says, for every item and factor found, in what form its answers stand; `form` says
    the same of the file. `texts` holds the question texts that the file itself gives, `doubts`
    what was read but may not be as meant.
    """

    path: Path
    header_rows: int
    cells: pd.DataFrame
    recognised: dict[str, str]
    form: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)


def read_table(path: Path, registration: Registration) -> Table:
    """Read a file as it stands; its format is told by the file name's ending."""
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise LedgerError(
            path, found=f"a file ending in {path.suffix or 'nothing'}",
            expected="one of " + ", ".join(READERS), mend="export as CSV, with choice text",
        )
    if not path.is_file():
        raise LedgerError(
            path, found="no such file", expected="an export of the survey platform",
            mend="correct the path, or put the file there",
        )
    if reader is read_csv:
        return read_csv(path, [item.wording for item in registration.instrument.items.values()])
    return reader(path)


def read_export(path: Path, registration: Registration, mapping: Path | None = None) -> Export:
    """Read an export of any format, and give it the registration's names."""
    path = Path(path)
    table = read_table(path, registration)
    meant = names.read_mapping(mapping, registration)
    cells, doubts = names.apply(meant, table.cells.copy(deep=False), registration, path)
    cells = cells.rename(columns=_platform(table, cells.columns, registration))
    cells = arms(cells, registration, path)
    scales, items = registration.instrument.scales, registration.instrument.items
    recognised = {
        name: _form(cells[name], scales[item.scale])
        for name, item in items.items() if name in cells
    }
    numbers = [name for name, form in recognised.items() if form == "codes" and
               name not in meant.codes and name not in meant.values]
    if numbers:
        doubts.append(
            "answers in numbers, taken for the registration's codes: " + ", ".join(numbers)
        )
    recognised |= {f: "level ids or labels" for f in registration.design.factors if f in cells}
    texts = {meant.columns.get(name, name): text for name, text in table.texts.items()}
    return Export(
        path, table.header_rows, cells, recognised, table.form, texts, [*table.doubts, *doubts]
    )


def _platform(table: Table, columns: pd.Index, registration: Registration) -> dict[str, str]:
    """New names for the platform's own columns where the file's format calls them otherwise."""
    known, given = set(names.known_names(registration)), set(columns)
    renamed: dict[str, str] = {}
    for column in columns:
        if column in known:
            continue
        meant = qualtrics.canonical(table.ids.get(column, "")) or qualtrics.canonical(column)
        if meant and meant not in given and meant not in renamed.values():
            renamed[column] = meant
    return renamed


def arms(cells: pd.DataFrame, registration: Registration, path: Path) -> pd.DataFrame:
    """Factors whose arms stand in columns of their own: those columns become one of level ids."""
    for name, factor in registration.design.factors.items():
        if not factor.columns or name in cells:
            continue
        absent = [column for column in factor.columns.values() if column not in cells]
        if absent:
            raise LedgerError(
                path, found=f"no column {absent[0]!r}",
                expected=f"the columns of design.factors.{name}.columns",
                mend="correct the registration, or map a column to that name",
            )
        filled = pd.DataFrame({
            level: ~cells[column].map(plain).isin(_EMPTY)
            for level, column in factor.columns.items()
        })
        twice = filled.sum(axis=1) > 1
        if twice.any():
            raise LedgerError(
                f"{path}: row {twice.idxmax()}", found=f"several arms of {name}: " + ", ".join(
                    filled.columns[filled.loc[twice.idxmax()]]),
                expected="one arm", mend="correct the row, or remove it",
            )
        other = [level for level in factor.levels if level not in factor.columns]
        assigned = filled.idxmax(axis=1).astype(object).where(
            filled.any(axis=1), other[0] if other else "")
        cells = cells.drop(columns=list(factor.columns.values())).assign(**{name: assigned})
    return cells


_EMPTY = ("", "0", "0.0", "false", "no", qualtrics.UNANSWERED)
_BLANK = ("", qualtrics.UNANSWERED)
READERS: dict[str, Callable[..., Table]] = {
    ".csv": read_csv, ".tsv": read_csv, ".txt": read_csv, ".sav": read_spss, ".dta": read_stata,
    ".parquet": read_parquet,
}


def _form(cells: pd.Series, scale: Scale) -> str:
    if scale.kind == "text":
        return "free text"
    if scale.kind == "numeric":
        return "numbers"
    given = {plain(c) for c in cells.unique()} - {"", qualtrics.UNANSWERED}
    labels = {plain(label) for label in scale.labels.values()}
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
        table |= {plain(label): code, str(code): code}
    unique = cells.unique()
    found = {cell: _number(plain(cell), table, scale.kind == "numeric") for cell in unique}
    codes = cells.map({k: v for k, (v, _) in found.items()}).astype(float)
    return codes, cells.isin([k for k, (_, fits) in found.items() if not fits])


def _number(cell: str, table: dict[str, float], free: bool) -> tuple[float, bool]:
    if cell in table:
        return table[cell], True
    if not names.NUMBER.fullmatch(cell):
        return np.nan, False
    value = float(cell)
    known = free or str(int(value) if value.is_integer() else value) in table
    return (value if known else np.nan), known


def levels(
    cells: pd.Series, registration: Registration, factor: str
) -> tuple[pd.Series, pd.Series]:
    """Level ids (None where blank), and a mask of cells that name no level of the factor."""
    known = registration.design.factors[factor].levels
    table = {plain(level.label): name for name, level in known.items()}
    table |= {plain(name): name for name in known}
    unique = {cell: plain(cell) for cell in cells.unique()}
    strange = [c for c, p in unique.items() if p not in table and p not in _BLANK]
    return cells.map({c: table.get(p) for c, p in unique.items()}).astype(object), \
        cells.isin(strange)


def coded(export: Export, registration: Registration) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The export with items as codes and factors as level ids, and a mask of strange cells.

    Columns of the platform and free texts stay as they are. Columns that are absent stay absent.
    """
    frame = export.cells.copy(deep=False)
    strange = pd.DataFrame(False, index=frame.index, columns=[])
    for name, item in registration.instrument.items.items():
        scale = registration.instrument.scales[item.scale]
        if name in frame and scale.kind != "text":
            frame[name], strange[name] = answers(frame[name], scale)
    for name in registration.design.factors:
        if name in frame:
            frame[name], strange[name] = levels(frame[name], registration, name)
    return frame, strange
