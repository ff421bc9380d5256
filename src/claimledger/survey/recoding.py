"""From codes to the frame that is analyzed: factors, items, derived variables, long form."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from claimledger.big_columns import Texts
from claimledger.errors import LedgerError
from claimledger.registration.models import Derived, Exclusion, Registration, evaluate
from claimledger.survey import qualtrics
from claimledger.survey.tables import blanks, factorized, is_blank, plain

RESPONDENT = "respondent"
WEIGHT = "weight"                        # weights that come with the answers
STRATUM, UNIT = "stratum", "unit"        # of the sample's design
BLOCK, CLUSTER = "block", "cluster"      # of the assignment


def exclude(
    frame: pd.DataFrame, registration: Registration, masks: list[np.ndarray] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that stay, and the flow: columns id, label, dropped, left (first row: all).

    `frame` holds items as codes and the platform's columns as text. A blank differs from any
    value; a blank number is not below anything; a blank key repeats nothing. Of rows with the same
    key the one that was begun first stays, wherever it stands in the file.
    """
    masks = masks or staying(frame, registration)
    flow = [("read", "Rows in the file", 0, len(masks[0]))]
    for rule, before, after in zip(registration.exclusions, masks, masks[1:], strict=False):
        flow.append((rule.id, rule.label, int(before.sum() - after.sum()), int(after.sum())))
    return (frame[masks[-1]],
            pd.DataFrame(flow, columns=["id", "label", "dropped", "left"]))


def staying(frame: pd.DataFrame, registration: Registration) -> list[np.ndarray]:
    """Which rows are there before the first exclusion, and after each one."""
    masks = [np.ones(len(frame), dtype=bool)]
    for rule in registration.exclusions:
        if rule.column not in frame:
            raise LedgerError(
                f"exclusion {rule.id}", found=f"no column {rule.column!r}",
                expected="the column that the rule is about",
                mend="export it, or name it in the mapping",
            )
        stay = masks[-1].copy()
        column = frame[rule.column][stay]
        dropped = _repeats(column, frame) if rule.repeats else _matches(column, rule)
        stay[stay] = ~np.asarray(dropped, dtype=bool)
        masks.append(stay)
    return masks


def _matches(column: pd.Series, rule: Exclusion) -> np.ndarray:
    """Which values a rule names: by number, or by text as `plain` has it."""
    codes, texts = factorized(column)
    if rule.by_number:
        numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
        return np.append(outside(numbers, rule.below, rule.above), False)[codes]
    values = rule.equals or rule.differs_from
    if pd.api.types.is_numeric_dtype(column):
        listed = [text in values for text in texts]
    else:
        wanted = set(map(plain, values))
        listed = [plain(text) in wanted for text in texts]
    return np.array([*listed, False])[codes] == bool(rule.equals)


def outside(numbers, low: float | None, high: float | None):
    """Which numbers are too small or too large; a missing one, or a missing end, is neither."""
    return (numbers < (-np.inf if low is None else low)) | (
        numbers > (np.inf if high is None else high))


def repeated(column: pd.Series) -> pd.Series:
    """The rows of those persons who have several: each with a number for the person.

    Blanks around a key do not count; a blank key is nobody's.
    """
    if isinstance(column.array, Texts):
        column = column[column.array.perhaps_repeated()]
    codes, texts = factorized(column)
    persons = pd.factorize(pd.Series([str(text).strip() for text in texts], dtype=object))[0]
    keys = np.array([*np.where([*map(is_blank, texts)], -1, persons), -1], dtype=int)[codes]
    there = (keys >= 0) & (np.bincount(keys + 1)[keys + 1] > 1)
    return pd.Series(pd.factorize(keys[there])[0], index=column.index[there])


def _repeats(column: pd.Series, frame: pd.DataFrame) -> pd.Series:
    """Rows whose key another row has that was begun before."""
    several = repeated(column)
    again = pd.Series(False, index=column.index)
    if len(several):
        order = in_time(frame, several.index)
        again.loc[order[several.loc[order].duplicated().to_numpy()]] = True
    return again


