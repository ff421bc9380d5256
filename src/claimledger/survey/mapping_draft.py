"""Start a mapping from an export to the registration; a person finishes it.

Columns are matched by name, by question text and by the survey's own definition (.qsf). What a
number means, which way a scale runs, and which answer is none, is never guessed: it is left open.
"""

import json
import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration, Scale
from claimledger.survey import qualtrics
from claimledger.survey.mapping import MISSING, NUMBER, OPEN
from claimledger.survey.reading import read_table
from claimledger.survey.tables import Table, plain

_MANY = 30       # different answers of one column that are listed


@dataclass
class Draft:
    """Lines of a mapping, each with its comment; `open` counts what a person has to finish."""

    columns: list[tuple[str, str, str]] = field(default_factory=list)
    values: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    codes: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def open(self) -> int:
        """How many question marks are left."""
        lines = [*self.columns, *self.codes, *(v for part in self.values.values() for v in part)]
        return sum(old.startswith(OPEN) or new == OPEN for old, new, _ in lines)


@dataclass(frozen=True)
class Question:
    """A question of a .qsf file: its wording, the text of each code, whether it asks a number."""

    wording: str
    choices: dict[str, str]
    numeric: bool = False


def draft(path: Path, registration: Registration, qsf: Path | None = None) -> tuple[Draft, Table]:
    """Match what can be matched without a guess, and leave the rest open."""
    table = read_table(path, registration)
    questions = read_qsf(qsf) if qsf else {}
    result = Draft()
    for name, item in registration.instrument.items.items():
        column, how = _find(name, [item.wording], table, questions)
        scale = registration.instrument.scales[item.scale]
        if column is None:
            if scale.kind != "text":
                result.columns.append((f"{OPEN} {name}", name, f"no column found: {item.wording}"))
            continue
        if column != name:
            result.columns.append((column, name, how))
        if scale.labels:
            _answers(result, name, scale, table, column, questions.get(column))
    for name, factor in registration.design.factors.items():
        column, how = _find(name, [factor.label], table, questions)
        if column is None:
            result.columns.append((f"{OPEN} {name}", name, f"no column found: {factor.label}"))
            continue
        if column != name:
            result.columns.append((column, name, how))
        known = {plain(x) for key, v in factor.levels.items() for x in (key, v.label)}
        strange = [c for c in _given(table, column) if plain(c) not in known]
        if strange:
            result.values[name] = [
                (cell, OPEN, "one of " + ", ".join(factor.levels)) for cell in strange[:_MANY]]
    for rule in registration.exclusions:
        known = {*registration.instrument.items, *registration.design.factors, *table.cells}
        if rule.column not in known and not any(
                qualtrics.canonical(c) == rule.column for c in table.cells):
            result.columns.append(
                (f"{OPEN} {rule.column}", rule.column, f"needed for: {rule.label}"))
    return result, table


def _find(
    name: str, wordings: list[str], table: Table, questions: dict[str, Question]
) -> tuple[str | None, str]:
    """The one column that means a name, and by what it was found; None where none or several."""
    if name in table.cells:
        return name, "by its name"
    wanted = {plain(w) for w in wordings}
    ways = [
        ("by its name", [c for c in table.cells if plain(c) == plain(name)]),
        ("by its question text", [c for c, t in table.texts.items()
                                  if plain(t) in wanted and c in table.cells]),
        ("by the .qsf", [c for c, q in questions.items()
                         if plain(q.wording) in wanted and c in table.cells]),
    ]
    for how, found in ways:
        if len(found) == 1:
            return found[0], how
    return None, ""


def _answers(
    result: Draft, name: str, scale: Scale, table: Table, column: str, question: Question | None
) -> None:
    """Texts that the scale does not have are open; so is the meaning of numbers."""
    labels = {plain(text): str(code) for code, text in scale.labels.items()}
    given = _given(table, column)
    strange = [cell for cell in given if plain(cell) not in labels]
    numbers = [cell for cell in strange if NUMBER.fullmatch(cell)]
    if numbers and len(numbers) == len(given):
        if question and question.choices:
            lines = [(cell, labels.get(plain(question.choices.get(cell, "")), OPEN),
                      question.choices.get(cell, "a code that the .qsf does not have"))
                     for cell in sorted(numbers, key=float)]
            result.values[name] = lines
            return
        first, last = min(scale.labels), max(scale.labels)
        ways = f"`registered`: {first} is {scale.labels[first]!r}, {last} {scale.labels[last]!r}"
        result.codes.append((name, OPEN, ways + ("; or `reversed`" * (scale.kind == "ordinal"))))
        strange = [c for c in numbers if not c.isdigit() or int(c) not in scale.labels]
    if strange:
        codes = ", ".join(f"{code} {text!r}" for code, text in scale.labels.items())
        result.values[name] = [(cell, OPEN, f"{codes}, or `{MISSING}`")
                               for cell in strange[:_MANY]]


def _given(table: Table, column: str) -> list[str]:
    cells = [str(cell) for cell in table.cells[column].unique()]
    return [cell for cell in cells if cell.strip() not in ("", qualtrics.UNANSWERED)]


