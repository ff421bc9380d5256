"""Start a mapping from an export to the registration; a person finishes it.

Columns are matched by name, by question text and by the survey's own definition (.qsf). What a
number means, which way a scale runs, and which answer is none, is never guessed: it is left open.
"""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from claimledger.errors import LedgerError, shown
from claimledger.registration.models import Registration, Scale
from claimledger.survey import qualtrics
from claimledger.survey.mapping import MISSING, NUMBER, OPEN, Mapping
from claimledger.survey.reading import (
    CODES,
    meaning,
    meaning_of_levels,
    platform_columns,
    read_table,
)
from claimledger.survey.tables import Table, distinct, is_blank, plain

_MANY = 30       # different answers of one column that are listed
_LONG = 900      # letters of a key on one line


@dataclass
class Draft:
    """Lines of a mapping, each with its comment; `open` counts what a person has to finish."""

    columns: list[tuple[str, str, str]] = field(default_factory=list)
    values: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    codes: list[tuple[str, str, str]] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)

    @property
    def open(self) -> int:
        """How many question marks are left."""
        lines = [*self.columns, *self.codes, *(v for part in self.values.values() for v in part)]
        return sum(old == f"{OPEN} {new}" or new == OPEN for old, new, _ in lines) + sum(
            f'"{OPEN}"' in line for line in self.tasks)


@dataclass(frozen=True)
class Question:
    """A column's question in a .qsf file: its wording, the text of each code, its kind.

    `row` is the text of the row alone, where a question has several, and `id` its import id;
    `chosen` says that a cell is filled where the choice was made, and blank where it was not.
    """

    wording: str
    choices: dict[str, str]
    numeric: bool = False
    row: str = ""
    chosen: bool = False
    id: str = ""


def draft(path: Path, registration: Registration, qsf: Path | None = None) -> tuple[Draft, Table]:
    """Match what can be matched without a guess, and leave the rest open."""
    table = read_table(path, registration)
    asked = [one.wording for one in registration.instrument.items.values()]
    defined = read_definition(qsf, set(map(plain, asked))) if qsf else None
    questions, unread = (defined.questions, defined.unread) if defined else ({}, {})
    result = Draft()
    unfolded = _tasks(result, registration, table, questions)
    factors = registration.design.factors
    wordings = {name: item.wording for name, item in registration.instrument.items.items()}
    for name, wording in (wordings | {name: one.label for name, one in factors.items()}).items():
        arms = factors[name].columns.values() if name in factors else []
        if name in unfolded or (arms and {*arms} <= {*table.cells}):
            continue
        column, how = _find(name, wording, table, questions)
        scale = registration.scale_of(name)
        if column is None:
            if scale is None or scale.kind != "text":
                kind = unread.get(plain(wording))
                why = f"a {kind} question, whose cells no scale holds: " if kind else ""
                result.columns.append(
                    (f"{OPEN} {name}", name, f"no column found: {why}{wording}"))
            continue
        if column != name:
            result.columns.append((column, name, how))
        if scale is None:
            given = _given(table, column)
            one = meaning_of_levels(given, factors[name])
            if unsure := [cell for cell in given if cell in one.strange or one.uncertain]:
                result.values[name] = [
                    (cell, OPEN, "one of " + ", ".join(factors[name].levels))
                    for cell in unsure[:_MANY]]
        elif scale.kind != "text":
            _answers(result, name, scale, table, column, questions.get(column))
    _, clashes = platform_columns(table, Mapping(), table.cells.columns, registration)
    for name in sorted(set(clashes) & {
            *qualtrics.ANSWERS, *(rule.column for rule in registration.exclusions)}):
        result.columns.append((f"{OPEN} {name}", name, clashes[name]))
    for name in [one for one in qualtrics.ANSWERS if one in table.cells and one not in clashes]:
        words = qualtrics.ANSWERS[name]
        if odd := [cell for cell in _given(table, name) if plain(cell) not in words]:
            result.values[name] = [
                (cell, OPEN, "what the platform writes in English") for cell in odd[:_MANY]]
    for rule in registration.exclusions:
        known = {*registration.instrument.items, *registration.design.factors, *table.cells}
        if rule.column not in known and rule.column not in clashes and not any(
                qualtrics.canonical(c) == rule.column for c in table.cells):
            result.columns.append(
                (f"{OPEN} {rule.column}", rule.column, f"needed for: {rule.label}"))
    return result, table


