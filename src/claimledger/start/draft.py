"""A draft of a registration from the file of a survey platform; a person finishes it.

Taken over is what the file knows: questions, answers with their codes, fields that were set by a
randomizer. Whatever is a guess begins with a question mark, and what only people know is asked for
behind one; a registration with a question mark left is refused.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.simulation.assumptions import UNSURE
from claimledger.survey import qualtrics
from claimledger.survey.mapping_draft import Definition, rated, read_definition
from claimledger.survey.tables import READERS, Table
from claimledger.templates import fill
from claimledger.yaml_files import OPEN

_FEW = 8          # values of a field that may be arms, and answers of a question in an export
_PERSONAL = re.compile(r"(?i)name|mail|ip.?address|latitude|longitude|zip|phone|_?id$|^rid$|^pid$")
_WEIGHT = re.compile(r"(?i)(survey|sampling|final|post)?_?(w|wt|wgt|weights?)(_?\d+)?")
_ARMS = re.compile(r"(?i)treat|condition|random|assign|(^|[\W_])arms?($|[\W_])")
_WORDS = ("true", "false", "null")      # ids that YAML would read as something else
_TOLD = {"Status", "Finished"}          # columns by which the first exclusions go
_ROLES = {
    "consent": r"consent|agree to (take part|participate)|willing to participate",
    "attention": r"to show that you|paying attention|please (select|choose) ",
    "comment": r"comments?\b|anything (else |that )?you",
    "background": r"\b(your age|how old|year .*born|gender|male or female|your sex|race|ethnic|"
                  r"education|school|income|think of yourself|party|liberal|religio|employ|marital|"
                  r"state do you|region)"}


@dataclass(frozen=True)
class Asked:
    """One column with answers: its question, and the codes with their labels (none: open)."""

    wording: str
    labels: dict[int, str]
    numeric: bool = False
    block: str = "Questions"
    row: str = ""
    sorted: bool = False      # codes in the order of the alphabet, for want of a better one
    usual: str = ""           # role by its place in the flow, where no words say another

    @property
    def role(self) -> str:
        """What it seems to be for."""
        words = self.wording.casefold()
        found = next((role for role, known in _ROLES.items() if re.search(known, words)), "outcome")
        return self.usual or found if found in ("outcome", "background") else found

    @property
    def label(self) -> str:
        """A short label, to be looked at."""
        return f"{OPEN} {shorten(self.row or self.wording, 40, placeholder=' …')}"

    @property
    def unsure(self) -> list[int]:
        """Codes of those who did not say."""
        return [code for code, label in self.labels.items() if UNSURE.search(label)]

    def scale(self) -> dict:
        """Its scale, as the registration has it."""
        if self.labels:
            ordered = len(self.labels) > 3 or {*self.labels} == {0, 1}
            kind = f"{OPEN} {'ordinal' if ordered else 'nominal'}"
            if self.sorted and len(self.labels) > 2:
                kind += ": number the answers in their order, here they follow the alphabet"
            return {"kind": kind, "labels": self.labels}
        if self.numeric:
            return {"kind": "numeric", "minimum": f"{OPEN} 0", "maximum": f"{OPEN} 100"}
        return {"kind": "text"}


@dataclass
class Arms:
    """What may be a factor: levels with what was read, and columns that hold one arm each.

    shown : whether the levels' names are what was read, as in the table of a conjoint.
    """

    label: str
    levels: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    shown: bool = False

    def factor(self) -> dict:
        """The factor, as the registration has it."""
        ids = _ids(list(self.levels))
        return {
            "label": self.label,
            "columns": {_id(level): column for level, column in self.columns.items()},
            "levels": {ids[level]: {"label": level} | (
                {} if self.shown else {"text": text or f"{OPEN} what was read"})
                for level, text in self.levels.items()}}


@dataclass(frozen=True)
class Known:
    """What a file knows: questions and arms by their columns.

    platform : which of its own columns there are. respondent : the column that says whose a row
    is, and how many rows each has, where they are several; tasks : tasks and profiles, where they
    stand side by side. weight : a column with weights.
    """

    title: str
    asked: dict[str, Asked]
    arms: dict[str, Arms]
    platform: set[str]
    respondent: tuple[str, int] | None = None
    weight: str = ""
    tasks: tuple[int, int] | None = None

    @property
    def ids(self) -> dict[str, str]:
        """An id of the registration for each column, each once."""
        return _ids([*self.arms, *self.asked])


def draft(source: Path) -> tuple[str, str]:
    """The text of a draft, and that of the mapping from columns of an export to its ids.

    source : a .qsf, .csv, .tsv, .sav, .dta or .parquet file.
    """
    known = _known(Path(source))
    renamed = [f"  {json.dumps(name, ensure_ascii=False)}: {id}" for name, id in known.ids.items()
               if name != id and not (name in known.arms and (
                   known.arms[name].columns or known.arms[name].shown))]
    if known.tasks:
        renamed.append("# Where the tasks stand is written by `claimledger map`, once the "
                       "registration has no\n# mark left and this file, which it replaces, is "
                       "removed.")
    return _write(Path(source), known), (
        "# Columns of the export and the ids of the registration. Where you rename or remove\n"
        "# an item there, do it here, too: claimledger check export.csv --mapping mapping.yml\n"
        "columns:\n" + "\n".join(renamed or ["  {}"]) + "\n")


def _known(source: Path) -> Known:
    kind = source.suffix.lower()
    if kind == ".qsf":
        return _defined(read_definition(source))
    if kind not in READERS:
        raise LedgerError(source, found=f"a file ending in {source.suffix or 'nothing'}",
                          expected="one of .qsf, " + ", ".join(READERS),
                          mend="export the survey (.qsf) or its answers (.csv, with choice text)")
    if not source.is_file():
        raise LedgerError(source, found="no such file", expected="a file of the survey platform",
                          mend="correct the path")
    return _columns(READERS[kind](source), source.stem)


def _defined(found: Definition) -> Known:
    """Questions and arms of a survey's definition.

    A field that a randomizer sets together with a shorter one, as `tone_text` with `tone`, says
    what was read.
    """
    arms: dict[str, Arms] = {}
    for name, values in sorted(found.fields.items(), key=lambda pair: len(pair[0])):
        owner = next((one for one in arms if name.startswith(one)
                      and len(arms[one].levels) == len(values)), None)
        if owner:
            arms[owner].levels = dict(zip(arms[owner].levels, values, strict=True))
        else:
            arms[name] = Arms(f"{name} (was it randomized?)", dict.fromkeys(values, ""))
    arms = {name: arms[name] for name in found.fields if name in arms}
    for name, blocks in found.shown.items():
        arms[name] = Arms("what the blocks differ in", blocks,
                          {title: f"{OPEN} {name}_DO_{title}" for title in blocks})
    asked = {name: Asked(one.wording, {int(code): text for code, text in one.choices.items()
                                       if re.fullmatch(r"-?\d+", code)},
                         one.numeric, found.blocks[name], one.row,
                         usual=("background" if name in found.before else "outcome")
                         if found.shown else "")
             for name, one in found.questions.items()}
    return Known(found.title, asked, arms, _TOLD)


def _columns(table: Table, title: str) -> Known:
    """Questions and arms among the columns of an export, by what stands in them."""
    asked: dict[str, Asked] = {}
    arms: dict[str, Arms] = {}
    respondent, weight = None, ""
    tasks, used = _conjoint(table, arms, asked)
    for name in table.cells:
        if name in used or re.match(r"Q_[A-Z]", name):      # the latter are the platform's
            continue
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
        numbers = bool(values) and all(re.fullmatch(r"-?\d+(\.\d+)?", v) for v in values)
        text = table.texts.get(name, "")
        question = bool(re.match(r"QID", table.ids.get(name, ""))) or (
            not table.ids and bool(text) and text != name)
        row = text.rpartition(" - ")[2] if " - " in text else ""      # of a matrix
        labels = table.labels.get(name)
        if block := re.fullmatch(r"(FL_\d+)_DO_(.+)", name):
            one = arms.setdefault(block[1], Arms("what the blocks differ in"))
            one.levels[block[2]] = ""
            one.columns[block[2]] = f"{OPEN} {name}"
        elif _WEIGHT.fullmatch(name) and numbers:
            weight = name
        elif {v.removesuffix(".0") for v in values} == {"0", "1"} and re.search(
                r"(?i)chose|choice|select|prefer|vote|support", name):
            asked[name] = Asked(text or name, {0: "No", 1: "Yes"})
        elif labels and _ARMS.search(name) and len(labels) <= _FEW:
            arms[name] = Arms(f"{name} (was it randomized?)", dict.fromkeys(labels.values(), ""))
        elif labels:
            codes = {int(float(code)): label for code, label in labels.items()
                     if re.fullmatch(r"-?\d+(\.0)?", code)}
            asked[name] = Asked(text or name, codes, row=row)
        elif numbers and (question or len(values) > _FEW):
            asked[name] = Asked(text or name, {}, numeric=True)
        elif question and len(values) <= 2 * _FEW:
            asked[name] = Asked(text, dict(enumerate(sorted(values), 1)), row=row, sorted=True)
        elif question:
            asked[name] = Asked(text, {})
        elif 2 <= len(values) <= _FEW:
            arms[name] = Arms(f"{name} (was it randomized?)", dict.fromkeys(sorted(values), ""))
    told = {name for name in map(qualtrics.canonical, table.cells) if name}
    return Known(title, asked, arms, told & _TOLD, respondent, weight, tasks)


def _conjoint(
    table: Table, arms: dict[str, Arms], asked: dict[str, Asked]
) -> tuple[tuple[int, int] | None, set[str]]:
    """Attributes and answers whose tasks and profiles stand side by side, in columns as `K-1-2-3`.

    They are added to arms and asked. Returns how many tasks and profiles there are, and the columns
    that were used; columns such as `K-1-3` name the attribute at the third place of a task.
    """
    heads = {found[1] for name in table.cells if (found := re.fullmatch(r"(.+-)1-1-1", name))}
    if len(heads) != 1:
        return None, set()
    head = re.escape(heads.pop())
    places = {name: tuple(map(int, found.groups())) for name in table.cells
              if (found := re.fullmatch(rf"{head}(\d+)-(\d+)-(\d+)", name))}
    names = {tuple(map(int, found.groups())): name for name in table.cells
             if (found := re.fullmatch(rf"{head}(\d+)-(\d+)", name))}
    tasks, profiles = (max(place[part] for place in places.values()) for part in (0, 1))
    pairs = pd.concat([pd.DataFrame({
        "name": table.cells[names[task, place]] if (task, place) in names else f"attribute {place}",
        "level": table.cells[column]}) for column, (task, _, place) in places.items()]).astype(str)
    pairs = pairs[pairs["level"].str.strip() != ""]
    for name, levels in pairs.groupby("name", sort=False)["level"].unique().items():
        arms[name] = Arms(name, dict.fromkeys(sorted(levels, key=lambda text: (
            [float(number) for number in re.findall(r"\d+\.?\d*", text)], text)), ""), shown=True)
    used, same = {*places, *names.values()}, {}
    for name, text in table.texts.items():
        if re.match("QID", table.ids.get(name, "")):
            same.setdefault(text, []).append(name)
            if " - " in text:      # the same question of each profile
                same.setdefault(text.rpartition(" - ")[0], []).append(name)
    for text, columns in same.items():
        if len(columns) == tasks and " - " not in text:
            asked[f"chosen_{len(asked)}" if "chosen" in asked else "chosen"] = Asked(
                text, {0: "Not chosen", 1: "Chosen"})
            used |= {*columns}
        elif len(columns) == tasks * profiles and rated(columns, profiles):
            asked[f"rating_{len(asked)}" if "rating" in asked else "rating"] = Asked(
                text, {}, numeric=True)
            used |= {*columns}
    return (tasks, profiles), used


def _write(source: Path, known: Known) -> str:
    ids, asked = known.ids, known.asked
    arms = {ids[name]: one for name, one in known.arms.items()} or {"arm": Arms(
        "what was randomized", {f"{OPEN} control": "", f"{OPEN} treated": ""})}
    scales: dict[str, dict] = {}
    items, derived = {}, {}
    blocks = _ids(list(dict.fromkeys(one.block for one in asked.values())) or ["Questions"])
    for name, one in asked.items():
        scale = one.scale()
        same = next((key for key, value in scales.items() if value == scale), None)
        key = ids[name] if same is None or one.numeric else same
        scales[key] = scale
        items[ids[name]] = {
            "label": one.label, "role": f"{OPEN} {one.role}", "scale": key,
            "block": blocks[one.block], "wording": one.wording or name}
        if one.unsure and len(one.labels) - len(one.unsure) > 2 and (
                one.role in ("outcome", "background")):
            derived[f"{ids[name]}_known"] = {
                "label": f"{one.label} (answers only)", "of": ids[name],
                "map": {code: [code] for code in one.labels if code not in one.unsure},
                "missing": one.unsure}
    outcome = next((ids[name] for name, one in asked.items()
                    if one.role == "outcome" and one.labels), "outcome")
    factor, first = next(iter(arms.items()))
    levels = list(_ids(list(first.levels)).values())
    rows, design = known.respondent, {}
    if rows:
        design = {"respondent": rows[0], "tasks": f"{OPEN} {rows[1] // 2}",
                  "profiles": f"{OPEN} 2: each respondent has {rows[1]} rows"}
    elif known.tasks:
        design = dict(zip(("respondent", "tasks", "profiles"), ("ResponseId", *known.tasks),
                          strict=True))
    consent = next((ids[name] for name, one in asked.items() if one.role == "consent"), None)
    return fill(
        "parts/draft.yml", source=" ".join(source.name.split()), title=known.title,
        short=_id(known.title)[:40], design=design, scales=scales, items=items, derived=derived,
        blocks={id: title for title, id in blocks.items()}, weight=known.weight,
        outcome=f"{outcome}_known" if f"{outcome}_known" in derived else outcome,
        term=f"{factor}[T.{levels[min(1, len(levels) - 1)]}]",
        arms={id: one.factor() for id, one in arms.items()},
        exclusions=[rule for rule, known_by in (
            ({"id": "preview", "label": "Test answers of the survey's makers", "column": "Status",
              "equals": ["Survey Preview", 1]}, "Status" in known.platform),
            ({"id": "consent", "label": "Did not agree to take part", "column": consent,
              "differs_from": [f"{OPEN} the code of consent"]}, consent),
            ({"id": "unfinished", "label": "Did not finish", "column": "Finished",
              "differs_from": ["True", 1]}, "Finished" in known.platform)) if known_by])


def _ids(names: list[str]) -> dict[str, str]:
    """An id of the registration for each name, each once."""
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