def write_draft(made: Draft, source: Path, form: str) -> str:
    """The mapping as YAML with comments."""
    head = [f"# Mapping of {' '.join(source.name.split())} ({form}) to the registration.",
            f"# Replace each `{OPEN}`; until then the file is refused."]
    parts = ["columns:   # name in the export: name in the registration"]
    parts += [_line(*entry) for entry in made.columns] or ["  {}"]
    parts += ["values:    # name in the registration: {answer in the export: its code or level}"]
    parts += [line for name, entries in made.values.items()
              for line in (f"  {name}:", *("  " + _line(*e) for e in entries))] or ["  {}"]
    parts += ["codes:     # for answers that stand as numbers: `registered` or `reversed`"]
    parts += [_line(*entry) for entry in made.codes] or ["  {}"]
    return "\n".join([*head, *parts]) + "\n"


def _line(old: str, new: str, comment: str) -> str:
    shown = " ".join(comment.split())
    shown = "".join(c for c in shown if c.isprintable())[:200]
    return f"  {json.dumps(old, ensure_ascii=False)}: {json.dumps(new)}   # {shown}"


def read_qsf(path: Path) -> dict[str, Question]:
    """The questions of a survey's definition, by the name that their column has in an export."""
    return read_definition(path)[1]


def read_definition(path: Path) -> tuple[str, dict[str, Question], dict[str, list[str]]]:
    """Title, questions and randomized fields of a .qsf file.

    Questions are by the name of their column in an export, one for each row of a matrix; those in
    the trash, and texts without an answer, are left out. A randomized field is embedded data that
    the elements of a randomizer set to different values: name to values.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        elements = content["SurveyElements"]
        gone = {one.get("QuestionID") for element in elements if element["Element"] == "BL"
                for block in _listed(element["Payload"]) if block.get("Type") == "Trash"
                for one in block.get("BlockElements") or []}
        questions = {}
        for element in elements:
            if element["Element"] == "SQ" and element["Payload"].get("QuestionID") not in gone:
                questions |= _questions(element["Payload"])
        fields: dict[str, list[str]] = {}
        for element in elements:
            if element["Element"] == "FL":
                _randomized(element["Payload"], False, fields)
        title = str((content.get("SurveyEntry") or {}).get("SurveyName") or Path(path).stem)
        return title, questions, {k: v for k, v in fields.items() if len(v) > 1}
    except FileNotFoundError as error:
        raise LedgerError(path, found="no such file", expected="a survey's .qsf file") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(
            path, found=f"{type(error).__name__}: {error}"[:200], expected="a survey's .qsf file",
            mend="export the survey (Tools, Import/Export, Export survey)",
        ) from error


def _listed(payload: dict | list) -> list[dict]:
    return list(payload.values()) if isinstance(payload, dict) else payload


def _randomized(flow: dict, within: bool, found: dict[str, list[str]]) -> None:
    """Values that a randomizer's elements give to embedded fields."""
    for one in flow.get("EmbeddedData") or [] if within else []:
        value = str(one.get("Value") or "")
        if value and value not in found.setdefault(str(one["Field"]), []):
            found[str(one["Field"])].append(value)
    for one in flow.get("Flow") or []:
        _randomized(one, within or flow.get("Type") in ("Randomizer", "BlockRandomizer"), found)


def _questions(payload: dict) -> dict[str, Question]:
    """The columns of one question."""
    tag, kind = str(payload["DataExportTag"]), payload.get("QuestionType", "MC")
    if kind in ("DB", "Timing", "Meta", "Captcha"):
        return {}
    one = _question(payload)
    answers = payload.get("Answers")
    if kind == "Matrix" and answers:
        codes = payload.get("RecodeValues") or {}
        columns = {str(codes.get(n, n)): _words(a["Display"]) for n, a in _numbered(answers)}
        return {f"{tag}_{n}": Question(f"{one.wording} {_words(c['Display'])}", columns)
                for n, c in _numbered(payload.get("Choices"))}
    if kind == "Slider":
        return {f"{tag}_{n}": Question(f"{one.wording} {_words(c['Display'])}", {}, True)
                for n, c in _numbered(payload.get("Choices"))}
    if kind == "MC" and str(payload.get("Selector", "")).startswith("MA"):
        return {f"{tag}_{n}": Question(f"{one.wording} {_words(c['Display'])}",
                                       {"1": _words(c["Display"])})
                for n, c in _numbered(payload.get("Choices"))}
    if kind == "TE":
        return {tag: Question(one.wording, {}, "Number" in json.dumps(payload.get("Validation")))}
    return {tag: one}


def _numbered(choices: dict | list | None) -> list[tuple[str, dict]]:
    if isinstance(choices, list):
        return [(str(n), one) for n, one in enumerate(choices, start=1)]
    return [(str(n), one) for n, one in (choices or {}).items()]


def _question(payload: dict) -> Question:
    """Codes are the recode values where there are any, else the numbers of the choices."""
    recoded = payload.get("RecodeValues") or {}
    return Question(
        _words(payload["QuestionText"]),
        {str(recoded.get(number, number)): _words(choice["Display"])
         for number, choice in _numbered(payload.get("Choices"))},
    )


def _words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