def _tasks(
    result: Draft, registration: Registration, table: Table, questions: dict[str, Question]
) -> set[str]:
    """The factors and items of a conjoint whose profiles stand side by side, as in `K-1-2-3`.

    Which columns hold the choices is sure where as many questions as tasks begin with the wording;
    which profile an answer means is left open.
    """
    design, items = registration.design, registration.instrument.items
    heads = {found[1] for column in table.cells if (found := re.fullmatch(r"(.+-)1-1-1", column))}
    if not (design.tasks and design.profiles and len(heads) == 1):
        return set()
    head = heads.pop()
    lines = [f'  levels: "{head}{{task}}-{{profile}}-{{place}}"']
    labels = {plain(text) for name, one in design.factors.items() for text in (name, one.label)}
    if f"{head}1-1" in table.cells:
        lines += [f'  attributes: "{head}{{task}}-{{place}}"', "  names:"]
        texts = {text for place in range(1, len(design.factors) + 1)
                 if (column := f"{head}1-{place}") in table.cells for text in _given(table, column)}
        lines += [_line(text, OPEN, "one of " + ", ".join(design.factors), 4)
                  for text in sorted(texts) if plain(text) not in labels]
        lines = lines[:-1] if lines[-1] == "  names:" else lines
    asked = {column: plain(table.texts.get(column) or questions[column].wording)
             for column in table.cells if column in table.texts or column in questions}
    used, answers, choices, ratings = set(design.factors), {}, [], []
    for name, item in items.items():
        columns = [c for c, text in asked.items() if text.startswith(plain(item.wording))]
        if item.role != "outcome" or len(columns) < design.tasks or name in table.cells:
            continue
        used.add(name)
        if patterns := rated(columns, design.profiles):
            ratings.append(f"    {_quoted(name)}: [{', '.join(map(_quoted, patterns))}]")
            continue
        answers |= dict.fromkeys(text for c in columns for text in _given(table, c))
        sure = len(columns) == design.tasks
        listed = ", ".join(map(_quoted, columns))
        choices.append(f'    {_quoted(name)}: ' + (f"[{listed}]" if sure else (
            f'"{OPEN}"   # {design.tasks} of [{listed}], in the order of the tasks')))
    if ratings:
        lines += ["  ratings:", *ratings]
    if choices:
        lines += ["  choice:", *choices, "  chosen:"]
        lines += [_line(text, OPEN, f"the number of the profile, 1 to {design.profiles}", 4)
                  for text in answers]
    result.tasks = lines
    return used


def rated(columns: list[str], profiles: int) -> list[str]:
    """Patterns of columns that hold an answer to each profile, such as `Q6_{profile}`, or none."""
    heads = [first.removesuffix("1") for first in columns[::profiles]]
    numbered = [f"{head}{p + 1}" for head in heads for p in range(profiles)]
    return [f"{head}{{profile}}" for head in heads] if columns == numbered else []


def _find(
    name: str, wording: str, table: Table, questions: dict[str, Question]
) -> tuple[str | None, str]:
    """The one column that means a name, and by what it was found; None where none or several."""
    if name in table.cells:
        return name, "by its name"
    wanted = plain(wording)
    rows = {q.id for q in questions.values()}       # a slider's columns may be named by place
    known = {c: q for c, q in questions.items()
             if c in table.cells and table.ids.get(c) not in rows - {q.id}}
    ways = [
        ("by its name", [c for c in table.cells if plain(c) == plain(name)]),
        ("by its question text", [c for c in table.cells
                                  if wanted in (plain(c), plain(table.texts.get(c, "")))]),
        ("by the .qsf", [c for c, q in known.items() if plain(q.wording) == wanted]),
        ("by its row in the .qsf", [c for c, q in known.items() if q.row
                                    and plain(q.row) == wanted]),
    ]
    for how, found in ways:
        if len(found) == 1:
            return found[0], how
    return None, ""