def in_time(frame: pd.DataFrame, rows: pd.Index) -> pd.Index:
    """Some rows of a frame in the order in which they were begun.

    Where starts are equal (or there are none), ends, then the platform's ids decide, and the order
    of the file where those are missing, too. A row without a start comes after those with one.
    """
    names = [name for name in qualtrics.DATES if name in frame]
    times, _ = qualtrics.moments({name: frame[name].loc[rows] for name in names})
    keys = pd.DataFrame(times, index=rows)
    if "ResponseId" in frame:
        keys["ResponseId"] = frame["ResponseId"].loc[rows].astype(str)
    if keys.empty or not len(keys.columns):
        return rows
    return keys.sort_values(list(keys.columns), kind="stable", na_position="last").index


def recode(
    frame: pd.DataFrame, registration: Registration, keep: Collection[str] | None = None
) -> pd.DataFrame:
    """One row for each respondent (or rated profile), index 0..n-1.

    Columns: `respondent` (serial number from 1), with `task` and `profile` where respondents rate
    several; `weight`, `stratum`, `unit` of the sample's design, `block`, `cluster` of the
    assignment, where they are registered; the factors as Categoricals, reference first; items:
    ordinal and numeric ones as numbers (integers where all are whole and nobody failed to answer),
    nominal ones as Categoricals of their labels; `<item>_correct` for recall items and
    `recalled_all`; then the derived variables: groups as Categoricals, all others as floats.
    Free texts, consent and attention items, and columns of the platform are left behind. With
    `keep` all numbers but those are, too, once they were made.
    """
    instrument = registration.instrument
    result: dict[str, object] = {}
    wanted = {*(keep or ()), registration.design.blocks, registration.design.clusters}
    wanted |= {source for rule in instrument.derived.values() for source in rule.sources
               if source in instrument.derived}

    def put(columns: dict[str, object]) -> None:
        result.update({name: column for name, column in columns.items() if keep is None
                       or name in wanted or isinstance(column, pd.Categorical)})

    serial = _serial(frame, registration)
    put({RESPONDENT: serial} | _places(serial, registration))
    if weighting := registration.weighting:
        if weighting.column:
            result[WEIGHT] = _weights(frame[weighting.column])
        for name, column in ((STRATUM, weighting.strata), (UNIT, weighting.clusters)):
            if column:
                result[name] = _groups(frame[column], name)
        if any(a.vcov == "survey" for a in registration.analyses()):
            _check_strata(result)
    for name, factor in registration.design.factors.items():
        result[name] = pd.Categorical(frame[name], categories=list(factor.levels))

    def points(name: str) -> np.ndarray:
        if name in instrument.derived:
            made = result[name]
            return made.codes if isinstance(made, pd.Categorical) else made
        codes = frame[name].to_numpy(dtype=float)
        labels = instrument.scales[instrument.items[name].scale].labels
        return min(labels) + max(labels) - codes if instrument.items[name].reverse else codes

    for name, item in instrument.items.items():
        scale = instrument.scales[item.scale]
        if item.role in ("consent", "attention", "comment") or scale.kind == "text":
            continue
        codes = points(name)
        if scale.kind == "nominal":
            labels = list(scale.labels.values())
            places = pd.Series(codes).map({c: i for i, c in enumerate(scale.labels)})
            put({name: pd.Categorical.from_codes(places.fillna(-1).astype(int), labels)})
        else:
            whole = np.all(codes == np.floor(codes))  # not so where an answer is missing
            put({name: codes.astype(int) if whole else codes})
    put(_recall(frame, registration))
    for name in derivation_order(registration):
        rule = instrument.derived[name]
        put({name: derive(rule, {source: points(source) for source in rule.sources})})
    design = registration.design
    for name, source in ((BLOCK, design.blocks), (CLUSTER, design.clusters)):
        if source:
            cells = result[source] if source in result else frame[source]
            result[name] = _groups(pd.Series(cells, dtype=object), name)
    made = pd.DataFrame(result, index=pd.RangeIndex(len(frame)), copy=False)
    _check_assignment(made, registration)
    return made


