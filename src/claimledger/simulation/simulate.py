"""Simulate answers: as a frame, or as a file that a platform would export."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import FILE, Simulation, World
from claimledger.simulation.platform_file import export
from claimledger.simulation.respondents import BLOCK, NOT_ASKED, Block, Simulator


def simulate_file(
    registration_file: Path, world: str, path: Path, seed: int, n: int | None = None,
    tick: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write a simulated export and its manifest (see `export`); returns both paths.

    The simulation file is the one in the registration's project.
    """
    simulation_file = Path(registration_file).parent / FILE
    return export(path, registration_file, simulation_file, world, seed, n, tick=tick)


def to_frame(block: Block, registration: Registration, start: int = 0) -> pd.DataFrame:
    """A block as a frame: factors as Categoricals of level ids, items as codes (NaN: no answer).

    A row for each respondent, or for each profile that a respondent sees.
    """
    rows = registration.design.rows

    def flat(values: np.ndarray) -> np.ndarray:
        return values.ravel() if values.ndim == 2 else np.repeat(values, rows)

    columns: dict[str, object] = {name: flat(texts) for name, texts in block.columns.items()}
    if registration.design.respondent:
        columns[registration.design.respondent] = flat(np.arange(start, start + len(block)))
    for name, factor in registration.design.factors.items():
        columns[name] = pd.Categorical.from_codes(flat(block.levels[name]), list(factor.levels))
    for name in registration.instrument.items:
        if name in block.answers:
            answer = flat(block.answers[name])
            columns[name] = np.where(answer > NOT_ASKED, answer, np.nan)
    return pd.DataFrame(
        columns, index=pd.RangeIndex(start * rows, (start + len(block)) * rows))


def simulate(
    registration: Registration, simulation: Simulation, world: str | World, seed: int,
    n: int | None = None,
) -> pd.DataFrame:
    """Answers of n respondents (the world's or the registered number by default).

    Columns: the factors (Categoricals of level ids) and the items (codes as floats; NaN where an
    item was not asked or not answered). The first k rows are the same for every n >= k.
    """
    simulator = Simulator(registration, simulation, world)
    blocks = [*simulator.blocks(seed, simulator.size(n))]
    return pd.concat([to_frame(block, registration, BLOCK * number)
                      for number, block in enumerate(blocks)])
