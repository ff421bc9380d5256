"""Read a survey platform's export into columns with the registration's names, and into codes.

Whether a column of answers holds the labels of its scale or their codes is decided for the column
as a whole, by what can be nothing else: a text that is a label and no code, a number that is a code
and no label, the value labels of the file, or the mapping. Where that leaves two ways, the column
is not certain, and the export is refused until a person says which way is meant.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Factor, Registration, Scale
from claimledger.survey import mapping as names
from claimledger.survey import qualtrics
from claimledger.survey.mapping import unfold
from claimledger.survey.tables import (
    READERS,
    Table,
    distinct,
    factorized,
    is_blank,
    plain,
    read_csv,
)

TEXTS, CODES, NUMBERS, FREE = "choice texts", "codes", "numbers", "free text"
OPEN = "not certain"


@dataclass(frozen=True)
class Meaning:
    """What the cells of one column mean.

    form: how the answers stand, for people. table: code (or level id) of each cell that has one;
    NaN (or None) for blanks. strange: cells that mean nothing registered. uncertain: why the
    column is not certain, or "".
    """

    form: str
    table: dict[str, float | str | None]
    strange: frozenset[str] = frozenset()
    uncertain: str = ""

    def of(self, cells: pd.Series, levels: Iterable[str] = ()) -> pd.Series:
        """What each cell means: a number, or a category of the levels where some are given."""
        codes, texts = factorized(cells)
        found = [self.table.get(text) for text in texts]
        if levels:
            places = pd.Categorical(found, [*levels]).codes
            places = np.append(places, places.dtype.type(-1))
            values = pd.Categorical.from_codes(places[codes], [*levels])
        else:
            values = np.array([*found, None], dtype=float)[codes]
        return pd.Series(values, index=cells.index, name=cells.name)


@dataclass(frozen=True)
class Export:
    """What was read: text cells with the registration's names, index = number of the record.

    columns: the cells, few different ones as categories. meanings: of every item and factor found.
    form: of the file. texts: the question texts that the file itself gives. doubts: what was read
    but may not be as meant. clashes: columns that could each be the one of that name.
    """

    path: Path
    header_rows: int
    columns: pd.DataFrame
    meanings: dict[str, Meaning]
    form: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)
    clashes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The cells as texts."""
        return self.columns.astype(object)

    @property
    def recognized(self) -> dict[str, str]:
        """For every item and factor found, in what form its answers stand."""
        return {name: meaning.form for name, meaning in self.meanings.items()}

    @property
    def forms(self) -> str:
        """How many columns of answers were read in which form."""
        counts = Counter(self.recognized.values()).most_common()
        return ", ".join(f"{count} as {form}" for form, count in counts) or "none found"


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
    meant = names.read_mapping(mapping, registration, table.cells.columns)
    if meant.tasks:
        table = replace(table, cells=unfold(table.cells, meant.tasks, registration, path))
    cells = names.rename(meant, table.cells, registration, path)
    platform, clashes = platform_columns(table, meant, cells.columns, registration)
    cells = arms(cells.rename(columns=platform), registration, path)
    renamed = {old: platform.get(meant.columns.get(old, old), meant.columns.get(old, old))
               for old in table.cells}
    labels = {renamed[name]: given for name, given in table.labels.items() if name in renamed}
    meanings, doubts = {}, [*table.doubts]
    for name in [*registration.instrument.items, *registration.design.factors]:
        if name not in cells:
            continue
        factor, scale = registration.design.factors.get(name), registration.scale_of(name)
        if (factor or scale.kind != "text") and cells[name].dtype != "category":
            cells[name] = pd.Categorical.from_codes(*factorized(cells[name]))
        given, said = distinct(cells[name]), meant.values.get(name, {})
        meanings[name] = (
            meaning_of_levels(given, factor, said, labels.get(name)) if factor else
            meaning(given, scale, labels.get(name, {}), said, meant.codes.get(name)))
    for name, values in meant.values.items():
        if name not in cells:
            continue
        doubts += names.unused(name, values, distinct(cells[name]))
        if name not in meanings:
            cells[name] = names.replaced(cells[name], values)
    used = {*meanings, *qualtrics.ANSWERS, *qualtrics.named(registration)}
    doubts += [f"{name}: {twice}" for name, given in labels.items()
               if name in used and (name not in meanings or meanings[name].form != OPEN)
               and (twice := _doubled(given, {plain(text) for text in given.values()}))]
    numbers = [name for name, one in meanings.items() if one.form == CODES
               and name not in meant.codes and name not in meant.values
               and not (meant.tasks and name in meant.tasks.choice)]
    if numbers:
        doubts.append(
            "answers in numbers, taken for the registration's codes: " + ", ".join(numbers))
    texts = {renamed.get(name, name): text for name, text in table.texts.items()}
    missing = {renamed.get(name, name): count for name, count in table.missing.items()}
    return Export(path, table.header_rows, cells, meanings, table.form, texts, doubts, missing,
                  clashes)


