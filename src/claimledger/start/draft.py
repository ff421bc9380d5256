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
from claimledger.registration.schema import LINE
from claimledger.registration.source import OPEN
from claimledger.start.prose import PARTS
from claimledger.survey import qualtrics
from claimledger.survey.mapping_draft import Question, read_definition
from claimledger.survey.tables import READERS, Table

_FEW = 8          # values of a field that may be arms, and answers of a question in an export
_PERSONAL = re.compile(r"(?i)name|mail|ip.?address|latitude|longitude|zip|phone|_?id$|^rid$|^pid$")


@dataclass(frozen=True)
class Asked:
    """One column with answers: its question, and the codes with their labels (none: open)."""

    wording: str
    labels: dict[int, str]
    numeric: bool = False


def draft(source: Path) -> str:
    """The text of a draft, from a .qsf, .csv, .tsv, .sav, .dta or .parquet file."""
    source = Path(source)
    if source.suffix.lower() == ".qsf":
        title, questions, fields = read_definition(source)
        asked = {name: _asked(one) for name, one in questions.items()}
        return _write(source, title, asked, fields)
    if source.suffix.lower() not in READERS:
        raise LedgerError(source, found=f"a file ending in {source.suffix or 'nothing'}",
                          expected="one of .qsf, " + ", ".join(READERS),
                          mend="export the survey (.qsf) or its answers (.csv, with choice text)")
    if not source.is_file():
        raise LedgerError(source, found="no such file", expected="a file of the survey platform",
                          mend="correct the path")
    table = READERS[source.suffix.lower()](source)
    asked, fields = _columns(table)
    return _write(source, source.stem, asked, fields)


def _asked(question: Question) -> Asked:
    codes = {int(code): text for code, text in question.choices.items()
             if re.fullmatch(r"-?\d+", code)}
    return Asked(question.wording, codes, question.numeric)


def _columns(table: Table) -> tuple[dict[str, Asked], dict[str, list[str]]]:
    """Questions and arms among the columns of an export, by what stands in them."""
    asked, fields = {}, {}
    for name in table.cells:
        if qualtrics.canonical(name) or _PERSONAL.search(name):
            continue
        values = [v for v in table.cells[name].unique() if v.strip() not in ("", "-99", "NA")]
        text = table.texts.get(name, "")
        question = bool(re.match(r"QID", table.ids.get(name, ""))) or (
            not table.ids and bool(text) and text != name)
        labels = table.labels.get(name)
        if labels:
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
    return asked, fields


def _write(source: Path, title: str, asked: dict[str, Asked], fields: dict[str, list[str]]) -> str:
    names = _ids([*fields, *asked])
    factors = {names[name]: (name, values) for name, values in fields.items()}
    scales, items = {}, []
    for name, one in asked.items():
        scale = _scale(one)
        known = next((key for key, value in scales.items() if value == scale), None)
        if known is None:
            known = names[name]
            scales[known] = scale
        items.append(_line(names[name], {
            "label": f"{OPEN} {one.wording[:40]}", "role": f"{OPEN} {_role(one.wording)}",
            "scale": known, "block": "questions", "wording": one.wording or name}))
    first = next(iter(factors), None)
    levels = [_id(v) for v in (factors[first][1] if first else [])]
    term = f"{first}[T.{levels[1]}]" if len(levels) > 1 else "arm[T.treated]"
    outcome = next((names[n] for n, one in asked.items() if _role(one.wording) == "outcome"
                    and one.labels), "outcome")
    consent = next((names[n] for n, one in asked.items() if _role(one.wording) == "consent"), None)
    exclusions = [_line("", {"id": "preview", "label": "Test answers of the survey's makers",
                             "column": "Status", "equals": ["Survey Preview", 1]})]
    if consent:
        exclusions.append(_line("", {
            "id": "consent", "label": "Did not agree to take part", "column": consent,
            "differs_from": [f"{OPEN} the code of consent"]}))
    exclusions.append(_line("", {"id": "unfinished", "label": "Did not finish",
                                 "column": "Finished", "differs_from": ["True", 1]}))
    arms = []
    for key, (name, values) in factors.items():
        arms.append(f"    {key}:\n      label: {_text(f'{OPEN} {name} (was it randomized?)')}\n"
                    "      levels:      # the first is the reference")
        arms += ["        " + _line(_id(value), {"label": value, "text": f"{OPEN} what was read"})
                 for value in values or [f"{OPEN} level"]]
    if not arms:
        arms = [f"    arm:\n      label: {_text(f'{OPEN} what was randomized')}\n      levels:\n"
                f'        control: {{label: "{OPEN} control", text: "{OPEN} what was read"}}\n'
                f'        treated: {{label: "{OPEN} treated", text: "{OPEN} what was read"}}']
    return LINE + Template((PARTS / "draft.yml").read_text(encoding="utf-8")).substitute(
        source=" ".join(source.name.split()), title=_text(f"{OPEN} {title}"),
        short=_id(title)[:40] or "study", arms="\n".join(arms),
        order=", ".join(factors or ["arm"]),
        scales="\n".join("    " + _line(key, value) for key, value in scales.items()) or "    {}",
        items="\n".join("    " + one for one in items) or "    {}",
        exclusions="\n".join("  - " + one.removeprefix(": ") for one in exclusions),
        outcome=outcome, factor=first or "arm", term=term,
    )


def _scale(one: Asked) -> dict:
    if one.labels:
        kind = f"{OPEN} {'ordinal' if len(one.labels) > 3 else 'nominal'}"
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
    return id if re.match(r"[a-z]", id) else f"q_{id}" if id else "q"


def columns_of(source: Path) -> str:
    """The mapping that leads from the columns of an export to the ids of its draft."""
    if source.suffix.lower() == ".qsf":
        _, questions, fields = read_definition(source)
        names = _ids([*fields, *questions])
    else:
        asked, fields = _columns(READERS[source.suffix.lower()](source))
        names = _ids([*fields, *asked])
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
