"""What is timed: the same work by this package and by others, on the same data."""

import gc
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import special

from claimledger.registration.loading import load
from claimledger.simulation.assumptions import FILE, load_simulation
from claimledger.statistics.decision import holm
from claimledger.statistics.design_diagnosis import power_grid
from claimledger.statistics.linear import LeastSquares
from claimledger.statistics.simulated_experiments import draw_moments
from claimledger.survey.weighting import rake

N, OUTCOMES, CORRELATION = 1502, 8, 0.3
CUTS = np.array([-1.0, -0.3, 0.3, 1.0], dtype=np.float32)  # five-point answers


def design() -> np.ndarray:
    """Distinct rows (40, 12): five arms, three binary factors, arm by the first of them."""
    return np.array([
        [1, *(arm == k for k in range(1, 5)), a, b, c, *(a * (arm == k) for k in range(1, 5))]
        for arm, a, b, c in product(range(5), range(2), range(2), range(2))
    ], dtype=float)  # fmt: skip


def cell_sizes(n: int) -> np.ndarray:
    """Complete assignment: cells as equal in size as n allows."""
    cells = len(design())
    return n // cells + (np.arange(cells) < n % cells)


def answers(experiments: int, n: int = N, seed: int = 1) -> np.ndarray:
    """Correlated five-point answers (experiments, outcomes, n), rows in the order of the cells."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(_correlation())
    latent = root @ rng.standard_normal((experiments, OUTCOMES, n))
    return (1 + sum((latent > cut).astype(np.int8) for cut in CUTS)).astype(np.int8)


def _correlation() -> np.ndarray:
    return (1 - CORRELATION) * np.eye(OUTCOMES) + CORRELATION


def _tests(count, mean, within) -> np.ndarray:
    """Unadjusted p values (experiments, outcomes, coefficients), after Holm over the family."""
    found = LeastSquares.of(design(), count=count).estimate(mean, within)
    df = count.sum() - design().shape[1]
    p = np.minimum(1.0, 2 * special.stdtr(df, -np.abs(found.coef / found.se)))
    holm(p.reshape(len(p), -1))
    return p


def ours_full(experiments: int, n: int = N) -> np.ndarray:
    """Draw answers, reduce them to cells, estimate with HC2, test, adjust by Holm."""
    count = cell_sizes(n)
    root = np.linalg.cholesky(_correlation()).astype(np.float32)
    thresholds = np.tile(CUTS, (OUTCOMES, 1))
    counts = np.broadcast_to(count, (experiments, len(count)))
    return _tests(count, *draw_moments(np.random.default_rng(1), counts, root, thresholds))


def ours_analysis(Y: np.ndarray, block: int = 64) -> np.ndarray:
    """The same without the drawing: from answers (experiments, outcomes, n) to p values."""
    count = cell_sizes(Y.shape[-1])
    starts = np.r_[0, np.cumsum(count)[:-1]]

    def moments(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = part - np.float64(3)  # about the middle of the scale
        mean = np.add.reduceat(part, starts, axis=-1) / count
        squares = np.add.reduceat(np.multiply(part, part, out=part), starts, axis=-1)
        return mean + 3, squares - count * mean**2

    parts = [moments(Y[at : at + block]) for at in range(0, len(Y), block)]
    return _tests(count, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def statsmodels_loop(Y: np.ndarray) -> np.ndarray:
    """One OLS fit with HC2 for each experiment and outcome, on arrays."""
    X = np.repeat(design(), cell_sizes(Y.shape[-1]), axis=0)
    out = []
    for experiment in Y.astype(float):
        p = np.array([sm.OLS(y, X).fit(cov_type="HC2", use_t=True).pvalues for y in experiment])
        holm(p.ravel())
        out.append(p)
    return np.array(out)


def frame_of(experiment: np.ndarray) -> tuple[pd.DataFrame, str]:
    """One experiment as a data frame, and the right-hand side of its formula."""
    X = np.repeat(design(), cell_sizes(experiment.shape[-1]), axis=0)
    names = [f"x{k}" for k in range(1, X.shape[1])]
    frame = pd.DataFrame(X[:, 1:], columns=names)
    frame[[f"y{j}" for j in range(OUTCOMES)]] = experiment.T.astype(float)
    return frame, " + ".join(names)


def pyfixest_loop(Y: np.ndarray) -> np.ndarray:
    """One call for each experiment, all outcomes in one formula (optional package)."""
    import pyfixest as pf

    gc.freeze()  # it collects garbage after every model: only its own should count
    out, left = [], " + ".join(f"y{j}" for j in range(OUTCOMES))
    for experiment in Y:
        frame, right = frame_of(experiment)
        fits = pf.feols(
            f"{left} ~ {right}", frame, vcov="HC2", ssc=pf.ssc(k_adj=False, G_adj=False)
        )
        p = np.array([fit.pvalue().to_numpy() for fit in fits.to_list()])
        holm(p.ravel())
        out.append(p)
    return np.array(out)


def permutations(draws: int, outcomes: int = OUTCOMES) -> np.ndarray:
    """Studentized randomization test of one binary factor, all outcomes on one set of draws."""
    X, rng = np.repeat(design()[:, :8], cell_sizes(N), axis=0), np.random.default_rng(1)
    Y = answers(1)[0, :outcomes].astype(float)
    moved, fixed = X[:, 5], np.delete(X, 5, axis=1)
    basis, hits, observed = np.linalg.qr(fixed)[0], 0, None
    for first in range(0, 1 + draws, 100):
        drawn = rng.permuted(np.tile(moved, (min(100, 1 + draws - first), 1)), axis=1)
        if first == 0:
            drawn[0] = moved  # as it was assigned
        found = LeastSquares.of(drawn[..., None], [1.0], beside=basis).estimate(Y)
        t = np.abs(found.coef / found.se)[..., 0]
        observed = t[0] if observed is None else observed
        hits = hits + (t >= observed * (1 - 1e-9)).sum(axis=0)
    return hits / (1 + draws)


def population(n: int) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Respondents whose shares are off the margins, and five margins of them."""
    rng = np.random.default_rng(5)
    levels = {"age": 6, "sex": 2, "race": 3, "education": 6, "region": 4}
    frame, margins = {}, {}
    for name, k in levels.items():
        target = rng.dirichlet(np.full(k, 20.0))
        drawn = target * rng.uniform(0.6, 1.5, k)
        labels = [f"{name}{i}" for i in range(k)]
        frame[name] = pd.Categorical.from_codes(rng.choice(k, n, p=drawn / drawn.sum()), labels)
        margins[name] = dict(zip(labels, target, strict=True))
    return pd.DataFrame(frame), margins


def raking(frame: pd.DataFrame, margins) -> np.ndarray:
    """Weights raked to the margins, not trimmed."""
    return rake(frame, margins).weights.to_numpy()


def diagnosis(workers: int, simulations: int = 10_000) -> object:
    """The registered analysis of this project over three effects, at the registered size."""
    root = Path(__file__).parents[1]
    registration = load(root / "registration.yml")
    simulation = load_simulation(root / FILE, registration)
    return power_grid(registration, simulation, sizes=[registration.study.size],
                      effects=[0, 0.1, 0.2], simulations=simulations, workers=workers)  # fmt: skip
