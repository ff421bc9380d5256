"""A draft of a registration from the file of a survey platform; a person finishes it.

Taken over is what the file knows: questions, answers with their codes, fields that were set by a
randomizer. Whatever is a guess begins with a question mark, and what only people know is asked for
behind one; a registration with a question mark left is refused.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from claimledger.errors import LedgerError
from claimledger.start.prose import PARTS
from claimledger.survey import qualtrics
from claimledger.survey.mapping_draft import Definition, Question, read_definition
from claimledger.survey.tables import READERS, Table
from claimledger.yaml_files import OPEN

_FEW = 8          # values of a field that may be arms, and answers of a question in an export
_PERSONAL = re.compile(r"(?i)name|mail|ip.?address|latitude|longitude|zip|phone|_?id$|^rid$|^pid$")


_WORDS = ("true", "false", "null")      # ids that YAML would read as something else
READ = f"{OPEN} what was read"
_UNSURE = re.compile(r"(?i)don.?t know|not sure|unsure|no opinion|prefer not|refuse|no answer")
_TOLD = {"Status", "Finished"}          # columns by which the first exclusions go


@dataclass(frozen=True)
class Asked:
    """One column with answers: its question, and the codes with their labels (none: open)."""

    wording: str
    labels: dict[int, str]
    numeric: bool = False
    block: str = "Questions"


@dataclass(frozen=True)
class Known:
    """What a file knows: questions and arms by their columns.

    fields : column to the values that may be arms; shown : a randomizer to its blocks and their
    texts; platform : which of its own columns there are. respondent : the column that says whose
    a row is, and how many rows each has, where they are several.
    """

    title: str
    asked: dict[str, Asked]
    fields: dict[str, list[str]]
    shown: dict[str, dict[str, str]]
    platform: set[str]
    respondent: tuple[str, int] | None = None


def draft(source: Path) -> str:
    """The text of a draft, from a .qsf, .csv, .tsv, .sav, .dta or .parquet file."""
    return _write(Path(source), _known(Path(source)))


def _known(source: Path) -> Known:
    kind = source.suffix.lower()
    if kind == ".qsf":
        found: Definition = read_definition(source)
        asked = {name: _asked(one, found.blocks[name]) for name, one in found.questions.items()}
        return Known(found.title, asked, found.fields, found.shown, _TOLD)
    if kind not in READERS:
        raise LedgerError(source, found=f"a file ending in {source.suffix or 'nothing'}",
                          expected="one of .qsf, " + ", ".join(READERS),
                          mend="export the survey (.qsf) or its answers (.csv, with choice text)")
    if not source.is_file():
        raise LedgerError(source, found="no such file", expected="a file of the survey platform",
                          mend="correct the path")
    return _columns(READERS[kind](source), source.stem)


def _asked(question: Question, block: str) -> Asked:
    codes = {int(code): text for code, text in question.choices.items()
             if re.fullmatch(r"-?\d+", code)}
    return Asked(question.wording, codes, question.numeric, block)


def _columns(table: Table, title: str) -> Known:
    """Questions and arms among the columns of an export, by what stands in them."""
    asked, fields, respondent = {}, {}, None
    for name in table.cells:
        each = table.cells[name].value_counts()
        if re.search(r"(?i)(^|_|case|response|respondent)id$", name) and (
                1 < each.median() == each.max() and len(each) > 1):
            respondent = name, int(each.max())
            continue
        if respondent and re.search(r"(?i)^(task|contest|choice|round|profile)(_?(no|nr|num.*))?$",
                                    name):
            continue
        if qualtrics.canonical(name) or _PERSONAL.search(name):
            continue
        values = [v for v in table.cells[name].unique() if v.strip() not in ("", "-99", "NA")]
        text = table.texts.get(name, "")
        question = bool(re.match(r"QID", table.ids.get(name, ""))) or (
            not table.ids and bool(text) and text != name)
        labels = table.labels.get(name)
        if {v.removesuffix(".0") for v in values} == {"0", "1"} and re.search(
                r"(?i)chose|choice|select|prefer|vote|support", name):
            asked[name] = Asked(text or name, {0: "No", 1: "Yes"})
        elif labels:
            codes = {int(float(code)): label for code, label in labels.items()
                     if re.fullmatch(r"-?\d+(\.0)?", code)}
            asked[name] = Asked(text or name, codes)
        elif values and all(re.fullmatch(r"-?\d+(\.\d+)?", v) for v in values) and (
                question or len(values) > _FEW):
            asked[name] = Asked(text or name, {}, numeric=True)
        elif question and len(values) <= 2 * _FEW:
            asked[name] = Asked(text, dict(enumerate(sorted(values), 1)))
        elif question:
            asked[name] = Asked(text, {})
        elif 2 <= len(values) <= _FEW or name.startswith("FL_"):
            fields[name] = sorted(values)
    told = {name for name in map(qualtrics.canonical, table.cells) if name}
    return Known(title, asked, fields, {}, told & _TOLD, respondent)


def _names(known: Known) -> dict[str, str]:
    """An id of the registration for each column, each once."""
    return _ids([*known.fields, *known.shown, *known.asked])


def _write(source: Path, known_: Known) -> str:
    title, asked, fields, names = known_.title, known_.asked, known_.fields, _names(known_)
    factors = {names[name]: (name, values) for name, values in fields.items()}
    titles = dict.fromkeys(one.block for one in asked.values()) or {"Questions": None}
    blocks = dict(zip(titles, _ids([*titles]).values(), strict=True))
    scales, items = {}, []
    for name, one in asked.items():
        scale = _scale(one)
        known = next((key for key, value in scales.items()
                      if value == scale and not one.numeric), None)
        if known is None:
            known = names[name]
            scales[known] = scale
        items.append(_line(names[name], {
            "label": f"{OPEN} {one.wording[:40]}", "role": f"{OPEN} {_role(one.wording)}",
            "scale": known, "block": blocks[one.block], "wording": one.wording or name}))
    first = next(iter([*factors, *(names[name] for name in known_.shown)]), None)
    levels = [_id(v) for v in [*fields.values(), *known_.shown.values(), []][0]]
    term = f"{first}[T.{levels[1]}]" if len(levels) > 1 else "arm[T.treated]"
    derived = {}
    for name, one in asked.items():
        gone = [code for code, label in one.labels.items() if _UNSURE.search(label)]
        if len(one.labels) - len(gone) > 2 and gone and _role(one.wording) == "outcome":
            derived[f"{names[name]}_known"] = {
                "label": f"{OPEN} {one.wording[:40]} (answers only)", "of": names[name],
                "map": {code: [code] for code in one.labels if code not in gone}, "missing": gone}
    outcomes = [names[name] for name, one in asked.items()
                if _role(one.wording) == "outcome" and one.labels]
    outcome = next((f"{id}_known" if f"{id}_known" in derived else id for id in outcomes),
                   "outcome")
    consent = next((names[n] for n, one in asked.items() if _role(one.wording) == "consent"), None)
    exclusions = []
    if "Status" in known_.platform:
        exclusions.append(_line("", {
            "id": "preview", "label": "Test answers of the survey's makers", "column": "Status",
            "equals": ["Survey Preview", 1]}))
    if consent:
        exclusions.append(_line("", {
            "id": "consent", "label": "Did not agree to take part", "column": consent,
            "differs_from": [f"{OPEN} the code of consent"]}))
    if "Finished" in known_.platform:
        exclusions.append(_line("", {"id": "unfinished", "label": "Did not finish",
                                     "column": "Finished", "differs_from": ["True", 1]}))
    arms = []
    for key, (name, values) in factors.items():
        arms.append(f"    {key}:\n      label: {_text(f'{OPEN} {name} (was it randomized?)')}\n"
                    "      levels:      # the first is the reference")
        arms += ["        " + _line(_id(value), {"label": value, "text": READ})
                 for value in values or [f"{OPEN} level"]]
    for name, members in known_.shown.items():
        arms.append(f"    {names[name]}:\n      label: {_text(f'{OPEN} what the blocks differ in')}"
                    f"\n      # of each arm the column that says who saw its block\n      columns: "
                    + "{" + ", ".join(f"{_id(one)}: " + _text(f"{OPEN} {name}_DO_{one}")
                                      for one in members) + "}\n      levels:")
        arms += [f"        {_line(_id(one), {'label': one, 'text': text or READ})}"
                 for one, text in members.items()]
    if not arms:
        arms = [f"    arm:\n      label: {_text(f'{OPEN} what was randomized')}\n      levels:\n"
                f'        control: {{label: "{OPEN} control", text: "{READ}"}}\n'
                f'        treated: {{label: "{OPEN} treated", text: "{READ}"}}']
    return Template((PARTS / "draft.yml").read_text(encoding="utf-8")).substitute(
        source=" ".join(source.name.split()), title=_text(f"{OPEN} {title}"),
        short=_id(title)[:40] or "study", arms="\n".join(arms),
        respondent="".join(f"  {key}: {_text(value)}\n" for key, value in (
            ("respondent", known_.respondent[0]), ("tasks", f"{OPEN} {known_.respondent[1] // 2}"),
            ("profiles", f"{OPEN} 2: each respondent has {known_.respondent[1]} rows"),
        )) if known_.respondent else "",
        blocks="\n".join(f"    {id}: {_text(title)}" for title, id in blocks.items()),
        frame="frame: profiles\n    vcov: CR2" if known_.respondent else "vcov: HC2",
        order=", ".join([*factors, *(names[name] for name in known_.shown)] or ["arm"]),
        scales="\n".join("    " + _line(key, value) for key, value in scales.items()) or "    {}",
        items="\n".join("    " + one for one in items) or "    {}",
        derived="".join(f"\n    {_line(key, rule)}" for key, rule in derived.items()) or " {}",
        exclusions="\n".join("  - " + one.removeprefix(": ") for one in exclusions) or "  []",
        outcome=outcome, factor=first or "arm", term=term,
    )


def _scale(one: Asked) -> dict:
    if one.labels:
        ordered = len(one.labels) > 3 or {*one.labels} == {0, 1}
        kind = f"{OPEN} {'ordinal' if ordered else 'nominal'}"
        return {"kind": kind, "labels": one.labels}
    if one.numeric:
        return {"kind": "numeric", "minimum": f"{OPEN} 0", "maximum": f"{OPEN} 100"}
    return {"kind": "text"}


def _role(wording: str) -> str:
    words = wording.casefold()
    if re.search(r"consent|agree to (take part|participate)|willing to participate", words):
        return "consent"
    if re.search(r"to show that you|paying attention|please (select|choose) ", words):
        return "attention"
    if re.search(r"comments?\b|anything (else )?you", words):
        return "comment"
    if re.search(r"\b(your age|how old|year .*born|gender|your sex|race|ethnic|education|school|"
                 r"income|think of yourself|party|liberal|religio|employ|marital|state do you|"
                 r"region)", words):
        return "background"
    return "outcome"


def _ids(names: list[str]) -> dict[str, str]:
    """An id of the registration for each column, each once."""
    found: dict[str, str] = {}
    for name in names:
        id, number = _id(name), 2
        while id in found.values():
            id, number = f"{_id(name)}_{number}", number + 1
        found[name] = id
    return found


def _id(text: str) -> str:
    id = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()
    id = f"is_{id}" if id in _WORDS else id
    return id if re.match(r"[a-z]", id) else f"q_{id}" if id else "q"


def columns_of(source: Path) -> str:
    """The mapping that leads from the columns of an export to the ids of its draft."""
    known = _known(source)
    names = {name: id for name, id in _names(known).items() if name not in known.shown}
    renamed = {name: id for name, id in names.items() if name != id}
    lines = [f"  {json.dumps(name, ensure_ascii=False)}: {id}" for name, id in renamed.items()]
    return ("# Columns of the export and the ids of the registration; remove lines of items that\n"
            "# you removed there. claimledger check export.csv --mapping mapping.yml\n"
            "columns:\n" + "\n".join(lines or ["  {}"]) + "\n")


def _text(text: str) -> str:
    return json.dumps(" ".join(text.split()), ensure_ascii=False)


def _line(key: str, values: dict) -> str:
    """One line of YAML in braces; texts in quotes."""

    def shown(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(shown, value)) + "]"
        return _text(value) if isinstance(value, str) else json.dumps(value)

    plain = re.compile(r"[a-z][a-z0-9_]*")
    parts = ", ".join(f"{k}: {v if isinstance(v, str) and plain.fullmatch(v) else shown(v)}"
                      for k, v in values.items())
    return f"{key}: {{{parts}}}"
