"""How often each verdict comes out: the registered analysis on many simulated surveys."""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from patsy import PatsyError

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis, Registration
from claimledger.simulation.assumptions import Simulation, load_simulation
from claimledger.simulation.calibration import Latent, calibrate
from claimledger.simulation.respondents import intervals
from claimledger.simulation.simulate import draw_outcomes
from claimledger.statistics.balance import covariate_matrix
from claimledger.statistics.batch import Analysis
from claimledger.statistics.decision import HYPOTHESIS
from claimledger.statistics.diagnose import diagnose
from claimledger.statistics.linear import adjusted
from claimledger.statistics.specification_curve import OPTIONS
from claimledger.survey.recoding import sample_rows


class Rates(NamedTuple):
    """verdicts: one row a hypothesis, one column a verdict; supported_any: (rate, se) by family.

    `supported_any` also has the key `any`: at least one hypothesis of the whole paper.
    """

    verdicts: pd.DataFrame
    supported_any: dict[str, tuple[float, float]]


def verdict_rates(
    study, world: str, simulations: int, workers: int = 1, *, covariates: str = "none",
    weights: str = "none",
) -> Rates:
    """Run the registered analysis on `simulations` surveys with this sample's assignment.

    covariates (none, lin) and weights (none, raked): as in `multiverse`. This sample's weights,
    and its background where an analysis uses covariates, are held fixed like its assignment, and
    its people's answers lean on their background; else everyone's answers are drawn afresh.
    """
    registration, frame = study.registration, study.frame
    simulation = load_simulation(study.run.root / "data" / "simulation.yml", registration)
    analyses = registered_analyses(
        registration, simulation, frame, covariates,
        study.survey.weights.to_numpy() if weighs(registration, weights) else None,
    )
    latent = calibrate(registration, simulation, simulation.world(world))
    draw = Draw.of(registration, simulation, latent, frame, leans(registration, covariates))
    result = diagnose(analyses, draw, simulations, study.run.seed, workers=workers)
    verdicts = result.verdicts.pivot(index="id", columns="verdict", values="rate")
    verdicts = verdicts.reindex(index=[a.id for a in analyses], columns=list(HYPOTHESIS)).fillna(0)
    return Rates(verdicts, result.supported_any)


@dataclass(frozen=True)
class Draw:
    """Draws items and the indices made from them under one assignment; can be sent to a worker.

    cells : (n,) of the design; means : (indices, items). With `background`, as `draw_outcomes`
    takes it, items and indices follow once more, leaning on the background.
    """

    latent: Latent
    cells: np.ndarray
    means: np.ndarray
    background: np.ndarray | None = None

    @classmethod
    def of(
        cls, registration: Registration, simulation: Simulation, latent: Latent,
        frame: pd.DataFrame, lean: bool,
    ) -> "Draw":
        """For the assignment of a frame, and its background where analyses lean on it."""
        codes = [pd.Categorical(frame[f], levels).codes for f, levels in latent.factors.items()]
        means = index_weights(registration, simulation)
        background = intervals(registration, simulation, frame) if lean else None
        return cls(latent, latent.cell(np.array(codes)), means, background)

    @property
    def mix(self) -> np.ndarray:
        """Weights (outcomes, items) that make the outcomes."""
        once = np.vstack([np.eye(self.means.shape[1]), self.means])
        return once if self.background is None else np.vstack([once, once])

    def __call__(self, rng: np.random.Generator, simulations: int) -> np.ndarray:
        """Outcomes (simulations, outcomes, n)."""
        means, parts = self.means.astype(np.float32), []
        for background in [None] if self.background is None else [None, self.background]:
            drawn = draw_outcomes(self.latent, self.cells, rng, simulations, background)
            drawn = drawn.astype(np.float32)
            parts += [drawn, means @ drawn]
        return np.concatenate(parts, axis=1)


def weighs(registration: Registration, weights: str) -> bool:
    """Whether an analysis needs weights: because they are asked for, or registered."""
    _check_option("weights", weights)
    return weights == "raked" or any(h.weighted for h in registration.hypotheses)


