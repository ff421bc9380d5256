"""How often each verdict comes out, by running the whole registered analysis on simulated answers.

`statistics.design_diagnosis` does the same by sums over cells, and faster, for least squares of
respondents and of stacked items. This is for everything else: conjoints, clusters, logit, joint
tests, moderators. Each study is drawn, recoded, estimated and decided as the real one will be.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from claimledger.ledger.audit import Audit, groups
from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Simulation
from claimledger.simulation.respondents import simulate
from claimledger.survey.recoding import WEIGHT, recode
from claimledger.survey.weighting import rake_as_registered


def needs_rehearsal(registration: Registration) -> bool:
    """Whether a hypothesis or the assignment is beyond `design_diagnosis`."""
    design, quick = registration.design, {("HC2", "respondents"), ("CR2", "stacked")}
    whole = design.respondent or design.clusters or design.blocks or design.restrictions
    return bool(whole) or any(
        (h.vcov, h.frame) not in quick or h.estimator != "ols" or h.joint or h.at
        or h.missing != "complete" for h in registration.hypotheses)


def rehearse(
    registration: Registration, simulation: Simulation, root: Path, simulations: int, seed: int,
    sizes: list[int] | None = None, workers: int = 1,
) -> pd.DataFrame:
    """Every claim in every assumed world, over simulated studies of each size (as registered).

    Returns one row for each size, world and claim (columns n, world, id): `estimate`, its mean;
    `sd`, its standard deviation over studies; `se`, the mean standard error; a column for each
    verdict with its share, whose Monte Carlo error is at most 0.5 / sqrt(simulations).
    """
    parts = []
    for n in map(int, sizes or [registration.study.size]):
        for world in simulation.worlds:
            print(f"{simulations} studies of {n}, world {world}", file=sys.stderr)
            table = pd.concat(Parallel(n_jobs=workers)(
                delayed(_study)(registration, simulation, root, world, [seed, number], n)
                for number in range(simulations)))
            made = table.groupby("id", sort=False).agg(
                estimate=("estimate", "mean"), se=("se", "mean"), sd=("estimate", "std"))
            shares = pd.crosstab(table["id"], table["verdict"], normalize="index")
            parts.append(made.join(shares).reset_index().assign(n=n, world=world))
    first = ["n", "world", "id", "estimate", "sd", "se"]
    found = pd.concat(parts, ignore_index=True)
    verdicts = sorted({*found} - {*first})
    return found.fillna(dict.fromkeys(verdicts, 0.0))[[*first, *verdicts]]


def _study(
    registration: Registration, simulation: Simulation, root: Path, world: str, seed: list[int],
    n: int | None,
) -> pd.DataFrame:
    """One study: estimate, se and verdict of each claim."""
    frame = recode(simulate(registration, simulation, world, seed, n), registration)
    raked = WEIGHT not in frame and any(a.weighted for a in registration.analyses())
    weights = rake_as_registered(frame, registration, root).weights if raked else frame.get(WEIGHT)
    audit = Audit(registration, frame, lambda: weights)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tables = [audit.table(group) for group in groups(registration)]
    return pd.concat(tables)[["estimate", "se", "verdict"]].rename_axis("id").reset_index()
