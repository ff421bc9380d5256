"""The registered results of the paper from the raw exports, without a line of the engine.

Its own reading of the file, its own exclusions, indices, estimators, corrections and rule, written
from the words of registration.yml. Comparisons within respondents are paired t tests, comparisons
of arms have the variances of the arms, the moderators least squares with HC2 by its formula.

    make replicate        # prints claim by claim what agrees with results/ledger.json
"""

import json
import sys
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


ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Result:
    """One claim: estimate and standard error in points, SD of the outcome, verdict."""

    estimate: float
    se: float
    df: float
    sd: float
    sign: int = 0  # as registered; 0 for a comparison without a direction
    n: int = 0
    p_adjusted: float = 1.0
    p_equivalence: float = 1.0
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
    """All registered hypotheses and comparisons with their verdicts."""
    rows = answers(path)
    ally = rows[rows["misalignment"] != "control"]
    five = points(ally, ["no_action", *MEASURES])
    five = five[~np.isnan(five).any(axis=1)]  # who rated all five
    none, shaming, aid, sanctions, ending = range(5)
    families = {
        "H1": {
            "H1a": paired(five, {shaming: 0.25, aid: 0.25, sanctions: 0.25, ending: 0.25, none: -1},
                          1),
            "H1b": paired(five, {aid: 0.5, sanctions: 0.5, shaming: -1}, 1),
        },
        "measures": {
            f"measures.{one}.{other}": paired(five, {i: 1, k: -1})
            for i, one in enumerate(["no_action", *MEASURES])
            for k, other in enumerate(["no_action", *MEASURES]) if i < k
        },
        "H3": moderators(ally),
    }
    views, support = (arm_means(rows, items) for items in (
        ["favourable", "trust", "reliability"], ["troops", "spending", "commitment"]))
    corrective = arm_means(ally, MEASURES)
    average = dict.fromkeys(KINDS, 0.25) | {"control": -1}
    families["H2"] = {"H2a": between(views, average, -1), "H2b": between(support, average, -1)}
    for id, arms in (("H2a.kind", views), ("H2b.kind", support)):
        families[id] = {f"{id}.{k}": between(arms, {k: 1, "control": -1}) for k in KINDS}
    for id, arms in (("H2a.between", views), ("corrective.between", corrective)):
        families[id] = {f"{id}.{a}.{b}": between(arms, {a: 1, b: -1})
                        for i, a in enumerate(KINDS) for b in KINDS[i + 1:]}
    for family in families.values():
        decide(list(family.values()))
    return {id: result for family in families.values() for id, result in family.items()}


def real(path: Path) -> dict[str, Result]:
    """The re-analysis of Tomz and Weeks (2013), from their file."""
    rows = pd.read_csv(path)
    one, democ, ally, trade = np.ones(len(rows)), rows["democ"], rows["ally"], rows["trade"]
    upper = (rows["p1"] >= 0).astype(float)  # the index is centered
    y, main = rows["strike"].to_numpy(dtype=float), [one, democ, ally, trade]
    families = [
        hc2(y, main, {"TW.regime": 1, "TW.alliance": 2}, -1),
        hc2(y, [*main, democ * ally], {"TW.together.signed": 4}),
        hc2(y, [*main, upper, democ * upper], {"TW.regime.party.upper": 5}),
        hc2(y, [*main, upper, ally * upper], {"TW.alliance.party.upper": 5}),
    ]
    for family in families:
        decide(list(family.values()))
    return {id: result for family in families for id, result in family.items()}


def paired(ratings: np.ndarray, weights: dict[int, float], sign: int = 0) -> Result:
    """Each respondent's own weighted difference against zero; SD of the ratings compared."""
    own = sum(w * ratings[:, k] for k, w in weights.items())
    sd = ratings[:, list(weights)].std(ddof=1)
    return Result(own.mean(), own.std(ddof=1) / np.sqrt(len(own)), len(own) - 1, sd, sign, len(own))


def arm_means(rows: pd.DataFrame, items: list[str]) -> dict[str, np.ndarray]:
    """The index (mean of the items, all answered) of the respondents in each arm."""
    index = points(rows, items).mean(axis=1)
    return {arm: index[(rows["misalignment"] == arm) & ~np.isnan(index)]
            for arm in rows["misalignment"].unique()}


