"""A small study of 150 simulated respondents, and a notebook that records what is registered."""

import shutil
from pathlib import Path

from claimledger.simulation.platform_file import export

ROOT = Path(__file__).resolve().parents[2]
DATA = "data/raw/answers.csv"
TURN = 'rows["corrective"] = 6 - rows["corrective"]'
HONEST = """
import json, pathlib
import numpy as np, pandas as pd
import statsmodels.formula.api as smf
from statsmodels.stats.multitest import multipletests
from claimledger import tost, verdicts
from claimledger.ledger.audit import groups

def fit(h, rows=None):
    if h.frame == "stacked":
        return smf.ols(h.model, study.stacked(h.stack, h.sample)).fit()
    rows = study.sample(h.sample) if rows is None else rows
    return smf.ols(h.model, rows).fit(cov_type="HC2", use_t=True)

def decide(table):
    table["p_adjusted"] = multipletests(table["p"], method="holm")[1]
    table["p_equivalence"] = multipletests(tost(table), method="holm")[1]
    table["verdict"] = verdicts(table)
    return table

def table_of(group, fits=None):
    own = groups(study.registration)[group]
    same = fits or ({h.id: fit(h) for h in own} if len(own) > 1 else fit(own[0]))
    stacked = own[0].frame == "stacked"
    who = study.stacked(own[0].stack, own[0].sample)["respondent"] if stacked else None
    return decide(study.results(same, group, groups=who))

def rest(*done):
    for group in groups(study.registration):
        if group not in done:
            study.record(group, table_of(group))
"""


def write_study(place: Path) -> Path:
    """The paper's registration, answers to it, and settings that name one notebook, `a`."""
    (place / "data/raw").mkdir(parents=True)
    for name in ("registration.yml", "registration.lock", "data/population-margins.csv",
                 "data/simulation.yml"):
        shutil.copy(ROOT / name, place / name)
    export(place / DATA, place / "registration.yml", place / "data" / "simulation.yml",
           "published", 5, 150)
    (place / "_quarto.yml").write_text(
        f"ledger: {{registration: registration.yml, data: {DATA}, seed: 3, lint: []}}\n"
        "manuscript:\n  notebooks:\n    - notebook: build/notebooks/a.ipynb\n")
    return place
