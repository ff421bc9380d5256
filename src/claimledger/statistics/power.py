"""What a design can and cannot say: the registered analysis over sample sizes and effects.

Everything comes from the registration (factors and their probabilities, samples, models, contrasts,
families, criteria) and from the assumed distribution of the answers; see `experiments`. In each
scenario one hypothesis has a true effect and the other members of its family have none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Simulation
from claimledger.statistics.decision import HYPOTHESIS
from claimledger.statistics.experiments import Plan, experiments, truth
from claimledger.statistics.fixed import Fixed
from claimledger.statistics.rates import leans, weighs
from claimledger.statistics.tally import proportion, run, summarise

MULTIPLES = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 1, 4 / 3, 2, 4)  # of the registered size
EFFECTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
_IN_SD = ("bias", "rmse", "mean_se")


@dataclass(frozen=True)
class PowerGrid:
    """Result of `power_grid`.

    n : (sizes,); d : (effects,) in SD of the analysed outcome without effects, in the registered
    direction; values, mcse : for each hypothesis and quantity (those of `tally.summarise`, the
    verdicts by name, and fwer: a true null of the family rejected) an array (sizes, effects), NaN
    where it is not defined.
    """

    n: tuple[int, ...]
    d: tuple[float, ...]
    simulations: int
    families: dict[str, str]
    values: dict[str, dict[str, np.ndarray]]
    mcse: dict[str, dict[str, np.ndarray]]
    covariates: str = "none"
    weights: str = "none"

    def at(self, n: int) -> pd.DataFrame:
        """One row for each hypothesis and effect at one sample size, every quantity a column."""
        where = self.n.index(n)
        parts = []
        for id, found in self.values.items():
            columns = {"hypothesis": id, "effect": self.d}
            for name, grid in found.items():
                columns |= {name: grid[where], f"{name}_mcse": self.mcse[id][name][where]}
            parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def detectable(self, id: str, power: float = 0.8) -> list[float]:
        """By size the smallest effect found with this power, between grid points interpolated.

        NaN where the largest effect of the grid is too small.
        """
        rows = np.maximum.accumulate(self.values[id]["supported"], axis=1)
        return [
            float(np.interp(power, row, self.d)) if row[-1] >= power else float("nan")
            for row in rows
        ]

    def as_json(self, registration: Registration) -> dict:
        """The grid as plain values, None where not defined: what `fig-power.json` holds."""
        def plain(grids: dict[str, np.ndarray]) -> dict[str, list]:
            return {
                name: [[None if np.isnan(v) else round(float(v), 6) for v in row] for row in grid]
                for name, grid in grids.items()
            }

        return {
            "n": list(self.n), "d": list(self.d), "simulations": self.simulations,
            "covariates": self.covariates, "weights": self.weights,
            "registered_n": registration.study.size,
            "what": "Simulated from the registration; one hypothesis has the effect d (in standard "
                    "deviations of its outcome), the others of its family have none.",
            "hypotheses": {
                id: {
                    "family": self.families[id], "sesoi": registration.hypothesis(id).sesoi,
                    "direction": registration.hypothesis(id).direction,
                    "alpha": registration.families[self.families[id]].alpha,
                    **plain(found), "mcse": plain(self.mcse[id]),
                }
                for id, found in self.values.items()
            },
        }


def power_grid(
    registration: Registration, simulation: Simulation, *, sizes: Sequence[int] | None = None,
    effects: Sequence[float] | None = None, simulations: int = 1000, seed: int = 1,
    workers: int = 1, progress: Callable[[int, int], None] | None = None,
    root: Path = Path(), covariates: str = "none", weights: str = "none",
) -> PowerGrid:
    """Diagnose the registered analysis over sample sizes and effects; see the module.

    covariates (none, lin), weights (none, raked): as in `multiverse`; root: the project's, where
    the margins lie. With either, and where a registered model names covariates, the people of one
    simulated survey of each size are held fixed; see `fixed`.

    The answer depends on the seed and on `simulations`, not on `workers`, the scheduler, or the
    other sizes and effects of the grid. progress : called with experiments done and their total.
    """
    sizes = default_sizes(registration.study.size) if sizes is None else sorted(map(int, sizes))
    effects = EFFECTS if effects is None else sorted(map(float, effects))
    sizes, effects = tuple(sizes), tuple(effects)
    if not sizes or not effects or min(sizes) < 50 or not np.all(np.isfinite(effects)):
        raise LedgerError(
            "diagnose", found=f"sizes {sizes}, effects {effects}",
            expected="sizes of 50 or more, and finite effects in standard deviations",
            mend="give lists such as 500,1000 and 0,0.1,0.2",
        )
    fixed = leans(registration, covariates) or weighs(registration, weights)
    plan = None if fixed else Plan.of(registration, simulation)
    found = []
    for i, n in enumerate(sizes):
        if fixed:
            plan = Fixed.of(registration, simulation, n, seed, root, covariates, weights)
        members = [a for family in plan.families for a in family.members]
        sd = np.concatenate([family.sd for family in plan.families])[:, None]
        true = truth(plan, effects)
        told = None if progress is None else _offset(progress, i, len(sizes))
        sums = run(
            partial(experiments, plan, n, effects), simulations, [seed, n],
            chunk=100, workers=workers, progress=told,
        )
        part = summarise(sums, true)
        part = {_name(name): pair for name, pair in part.items()}
        part |= {name: tuple(v / sd for v in part[name]) for name in _IN_SD}
        part["fwer"] = proportion(sums["false"], simulations)
        found.append(part)

    def grid(j: int, which: int) -> dict[str, np.ndarray]:
        return {name: np.array([part[name][which][j] for part in found]) for name in found[0]}

    ids = [a.id for a in members]
    return PowerGrid(
        sizes, effects, simulations, {a.id: a.family for a in members},
        {id: grid(j, 0) for j, id in enumerate(ids)}, {id: grid(j, 1) for j, id in enumerate(ids)},
        covariates, weights,
    )


def default_sizes(registered: int) -> tuple[int, ...]:
    """From a sixth of the registered size to four times, rounded to tens but for itself."""
    return tuple(registered if m == 1 else 10 * round(registered * m / 10) for m in MULTIPLES)


def _name(name: str) -> str:
    return HYPOTHESIS[int(name[8:])] if name.startswith("verdict_") else name


def _offset(progress: Callable[[int, int], None], place: int, of: int) -> Callable:
    return lambda done, total: progress(place * total + done, of * total)


def numbers(text: str) -> tuple[float, ...]:
    """Numbers from a text with commas between them."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise LedgerError(
            "diagnose", found=text, expected="numbers with commas between, such as 500,1000",
            mend="leave out blanks and units",
        ) from None


def tables(grid: PowerGrid) -> Iterator[str]:
    """One plain table for each sample size: a row for each hypothesis and effect.

    Every cell is a value with its Monte Carlo standard error: shares in percent, bias and RMSE in
    standard deviations, type M as a factor.
    """
    shares = {
        "power": "power", "equivalence": "equiv.", "supported": "supp.", "refuted": "refuted",
        "negligible": "negl.", "undecided": "undec.", "coverage": "coverage", "type_s": "type S",
        "fwer": "family",
    }
    others = {"bias": "bias", "rmse": "RMSE", "type_m": "type M"}
    for n in grid.n:
        rows = grid.at(n)
        shown = rows[["hypothesis", "effect"]].copy()
        for name, title in (shares | others).items():
            scale, digits = (100, 1) if name in shares else (1, 3)
            shown[title] = [
                "" if np.isnan(v) else f"{scale * v:.{digits}f}±{scale * e:.{digits}f}"
                for v, e in zip(rows[name], rows[f"{name}_mcse"], strict=True)
            ]
        body = shown.to_string(index=False)
        yield (f"{n} respondents, {grid.simulations} simulated experiments; covariates: "
               f"{grid.covariates}, weights: {grid.weights}\n{body}\n")