def leans(registration: Registration, covariates: str) -> bool:
    """Whether an analysis uses the background: asked for, or named by a registered model."""
    _check_option("covariates", covariates)
    return any(_leans(registration, h, covariates) for h in registration.hypotheses)


def _leans(registration: Registration, h: Hypothesis, covariates: str) -> bool:
    """The same of one analysis; a comparison within respondents has no covariates."""
    known = {*registration.instrument.items, *registration.instrument.derived}
    named = known & set(re.findall(r"\w+", h.model.partition("~")[2]))
    return h.frame != "stacked" and (covariates == "lin" or bool(named))


def _check_option(name: str, option: str) -> None:
    if option not in OPTIONS[name]:
        raise LedgerError(
            f"{name}", found=option, expected=" or ".join(OPTIONS[name]), mend="correct the name"
        )


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
    registration: Registration, simulation: Simulation, frame: pd.DataFrame,
    covariates: str = "none", weights: np.ndarray | None = None,
) -> list[Analysis]:
    """Every hypothesis as an `Analysis` on the stack of items followed by the indices.

    frame : the assigned factors, a row a respondent (or a row a cell of the design), with the
    background where a model or the adjustment (covariates: lin) uses it. weights : (n,) or None.
    Analyses that use the background take the second half of the stack; see `Draw`.
    """
    stack = [*simulation.outcomes, *index_names(registration)]
    return [
        _analysis(registration, frame, h, stack, covariates, weights)
        for h in registration.hypotheses
    ]


def _analysis(registration: Registration, frame, h: Hypothesis, stack: list[str], covariates: str,
              weights) -> Analysis:
    rows = sample_rows(registration, frame, h.sample)
    common = dict(
        id=h.id, family=h.family, direction=1 if h.direction == "positive" else -1,
        sesoi_sd=h.sesoi, correction=registration.families[h.family].correction, weights=weights,
    )
    if h.frame == "profiles" or h.vcov != ("CR2" if h.frame == "stacked" else "HC2"):
        raise LedgerError(
            f"hypothesis {h.id}", found=f"a model of {h.frame} with {h.vcov}",
            expected="HC2 of respondents, or CR2 of items stacked within them",
            mend="such an analysis cannot be diagnosed",
        )
    if h.frame == "stacked":
        mixture = np.zeros(len(stack))
        for term, weight in h.contrast.items():
            mixture[stack.index(re.fullmatch(r"item\[(\w+)\]", term).group(1))] = weight
        inside = frame.index.isin(rows.index)
        return Analysis(X=None, contrast=np.ones(1), rows=inside, outcome=mixture, **common)
    try:
        model = smf.ols(h.model, data=rows.assign(**{h.outcome: 0.0}))
    except PatsyError as error:
        raise LedgerError(
            f"{h.id}: {h.model}", found=str(error).splitlines()[0],
            expected="a model of the assigned factors, " + ", ".join(registration.design.factors),
            mend="a model of what is not asked before the treatment cannot be simulated",
        ) from None
    used = model.data.row_labels  # a missing covariate leaves its row out
    design = pd.DataFrame(model.exog, columns=model.exog_names, index=used)
    inside = frame.index.isin(used)
    if covariates == "lin":
        own = None if weights is None else np.asarray(weights)[inside]
        design = adjusted(design, covariate_matrix(rows.loc[used], registration), own)
    missing = set(h.contrast) - set(design)
    if missing:
        raise LedgerError(h.id, found=", ".join(missing), expected=", ".join(model.exog_names))
    X = np.zeros((len(frame), design.shape[1]))
    X[inside] = design
    contrast = np.array([h.contrast.get(name, 0.0) for name in design])
    outcome = stack.index(h.outcome) + len(stack) * _leans(registration, h, covariates)
    return Analysis(X=X, contrast=contrast, rows=inside, outcome=outcome, **common)
