"""The folder of a new study, from a design or the file of a survey platform."""

import datetime
import json
import re
import shutil
from pathlib import Path
from string import Template

import yaml

import claimledger
from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.prose.lint import states_result
from claimledger.registration.analyses import POINTS, Analysis, Hypothesis
from claimledger.registration.loading import load, write_schema
from claimledger.registration.lock import freeze
from claimledger.registration.models import Registration
from claimledger.settings import CONFIG, settings
from claimledger.simulation.assumptions import FILE as SIMULATION_FILE
from claimledger.simulation.platform_file import export
from claimledger.start.assumed import assumptions
from claimledger.start.draft import PARTS, columns_of, draft
from claimledger.statistics.estimators import moderator_values

PACKAGE = Path(claimledger.__file__).parent
TEMPLATE = PARTS.parent
DESIGNS = tuple(sorted(path.stem for path in (TEMPLATE / "designs").glob("*.yml")))
EXTENSION = Path("_extensions/ledger")
WORLD, SEED = "example", 1
DATA = f"data/raw/answers-simulated-{WORLD}.csv"
STEM = "01_results"
VERDICTS = {
    "supported": "The data support {id}, by the registered rule.",
    "refuted": "The data contradict {id}.",
    "negligible": "Whatever there is lies within the registered bound of "
                  "{{{{< num {id} sesoi >}}}}{unit}: {id} is negligible.",
    "undecided": "The data do not decide {id}.",
}


def start(
    folder: Path, today: datetime.date, design: str = "two-arm", source: Path | None = None
) -> list[Path]:
    """Write the folder of a new study.

    Of a design: with a registration that is frozen, simulated answers, a notebook and a paper that
    build. Of a platform's file (`source`): with a draft of the registration, in which everything
    uncertain is marked; `complete` writes the rest when it is frozen. Returns the files, sorted.

    Raises
    ------
    LedgerError : a folder that holds anything; an unknown design; a file that cannot be read.
    """
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise LedgerError(
            folder, found="a file" if folder.is_file() else "a folder that is not empty",
            expected="a new or an empty folder", mend="name another folder")
    if design not in DESIGNS:
        raise LedgerError(f"design {design}", found="no such design",
                          expected="one of " + ", ".join(DESIGNS), mend="correct the name")
    text = (draft(source) if source
            else (TEMPLATE / "designs" / f"{design}.yml").read_text(encoding="utf-8"))
    for path in (path for path in sorted(TEMPLATE.iterdir()) if path.is_file()):
        name = ".gitignore" if path.name == "gitignore" else path.name
        write_atomic(folder / name, path.read_bytes())
    shutil.copytree(_extension(), folder / EXTENSION, ignore=shutil.ignore_patterns("__pycache__"))
    write_atomic(folder / "notebooks/_metadata.yml",
                 (TEMPLATE / "parts" / "notebooks.yml").read_bytes())
    write_atomic(folder / "registration.yml", text)
    write_schema(folder / "registration.yml", "registration")
    write_schema(folder / CONFIG, "settings")
    if source:
        write_atomic(folder / "mapping.yml", columns_of(source))
    else:
        complete(Run.open(folder, name="record"))
        freeze(folder / "registration.yml", today)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def complete(run: Run) -> list[Path]:
    """Write what a study lacks, from its registration: assumptions, answers, notebook, paper.

    What is there is left as it is, and so is a project whose settings name other notebooks.
    """
    named = settings(run.root).get("manuscript", {}).get("notebooks", [])
    if [Path(one["notebook"]).stem for one in named] != [STEM]:
        return []
    registration = load(run.registration)
    written = [
        write_atomic(run.root / name, text) for name, text in (
            (SIMULATION_FILE, assumptions(registration)),
            (f"notebooks/{STEM}.ipynb", notebook(registration)),
            ("paper.qmd", paper(registration)), ("CITATION.cff", citation(registration)),
        ) if not (run.root / name).exists()
    ]
    if not run.data.exists() and run.data == run.root / DATA:
        written += export(
            run.data, run.registration, run.root / SIMULATION_FILE, WORLD, run.seed)
    return written


def _extension() -> Path:
    """The Quarto extension: in the installed package, or beside the sources of a clone."""
    for path in (PACKAGE / EXTENSION, PACKAGE.parents[1] / EXTENSION):
        if path.is_dir():
            return path
    raise LedgerError(
        PACKAGE, found=f"no {EXTENSION}", expected="the Quarto extension of the package",
        mend="install it anew: pip install --force-reinstall claimledger")


# What it starts from, by its registration: notebook, paper, and how it is cited.