def _answers(
    result: Draft, name: str, scale: Scale, table: Table, column: str, question: Question | None
) -> None:
    """Texts that the scale does not have are open; so is the meaning of numbers."""
    given = _given(table, column)
    one = meaning(given, scale, table.labels.get(column))
    if question and question.chosen and scale.labels:
        codes = _listed_codes(scale)
        result.values[name] = [
            (cell, _code(cell, scale) or OPEN, f"chosen; {codes}") for cell in given[:_MANY]
        ] + [("", OPEN, f"not chosen, which is an answer of those who saw it; {codes}")]
        return
    strange = [cell for cell in given if cell in one.strange]
    numbers = [cell for cell in given if NUMBER.fullmatch(plain(cell))] if scale.labels else []
    if numbers and (one.uncertain or one.form.startswith(CODES)):
        if question and question.choices:
            result.values[name] = [
                (cell, _code(question.choices.get(plain(cell), ""), scale) or OPEN,
                 question.choices.get(plain(cell), "a code that the .qsf does not have"))
                for cell in sorted(numbers, key=lambda text: float(plain(text)))]
            strange = [cell for cell in strange if cell not in numbers]
        else:
            first, last = min(scale.labels), max(scale.labels)
            ends = [f"{code} {scale.labels[code]!r}" for code in (first, last)]
            ways = f"`registered`: {ends[0]}, {ends[1]}"
            ways += "; or `reversed`" * (scale.kind == "ordinal")
            if any(plain(label) in map(plain, numbers) for label in scale.labels.values()):
                ways += "; or `texts`: the numbers are labels"
            result.codes.append((name, OPEN, f"{ways}. {one.uncertain}".strip(". ")))
    elif one.uncertain:
        doubled = {plain(text) for text in table.labels.get(column, {}).values()}
        strange += [cell for cell in given if plain(cell) in doubled and cell not in strange]
    if strange:
        result.values.setdefault(name, []).extend(
            (cell, OPEN, f"{_listed_codes(scale)}, or `{MISSING}`") for cell in strange[:_MANY])


def _listed_codes(scale: Scale) -> str:
    if not scale.labels:
        return "a number"
    return ", ".join(f"{code} {text!r}" for code, text in scale.labels.items())


def _code(text: str, scale: Scale) -> str:
    """The code whose label a text is, or nothing."""
    found = [code for code, label in scale.labels.items() if plain(label) == plain(text)]
    return str(found[0]) if len(found) == 1 else ""


def _given(table: Table, column: str) -> list[str]:
    """The different answers of a column; of those that differ in capitals or quotes the first."""
    cells: dict[str, str] = {}
    for cell in distinct(table.cells[column]):
        if not is_blank(cell):
            cells.setdefault(plain(cell), cell)
    return list(cells.values())


def write_draft(made: Draft, source: Path, form: str) -> str:
    """The mapping as YAML with comments."""
    head = [f"# Mapping of {shown(source.name)} ({form}) to the registration.",
            f"# Replace each `{OPEN}`; until then the file is refused."]
    parts = ["columns:   # name in the export: name in the registration"]
    parts += [_line(*entry) for entry in made.columns] or ["  {}"]
    parts += ["values:    # name in the registration: {answer in the export: its code or level}"]
    parts += [line for name, entries in made.values.items()
              for line in (f"  {_quoted(name)}:", *(_line(*e, 4) for e in entries))] or ["  {}"]
    parts += ["codes:     # for answers that stand as numbers: `registered` or `reversed`"]
    parts += [_line(*entry) for entry in made.codes] or ["  {}"]
    if made.tasks:
        parts += ["tasks:     # where the profiles of a respondent stand", *made.tasks]
    return "\n".join([*head, *parts]) + "\n"


def _line(old: str, new: str, comment: str, deep: int = 2) -> str:
    """A line that can be read back, whatever stands in the cell."""
    said = "".join(filter(str.isprintable, " ".join(comment.split())))[:200]
    key, margin = _quoted(old), " " * deep
    if len(key) > _LONG:            # YAML takes longer keys only in this form
        key = f"? {key}\n{margin}"
    return f"{margin}{key}: {_quoted(new)}   # {said}"


