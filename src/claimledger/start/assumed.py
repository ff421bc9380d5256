"""Assumptions for the first simulated answers of a study, to be replaced by somebody who knows."""

import re

import numpy as np
import pandas as pd

from claimledger.registration.models import Item, Registration, Scale
from claimledger.simulation.assumptions import drawn
from claimledger.simulation.platform_file import DURATION
from claimledger.survey.qualtrics import further
from claimledger.survey.recoding import derivation_order, derive
from claimledger.templates import fill

_EFFECT = 0.25       # of each level, in SD of the answers: invented
_SPREAD = 0.4        # between items that are compared within respondents, in points


def assumptions(registration: Registration) -> str:
    """The text of `data/simulation.yml`: middling answers, small effects, three worlds."""
    items = registration.instrument.items
    stacked = _stacked(registration)
    outcomes = {name: item for name, item in items.items()
                if item.role == "outcome" and registration.scale_of(name).kind != "text"}
    parts = {
        "background": {name: _margin(registration.scale_of(name))
                       for name, item in items.items() if item.role == "background"},
        "outcomes": {
            name: _outcome(registration, name, stacked.get(name, 0.0)) for name in outcomes},
        "spreads": {"items": list(stacked)} if len(stacked) > 1 else {},
        "effects": {key: effect for name in registration.design.factors
                    for key, effect in _effects(registration, name, outcomes).items()},
        "columns": {name: column for name in further(registration)
                    if (column := _column(registration, name))}}
    return fill(
        "parts/simulation.yml", parts=parts, several=registration.design.rows > 1,
        recalled={name: 0.92 for name, item in items.items() if item.recalls},
        extra={rule.id: 0.02 if rule.repeats or rule.column in (
            *items, "Finished", "Status", DURATION) else 0 for rule in registration.exclusions})


def _column(registration: Registration, name: str) -> dict:
    """A column that no question makes: groups of the design or of the sample, weights, or a value.

    None (empty) of the respondents' own column, which is made with them.
    """
    design, sample = registration.design, registration.weighting
    if name == design.respondent:
        return {}
    owners = [(design.clusters, design.blocks)]
    owners += [(sample.clusters, sample.strata)] if sample else []
    for clusters, outer in owners:
        if name == clusters:
            return {"groups": 40} | ({"inside": outer} if outer else {}) | {"alike": 0.05}
        if name == outer:
            return {"groups": 4}
    if sample and name == sample.column:
        return {"log_sd": 0.3}
    rules = [rule for rule in registration.exclusions if rule.column == name]
    value = next((x for rule in rules for x in rule.differs_from), None)
    if value is None:      # something that no rule drops
        lowest = [rule.below for rule in rules if rule.below is not None]
        highest = [rule.above for rule in rules if rule.above is not None]
        value = max(lowest) if lowest else min(highest, default="none")
    return {"value": value}


def _margin(scale: Scale) -> dict:
    if scale.labels:
        return {"shares": {code: 1 for code in scale.labels}}
    low, high = int(scale.minimum or 0), int(scale.maximum or 100)
    middle = (2 * low + high) // 3
    bands = {low: 60, middle: 40} if low < middle < high else {low: 100}
    return {"bands": bands, "top": high}


def _stacked(registration: Registration) -> dict[str, float]:
    """Items that are compared within respondents, and how far their means lie from the middle.

    They rise from item to item as the hypotheses predict.
    """
    lean = dict.fromkeys((n for a in registration.analyses() for n in a.stack), 0.0)
    for h in registration.hypotheses:
        for term, weight in h.contrast.items():
            name = re.sub(r"item\[(T\.)?(\w+)\]", r"\2", term)
            if name in lean:
                lean[name] += -weight if h.direction == "negative" else weight
    return {name: _SPREAD * (2 * place / max(1, len(lean) - 1) - 1)
            for place, name in enumerate(sorted(lean, key=lean.__getitem__))}


def _outcome(registration: Registration, name: str, shift: float) -> dict:
    scale = registration.scale_of(name)
    codes = drawn(scale) or [0, 1]
    ends, profiles = (codes[0], codes[-1]), registration.design.profiles or 1
    if codes == [0, 1] and profiles > 1:
        return {"mean": round(1 / profiles, 4), "choice": True}
    middle = sum(ends) / 2 + shift
    if len(codes) == 2:
        return {"mean": round(middle, 2)}
    return {"mean": round(middle, 2), "sd": round((ends[1] - ends[0]) * 0.3, 2)}


def _effects(registration: Registration, factor: str, outcomes: dict[str, Item]) -> dict:
    """Effects of each level on the items, in the directions that hypotheses on them predict.

    Items of which nothing is predicted go with the first hypothesis on the factor; none move where
    no effect, or none that harms, is predicted.
    """
    signs: dict[str | None, int] = {}
    for h in registration.hypotheses:
        weight = next((weight for term, weight in h.contrast.items()
                       if term.startswith(f"{factor}[") and ":" not in term), 0)
        if weight:
            sign = {"negative": -1, "null": 0, "non-inferiority": 0}.get(h.direction, 1)
            sign *= 1 if weight > 0 else -1
            signs.setdefault(None, sign)
            for variable in h.stack or [str(h.outcome)]:
                for item, way in _ways(registration, variable).items():
                    signs.setdefault(item, way * sign)
    asked = [name for name, item in outcomes.items()
             if factor not in registration.samples.get(item.asked, {})]
    levels = list(registration.design.factors[factor].levels)[1:]
    size = min(_EFFECT, round(1 / len(registration.design.factors), 2))      # so that all add up
    found: dict[str, dict] = {}
    for sign in (1, -1):
        items = [name for name in asked if signs.get(name, signs.get(None, 1)) == sign]
        if items:
            found[f"{factor}_down" if found else factor] = {
                "items": items, "factor": factor, "levels": dict.fromkeys(levels, sign * size)}
    return found


def _ways(registration: Registration, variable: str) -> dict[str, int]:
    """Whether a variable rises (1) or falls (-1) with each item that moves it by itself."""
    instrument = registration.instrument
    codes = {name: sorted(scale.labels) or [scale.minimum or 0, scale.maximum or 1]
             for name in instrument.items
             if (scale := registration.scale_of(name)).kind != "text"}
    rows = [(name, code) for name in codes for code in codes[name]]      # the others at their first
    points = {}
    for name, known in codes.items():
        moved = np.array([code if name == one else known[0] for one, code in rows], dtype=float)
        points[name] = known[0] + known[-1] - moved if instrument.items[name].reverse else moved
    for name in derivation_order(registration):
        made = derive(instrument.derived[name], points)
        points[name] = made.codes if isinstance(made, pd.Categorical) else made
    found = {}
    for name in codes:
        pairs = [(code, value) for (one, code), value in zip(rows, points[variable], strict=True)
                 if one == name and not np.isnan(value)]
        slope = np.cov(np.array(pairs, dtype=float).T)[0, 1] if len(pairs) > 1 else 0.0
        found |= {name: int(np.sign(slope))} if abs(slope) > 0 else {}
    return found
