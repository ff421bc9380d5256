"""Checks of an export as a whole: who stands in it twice, and what is missing where."""

import re
from collections import Counter

import pandas as pd
from scipy.stats import chi2_contingency

from claimledger.registration.models import Registration
from claimledger.survey import qualtrics
from claimledger.survey.disclosure import PANEL
from claimledger.survey.problem import Problem, at, short
from claimledger.survey.reading import Export
from claimledger.survey.tables import plain


def platform(export: Export, registration: Registration) -> list[Problem]:
    """Words in the platform's columns, and texts instead of numbers, that no rule would know."""
    problems = []
    rules = {rule.column: rule for rule in registration.exclusions}
    for name in sorted({*qualtrics.ANSWERS, *rules} & set(export.cells)):
        cells = export.cells[name]
        unique = [cell for cell in cells.unique() if cell.strip()]
        strange: list[str] = []
        if name in rules and rules[name].below is not None:
            strange = [c for c in unique if not re.fullmatch(r" *\d+(\.\d+)? *", c, re.ASCII)]
            expected = "a number"
        elif name in qualtrics.ANSWERS:
            known = set(qualtrics.ANSWERS[name])
            rule = rules.get(name)
            known |= {plain(str(v)) for v in (rule.equals + rule.differs_from if rule else [])}
            strange = [cell for cell in unique if plain(cell) not in known]
            expected = "a word of the platform in English, or a code"
        for cell in strange[:20]:
            row = int(cells.index[cells == cell][0])
            problems.append(at(
                export, row, name, short(cell), expected,
                f"map the values of {name!r}, such as {{{cell[:40]}: ...}}",
            ))
    return problems


def questions(export: Export, registration: Registration) -> list[Problem]:
    """Columns whose own question text is the wording of another item: names were moved."""
    items = registration.instrument.items
    worded = Counter(plain(item.wording) for item in items.values())
    wordings = {plain(i.wording): n for n, i in items.items() if worded[plain(i.wording)] == 1}
    return [
        Problem(name, f"the question text of {other!r}", f"{items[name].wording!r}",
                "find out which question the column holds, and map it")
        for name in items if name in export.cells
        if (other := wordings.get(plain(export.texts.get(name, "")), name)) != name
    ]


def persons(
    export: Export, registration: Registration, frame: pd.DataFrame, kept: pd.DataFrame
) -> list[Problem]:
    """Responses that stand twice, and respondents who stay but saw two arms.

    Rows that an exclusion drops as repeats are as registered. What is told: an id of the platform
    on two rows; a person with two rows that stay; and one whose earlier row, dropped for another
    reason, showed another arm.
    """
    factors = list(registration.design.factors)
    keys = qualtrics.key_columns(registration)
    problems = []
    ids = export.cells.get("ResponseId")
    if ids is not None and "ResponseId" not in keys:
        again = ids.duplicated() & (ids.str.strip() != "")
        problems += [
            at(export, row, "ResponseId", "the id of an earlier row", "an id of its own",
               "remove the repeated row: the platform gives each response its own id")
            for row in ids.index[again][:1000]
        ]
    arms = frame.groupby(factors, dropna=False).ngroup() if factors else pd.Series(0, frame.index)
    assigned = frame[factors].notna().all(axis=1)
    for name in [c for c in export.cells if c in keys or PANEL.fullmatch(c)]:
        cells = export.cells[name].str.strip()
        cells = cells[(cells != "") & (cells != qualtrics.UNANSWERED)]
        shared = cells[cells.duplicated(keep=False)]
        for _, rows in shared.groupby(shared):
            stay = [row for row in rows.index if row in kept.index]
            if not stay:
                continue
            others = [row for row in rows.index if assigned[row] and arms[row] != arms[stay[0]]
                      and (row < stay[0] or row in stay or name not in keys)]
            if others and assigned[stay[0]]:
                other = others[0]
                problems.append(at(
                    export, stay[0], name, f"the person of row {other}, who saw another arm",
                    "each person in one arm", "decide which row counts, and exclude the other",
                    severity="error" if len(stay) > 1 else "warning"))
            elif len(stay) > 1:
                problems.append(at(
                    export, stay[1], name, f"the person of row {stay[0]} again",
                    "each person once", "register an exclusion of repeats, or remove the row",
                    severity="warning"))
    return problems


def missing_by_arm(
    export: Export, registration: Registration, kept: pd.DataFrame
) -> pd.DataFrame:
    """Answers missing among those asked: item, factor, level, asked, unanswered, blank.

    `unanswered` counts cells in which the platform says "seen but unanswered", `blank` the rest.
    """
    rows = []
    items = registration.instrument.items
    for name, item in items.items():
        if item.role != "outcome" or name not in kept:
            continue
        asked = pd.Series(True, index=kept.index)
        for factor, levels in registration.samples[item.asked].items():
            asked &= kept[factor].isin(levels)
        seen = export.cells[name].loc[kept.index].str.strip() == qualtrics.UNANSWERED
        blank = kept[name].isna() & ~seen
        for factor, about in registration.design.factors.items():
            for level in about.levels:
                here = asked & (kept[factor] == level)
                if here.any():
                    rows.append((name, factor, level, int(here.sum()), int((here & seen).sum()),
                                 int((here & blank).sum())))
    return pd.DataFrame(
        rows, columns=["item", "factor", "level", "asked", "unanswered", "blank"])


def uneven(missing: pd.DataFrame, rare: float) -> list[Problem]:
    """Items whose missing answers differ between arms by more than chance (chi-square test)."""
    problems = []
    for (item, factor), part in missing.groupby(["item", "factor"], sort=False):
        gone = part["unanswered"] + part["blank"]
        there = part["asked"] - gone
        if len(part) < 2 or not gone.sum() or not there.sum():
            continue
        p = chi2_contingency([gone, there], correction=False).pvalue
        if p < rare:
            shares = ", ".join(
                f"{level} {share:.0%}" for level, share in
                zip(part["level"], gone / part["asked"], strict=True))
            problems.append(Problem(
                str(item), f"missing by {factor}: {shares} (p = {p:.2g})",
                "about as many missing in each arm", "find out why answers are missing there",
                severity="warning"))
    return problems