def derivation_order(registration: Registration) -> list[str]:
    """Derived variables, each after those that it is made from."""
    rules, order = registration.instrument.derived, []

    def visit(name: str) -> None:
        if name in rules and name not in order:
            for source in rules[name].sources:
                visit(source)
            order.append(name)

    for name in rules:
        visit(name)
    return order


def _serial(frame: pd.DataFrame, registration: Registration) -> np.ndarray:
    """Number of the respondent of each row, from 1, in order of appearance."""
    column = registration.design.respondent
    if column is None:
        return np.arange(1, len(frame) + 1)
    keys = frame[column].astype(str).str.strip()
    _refuse(blanks(keys), column, "that are nobody's", "the respondent of each row")
    return pd.factorize(keys)[0] + 1


def _refuse(rows: np.ndarray, column: str, found: str, expected: str) -> None:
    if rows.any():
        raise LedgerError(f"column {column}", found=f"{int(rows.sum())} rows {found}",
                          expected=expected, mend="fill the cells, or exclude the rows")


def _places(respondents: np.ndarray, registration: Registration) -> dict[str, np.ndarray]:
    """Number of task and profile of each row, from 1, by the order of a respondent's rows."""
    design = registration.design
    if not (design.tasks or design.profiles):
        return {}
    place = pd.Series(respondents).groupby(respondents).cumcount().to_numpy()
    if place.size and place.max() >= design.rows and design.tasks:
        raise LedgerError(
            f"column {design.respondent}", found=f"a respondent with {place.max() + 1} rows",
            expected=f"at most {design.rows}: {design.tasks} tasks of {design.profiles or 1}",
            mend="correct design.tasks and design.profiles, or exclude rows that stand twice",
        )
    side = design.profiles or 1
    return {"task": place // side + 1, "profile": place % side + 1}


def _groups(cells: pd.Series, name: str) -> pd.Categorical:
    """Groups of blocks, clusters or strata; every row must have one."""
    texts = cells.astype(object).where(cells.notna(), "").astype(str).str.strip()
    _refuse(blanks(texts), cells.name or name, f"without a {name}", f"the {name} of each row")
    return pd.Categorical(texts)


def _check_strata(known: dict[str, object]) -> None:
    """Each stratum of the sample's design holds several sampling units (or rows)."""
    if STRATUM not in known:
        return
    unit = known.get(UNIT, np.arange(len(known[STRATUM])))
    units = pd.Series(unit).groupby(pd.Series(known[STRATUM]), observed=True).nunique()
    if (units < 2).any():
        raise LedgerError(
            f"stratum {units.idxmin()}", found="one sampling unit", expected="two in each stratum",
            mend="register a column in which such a stratum is merged with one that is like it")


def _check_assignment(frame: pd.DataFrame, registration: Registration) -> None:
    """A block holds several arms; a cluster one, and it lies in one block."""
    design = registration.design
    if BLOCK in frame:
        for factor in design.factors:
            arms = frame.groupby(BLOCK, observed=True)[factor].nunique()
            if (arms < 2).any() and not design.clusters:
                raise LedgerError(
                    f"block {arms.index[arms < 2][0]}", found=f"one arm of {factor} only",
                    expected="two or more arms in each block: nothing was randomized there",
                    mend="correct design.blocks, or exclude the block",
                )
    if CLUSTER not in frame:
        return
    for name in [*design.factors, *([BLOCK] if BLOCK in frame else [])]:
        several = frame.groupby(CLUSTER, observed=True)[name].nunique()
        if name != BLOCK and design.respondent is not None:
            continue      # profiles vary within whatever was assigned whole
        if (several > 1).any():
            raise LedgerError(
                f"cluster {several.index[several > 1][0]}", found=f"several values of {name}",
                expected="one: clusters were assigned whole",
                mend="correct design.clusters, or the rows of that cluster",
            )


def _weights(cells: pd.Series) -> np.ndarray:
    """Weights as numbers, each above zero."""
    weights = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
    _refuse(~(np.isfinite(weights) & (weights > 0)), str(cells.name),
            "without a weight above zero", "a weight in each row")
    return weights


def _recall(frame: pd.DataFrame, registration: Registration) -> dict[str, np.ndarray]:
    """Whether each assigned level was recalled; no answer counts as not recalled."""
    result = {}
    for name, item in registration.instrument.items.items():
        if item.recalls:
            place = {level: n for n, level in
                     enumerate(registration.design.factors[item.recalls].levels)}
            named = pd.Series(frame[name].to_numpy(dtype=float)).map(
                {code: place[level] for code, level in item.answers.items()})
            given = pd.Categorical(frame[item.recalls], list(place)).codes
            result[f"{name}_correct"] = (named == given).to_numpy()
    if result:
        result["recalled_all"] = np.all(list(result.values()), axis=0)
    return result


def derive(rule: Derived, points: dict[str, np.ndarray]) -> np.ndarray | pd.Categorical:
    """One derived variable from arrays (n,) of numbers and codes: floats, or groups.

    A value is missing where one of its sources is.
    """
    if rule.mean:
        return sum(points[name] for name in rule.mean) / len(rule.mean)
    if rule.sum:
        return sum(points[name] for name in rule.sum)
    if rule.formula:
        return evaluate(rule.formula, points)
    values = np.asarray(points[rule.of], dtype=float)
    gone = np.isnan(values) | np.isin(values, rule.missing)
    if rule.yes:
        return np.where(gone, np.nan, np.isin(values, rule.yes).astype(float))
    if rule.map:
        table = {code: label for label, codes in rule.map.items() for code in codes}
        found = pd.Series(values).map(table)
        if rule.numeric:
            return found.to_numpy(dtype=float)
        return pd.Categorical(found, categories=list(rule.map))
    labels, bounds = list(rule.cut), list(rule.cut.values())
    place = np.searchsorted(bounds, values, side="right") - 1
    return pd.Categorical.from_codes(np.where(np.isnan(values), -1, place), labels)


def labeled(
    frame: pd.DataFrame, variables: list[str], registration: Registration
) -> pd.DataFrame:
    """The variables with labels instead of codes, as Categoricals in the order of the scale."""
    result = {}
    for name in variables:
        item = registration.instrument.items.get(name)
        labels = registration.instrument.scales[item.scale].labels if item else {}
        if labels and not isinstance(frame[name].dtype, pd.CategoricalDtype):
            result[name] = pd.Categorical(frame[name].map(labels), list(labels.values()))
        else:
            result[name] = frame[name]
    return pd.DataFrame(result, index=frame.index)


def sample_rows(registration: Registration, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a registered sample; its factors lose the levels that the sample leaves out."""
    keep = np.ones(len(frame), dtype=bool)
    for factor, levels in registration.samples[name].items():
        keep &= frame[factor].isin(levels).to_numpy()
    rows = frame[keep].copy()
    for factor in registration.samples[name]:
        rows[factor] = rows[factor].cat.remove_unused_categories()
    return rows


def asked(registration: Registration, kept: pd.DataFrame, sample: str) -> np.ndarray:
    """Which rows belong to a registered sample, and so were asked its items."""
    factors = registration.design.factors
    return np.all([np.ones(len(kept), dtype=bool), *(
        kept[factor].isin(levels).to_numpy()
        for factor, levels in registration.samples[sample].items() if factor in factors)], axis=0)


def stack(frame: pd.DataFrame, items: list[str]) -> pd.DataFrame:
    """Long form: a row for each respondent and answered item, respondent by respondent.

    Columns: `respondent`, `item` (Categorical in the given order), `response` (float), and all
    other columns of the frame but the items that are stacked.
    """
    absent = [item for item in items if item not in frame]
    if absent:
        raise LedgerError(
            "stack", found="no column " + ", ".join(absent), expected="items of the survey",
            mend="correct the names",
        )
    others = [c for c in frame.columns if c not in items]
    place = np.repeat(np.arange(len(frame)), len(items))
    long = frame[others].iloc[place].reset_index(drop=True)
    item = pd.Categorical.from_codes(np.tile(np.arange(len(items)), len(frame)), items)
    long.insert(1, "item", item)
    long.insert(2, "response", frame[items].to_numpy(dtype=float).ravel())
    return long.dropna(subset=["response"]).reset_index(drop=True)
