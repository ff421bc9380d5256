"""Diagnosis of analyses with covariates or weights: one survey, held fixed but for its answers.

People, their background and weights, and the assignment are those of one simulated survey of the
size asked. The analyses then share their designs over all experiments. Where an analysis uses
covariates, answers lean on them as the simulation assumes; where it does not, the background is
part of the variation between people, as it is in a new sample.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Simulation, World
from claimledger.simulation.respondents import Simulator
from claimledger.simulation.simulate import to_frame
from claimledger.statistics.batch import Batch
from claimledger.statistics.experiments import Family, check_asked, families_of, judge
from claimledger.statistics.rates import Draw, leans, registered_analyses, weighs
from claimledger.survey.recoding import recode
from claimledger.survey.weighting import rake_as_registered


@dataclass(frozen=True)
class Fixed:
    """A simulated survey and its analyses; can be sent to a worker.

    families : over its n respondents; batch : their analyses, in the same order; draw : answers.
    """

    families: tuple[Family, ...]
    batch: Batch
    draw: Draw

    @classmethod
    def of(
        cls, registration: Registration, simulation: Simulation, n: int, seed: int, root: Path,
        covariates: str = "none", weights: str = "none",
    ) -> "Fixed":
        """Simulate a survey of n people without effects, and its analyses with these options.

        root : the project's, where the margins lie that weights are raked to.
        """
        simulator = Simulator(registration, simulation, World(label="no effect", default=0))
        drawn = simulator.draw(np.random.default_rng([seed, n]), n)
        people = recode(to_frame(drawn, registration), registration)
        raked = None
        if weighs(registration, weights):
            raked = rake_as_registered(people, registration, root).weights.to_numpy()
        analyses = registered_analyses(registration, simulation, people, covariates, raked)
        lean = leans(registration, covariates)
        draw = Draw.of(registration, simulation, simulator.latent, people, lean)
        asked = simulator.latent.asked[draw.cells]
        for a in analyses:
            check_asked(a, draw.mix[a.items].any(axis=0), asked)
        families = families_of(
            registration, simulation, analyses, [0] * len(analyses), draw.mix
        )
        return cls(families, Batch([a for family in families for a in family.members]), draw)

    def results(self, rng: np.random.Generator, n: int, size: int, effects) -> list[tuple]:
        """What `judge` returns of each family; see `experiments.Design`."""
        values = np.asarray(self.draw(rng, size), dtype=float)
        base, error, _ = self.batch.estimate(values)
        df = np.broadcast_to([a.df for a in self.batch.analyses], base.shape)
        # Each respondent is a cell of one: then the spread needs no other formula.
        count, within = np.ones((size, n)), np.broadcast_to(0.0, values.shape)
        found, first = [], 0
        for family in self.families:
            at = slice(first, first + len(family.members))
            own = base[:, at], error[:, at], df[:, at]
            found.append(judge(family, effects, *own, count, values, within))
            first = at.stop
        return found