def _quoted(text: str) -> str:
    """A text in double quotes, with each sign that does not print as its number."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(s if s.isprintable() else f"\\U{ord(s):08x}" for s in text) + '"'


@dataclass(frozen=True)
class Definition:
    """What a .qsf file knows of a survey.

    questions : by the name of their column in an export, in the order of the survey, one for each
    row of a matrix; blocks : the same names to the titles of their blocks. fields : randomized
    embedded data (which the elements of a randomizer set to different values): name to values.
    shown : blocks of which a randomizer shows one: the flow's id to titles and what they say.
    before : questions in blocks that come before all of those. unread : wordings (as `plain` makes
    them) of questions whose cells no scale could hold, such as places on a picture, to their kind.
    """

    title: str
    questions: dict[str, Question]
    blocks: dict[str, str]
    fields: dict[str, list[str]]
    shown: dict[str, dict[str, str]]
    before: set[str]
    unread: dict[str, str]


def read_definition(path: Path, wanted: Collection[str] = ()) -> Definition:
    """A .qsf file; those in the trash, and texts without an answer, are no questions.

    Of a survey in several languages each question stands in the one whose wording is `wanted`
    (wordings as `plain` makes them), else in the survey's own.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        elements = content["SurveyElements"]
        asked = {one["Payload"].get("QuestionID") or one["Payload"]["DataExportTag"]: one["Payload"]
                 for one in elements if one["Element"] == "SQ"}
        found = {str(block.get("ID") or number): block for number, block in enumerate(
            block for one in elements if one["Element"] == "BL"
            for block in _entries(one["Payload"]).values())}
        inside = {key: [one.get("QuestionID") for one in block.get("BlockElements") or []]
                  for key, block in found.items()}
        named = {key: str(block.get("Description") or "Questions") for key, block in found.items()}
        gone = {one for key, block in found.items() if block.get("Type") == "Trash"
                for one in inside[key]}
        steps = [*_steps([one["Payload"] for one in elements if one["Element"] == "FL"])]
        order = list(dict.fromkeys([*(one["ID"] for one, _ in steps if "ID" in one), *inside]))
        place = {one: key for key in order for one in inside.get(key, [])}
        questions, blocks, unread = {}, {}, {}
        for one in dict.fromkeys([*place, *asked]):
            if one in asked and one not in gone:
                made = {}
                with suppress(KeyError, TypeError, AttributeError):     # another form of a kind
                    made = _worded(asked[one], asked, wanted)
                if not made and asked[one].get("QuestionType") not in _SILENT:
                    text = _words(asked[one].get("QuestionText"))
                    unread[plain(text)] = str(asked[one].get("QuestionType"))
                questions |= made
                blocks |= dict.fromkeys(made, named.get(place.get(one), "Questions"))
        fields: dict[str, dict[str, None]] = {}
        shown: dict[str, dict[str, str]] = {}
        says = {key: " ".join(_words(asked[one]["QuestionText"]) for one in members
                              if one in asked and asked[one].get("QuestionType") == "DB")
                for key, members in inside.items()}
        for step, within in steps:
            for one in step.get("EmbeddedData") or [] if within else []:
                if value := str(one.get("Value") or ""):
                    fields.setdefault(str(one["Field"]), {})[value] = None
            ids = [one.get("ID") for one in step.get("Flow") or []]
            if step.get("Type") in _RANDOM and len(ids) > 1 and (
                    str(step.get("SubSet") or "1") == "1" and {*ids} <= {*named}):
                shown[str(step.get("FlowID") or f"FL_{len(shown) + 1}")] = {
                    named[one]: says[one] for one in ids}
        arms = {title for titles in shown.values() for title in titles}
        first = next((place for place, key in enumerate(order) if named.get(key) in arms), 0)
        early = {named.get(key) for key in order[:first]}
        before = {name for name, block in blocks.items() if block in early}
        title = str((content.get("SurveyEntry") or {}).get("SurveyName") or Path(path).stem)
        return Definition(title, questions, blocks,
                          {k: [*v] for k, v in fields.items() if len(v) > 1}, shown, before, unread)
    except FileNotFoundError as error:
        raise LedgerError(path, found="no such file", expected="a survey's .qsf file") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(
            path, found=f"{type(error).__name__}: {error}"[:200], expected="a survey's .qsf file",
            mend="export the survey (Tools, Import/Export, Export survey)",
        ) from error


def _steps(flow: list[dict], within: bool = False) -> Iterator[tuple[dict, bool]]:
    """Each element of a survey's flow, and whether it stands within a randomizer."""
    for one in flow:
        yield one, within
        yield from _steps(one.get("Flow") or [], within or one.get("Type") in _RANDOM)


_RANDOM = {"Randomizer", "BlockRandomizer"}
_READ = {"MC", "TE", "Matrix", "SBS", "Slider", "SS", "CS", "RO", "DD", "PGR", "HotSpot"}
_SILENT = {"DB", "Timing", "Meta", "Captcha"}      # where nobody is asked


def _worded(payload: dict, asked: dict, wanted: Collection[str]) -> dict[str, Question]:
    """The columns of one question in the language that is wanted."""
    given = payload.get("DynamicChoices")
    if source := re.match("q://([^/]+)/", str(_entries(given).get("Locator"))):
        carried = _entries(asked.get(source[1], {}).get("Choices"))    # from another question
        payload = payload | {"Choices": {f"x{n}": one for n, one in carried.items()}
                             | _entries(payload.get("Choices"))}
    made = _questions(payload)
    for texts in _entries(payload.get("Language")).values():
        other = _questions(payload | {k: _entries(payload.get(k)) | _entries(texts.get(k)) or v
                                      for k, v in _entries(texts).items() if v})
        if any(plain(text) in wanted for one in other.values() for text in (one.wording, one.row)):
            return other
    return made