def platform_columns(
    table: Table, meant: names.Mapping, columns: pd.Index, registration: Registration
) -> tuple[dict[str, str], dict[str, str]]:
    """New names for the platform's own columns, and the names that several columns could have.

    A column is the platform's by its import id. By its name it is only in a file without such ids:
    an embedded field may be called "Finished", too. Where two columns have the name, or a column
    of the name has another id, nothing is settled.
    """
    others = set(names.known_names(registration)) - qualtrics.PLATFORM
    by_id: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for column in table.cells:
        if column in meant.columns:
            continue
        if name := qualtrics.identified(table.ids.get(column, "")):
            by_id.setdefault(name, []).append(column)
        bare = _numbered(column, table)
        if bare not in others and (name := qualtrics.canonical(bare)):
            by_name.setdefault(name, []).append(column)
    renamed, clashes = {}, {}
    for name in dict.fromkeys([*by_id, *by_name]):
        if name in meant.columns.values():
            continue            # a person has settled it
        sure, like = by_id.get(name, []), by_name.get(name, [])
        exact = [column for column in like if _numbered(column, table) == name]
        strangers = [column for column in exact if column not in sure]
        if len(sure) == 1 and not strangers:
            found = sure
        elif not by_id and len(exact or like) == 1:
            found = exact or like
        elif sure or exact or (not by_id and like):
            clashes[name] = ", ".join(map(repr, dict.fromkeys([*sure, *(exact or like)]))) + (
                f"; by its import id {sure[0]!r} is the platform's" if len(sure) == 1 else
                f"; its import id is {table.ids.get(exact[0])!r}, not the platform's"
                if by_id and len(exact) == 1 else "")
            continue
        else:
            continue
        if found[0] != name and name not in columns:
            renamed[found[0]] = name
    return renamed, clashes


def _numbered(column: str, table: Table) -> str:
    """The name of a column without the number that it got because another has the same."""
    bare, _, number = column.rpartition(" (")
    again = f"{bare} (1)" in table.cells and f"{bare} (2)" in table.cells
    return bare if number.rstrip(")").isdigit() and again else column


# --- what the cells of a column mean --------------------------------------------------------------