def notebook(registration: Registration) -> str:
    """A notebook that tests every registered family and comparison, without stored output."""
    cells = [
        ("markdown", "# Results\n\nEvery registered test in plain sight, and what `study.record` "
                     "audits and writes into the ledger."),
        ("parameters", 'registration = "registration.yml"\ndata = ""  # as _quarto.yml names it\n'
                       'seed = 1\noutput = "build"'),
        ("code", IMPORTS.format(stem=STEM)),
        ("markdown", "## Sample"),
        ("code", SAMPLE),
    ]
    for name, family in registration.families.items():
        members = [h for h in registration.hypotheses if h.family == name]
        if members:
            cells += _group(registration, name, family.label, members)
    for comparison in registration.comparisons:
        label = registration.families[comparison.family].label
        cells += _group(registration, comparison.id, label, [comparison])
    cells += [
        ("markdown", "## Instrument"),
        ("code", VIGNETTE), ("code", INSTRUMENT), ("code", "study.save()"),
    ]
    return json.dumps({
        "cells": [_cell(number, *cell) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"}},
        "nbformat": 4, "nbformat_minor": 5,
    }, indent=1, ensure_ascii=False) + "\n"


IMPORTS = '''import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import statsmodels.formula.api as smf
from statsmodels.stats.multitest import multipletests

from claimledger import (
    POINTS, Study, alt_list, bare, instrument_table, region, spread, tost, verdicts,
    vignette_table,
)

study = Study.open("{stem}", registration, data, seed, output)
record, label = study.record, study.registration.label'''

SAMPLE = '''#| label: sample
record.fact(
    "data.status", float(study.simulated), decimals=0, decision="status",
    label="Origin of the answers: simulated (1) or collected (0)", verdict=study.survey.status,
)
people = study.frame["respondent"].nunique()
record.fact("sample.n", people, "Analyzed respondents", unit="count")
study.survey.flow'''

VIGNETTE = '''#| label: tbl-vignette
#| tbl-cap: "What was randomized, as respondents read it."
study.table("tbl-vignette", vignette_table(study.registration).drop(columns="Source"))'''

INSTRUMENT = '''#| label: tbl-instrument
#| tbl-cap: "The questions, in the order in which they are asked."
study.table("tbl-instrument", instrument_table(study.registration))'''


def typed(text: str, reason: str) -> str:
    """A text whose numbers and words of direction may stand as they are typed."""
    return f'[{text}]{{.typed reason="{reason}"}}' if states_result(text) else text


def labels(group: str) -> str:
    """A group's name as it may stand in the label of a cell."""
    return re.sub(r"[^a-z0-9]+", "-", group.lower()).strip("-")


def _group(
    r: Registration, group: str, title: str, members: list[Analysis]
) -> list[tuple[str, str]]:
    """The cells of one family of hypotheses, or of one set of comparisons."""
    key, name = labels(group), re.sub(r"\W+", "_", group.lower())
    caption = typed(title, "as registered").replace('"', '\\"')
    family = r.families[members[0].family]
    claims = "\n".join(
        f"- **{a.id}** {a.statement if isinstance(a, Hypothesis) else a.estimand}" for a in members)
    cells = [("markdown", f"## {title}\n\nAs registered:\n\n{claims}\n\n### Estimand\n\n"
              + "\n".join(f"{a.id}: {a.estimand}." for a in members)
              + "\n\n### Estimate")]
    fits: dict[tuple, str] = {}
    code, given = [], {}
    for a in members:
        if _own(r, a):
            given[a.id] = "None"
            continue
        kind = (a.frame, a.sample, tuple(a.stack) or a.outcome, a.model, a.weighted, a.vcov)
        if kind not in fits:
            fits[kind] = "fit" if not fits else f"fit_{len(fits) + 1}"
            code.append(_fit(r, a, fits[kind]))
        given[a.id] = fits[kind]
    if fits:
        last = f"print({list(fits.values())[-1]}.summary().tables[1])"
        cells.append(("code", "\n".join([*code, last])))
    if "None" in given.values():
        cells.append(("markdown", "Of " + ", ".join(id for id in given if given[id] == "None")
                      + " statsmodels does not give what is registered to the letter: "
                      "`study.results(None, ...)` takes the registered estimator of claimledger."))
    plain = next((a for a in members if given[a.id] != "None"), members[0])
    clustered = fits and plain.vcov in ("CR2", "stata", "survey")
    groups = "cluster" if r.design.clusters else "respondent"
    by = (f', groups=rows["{groups}"], correction="{plain.vcov}"'
          if clustered else "")
    each = next(iter(given.values())) if len(set(given.values())) == 1 else "{" + ", ".join(
        f'"{id}": {fit}' for id, fit in given.items()) + "}"
    method = {"holm": "holm", "bh": "fdr_bh"}.get(family.correction)

    def corrected(p: str) -> str:
        return f'multipletests({p}, method="{method}")[1]' if method else p

    test = [f"#| label: test-{key}",
            f'{name} = study.results({each}, "{group}"{by})',
            f'{name}["p_adjusted"] = {corrected(f"""{name}["p"]""")}']
    bounded = any(a.bound(1.0) is not None for a in members)
    if bounded:
        test.append(f'{name}["p_equivalence"] = {corrected(f"tost({name})")}')
    level = "" if family.alpha == 0.05 else f", alpha={family.alpha}"
    test += [f'{name}["verdict"] = verdicts({name}{level})', f'study.record("{group}", {name})']
    words = {"holm": "Holm's step-down procedure", "bh": "the procedure of Benjamini and Hochberg"}
    said = f"corrected by {words[family.correction]}" if method else "not corrected"
    cells += [
        ("markdown", f"### Test\n\nThe *p* values are {said}"
         + (f", {'and so' if method else 'nor'}, apart, are those of the equivalence tests"
            if bounded else "")
         + ".\n`study.record` computes all of it once more from the raw file and the registration, "
         "and stops where the two differ."),
        ("code", "\n".join(test)),
        ("code", f'#| label: tbl-{key}\n#| tbl-cap: "{caption}: estimates, tests and verdicts."\n'
                 f"table = record.table(list({name}.index)).rename_axis(\"Claim\").reset_index()\n"
                 f'study.table("tbl-{key}", table)'),
        *([("markdown", "### Picture"), ("code", _picture(r, key, name, caption, members))]
          if any(not getattr(a, "joint", []) for a in members) else []),
        ("markdown", "### Verdict"),
        ("code", f"{{id: record.entries[id].verdict for id in {name}.index}}"),
    ]
    return cells


PICTURE = '''#| label: fig-{key}
#| fig-cap: "{caption}: estimates, with intervals at the level of the corrected tests."
shown = record.numbers(list({name}["estimate"].dropna().index)).rename_axis("claim").reset_index()
{axes}{draw}bare({bare})
study.figure("fig-{key}", figure, "Estimates: " + alt_list([
    (id, f"{{record.entries[id].text['est']}}, {{record.entries[id].verdict}}")
    for id in shown["claim"]
]))'''


def _picture(
    r: Registration, key: str, name: str, caption: str, members: list[Analysis]
) -> str:
    """The cell of a figure: what has its own outcome or bound has a panel of its own."""
    panels: dict[str, list[Analysis]] = {}
    for a in members:
        if not getattr(a, "joint", []):
            bound = str((a.sesoi, getattr(a, "margin", None)))
            panels.setdefault(f"{a.stack or a.outcome} {bound}", []).append(a)
    several = len(panels) > 1
    heights = [round(0.75 + 0.35 * _rows(part), 2) for part in panels.values()]
    height = round(sum(heights) if several else 1.1 + 0.35 * _rows(members), 2)
    axes = f"figure, axis = plt.subplots(figsize=(6.5, {height}))\n"
    if several:
        axes = (f"figure, axes = plt.subplots({len(panels)}, figsize=(6.5, {height}), "
                f"height_ratios={heights}, layout=\"constrained\")\n")
    draw = ""
    for number, part in enumerate(panels.values()):
        axis, rows = (f"axes[{number}]", "part") if several else ("axis", "shown")
        if several:
            ids = json.dumps([a.id for a in part])
            draw += f'part = shown[shown["claim"].isin({ids})]\n'
        unit = r.unit((part[0].stack or [str(part[0].outcome)])[0])
        unit = "as a share" if unit == POINTS else "in points"
        draw += (f'region({axis}, {rows}["bound"].max())\n' if part[0].bound(1.0) is not None
                 else f"{axis}.axvline(0)\n")
        draw += (f'sns.pointplot(spread({rows}, "corrected"), x="value", y="claim", ax={axis}, '
                 f'**POINTS)\n{axis}.set_xlabel("Estimate, {unit}")\n')
    return PICTURE.format(key=key, name=name, caption=caption, axes=axes, draw=draw,
                          bare="*axes" if several else "axis")


def _rows(members: list[Analysis]) -> int:
    if isinstance(members[0], Hypothesis):
        return len(members)
    size = len(members[0].levels)
    pairs = size if members[0].pairs == "reference" else size * (size - 1) // 2
    return pairs * max(1, len(moderator_values(members[0])))


def _own(r: Registration, a: Analysis) -> bool:
    """Whether only the estimators of this package give what is registered to the letter."""
    sampled = r.weighting and (r.weighting.strata or r.weighting.clusters)
    return (a.estimator != "ols" or a.missing != "complete" or bool(a.at)
            or bool(a.vcov == "survey" and sampled))


def _fit(r: Registration, a: Analysis, name: str) -> str:
    """The lines that fit one model, as one would write them."""
    known = {*r.instrument.items, *r.instrument.derived}
    used = [v for v in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", a.model)) if v in known]
    if a.stack:
        rows = f"study.stacked({json.dumps(a.stack)}, \"{a.sample}\")"
    else:
        rows = f"study.sample(\"{a.sample}\").dropna(subset={json.dumps(used)})"
    weights = ", weights=study.weights.loc[rows.index]" if a.weighted else ""
    kind = "wls" if a.weighted else "ols"
    robust = f'cov_type="{a.vcov}", use_t=True' if a.vcov in ("HC2", "HC3") else ""
    first = f"rows = {rows}"
    if len(first) > 96:
        first = first.replace("(", "(\n    ", 1)
    return (f"{first}\nmodel = smf.{kind}(\n    \"{a.model}\",\n    data=rows{weights},\n)\n"
            f"{name} = model.fit({robust})")


def _cell(number: int, kind: str, source: str) -> dict:
    metadata = {"tags": ["parameters"]} if kind == "parameters" else {}
    cell = {"cell_type": "markdown" if kind == "markdown" else "code", "id": f"01-{number:02}",
            "metadata": metadata, "source": source.splitlines(keepends=True)}
    return cell if kind == "markdown" else cell | {"execution_count": None, "outputs": []}


# The paper.


def paper(registration: Registration) -> str:
    """The text of `paper.qmd`: one sentence a line, numbers and verdicts by tokens."""
    study = registration.study
    groups = [(name, family.label) for name, family in registration.families.items()
              if any(h.family == name for h in registration.hypotheses)]
    groups += [(c.id, registration.families[c.family].label) for c in registration.comparisons]
    results = []
    for group, label in groups:
        results.append(f"## {typed(label, 'as registered')}\n")
        results += [_claim(registration, h) for h in registration.hypotheses if h.family == group]
        results += [f"@tbl-{labels(group)} has the tests, @fig-{labels(group)} the estimates.\n",
                    f"{{{{< embed build/notebooks/{STEM}.ipynb#tbl-{labels(group)} >}}}}\n",
                    f"{{{{< embed build/notebooks/{STEM}.ipynb#fig-{labels(group)} >}}}}\n"]
    first = registration.hypotheses[:1]
    found = "".join(f"\n  The verdict on {h.id} is: {{{{< says {h.id} >}}}}." for h in first)
    claims = "\n".join(f"- {h.id}: {h.statement}" for h in registration.hypotheses)
    authors = "\n".join(f"  - name: {json.dumps(one.name, ensure_ascii=False)}"
                        for one in study.authors)
    return Template((PARTS / "paper.qmd").read_text(encoding="utf-8")).substitute(
        title=json.dumps(study.title, ensure_ascii=False), authors=authors, found=found,
        question=study.question, claims=claims, results="\n".join(results), stem=STEM,
        abstract=typed(study.question, "the question as registered"),
    )


def _claim(registration: Registration, h: Hypothesis) -> str:
    unit = registration.unit((h.stack or [str(h.outcome)])[0])
    unit = f" {POINTS}" if unit == POINTS else " points" if unit else ""
    tested = {"null": f"of the equivalence tests {{{{< num {h.id} tost >}}}}",
              "non-inferiority": f"against the margin {{{{< num {h.id} padj >}}}}"}
    text = [f"The estimate for {h.id} is {{{{< num {h.id} >}}}}{unit} (interval "
            f"{{{{< num {h.id} ci >}}}}, corrected *p* "
            + tested.get(h.direction, f"{{{{< num {h.id} padj >}}}}") + ").\n"]
    if h.joint:
        text = [f"The joint test of {h.id} has a corrected *p* {{{{< num {h.id} padj >}}}}.\n"]
    never = [verdict for verdict in VERDICTS if verdict not in h.criterion]      # for the lint
    for verdict, sentence in VERDICTS.items():
        if verdict in h.criterion:
            named = " ".join([verdict, *never]) if verdict == "undecided" else verdict
            text.append(f'::: {{.when {h.id}="{named}"}}\n'
                        f"{sentence.format(id=h.id, unit=unit)}\n:::\n")
    return "\n".join(text)


def citation(registration: Registration) -> str:
    """The text of `CITATION.cff`, which an archive asks for."""
    study = registration.study
    authors = [{"name": one.name} | ({"affiliation": one.affiliation} if one.affiliation else {})
               for one in study.authors]
    head = "# How this paper is cited. Complete it before you archive the paper.\n"
    return head + yaml.safe_dump({
        "cff-version": "1.2.0", "message": "If you use this paper, please cite it.",
        "type": "software", "title": study.title, "version": "0.1.0", "authors": authors,
        "abstract": study.question, "keywords": ["survey experiment", "reproducibility"],
        "license": ["MIT", "CC-BY-4.0"],
    }, sort_keys=False, allow_unicode=True, width=100)