def _questions(payload: dict) -> dict[str, Question]:
    """The columns of one question; codes are the recode values, else the numbers of the choices.

    A row's column is the question's name and the row's number, or a name of its own.
    """
    tag, kind = str(payload["DataExportTag"]), payload.get("QuestionType", "MC")
    if kind not in _READ:
        return {}
    wording = _words(payload["QuestionText"])
    selector, below = str(payload.get("Selector")), str(payload.get("SubSelector"))
    recoded, own = (_entries(payload.get(key)) for key in ("RecodeValues", "ChoiceDataExportTags"))
    texts = _texts(payload.get("Choices"))
    choices = _by_code(texts, recoded)
    rows = {name: n for n in texts for name in (f"{tag}_{n}", str(own.get(n) or f"{tag}_{n}"))}
    scales = _entries(payload.get("Answers"))
    if selector == "Profile":       # each row has answers of its own
        scales = {n: _by_code(_texts(one), recoded) for n, one in scales.items()}
        return {name: Question(f"{wording} {texts[n]}", scales.get(n, {}), row=texts[n])
                for name, n in rows.items()}
    answers = _by_code(_texts(scales), recoded)
    if kind == "SBS":           # side by side: each column is a question over the same rows
        return {name: one for place, part in _entries(payload.get("AdditionalQuestions")).items()
                for name, one in _questions({
                    "QuestionType": "Matrix", **part, "DataExportTag": f"{tag}#{place}",
                    "QuestionID": f"{payload.get('QuestionID')}#{place}",
                    "Choices": payload.get("Choices"), "ChoiceDataExportTags": False}).items()}
    several = below.startswith("Multiple")
    if kind == "Matrix" and (several or selector in ("TE", "CS", "RO")):
        return {f"{name}_{code}": Question(
                    f"{wording} {texts[n]} {text}", {"1": text} if several else {},
                    selector in ("CS", "RO"), f"{texts[n]} - {text}", several)
                for name, n in rows.items() for code, text in answers.items()}
    if kind == "PGR":           # pick, group and rank: who is in a group, and on which rank
        groups = [_words(one.get("Display") if isinstance(one, dict) else one)
                  for one in _entries(payload.get("Groups")).values()]
        return {f"{tag}_{place}_GROUP": Question(f"{wording} {group}", {}, row=group)
                for place, group in enumerate(groups)} | {
            f"{tag}_{place}_{n}_RANK": Question(f"{wording} {group} {text}", {}, True,
                                                f"{group} - {text}")
            for place, group in enumerate(groups) for n, text in texts.items()}
    if kind in ("Matrix", "HotSpot", "Slider", "CS", "RO", "DD") or selector == "FORM":
        return {name: Question(f"{wording} {texts[n]}",
                               answers if kind in ("Matrix", "HotSpot") else {},
                               kind in ("Slider", "CS", "RO"), texts[n],
                               id=f"{payload.get('QuestionID')}_{n}") for name, n in rows.items()}
    if kind == "MC" and selector.startswith(("MA", "MSB")):
        return {f"{tag}_{code}": Question(f"{wording} {text}", {"1": text}, row=text, chosen=True)
                for code, text in choices.items()}
    numeric = kind == "TE" and "Number" in json.dumps(payload.get("Validation"))
    return {tag: Question(wording, choices, numeric)}


def _texts(choices: object) -> dict[str, str]:
    return {n: _words(one["Display"]) for n, one in _entries(choices).items()}


def _by_code(texts: dict[str, str], recoded: dict[str, Any]) -> dict[str, str]:
    """The text of each code: all of them, where one code stands for several choices."""
    found: dict[str, str] = {}
    for n, text in texts.items():
        code = str(recoded.get(n, n))
        found[code] = f"{found[code]} / {text}" if code in found else text
    return found


def _entries(value: object) -> dict[str, Any]:
    """Entries by number: a list (which begins at 0), or false, may stand for a dictionary."""
    if isinstance(value, list):
        return {str(n): one for n, one in enumerate(value)}
    return {str(n): one for n, one in value.items()} if isinstance(value, dict) else {}


def _words(html: object) -> str:
    inline = re.sub(r"</?(b|i|u|em|strong|span|font|sup|sub|a)\b[^>]*>", "", str(html))
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", inline)).split())
