"""Checks of an export as a whole.

Who is lost and why, who stands in it twice, what is missing.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from claimledger.errors import Problem, short
from claimledger.registration.models import Registration, Scale
from claimledger.survey import qualtrics
from claimledger.survey.disclosure import PANEL
from claimledger.survey.mapping import known_names
from claimledger.survey.reading import Export
from claimledger.survey.recoding import asked, in_time, repeated
from claimledger.survey.tables import blanks, distinct, factorized, is_blank, plain

RARE = 0.001          # an allocation less probable than this is worth a look
SHARE = 1 / 3         # a rule that drops more of the rows that reach it is worth a look
MOST = 1000          # rows told one by one for each column
_SLACK = 60           # seconds by which a duration may differ from end minus start
_HOUR = 3600
_LONGEST = 5 * 366    # days that a survey lasts at most
_SAMPLE = 20_000      # ids that are looked at
_OFTEN = 5            # rows from which on one id is hardly that of one person
_FEW = 20             # different cells at most of a column that marks rows
_TELLS = 20           # letters from which on a part of a question's text tells which it is
DURATION = "Duration (in seconds)"


def doubt(column: str, found: str, expected: str, mend: str, kind: str = "") -> Problem:
    """A warning about a column as a whole."""
    return Problem(column, found, expected, mend, severity="warning", kind=kind)


def at(export: Export, row: int, column: str, found: str, expected: str, mend: str,
       severity: Literal["error", "warning"] = "error", kind: str = "") -> Problem:
    """A problem of one record, with the id of its response."""
    ids = export.columns.get("ResponseId")
    response = None if ids is None else str(ids.loc[row])
    return Problem(column, found, expected, mend, row=int(row), response=response,
                   severity=severity, kind=kind)


def implausible(flow: pd.DataFrame) -> list[str]:
    """Of each row of the flow what is implausible, or "": a rule that drops more than a third."""
    reached = flow["left"] + flow["dropped"]
    return [f"drops {row.dropped:,} of {before:,} rows ({row.dropped / before:.0%})"
            if row.dropped >= 3 and row.dropped > SHARE * before else ""
            for row, before in zip(flow.itertuples(), reached, strict=True)]


def losses(registration: Registration, flow: pd.DataFrame) -> list[Problem]:
    """Nobody stays: an error that lists who took whom. One rule drops more than a third: said."""
    taken = ", ".join(f"{row.label} {row.dropped:,}" for row in flow.itertuples() if row.dropped)
    if not flow["left"].iloc[-1]:
        return [Problem(
            "rows", f"nobody stays of {flow['left'].iloc[0]:,}" + (f": {taken}" if taken else ""),
            "respondents", "export all responses; or look at what the rule that took them is about"
        )]
    return [
        doubt(rule.column, f"the exclusion {rule.label!r} {drops}",
              "no more than a third of the rows that reach a rule",
              f"look at the cells of {rule.column!r}")
        for rule, drops in zip(registration.exclusions, flow["doubt"].iloc[1:], strict=True)
        if drops
    ]


def dates(export: Export) -> Iterator[Problem]:
    """Texts that are no date, days and months interchanged, ends before starts, odd durations."""
    names = [name for name in qualtrics.DATES if name in export.columns]
    times, doubtful = qualtrics.moments({name: export.columns[name] for name in names})
    for name in names:
        wrong = export.columns[name][~times[name].dt.year.between(2000, 2099)].astype(object)
        yield from told(
            export, name, wrong.index[~blanks(wrong)], "a date such as 2025-01-31 12:00:00",
            "export dates in that form, before a spreadsheet makes numbers of them",
            "cells that are no dates")
    if doubtful:
        yield doubt(names[0], "dates that could have the day or the month first; read month first",
                    "dates such as 2025-01-31", "export dates in the standard format")
    days = pd.Series(times[names[0]].dropna().dt.normalize().unique() if names else [])
    if len(days) > 1 and not doubtful:
        turned = days.where(days.dt.day > 12, pd.to_datetime(pd.DataFrame({
            "year": days.dt.year, "month": days.dt.day, "day": days.dt.month}), errors="coerce"))
        reach, other = ((some.max() - some.min()).days for some in (days, turned))
        if reach > max(30, 4 * other) or reach > _LONGEST:
            yield doubt(
                names[0], f"dates from {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}" + (
                    f" (with days and months interchanged, within {other:,} days)"
                    if other < reach / 4 else ""), "dates of one survey",
                "export dates again, without opening the file in a spreadsheet program",
                "days and months that a spreadsheet may have interchanged")
    said = pd.Series(np.nan, index=export.columns.index)
    if DURATION in export.columns:
        codes, texts = factorized(export.columns[DURATION])
        numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(float)
        said[:] = np.append(numbers, np.nan)[codes]
    if said.median() > 12 * _HOUR:
        yield doubt(DURATION, f"half of them longer than {said.median():,.0f}", "seconds",
                    "find out whether they are milliseconds")
    if {"StartDate", "EndDate"} <= set(names):
        taken = (times["EndDate"] - times["StartDate"]).dt.total_seconds()
        yield from _durations(export, taken, said)


def _durations(export: Export, taken: pd.Series, said: pd.Series) -> Iterator[Problem]:
    """Ends before starts, and durations that say something else; both in seconds."""
    off = taken - said
    clock = (off.abs() - _HOUR).abs() <= _SLACK        # the clock was changed meanwhile
    clock |= (taken < 0) & (taken >= -_HOUR)
    clock &= clock.sum() < _OFTEN or clock.mean() < SHARE      # hardly for so many
    back = (taken < 0) & ~clock
    for row in back.index[back][:MOST]:
        sure = all(re.match(r"\s*\d{4}-", str(export.columns[name].loc[row]))
                   for name in qualtrics.DATES[:2])
        yield at(
            export, row, "EndDate", "a date before StartDate", "a later one",
            "export again, and do not edit the file", severity="error" if sure else "warning",
            kind="" if sure else "dates of ends before dates of starts")
    for row in clock.index[clock]:
        yield at(export, row, "EndDate", "dates that a change of clocks would explain",
                 "an end after the start, as long as the duration",
                 "nothing to do where clocks were changed that night", severity="warning",
                 kind="dates up to an hour off: was the clock changed while somebody answered?")
    differ = (off.abs() > _SLACK) & ~clock & ~back
    if differ.any():
        row = differ.index[differ][0]
        yield doubt(
            DURATION, f"{int(differ.sum()):,} rows whose duration is not end minus start (first: "
            f"row {row}, {said[row]:,.0f} s against {taken[row]:,.0f} s)",
            f"the same but for {_SLACK} seconds", "find out which of them was edited, or which "
            "clock the dates follow")


def told(
    export: Export, column: str, rows: pd.Index, expected: str, mend: str, kind: str = ""
) -> Iterator[Problem]:
    """A problem for each of the rows, up to a thousand."""
    if len(rows) > MOST:
        yield Problem(
            column, f"{len(rows):,} such cells, of which {MOST:,} are listed", expected, mend)
    cells = export.columns[column].loc[rows[:MOST]]
    for row, cell in cells.items():
        yield at(export, row, column, short(cell), expected, mend, kind=kind)


def written_ids(export: Export, registration: Registration) -> Iterator[Problem]:
    """Keys of persons that a spreadsheet or a float rounded, or that are written in two ways."""
    for name in {*qualtrics.key_columns(registration), registration.design.respondent}:
        if name not in export.columns:
            continue
        sample = export.columns[name].iloc[:_SAMPLE]
        cells = [text for cell in distinct(sample) if (text := str(cell).strip())]
        digits = [text for text in cells if re.fullmatch(r"\d{9,}", text)]
        powers = [text for text in cells if re.fullmatch(r"-?\d+([.,]\d+)?[eE][+-]?\d+", text)]
        zeros = [text for text in digits if re.fullmatch(r"\d{15,}0|\d{5,}0{4}", text)]
        floats = [text for text in cells if re.fullmatch(r"\d+[.,]0+", text)]
        why = ""
        if powers and (len(powers) > len(cells) / 2 or any("." in p or "+" in p for p in powers)):
            why = f"numbers with an exponent, such as {powers[0]!r}"
        elif len(digits) >= 3 and len(zeros) > 0.5 * len(digits):
            why = f"long numbers that nearly all end in zeros, such as {zeros[0]!r}"
        elif len(floats) > len(cells) / 2:
            why = f"numbers with a decimal point, such as {floats[0]!r}"
        elif any(all(float(kind(text)) == int(text) for text in digits) and sum(
                max(0, int(text).bit_length() - bits) for text in digits) >= 20
                for bits, kind in ((24, np.float32), (53, float))):
            why = f"long numbers of which each is one that a float can hold, such as {digits[0]!r}"
        if why:
            yield doubt(name, f"ids that were rounded: {why}", "ids as the panel gave them",
                        "export again as text: rounded ids make different people one",
                        "ids of persons that were rounded")
        chance = _by_chance(cells, np.count_nonzero(~blanks(sample)))
        if chance and registration.design.respondent is None:
            yield doubt(
                name, chance, "ids that tell people apart", "export whole ids: cut ones make "
                "different people one", "ids too short to tell people")
        seen: dict[str, str] = {}
        for text in cells:
            if (other := seen.setdefault(_same_id(text), text)) != text:
                yield doubt(name, f"{short(other)} and {short(text)}, two ways to write one id",
                            "one way to write an id", "find out whether they are one person's",
                            "ids that differ in capitals, zeros or signs alone")
                break


def _by_chance(different: list[str], rows: int) -> str:
    """Ids of one length of which about as many are shared as if each sign had been drawn."""
    shared = rows - len(different)
    if shared < 1 or len({*map(len, different)}) != 1:
        return ""
    possible = math.prod(len({*signs}) for signs in zip(*different, strict=True))
    expected = rows**2 / 2 / possible
    if not 0.5 <= expected <= 4 * shared:
        return ""
    return (f"{shared:,} of {rows:,} rows share an id of {len(different[0])} signs, about as many "
            f"as by chance ({expected:,.0f})")


def _same_id(text: str) -> str:
    """An id without what a spreadsheet or a person may change: zeros, capitals, hidden signs."""
    text = re.sub(r"[.,]0+$|[\s'\"’`]", "", unicodedata.normalize("NFKC", text))
    return "".join(filter(str.isprintable, text)).casefold().lstrip("0")


_MARKED = re.compile(         # words for rows that do not count, in names of columns or in cells
    r"screened|screen[ _-]?out|quota|terminat|disqualif|duplicat|ballot|fraud|spam|preview|\btest")
_TESTS = {"Status": "|".join(qualtrics.TESTS), "DistributionChannel": "preview|test|synthetic",
          "Progress": r"\d\d?", "gc": "[234]"}        # panels: 1 is a good complete


def test_rows(export: Export, registration: Registration, kept: pd.DataFrame) -> Iterator[Problem]:
    """Rows that nobody gave or finished, or that are marked, and that no registered rule takes out.

    Columns that nothing knows mark up to half of the rows; and one address may be on many.
    """
    known = {*known_names(registration)}
    for name, column in export.columns.items():
        words = _TESTS.get(name)
        few = isinstance(column.dtype, pd.CategoricalDtype) and len(column.cat.categories) <= _FEW
        if not words and (name in known or not few):
            continue
        named = _MARKED.search(plain(name)) is not None
        odd = [cell for cell in distinct(column) if (
            re.fullmatch(words, plain(cell)) if words else _MARKED.search(plain(cell)) or (
                named and plain(cell) in ("true", "yes", "1")))]
        cells = column.loc[kept.index] if odd else column[:0]
        counts = cells[cells.isin(odd)].astype(str).value_counts()
        if len(counts) and (words or counts.sum() < len(kept) / 2):
            told = ", ".join(f"{short(cell)} {count:,}" for cell, count in counts.items())
            yield doubt(
                name, f"{counts.sum():,} rows stay that no respondent gave, or finished, or that "
                f"do not count: {told}", "answers of respondents",
                f"register an exclusion on {name!r}, or remove the rows on the platform")
    if "IPAddress" in export.columns and "*" not in export.columns["IPAddress"].iloc[0]:
        often = repeated(export.columns["IPAddress"].loc[kept.index]).value_counts().max()
        if often >= max(_OFTEN, len(kept) / 50):      # not so if nobody shares one
            yield doubt("IPAddress", f"one address on {often:,} rows that stay",
                        "devices of many people", "find out whether they are different people")


def repeats(
    export: Export, registration: Registration, masks: list[np.ndarray]
) -> Iterator[Problem]:
    """Where persons stand twice, something must say which of their rows was first.

    `masks` say which rows are there before each exclusion (see `staying`).
    """
    for rule, there in zip(registration.exclusions, masks, strict=False):
        if not rule.repeats:
            continue
        keys = repeated(export.columns[rule.column][there])
        often = keys.map(keys.value_counts())
        texts = export.columns[rule.column].loc[keys.index].astype(object).str.strip()
        single = {cell.strip() for cell in distinct(export.columns[rule.column].iloc[:_SAMPLE])}
        forms = set(map(_form, single - set(texts)))
        odd = often >= _OFTEN
        odd |= pd.Series([_form(t) not in (forms or {_form(t)}) for t in texts], odd.index, bool)
        if odd.any():
            row = often[odd].idxmax()
            yield doubt(rule.column, f"{short(texts[row])} on "
                        f"{often[row]:,} rows, of which one stays", "an id for each person",
                        f"map the values of {rule.column!r} that are no ids to `missing`",
                        "ids on several rows that are hardly one person's")
        start = pd.Series(pd.NaT, index=keys.index)
        if "StartDate" in export.columns:
            cells = export.columns["StartDate"].loc[keys.index]
            start = qualtrics.moments({"StartDate": cells})[0]["StartDate"]
        same = start.isna() | pd.DataFrame({"key": keys, "start": start}).duplicated(keep=False)
        if same.any():
            row = same.index[same][0]
            yield doubt(
                rule.column, f"{int(same.sum()):,} rows of persons with several, whose start is "
                f"missing or the same (first: row {row})",
                "StartDate: the row that was begun first stays",
                "export the dates, or remove the rows that do not count")


def _form(text: str) -> tuple[int, bool, bool, bool]:
    """How long an id is, but for a factor of two, and whether it is all digits, or letters."""
    return len(text).bit_length(), text.isdecimal(), text.isalpha(), text.isalnum()


def unanswered(export: Export, registration: Registration, kept: pd.DataFrame) -> Iterator[Problem]:
    """Blank cells that a rule cannot judge, items without any answer, and numbers that are none."""
    for rule in registration.exclusions:
        blank = blanks(export.columns[rule.column])
        if count := np.count_nonzero(blank[kept.places]):
            yield doubt(
                rule.column, f"{count:,} rows stay that the exclusion {rule.label!r} cannot judge: "
                "their cell is blank", "a value in every row",
                f"find out why {rule.column!r} is blank",
                "rows stay that an exclusion cannot judge, for their cell is blank")
    for name, item in registration.instrument.items.items():
        scale = registration.instrument.scales[item.scale]
        if scale.kind == "text" or name not in kept:
            continue
        if kept[name].isna().all() and not export.meanings[name].strange:
            yield doubt(name, "no answer of anybody who stays", "answers", f"export {name!r}",
                        "items without any answer of those who stay")
        if scale.kind == "numeric" and kept[name].notna().any():
            yield from _numbers(name, scale, kept[name].value_counts(), len(kept))
        answered = kept[name].notna().to_numpy()[asked(registration, kept, item.asked)]
        ends = [np.argmax(side) for side in (answered, answered[::-1]) if answered.any()]
        within = np.count_nonzero(~answered) - sum(ends)
        chance = (within + 1) / (len(answered) - sum(ends) + 1)
        if ends and max(ends) >= _OFTEN and chance ** max(ends) < RARE / 100:
            yield doubt(name, f"nobody answered the {'first' if ends[0] == max(ends) else 'last'} "
                        f"{max(ends):,} rows that stay", "answers all along",
                        "find out whether it was asked then, or cells have moved",
                        "items that were answered in a part of the file only")


def _numbers(name: str, scale: Scale, counts: pd.Series, rows: int) -> Iterator[Problem]:
    """Numbers like 99, and numbers of another scale; `counts` says how often each was given.

    A number of nines (98 and 99, ...), sevens or eights is hardly an answer where three or more
    respondents, and one in fifty, gave it, and more than twice as many as gave any other within
    three of it. Nor is one that stands apart from 15 others by more than a quarter of their range;
    nor are one to three different negative ones among more others.
    """
    few = (counts.index < 0) & (sum(counts.index < 0) <= 3 < sum(counts.index >= 0))
    for value, count in counts[few | (counts >= max(3, rows / 50))].items():
        others = counts[counts.index != value]
        gaps = abs(others.index - value)
        code = re.fullmatch(r"-?(9*[789]|(66|77|88)\d*)", f"{value:g}") and (
            abs(value) > 9 and count > 2 * max([0, *others[gaps <= 3]]))
        apart = len(others) >= 15 and min(gaps) > np.ptp(others.index) / 4
        if code or apart or (value < 0 and few.any()):
            yield doubt(
                name, f"{value:g} in {count:,} rows that stay", "answers",
                f"if it is no answer, map it: `values: {{{name}: {{\"{value:g}\": missing}}}}`",
                "numbers that may be no answers")
    low, high = scale.minimum, scale.maximum
    if None not in (low, high) and counts.sum() >= 20 and (
            counts.index.max() <= low + (high - low) / 10):
        yield doubt(
            name, f"no number above {counts.index.max():g}", f"numbers from {low:g} to {high:g}",
            "find out whether they were stored on another scale",
            "numbers in the lowest tenth of their scale")


def written_numbers(export: Export, registration: Registration) -> Iterator[Problem]:
    """Numbers such as 1.250, where no other has decimals: the point may part thousands."""
    names = [name for name in registration.instrument.items
             if registration.scale_of(name).kind == "numeric"]
    names += [rule.column for rule in registration.exclusions if rule.by_number]
    for name in [name for name in names if name in export.columns]:
        pointed = [cell for cell in distinct(export.columns[name]) if "." in plain(cell)]
        if pointed and all(re.fullmatch(r"-?\d{1,3}(\.\d{3})+", plain(cell)) for cell in pointed):
            yield doubt(
                name, f"numbers such as {pointed[0]!r}", "numbers whose point is a decimal one",
                "export numbers without marks between thousands",
                "numbers whose point may part thousands")


def recalled(registration: Registration, kept: pd.DataFrame) -> Iterator[Problem]:
    """Recall that agrees with the assignment hardly more than by chance (Cohen's kappa below .25).

    Or a level of which twice as many name another one.
    """
    for name, item in registration.instrument.items.items():
        if not item.recalls or name not in kept:
            continue
        levels = list(registration.design.factors[item.recalls].levels)
        named = kept[name].map({c: levels.index(level) for c, level in item.answers.items()})
        given = kept[item.recalls].cat.codes
        both = (named.notna() & (given >= 0)).to_numpy()
        if both.sum() < 20:
            continue
        named, given = (one.to_numpy()[both].astype(int) for one in (named, given))
        chance = sum((named == n).mean() * (given == n).mean() for n in range(len(levels)))
        agree = float((named == given).mean())
        pairs = np.bincount(given * len(levels) + named, minlength=len(levels) ** 2)
        other = sorted(level for level, n, row in zip(
            levels, range(len(levels)), pairs.reshape(-1, len(levels)), strict=True)
            if row.max() >= max(_OFTEN, 2 * row[n]))
        if agree - chance < (1 - chance) / 4 or other:
            yield doubt(
                name, f"{agree:.0%} name the assigned level of {item.recalls!r}, " + (
                    f"most of {', '.join(other)} another" if other else "as chance would"),
                "recall that follows the assignment", "find out whether levels, or rows, were "
                "interchanged", "recall that does not follow assignment")


def sorted_alone(registration: Registration, kept: pd.DataFrame) -> Iterator[Problem]:
    """Columns in which equal answers all stand together, as after sorting: perhaps it alone was."""
    for name in [*registration.design.factors, *registration.instrument.items]:
        scale = registration.scale_of(name)
        if name not in kept or (scale and scale.kind == "text"):
            continue
        codes = pd.factorize(kept[name])[0]
        codes = codes[codes >= 0]
        counts = np.sort(np.bincount(codes, minlength=2))
        runs = np.count_nonzero(np.diff(codes)) + 1
        if counts[-2] >= _OFTEN and len(codes) >= 20 and runs == len(counts):
            yield doubt(name, "equal answers all stand together", "rows in the order of time",
                        "find out whether a spreadsheet has sorted that column alone",
                        "columns that stand in order: was one sorted without the others?")


def allocation(registration: Registration, kept: pd.DataFrame) -> Iterator[Problem]:
    """Chi-square of the counts of each factor's levels against the registered probabilities."""
    for name, factor in registration.design.factors.items():
        counts = kept[name].value_counts().reindex(list(factor.levels), fill_value=0).to_numpy()
        chances = np.array([level.probability for level in factor.levels.values()])
        p = _chance(counts, counts.sum() * chances / chances.sum()) if counts.any() else 1
        if p < RARE:
            yield doubt(name, f"counts {', '.join(map(str, counts))} (p = {p:.2g})",
                        "counts near the registered probabilities",
                        "find out how the levels were assigned")


def _chance(counts: np.ndarray, expected: np.ndarray, freedom: int | None = None) -> float:
    """How probable counts as far from the expected ones are: Pearson's chi-square test."""
    from scipy.special import chdtrc  # scipy.stats takes a second to import

    far = ((counts - expected) ** 2 / expected).sum()
    return float(chdtrc(len(counts) - 1 if freedom is None else freedom, far))


def platform(export: Export, registration: Registration) -> Iterator[Problem]:
    """Words in the platform's columns, and texts instead of numbers, that no rule would know."""
    rules = {rule.column: rule for rule in registration.exclusions}
    for name in sorted({*qualtrics.ANSWERS, *rules} & set(export.columns)):
        cells, rule = export.columns[name], rules.get(name)
        if not (name in qualtrics.ANSWERS or (rule and rule.by_number)):
            continue
        given = [cell for cell in distinct(cells) if not is_blank(cell)]
        if rule and rule.by_number:
            expected = "a number"
            strange = [c for c in given if not re.fullmatch(r" *\d+(\.\d+)? *", c, re.ASCII)]
        else:
            expected = "a word of the platform in English, or a code"
            known = {plain(str(v)) for v in (rule.equals + rule.differs_from if rule else [])}
            strange = [c for c in given if plain(c) not in known | qualtrics.ANSWERS[name]]
        for cell in strange[:20]:
            row = int(cells.index[cells == cell][0])
            yield at(
                export, row, name, short(cell), expected,
                f"map the values of {name!r}, such as {{{short(cell[:40])}: ...}}",
            )
    there = [blanks(export.columns[name]) for name in ("ResponseId", "StartDate")
             if name in export.columns]
    nobody = np.any([mask for mask in there if not mask.all()], axis=0)
    if np.any(nobody):
        yield doubt(
            "rows", f"{np.count_nonzero(nobody):,} without an id of the platform or a start (first:"
            f" row {export.columns.index[nobody][0]})", "both in each row that somebody answered",
            "remove rows that a spreadsheet or a join has added",
            "rows without an id of the platform, or without a start")


def questions(export: Export, registration: Registration) -> Iterator[Problem]:
    """Columns whose own question text is the wording of another item: names were moved.

    A platform puts a stem, tags or "Selected Choice" around a wording, or cuts it off.
    """
    items = registration.instrument.items
    often = Counter(_asks(item.wording) for item in items.values())
    wordings = {_asks(item.wording): name for name, item in items.items()}
    for name in items:
        text, own = _asks(export.texts.get(name, "")), _asks(items[name].wording)
        if name not in export.columns or own in text or own.startswith(text):
            continue
        others = [other for wording, other in wordings.items() if often[wording] == 1 and (
            text == wording or (min(len(text), len(wording)) >= _TELLS and (
                wording in text or wording.startswith(text))))]
        shared = set(own.split()) & set(text.split())
        if others and 2 * len(shared) < len(set(own.split())):
            yield Problem(name, f"the question text of {others[0]!r}", f"{items[name].wording!r}",
                          "find out which question the column holds, and map it")


def _asks(text: str) -> str:
    """A question's text without tags, and without signs at its end."""
    return plain(re.sub(r"<[^>]*>", " ", text)).rstrip(" .:?…")


def persons(
    export: Export, registration: Registration, frame: pd.DataFrame, kept: pd.DataFrame
) -> Iterator[Problem]:
    """Responses that stand twice, and respondents who stay but saw two arms.

    Rows that an exclusion drops as repeats are as registered. What is told: an id of the platform
    on two rows; a person with two rows that stay; and one whose earlier row, dropped for another
    reason, showed another arm.
    """
    factors = list(registration.design.factors)
    keys = qualtrics.key_columns(registration)
    if "ResponseId" in export.columns and "ResponseId" not in keys:
        ids = repeated(export.columns["ResponseId"])
        for row in ids.index[ids.duplicated()][:MOST]:
            yield at(export, row, "ResponseId", "the id of an earlier row", "an id of its own",
                     "remove the repeated row: the platform gives each response its own id")
    for name in [c for c in export.columns if c in keys or PANEL.fullmatch(c)]:
        shared = repeated(export.columns[name])
        begun = in_time(frame, shared.index)
        rows = pd.DataFrame({one: frame[one].loc[begun] for one in (*factors, "StartDate")
                             if one in frame}, index=begun)
        staying = set(rows.index[rows.index.isin(kept.index)])
        saw = dict(zip(rows.index, rows[factors].itertuples(index=False, name=None), strict=True))
        assigned = rows[factors].notna().all(axis=1).to_dict()
        begun = rows["StartDate"].to_dict() if "StartDate" in rows else {}
        for _, order in shared.loc[rows.index].groupby(shared, sort=False).groups.items():
            stay = [row for row in order if row in staying]
            if not stay:
                continue
            before = set(order[:list(order).index(stay[0])])
            if begun:      # begun at the same moment
                before |= {row for row in order if begun[row] == begun[stay[0]]}
            others = [row for row in order if assigned[row] and saw[row] != saw[stay[0]]
                      and (row in before or row in stay or name not in keys)]
            if others and assigned[stay[0]]:
                other = others[0]
                yield at(export, stay[0], name, f"the person of row {other}, who saw another arm",
                         "each person in one arm", "decide which row counts, exclude the other",
                         "error" if len(stay) > 1 else "warning",
                         "" if len(stay) > 1 else "persons who saw another arm before")
            elif len(stay) > 1:
                yield at(export, stay[1], name, f"the person of row {stay[0]} again",
                         "each person once", "register an exclusion of repeats, or remove the row",
                         "warning", "persons who stay twice")


def uneven(missing: pd.DataFrame) -> Iterator[Problem]:
    """Items whose missing answers differ between arms by more than chance (chi-square test)."""
    for (item, factor), part in missing.groupby(["item", "factor"], sort=False):
        asked, *absent = part[["asked", "unanswered", "blank"]].to_numpy().T
        gone = sum(absent)
        if len(part) < 2 or not gone.sum() or not (asked - gone).sum():
            continue
        share = gone.sum() / asked.sum()
        p = _chance(np.r_[gone, asked - gone], np.r_[asked * share, asked * (1 - share)],
                    freedom=len(part) - 1)
        if p < RARE:
            shares = ", ".join(f"{level} {share:.0%}" for level, share in
                               zip(part["level"], gone / asked, strict=True))
            yield doubt(
                str(item), f"missing by {factor}: {shares} (p = {p:.2g})",
                "about as many missing in each arm", "find out why answers are missing there")
