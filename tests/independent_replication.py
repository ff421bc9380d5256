"""The verdicts of all hypotheses from the raw export, without a line of the engine.

Its own reading of the file, its own exclusions, indices, estimators, corrections and rule, written
from the words of registration.yml. H1 is a paired t test, H2 a contrast of arm means with their own
variances, H3 least squares with HC2 by its formula.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

ALPHA, BOUND = 0.05, 0.20
KINDS = ["underspending", "rival_arms", "refused_operation", "blocked_accession"]
MEASURES = ["public_shaming", "cut_military_aid", "economic_sanctions", "end_alliance"]
POINTS = [  # the labels of each scale, from 1 to 5
    ["Strongly oppose", "Somewhat oppose", "Neither support nor oppose", "Somewhat support",
     "Strongly support"],
    ["Very unfavorable", "Somewhat unfavorable", "Neither favorable nor unfavorable",
     "Somewhat favorable", "Very favorable"],
    ["Not at all", "A little", "Somewhat", "Quite a lot", "Completely"],
    ["Decrease a lot", "Decrease a little", "Keep as it is", "Increase a little", "Increase a lot"],
]
POINT = {label: i for labels in POINTS for i, label in enumerate(labels, start=1)}


@dataclass
class Result:
    """One hypothesis: estimate and standard error in points, SD of the outcome, verdict."""

    estimate: float
    se: float
    df: float
    sd: float
    sign: int  # as registered
    verdict: str = ""


def answers(path: Path) -> pd.DataFrame:
    """The respondents that the registered exclusions leave; two header rows are skipped."""
    raw = pd.read_csv(path, dtype=str, keep_default_na=False, skiprows=[1, 2])
    raw = raw[raw["Status"] != "Survey Preview"]
    raw = raw[raw["consent"] == "I agree to take part"]
    raw = raw[raw["eligible"] == "Yes"]
    raw = raw[raw["attention"] == "Blue"]
    raw = raw[raw["Finished"] == "True"]
    raw = raw[raw["Duration (in seconds)"].astype(int) >= 120]
    seen: set[str] = set()
    first = [not (key in seen or seen.add(key)) for key in raw["panel_id"]]
    return raw[first].reset_index(drop=True)


def points(rows: pd.DataFrame, items: list[str]) -> np.ndarray:
    """Answers as 1 to 5, NaN where there is none."""
    return np.array([[POINT.get(cell, np.nan) for cell in rows[item]] for item in items]).T


def results(path: Path) -> dict[str, Result]:
    """All registered hypotheses with their verdicts."""
    rows = answers(path)
    ally = rows[rows["misalignment"] != "control"]
    found = {
        "H1a": paired(points(ally, [*MEASURES, "no_action"]), [0.25] * 4 + [-1]),
        "H1b": paired(
            points(ally, ["cut_military_aid", "economic_sanctions", "public_shaming"]),
            [0.5, 0.5, -1],
        ),
        "H2a": against_control(rows, ["favourable", "trust", "reliability"]),
        "H2b": against_control(rows, ["troops", "spending", "commitment"]),
    }
    found |= moderators(ally)
    for family in ("H1", "H2", "H3"):
        decide([result for id, result in found.items() if id.startswith(family)])
    return found


def paired(values: np.ndarray, weights: list[float]) -> Result:
    """Each respondent's own weighted difference, tested against zero; SD of all ratings compared.

    Who did not rate all of them is left out, so numbers are near the ledger's and not equal.
    """
    own, rated = values @ np.array(weights), values[~np.isnan(values)]
    own = own[~np.isnan(own)]
    se = own.std(ddof=1) / np.sqrt(len(own))
    return Result(own.mean(), se, len(own) - 1, rated.std(ddof=1), 1)


def against_control(rows: pd.DataFrame, items: list[str]) -> Result:
    """Mean of the four kinds' means minus the mean under control."""
    index = points(rows, items).mean(axis=1)
    arms = [index[(rows["misalignment"] == arm) & ~np.isnan(index)] for arm in [*KINDS, "control"]]
    weights = [0.25] * 4 + [-1]
    estimate = sum(w * arm.mean() for w, arm in zip(weights, arms, strict=True))
    variance = sum(w**2 * arm.var(ddof=1) / len(arm) for w, arm in zip(weights, arms, strict=True))
    everyone = np.concatenate(arms)
    return Result(estimate, variance**0.5, len(everyone) - 5, everyone.std(ddof=1), -1)


def moderators(ally: pd.DataFrame) -> dict[str, Result]:
    """Regime, capability and treaty in one regression with the kind of misalignment; HC2."""
    y = points(ally, MEASURES).mean(axis=1)
    columns = [np.ones(len(ally)), *((ally["misalignment"] == kind) for kind in KINDS[1:])]
    columns += [ally["regime"] == "democracy", ally["capability"] == "strong"]
    X = np.array([*columns, ally["treaty"] == "signed"], dtype=float).T
    X, y = X[~np.isnan(y)], y[~np.isnan(y)]
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ X.T @ y
    leverage = np.diag(X @ bread @ X.T)
    meat = X.T @ np.diag((y - X @ beta) ** 2 / (1 - leverage)) @ X
    se = np.sqrt(np.diag(bread @ meat @ bread))
    df, sd = len(y) - X.shape[1], y.std(ddof=1)
    places = {"H3a": 4, "H3b": 5, "H3c": 6}
    return {id: Result(beta[k], se[k], df, sd, -1) for id, k in places.items()}


def step_down(p: list[float]) -> list[float]:
    """Holm: the smallest times m, the next times m - 1, never less than the one before."""
    order, adjusted, reached = sorted(range(len(p)), key=lambda i: p[i]), [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        reached = max(reached, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = reached
    return adjusted


def decide(family: list[Result]) -> None:
    """The criteria in the words of the registration, in their order."""
    zero = [2 * stats.t.sf(abs(r.estimate / r.se), r.df) for r in family]
    small = [
        max(stats.t.sf((r.estimate + BOUND * r.sd) / r.se, r.df),
            stats.t.cdf((r.estimate - BOUND * r.sd) / r.se, r.df)) for r in family
    ]
    for result, p, tost in zip(family, step_down(zero), step_down(small), strict=True):
        if p < ALPHA:
            registered = np.sign(result.estimate) == result.sign
            result.verdict = "supported" if registered else "refuted"
        else:
            result.verdict = "negligible" if tost < ALPHA else "undecided"