def between(arms: dict[str, np.ndarray], weights: dict[str, float], sign: int = 0) -> Result:
    """A weighted sum of the arms' means, each with its own variance."""
    everyone = np.concatenate(list(arms.values()))
    estimate = sum(w * arms[arm].mean() for arm, w in weights.items())
    variance = sum(w**2 * arms[arm].var(ddof=1) / len(arms[arm]) for arm, w in weights.items())
    n = len(everyone)
    return Result(estimate, variance**0.5, n - len(arms), everyone.std(ddof=1), sign, n)


def moderators(ally: pd.DataFrame) -> dict[str, Result]:
    """Regime, capability and treaty in one regression with the kind of misalignment."""
    y = points(ally, MEASURES).mean(axis=1)
    columns = [np.ones(len(ally)), *((ally["misalignment"] == kind) for kind in KINDS[1:])]
    columns += [ally["regime"] == "democracy", ally["capability"] == "strong"]
    columns.append(ally["treaty"] == "signed")
    return hc2(y, columns, {"H3a": 4, "H3b": 5, "H3c": 6}, -1)


def hc2(y: np.ndarray, columns: list, places: dict[str, int], sign: int = 0) -> dict[str, Result]:
    """Least squares: residuals squared, each over one minus its leverage, in the sandwich."""
    X = np.array(columns, dtype=float).T
    X, y = X[~np.isnan(y)], y[~np.isnan(y)]
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ X.T @ y
    leverage = np.sum((X @ bread) * X, axis=1)
    meat = X.T @ (X * ((y - X @ beta) ** 2 / (1 - leverage))[:, None])
    se = np.sqrt(np.diag(bread @ meat @ bread))
    df, sd = len(y) - X.shape[1], y.std(ddof=1)
    return {id: Result(beta[k], se[k], df, sd, sign, len(y)) for id, k in places.items()}


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
        result.p_adjusted, result.p_equivalence = p, tost
        if p < ALPHA and result.sign:
            registered = np.sign(result.estimate) == result.sign
            result.verdict = "supported" if registered else "refuted"
        elif p < ALPHA:
            result.verdict = "higher" if result.estimate > 0 else "lower"
        else:
            result.verdict = "negligible" if tost < ALPHA else "undecided"


def main() -> int:
    """Print each claim beside the ledger's; 1 where one differs or is missing."""
    ledger = json.loads((ROOT / "results/ledger.json").read_text(encoding="utf-8"))
    found = results(ROOT / ledger["header"]["data"]["file"])
    peace = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "data/external/peace.csv"
    found |= real(peace) if peace.is_file() else {}
    wrong = 0
    for id, mine in found.items():
        entry = ledger["entries"].get(id, {})
        theirs = [entry.get("value"), entry.get("se"), entry.get("p_adjusted"),
                  entry.get("equivalence", {}).get("p_adjusted"), entry.get("n")]
        ours = [mine.estimate, mine.se, mine.p_adjusted, mine.p_equivalence, mine.n]
        near = None not in theirs and np.allclose(theirs, ours, rtol=1e-6, atol=1e-9)
        agrees = near and entry.get("verdict") == mine.verdict
        wrong += not agrees
        print(f"{'agrees ' if agrees else 'DIFFERS'} {id:<50} {mine.estimate:+.4f}  "
              f"se {mine.se:.4f}  p {mine.p_adjusted:.4f}  {mine.verdict}"
              + ("" if agrees else f"   ledger: {entry.get('value')}, {entry.get('verdict')}"))
    registered = {id for id, e in ledger["entries"].items() if e["status"] == "registered"
                  and e.get("decision") in ("hypothesis", "comparison")}
    left = sorted(registered - found.keys())
    print(f"{len(found) - wrong} of {len(found)} registered results agree"
          + (f"; not computed here: {', '.join(left)}" if left else ""))
    return int(bool(wrong or [id for id in left if not id.startswith("TW.")]))


if __name__ == "__main__":
    sys.exit(main())
