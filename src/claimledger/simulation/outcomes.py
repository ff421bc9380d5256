"""Which variables follow from simulated items, and how: for analyses of many simulated surveys."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Simulation, drawn
from claimledger.simulation.calibration import Latent, matrix


@dataclass(frozen=True)
class Outcomes:
    """Variables as weights over items and recodes of single items.

    recodes : (item, value of each of its answers); values : variable to (items + recodes,) weights.
    """

    items: list[str]
    recodes: list[tuple[int, np.ndarray]]
    weights: dict[str, np.ndarray]

    @classmethod
    def of(cls, registration: Registration, simulation: Simulation) -> "Outcomes":
        """Every variable that is linear in simulated items, or a numeric recode of one."""
        items, derived = list(simulation.outcomes), registration.instrument.derived
        recoded = {
            name: d for name, d in derived.items()
            if d.of in items and d.numeric and (d.yes or d.map)
            and not set(d.missing) & set(drawn(registration.scale_of(d.of)))
        }
        known = {name: i for i, name in enumerate([*items, *recoded])}
        weights = {name: np.eye(len(known))[i] for name, i in known.items()}
        recodes = []
        for d in recoded.values():
            codes = drawn(registration.scale_of(d.of))
            table = {code: value for value, listed in d.map.items() for code in listed}
            values = [float(c in d.yes) if d.yes else float(table.get(c, np.nan)) for c in codes]
            recodes.append((items.index(d.of), np.array(values)))
        for _ in derived:  # means of means, and so on
            for name, d in derived.items():
                parts = d.mean or d.sum
                if parts and name not in weights and all(part in weights for part in parts):
                    total = np.sum([weights[part] for part in parts], axis=0)
                    weights[name] = total / len(parts) if d.mean else total
        return cls(items, recodes, weights)

    def covariance(self, simulation: Simulation, latent: Latent) -> np.ndarray:
        """Covariance of items and recodes without effects; a recode's with others is unknown."""
        spread = np.array([simulation.outcomes[item].sd for item in self.items], dtype=float)
        n = len(self.items)
        out = np.full((n + len(self.recodes),) * 2, np.nan)
        out[:n, :n] = matrix(self.items, simulation.correlations) * np.outer(spread, spread)
        cuts = thresholds_without_effects(latent)
        for j, (item, values) in enumerate(self.recodes, n):
            below = np.r_[0, ndtr(cuts[item][: len(values) - 1]), 1]
            share = np.diff(below)
            out[j, j] = share @ values**2 - (share @ values) ** 2
        return np.nan_to_num(out)

    def lowest(self, latent: Latent) -> np.ndarray:
        """What an answer counted as 0 is worth: the lowest code of an item; 0 of a recode."""
        return np.r_[latent.lowest, np.zeros(len(self.recodes))]

    def asked(self, latent: Latent) -> np.ndarray:
        """Whether cells (c, items + recodes) are asked."""
        more = [latent.asked[:, item] for item, _ in self.recodes]
        return np.column_stack([latent.asked, *more])


def thresholds_without_effects(latent: Latent) -> np.ndarray:
    """Thresholds (items, categories - 1) without effects, when all cells that are asked agree."""
    first = np.argmax(latent.asked, axis=0)
    return latent.thresholds[first, np.arange(len(first))]
