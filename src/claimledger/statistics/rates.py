"""How often each verdict comes out: the registered analysis on many simulated surveys."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from patsy import PatsyError

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis, Registration
from claimledger.statistics.batch import Analysis
from claimledger.statistics.decision import HYPOTHESIS
from claimledger.statistics.diagnose import diagnose
from claimledger.survey.latent import Latent, calibrate
from claimledger.survey.recode import sample_rows
from claimledger.survey.simulate import draw_outcomes
from claimledger.survey.world import Simulation, load_simulation


class Rates(NamedTuple):
    """verdicts: one row a hypothesis, one column a verdict; supported_any: (rate, se) by family.

    `supported_any` also has the key `any`: at least one hypothesis of the whole paper.
    """

    verdicts: pd.DataFrame
    supported_any: dict[str, tuple[float, float]]


def verdict_rates(study, world: str, simulations: int, workers: int = 1) -> Rates:
    """Run the registered analysis on `simulations` surveys with this sample's assignment."""
    simulation = load_simulation(study.run.root / "data" / "simulation.yml", study.registration)
    analyses = registered_analyses(study.registration, simulation, study.frame)
    latent = calibrate(study.registration, simulation, simulation.world(world))
    means = index_weights(study.registration, simulation)
    draw = _Draw(latent, study.frame[list(latent.factors)], means)
    result = diagnose(analyses, draw, simulations, study.run.seed, workers=workers)
    verdicts = result.verdicts.pivot(index="id", columns="verdict", values="rate")
    verdicts = verdicts.reindex(index=[a.id for a in analyses], columns=list(HYPOTHESIS)).fillna(0)
    return Rates(verdicts, result.supported_any)


class _Draw:
    """Items of fresh respondents, and the indices made from them; can be sent to a worker."""

    def __init__(self, latent: Latent, frame: pd.DataFrame, means: np.ndarray):
        self.latent, self.frame, self.means = latent, frame, means.astype(np.float32)

    def __call__(self, rng: np.random.Generator, simulations: int) -> np.ndarray:
        answers = draw_outcomes(self.latent, self.frame, rng, simulations).astype(np.float32)
        return np.concatenate([answers, self.means @ answers], axis=1)


def index_weights(registration: Registration, simulation: Simulation) -> np.ndarray:
    """Weights (indices, items) that make each registered index the mean of its items."""
    items = list(simulation.outcomes)
    weights = np.zeros((len(index_names(registration)), len(items)))
    for row, name in zip(weights, index_names(registration), strict=True):
        members = registration.instrument.derived[name].mean
        row[[items.index(item) for item in members]] = 1 / len(members)
    return weights


def index_names(registration: Registration) -> list[str]:
    """Derived variables that are means of items."""
    return [name for name, d in registration.instrument.derived.items() if d.mean]


def registered_analyses(
    registration: Registration, simulation: Simulation, frame: pd.DataFrame
) -> list[Analysis]:
    """Every hypothesis as an `Analysis` on the stack of items followed by the indices.

    frame : the assigned factors, a row a respondent (or a row a cell of the design).
    """
    stack = [*simulation.outcomes, *index_names(registration)]
    return [_analysis(registration, frame, h, stack) for h in registration.hypotheses]


def _analysis(registration: Registration, frame, h: Hypothesis, stack: list[str]) -> Analysis:
    rows = sample_rows(registration, frame, h.sample)
    inside = frame.index.isin(rows.index)
    common = dict(
        id=h.id, family=h.family, rows=inside, direction=1 if h.direction == "positive" else -1,
        sesoi_sd=h.sesoi, correction=registration.families[h.family].correction,
    )
    if h.frame == "stacked":
        weights = np.zeros(len(stack))
        for term, weight in h.contrast.items():
            weights[stack.index(re.fullmatch(r"item\[(\w+)\]", term).group(1))] = weight
        return Analysis(X=None, contrast=np.ones(1), outcome=weights, **common)
    try:
        model = smf.ols(h.model, data=rows.assign(**{h.outcome: 0.0}))
    except PatsyError as error:
        raise LedgerError(
            f"{h.id}: {h.model}", found=str(error).splitlines()[0],
            expected="a model of the assigned factors, " + ", ".join(registration.design.factors),
            mend="a model with other variables cannot be simulated from the design alone",
        ) from None
    missing = set(h.contrast) - set(model.exog_names)
    if missing:
        raise LedgerError(h.id, found=", ".join(missing), expected=", ".join(model.exog_names))
    X = np.zeros((len(frame), model.exog.shape[1]))
    X[inside] = model.exog
    contrast = np.array([h.contrast.get(name, 0.0) for name in model.exog_names])
    return Analysis(X=X, contrast=contrast, outcome=stack.index(h.outcome), **common)