def meaning(
    given: Iterable[str], scale: Scale, file_labels: dict[str, str] | None = None,
    mapped: dict[str, str] | None = None, way: str | None = None,
) -> Meaning:
    """Decide for one column of an item what each of its different cells means.

    Parameters
    ----------
    given : the different cells.
    scale : the registered one.
    file_labels : code to label, where the file has value labels: cells with one of those labels are
        texts, and a number that is not among them is a code.
    mapped : cells that a person has given a code, or `missing`.
    way : `registered`, `reversed` or `texts`, where a person has said what numbers are.
    """
    blank = {cell: np.nan for cell in given if is_blank(cell)}
    table: dict[str, float | str | None] = dict(blank)
    said = {plain(key): value for key, value in (mapped or {}).items()}
    rest = []
    for cell in given:
        if (bare := plain(cell)) in said:       # a blank, too: "not chosen" may be an answer
            value = said[bare]
            table[cell] = float(value) if names.NUMBER.fullmatch(value) else np.nan
        elif cell not in blank:
            rest.append((cell, bare))
    if scale.kind == "text":
        return Meaning(FREE, table)
    if scale.kind == "numeric":
        for cell, bare in rest:
            if names.NUMBER.fullmatch(bare):
                table[cell] = float(bare)
        return Meaning(NUMBERS, table, frozenset(c for c, _ in rest if c not in table))
    return _labeled(rest, table, scale, file_labels or {}, way)


def _labeled(
    rest: list[tuple[str, str]], table: dict, scale: Scale, file_labels: dict[str, str],
    way: str | None,
) -> Meaning:
    often = Counter(plain(label) for label in scale.labels.values())
    labels = {plain(label): code for code, label in scale.labels.items()}
    flip = min(scale.labels) + max(scale.labels) if way == "reversed" else None
    codes = {code: float(code if flip is None else flip - code) for code in scale.labels}
    of_file = set() if way else {plain(text) for text in file_labels.values()}
    kinds: dict[str, str] = {}
    for cell, bare in rest:
        number = _whole(bare)
        text, code = bare in labels, number in codes
        if of_file:       # the file says which cells are texts
            text, code = text and bare in of_file, code and bare not in of_file
        same = text and code and labels[bare] == number and flip is None
        kinds[cell] = "same" if same else "both" if text and code else (
            "text" if text else "code" if code else "strange")
    texts, numbers, both = ([cell for cell, one in kinds.items() if one == kind]
                            for kind in ("text", "code", "both"))
    texts_first = way == "texts" or of_file or (way is None and texts)
    for cell, bare in rest:
        if kinds[cell] == "text" or (texts_first and kinds[cell] in ("both", "same")):
            table[cell] = float(labels[bare])
        elif kinds[cell] != "strange" and way != "texts":
            table[cell] = codes[_whole(bare)]
    strange = frozenset(cell for cell in kinds if cell not in table)
    known = [text for text in file_labels.values() if plain(text) in labels]
    beside, why = bool(numbers and (texts or known)), ""
    if way is None:
        twice = [text for _, text in rest if often[text] > 1]
        if twice:
            why = f"the label {twice[0]!r}, which the registration gives to two codes"
        elif doubled := _doubled(file_labels, labels):
            why = doubled
        elif beside and not _same_way(file_labels, labels, scale):
            why = (f"numbers ({_few(numbers)}) beside texts ({_few(texts or known)}): "
                   "the numbers may run the other way")
        elif both and not texts and not numbers and not of_file:
            why = f"{_few(both)}: a label of the scale, and the code of another"
    form = "choice texts and codes" if beside else TEXTS if texts else (
        CODES if numbers or both else TEXTS if "same" in kinds.values() else
        "others" if strange else "empty")
    if strange and form != "others":
        form = f"{form} and others"
    return Meaning(OPEN if why else form, table, strange, why)


def _doubled(file_labels: dict[str, str], labels: Collection[str]) -> str:
    """One of some labels (as `plain` has them) that the file gives to two codes, in words."""
    seen: dict[str, str] = {}
    for code, text in file_labels.items():
        bare = plain(text)
        if bare in labels and bare in seen:
            return f"the label {text!r} on the codes {seen[bare]} and {code} of the file"
        seen.setdefault(bare, code)
    return ""


def _same_way(file_labels: dict[str, str], labels: dict[str, int], scale: Scale) -> bool:
    """Whether the file's value labels prove that its unlabeled codes are the registered ones."""
    if scale.kind != "ordinal" or not file_labels:
        return False
    known = [(_whole(code), labels[plain(text)]) for code, text in file_labels.items()
             if plain(text) in labels]
    ends = min(scale.labels) + max(scale.labels)
    return bool(known) and all(code == own for code, own in known) and any(
        2 * own != ends for _, own in known)


