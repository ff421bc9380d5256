"""From codes to the frame that is analysed: factors, items, derived variables, long form."""

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Derived, Registration

RESPONDENT = "respondent"
WEIGHT = "weight"          # weights that come with the answers


def recode(frame: pd.DataFrame, registration: Registration) -> pd.DataFrame:
    """One row for each respondent (or rated profile), index 0..n-1.

    Columns: `respondent` (serial number from 1); `weight` where weights come with the answers;
    the factors as Categoricals, reference first; items: ordinal and numeric ones as numbers
    (integers where all are whole and nobody failed to answer), nominal ones as Categoricals of
    their labels; `<item>_correct` for recall items and `recalled_all`; then the derived variables:
    means as floats, maps and cuts as Categoricals.
    Free texts, consent and attention items, and columns of the platform are left behind.
    """
    instrument = registration.instrument
    result: dict[str, object] = {RESPONDENT: _serial(frame, registration)}
    if registration.weighting and registration.weighting.column:
        result[WEIGHT] = _weights(frame[registration.weighting.column])
    for name, factor in registration.design.factors.items():
        result[name] = pd.Categorical(frame[name], categories=list(factor.levels))
    points = {}
    for name, item in instrument.items.items():
        scale = instrument.scales[item.scale]
        if item.role in ("consent", "attention", "comment") or scale.kind == "text":
            continue
        codes = frame[name].to_numpy(dtype=float)
        if item.reverse:
            codes = min(scale.labels) + max(scale.labels) - codes
        points[name] = codes
        if scale.kind == "nominal":
            labels = list(scale.labels.values())
            places = pd.Series(codes).map({c: i for i, c in enumerate(scale.labels)})
            result[name] = pd.Categorical.from_codes(places.fillna(-1).astype(int), labels)
        else:
            whole = np.all(codes == np.floor(codes))  # not so where an answer is missing
            result[name] = codes.astype(int) if whole else codes
    result |= _recall(frame, registration)
    for name, derived in instrument.derived.items():
        result[name] = derive(derived, points)
    return pd.DataFrame(result, index=pd.RangeIndex(len(frame)))


def _serial(frame: pd.DataFrame, registration: Registration) -> np.ndarray:
    """Number of the respondent of each row, from 1, in order of appearance."""
    column = registration.design.respondent
    if column is None:
        return np.arange(1, len(frame) + 1)
    keys = frame[column].astype(str).str.strip()
    if (keys == "").any():
        raise LedgerError(
            f"column {column}", found=f"{int((keys == '').sum())} rows that are nobody's",
            expected="the respondent of each row", mend="fill the cells, or exclude the rows",
        )
    return pd.factorize(keys)[0] + 1


def _weights(cells: pd.Series) -> np.ndarray:
    """Weights as numbers, each above zero."""
    weights = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float)
    wrong = ~(np.isfinite(weights) & (weights > 0))
    if wrong.any():
        raise LedgerError(
            f"column {cells.name}", found=f"{int(wrong.sum())} rows without a weight above zero",
            expected="a weight in each row", mend="fill the cells, or exclude the rows",
        )
    return weights


def _recall(frame: pd.DataFrame, registration: Registration) -> dict[str, np.ndarray]:
    """Whether each assigned level was recalled; no answer counts as not recalled."""
    result = {}
    for name, item in registration.instrument.items.items():
        if item.recalls:
            named = frame[name].map(item.answers)
            result[f"{name}_correct"] = (named == frame[item.recalls].astype(object)).to_numpy()
    if result:
        result["recalled_all"] = np.all(list(result.values()), axis=0)
    return result


def derive(rule: Derived, points: dict[str, np.ndarray]) -> np.ndarray | pd.Categorical:
    """A mean (NaN unless all its items are answered), or groups by a map of codes or a cut."""
    if rule.mean:
        return np.mean([points[name] for name in rule.mean], axis=0)
    values = points[rule.of]
    if rule.map:
        table = {code: label for label, codes in rule.map.items() for code in codes}
        return pd.Categorical([table.get(v) for v in values.tolist()], categories=list(rule.map))
    labels, bounds = list(rule.cut), list(rule.cut.values())
    place = np.searchsorted(bounds, values, side="right") - 1
    return pd.Categorical.from_codes(np.where(np.isnan(values), -1, place), labels)


def labelled(
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