def meaning_of_levels(
    given: Iterable[str], factor: Factor, mapped: dict[str, str] | None = None,
    file_labels: dict[str, str] | None = None,
) -> Meaning:
    """Decide for one column of a factor which level each of its different cells names."""
    said = {plain(key): value for key, value in (mapped or {}).items()}
    ids = {plain(name): name for name in factor.levels}
    labels = {plain(level.label): name for name, level in factor.levels.items()}
    often = Counter(plain(level.label) for level in factor.levels.values())
    table: dict[str, float | str | None] = {}
    strange, why = [], _doubled(file_labels or {}, {*ids, *labels} - {*said})
    for cell in given:
        bare = plain(cell)
        if bare in said:
            table[cell] = None if said[bare] == names.MISSING else said[bare]
        elif is_blank(bare):
            table[cell] = None
        elif bare in ids or bare in labels:
            table[cell] = ids.get(bare, labels.get(bare))
            if bare in ids and bare in labels and ids[bare] != labels[bare]:
                why = f"{cell!r}: the id of one level, and the label of another"
            elif bare not in ids and often[bare] > 1:
                why = f"{cell!r}: the label of two levels"
        else:
            strange.append(cell)
    return Meaning(OPEN if why else "level ids or labels", table, frozenset(strange), why)


def _whole(text: str) -> int | None:
    """The whole number that a `plain` text is, or None."""
    return int(text) if names.NUMBER.fullmatch(text) and "." not in text else None


def _few(cells: list[str]) -> str:
    return ", ".join(map(repr, sorted(cells)[:4])) + (", ..." if len(cells) > 4 else "")


class Coded:
    """Rows of an export with items as codes and factors as level ids; a frame that takes no memory.

    Each column is made when it is asked for. Free texts, the columns that the registration names,
    dates and ids of responses stay as they are; all others are left out, and what is absent stays
    absent. `places`: of the rows in the export, from 0.
    """

    def __init__(
        self, export: Export, registration: Registration, places: np.ndarray | None = None
    ):
        """All rows, or those at some places."""
        self.export, self.registration = export, registration
        self.places = np.arange(len(export.columns), dtype=np.int32) if places is None else places
        self.index = export.columns.index[self.places]

    def __len__(self) -> int:
        """How many rows."""
        return len(self.places)

    def __contains__(self, name: str) -> bool:
        """Whether there is such a column."""
        known = (*self.export.meanings, *qualtrics.named(self.registration), "ResponseId",
                 *qualtrics.DATES)
        return name in known and name in self.export.columns

    def __getitem__(self, what: str | np.ndarray) -> "pd.Series | Coded":
        """A column, or the rows that a mask names."""
        if not isinstance(what, str):
            return Coded(self.export, self.registration, self.places[what])
        cells = self.export.columns[what]
        if len(self) < len(cells):
            cells = pd.Series(cells.array.take(self.places), self.index, name=what, copy=False)
        one, factor = self.export.meanings.get(what), self.registration.design.factors.get(what)
        if one is None or one.form == FREE:
            return cells
        return one.of(cells, factor.levels if factor else ())


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
            level: ~cells[column].astype(object).map(plain).isin(_EMPTY)
            for level, column in factor.columns.items()
        })
        other = [level for level in factor.levels if level not in factor.columns]
        assigned = filled.idxmax(axis=1).astype(object).where(
            filled.any(axis=1), other[0] if other else "")
        for row in filled.index[filled.sum(axis=1) > 1]:      # told with all other strange cells
            assigned[row] = " and ".join(filled.columns[filled.loc[row]])
        cells = cells.drop(columns=list(factor.columns.values())).assign(**{name: assigned})
    return cells


_EMPTY = ("", "0", "false", "no", qualtrics.UNANSWERED)
