"""From wanted means, SDs, effects and correlations of answers to latent normals and thresholds.

An answer is its scale's lowest code plus the number of thresholds below a standard normal.
Thresholds differ by cell of the design, so that means and effects are exact on the answers' scale
(ceiling and floor included), not only on the latent one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from scipy.optimize import brentq
from scipy.special import eval_hermitenorm, gammaln, ndtr, ndtri

from claimledger.errors import LedgerError
from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Margin, Pairs, Simulation, World, drawn, implied_sd

_CELLS = 3_000_000      # combinations of levels that are kept in memory
_HERMITE = 24      # terms of Mehler's series; the error is far below Monte Carlo error

# Standard normals at 65,536 equally likely places: drawn four times as fast as by the usual way,
# and more finely than answers on a scale of a few points can show.
_NORMAL = ndtri((np.arange(2**16) + 0.5) / 2**16)
_NORMAL = (_NORMAL / _NORMAL.std()).astype(np.float32)


def normals(
    rng: np.random.Generator, shape: tuple[int, ...], between: np.ndarray | None = None
) -> np.ndarray:
    """Standard normals for many simulated answers, float32.

    between : (2, *shape) the probabilities below the ends of the interval in which each one lies.
    """
    if between is None:
        return _NORMAL.take(rng.integers(0, 2**16, shape, dtype=np.uint16))
    low, high = between
    place = low + rng.random(shape, dtype=np.float32) * (high - low)
    return _NORMAL.take((place * 2**16).astype(np.int32), mode="clip")


@dataclass(frozen=True)
class Latent:
    """Everything that drawing needs; cells are all combinations of the factors' levels.

    sds (items,) of the answers; thresholds (cells, items, categories - 1), with infinity where an
    item has fewer categories; asked (cells, items); correlation (items, items) of the latent
    answers; slopes (items, background); residual_root (items, items) and background_root are
    Cholesky factors.
    """

    factors: dict[str, list[str]]
    probabilities: np.ndarray
    items: list[str]
    lowest: np.ndarray
    sds: np.ndarray
    thresholds: np.ndarray
    asked: np.ndarray
    correlation: np.ndarray
    slopes: np.ndarray
    residual_root: np.ndarray
    background: list[str]
    background_root: np.ndarray

    def cell(self, codes: np.ndarray) -> np.ndarray:
        """Index of the cell for an array (factors, n) of level codes."""
        return np.ravel_multi_index(tuple(codes), [len(v) for v in self.factors.values()])


@lru_cache(4)      # a notebook asks for the same world several times
def calibrate(registration: Registration, simulation: Simulation, world: World) -> Latent:
    """Solve for the thresholds and correlations of one world; the answer is not to be changed."""
    factors = {name: list(f.levels) for name, f in registration.design.factors.items()}
    shape = tuple(map(len, factors.values()))
    if prod(shape) > _CELLS:
        raise LedgerError(
            "simulation", found=f"{prod(shape):,} combinations of the factors' levels",
            expected=f"at most {_CELLS:,}", mend="simulate with fewer attributes or levels")
    codes = dict(zip(factors, np.indices(shape).reshape(len(shape), -1), strict=True))
    chance = _chances(registration, codes)
    items = list(simulation.outcomes)
    means = _means(simulation, world)
    sds = np.array([_sd(registration, simulation, item, means[item]) for item in items])
    answers = [drawn(registration.scale_of(item)) for item in items]
    asked = np.ones((len(chance), len(items)), dtype=bool)
    effects = np.zeros(asked.shape)
    thresholds = np.full((*asked.shape, max(map(len, answers)) - 1), np.inf)
    for j, item in enumerate(items):
        entry = registration.instrument.items[item]
        for name, levels in registration.samples[entry.asked].items():
            asked[:, j] &= np.isin(codes[name], [factors[name].index(level) for level in levels])
        effects[:, j] = _effects(simulation, world, item, factors, codes)
        there = asked[:, j] & (chance > 0)
        shares = chance[there] / chance[there].sum()
        column = _thresholds(item, answers[j], means[item], sds[j], effects[there, j], shares)
        if simulation.outcomes[item].choice:
            column[:, 0] = _choice(column[:, 0], shares, registration.design.profiles or 1)
        thresholds[there, j, : column.shape[1]] = column
    background = list(simulation.background)
    joint = matrix(background, simulation.background_correlations)
    slopes = np.zeros((len(items), len(background)))
    for entry in simulation.slopes:
        for item in entry.items:
            for name, value in entry.slopes.items():
                slopes[items.index(item), background.index(name)] += value
    if simulation.gaps:
        seen = asked * chance[:, None]
        _solve_gaps(simulation, items, slopes, joint, thresholds, seen / seen.sum(0), sds,
                    sds * effects)
    correlation = _latent_correlation(matrix(items, simulation.correlations), thresholds)
    return Latent(
        factors=factors, probabilities=chance, items=items,
        lowest=np.array([codes[0] for codes in answers]), sds=sds, thresholds=thresholds,
        asked=asked, correlation=correlation, slopes=slopes,
        residual_root=_root("correlations", correlation - slopes @ joint @ slopes.T),
        background=background, background_root=_root("background_correlations", joint))


def _chances(registration: Registration, codes: dict[str, np.ndarray]) -> np.ndarray:
    """Chance of each combination of levels (cells,): independent, but for what is excluded."""
    design = registration.design
    chance = np.ones(len(next(iter(codes.values()))))
    for name, factor in design.factors.items():
        chance = chance * np.array([x.probability for x in factor.levels.values()])[codes[name]]
    for rule in design.restrictions:
        excluded = [np.isin(codes[name], [list(design.factors[name].levels).index(level)
                                          for level in levels]) for name, levels in rule.items()]
        chance[np.logical_and.reduce(excluded)] = 0
    return chance / chance.sum() if design.restrictions else chance


def _choice(thresholds: np.ndarray, chance: np.ndarray, profiles: int) -> np.ndarray:
    """Thresholds (cells,) with which the best of several profiles has the shares of single ones.

    With noise e standard normal and G the distribution of a rival's noise minus its threshold, a
    profile wins with probability E G(e - t)^(profiles - 1), over rivals drawn by `chance`. Solved
    by moving each t by what its normal quantile is off.
    """
    values, place = np.unique(thresholds.round(9), return_inverse=True)
    shares, target, t = np.bincount(place, chance), ndtr(-values), values * np.sqrt(2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    grid = np.linspace(-10, 10, 1001)
    for _ in range(100):
        at, share = t, shares
        if len(t) > 1000:      # many: their distribution
            share, edges = np.histogram(t, 1000, weights=shares)
            at = (edges[:-1] + edges[1:]) / 2
        rivals = ndtr(grid[:, None] + at) @ (share / share.sum())
        win = np.interp(nodes - t[:, None], grid, rivals) ** (profiles - 1) @ (
            weights / weights.sum())
        if np.abs(win - target).max() < 1e-5:
            break
        t = t + ndtri(np.clip(win, 1e-9, 1 - 1e-9)) - ndtri(target)
    return t[place]


def matrix(names: list[str], entries: list[Pairs]) -> np.ndarray:
    """The symmetric matrix with ones on the diagonal that the entries describe."""
    result = np.eye(len(names))
    for entry in entries:
        for a, b in entry.pairs():
            i, j = names.index(a), names.index(b)
            result[i, j] = result[j, i] = entry.value
    return result


def _solve_gaps(
    simulation: Simulation, items: list[str], slopes: np.ndarray, joint: np.ndarray,
    thresholds: np.ndarray, weights: np.ndarray, sds: np.ndarray, effects: np.ndarray,
) -> None:
    """Set the slopes that make groups differ as the assumed gaps say; `slopes` is changed in place.

    A latent answer Y and a latent background variable Z are standard normals with a correlation a,
    so E(answer | Z = z) = lowest + sum_k Phi((a z - t_k) / sqrt(1 - a^2)). The mean over the
    values z of either group, and over cells, gives the gap that comes out; it rises with a, which
    is solved for. All a of an item together give its slopes: a = slopes @ joint.

    thresholds : (cells, items, categories - 1). weights : (cells, items), columns sum to 1.
    effects : (cells, items), in points.
    """
    background = list(simulation.background)
    wanted: dict[str, dict[int, float]] = {}
    within = matrix(items, simulation.correlations)
    middle = effects - (weights * effects).sum(0)
    inner = sds * np.sqrt(np.maximum(1 - (weights * middle**2).sum(0) / sds**2, 0))
    for number, gap in enumerate(simulation.gaps):
        at = [items.index(item) for item in gap.items]
        # Variance of the mean of the items: within cells, and between them.
        inside = np.outer(inner[at], inner[at]) * within[np.ix_(at, at)]
        between = (weights[:, at] * middle[:, at]).T @ middle[:, at]
        points = gap.sd * np.sqrt((inside + between).mean())
        margin = simulation.background[gap.of]
        high, low = _positions(margin, gap.high), _positions(margin, gap.low)
        for j in at:
            # Many cells have the same thresholds.
            cuts, place = np.unique(thresholds[:, j], axis=0, return_inverse=True)
            shares = np.bincount(place.ravel(), weights[:, j])

            def excess(a: float, t=cuts, w=shares, z=(high, low), points=points) -> float:
                means = [
                    w @ ndtr((a * one[:, None, None] - t) / np.sqrt(1 - a**2)).mean(0).sum(1)
                    for one in z]
                return float(means[0] - means[1] - points)

            found = _solved(
                excess, 0.98, f"gaps.{number}", f"{gap.sd:g} SD between the two groups",
                "a gap that answers on this scale can have")
            wanted.setdefault(items[j], {})[background.index(gap.of)] = found
    for item, correlations in wanted.items():
        j, own = items.index(item), list(correlations)
        rest = np.array(list(correlations.values())) - slopes[j] @ joint[:, own]
        slopes[j, own] = np.linalg.solve(joint[np.ix_(own, own)], rest)


def _positions(margin: Margin, codes: list[int]) -> np.ndarray:
    """512 values of a standard normal, equally likely among those that give one of the codes."""
    shares = margin.edges()
    ends = [(low, high) for code, low, high in
            zip(margin.shares, shares[:-1], shares[1:], strict=True) if code in codes]
    total = np.cumsum([0, *(high - low for low, high in ends)])
    middle = (np.arange(512) + 0.5) / 512 * total[-1]
    part = np.searchsorted(total, middle, side="right") - 1
    return ndtri(np.array([low for low, _ in ends])[part] + middle - total[part])


def _root(key: str, covariance: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        lowest = np.linalg.eigvalsh(covariance)[0]
        raise LedgerError(
            f"simulation: {key}", found=f"no such variables can exist (eigenvalue {lowest:.3f})",
            expected="correlations, net of slopes and gaps, that are compatible with each other",
            mend="bring the largest correlations, slopes or gaps nearer to zero") from None


def _means(simulation: Simulation, world: World) -> dict[str, float]:
    means = {item: outcome.mean for item, outcome in simulation.outcomes.items()}
    for name, group in simulation.spreads.items():
        middle = np.mean([means[item] for item in group])
        for item in group:
            means[item] = middle + world.factor(name) * (means[item] - middle)
    return means


def _sd(registration: Registration, simulation: Simulation, item: str, mean: float) -> float:
    """The SD of an item; of two answers, that which their mean implies."""
    codes = drawn(registration.scale_of(item))
    if len(codes) > 2:
        return float(simulation.outcomes[item].sd)
    if not codes[0] < mean < codes[1]:
        raise LedgerError(
            f"simulation: outcomes.{item}", found=f"a mean of {mean:g}",
            expected=f"a mean between {codes[0]} and {codes[1]}", mend="correct the mean")
    return implied_sd(mean, codes)


def _effects(
    simulation: Simulation, world: World, item: str, factors: dict, codes: dict[str, np.ndarray]
) -> np.ndarray:
    """Effects on an item in each cell, in its SD."""
    total = np.zeros(len(next(iter(codes.values()))))
    for name, effect in simulation.effects.items():
        if item in effect.items:
            factor = 1.0 if name in world.sizes else world.factor(name)
            levels = world.sizes.get(name, effect.levels)
            sizes = np.array([levels.get(level, 0.0) for level in factors[effect.factor]])
            total += factor * sizes[codes[effect.factor]]
    return total


def _thresholds(
    item: str, codes: list[int], mean: float, sd: float, effects: np.ndarray, chance: np.ndarray
) -> np.ndarray:
    """Standardized thresholds (cells, categories - 1).

    The latent answer has one SD, `spread`, in all cells and a mean in each; both are solved so
    that the answers have `mean` and `sd` over the cells, and each cell differs as `effects` say.
    """
    cuts = np.array(codes[:-1]) + 0.5
    # Many cells have the same effect, up to the order in which it was added up.
    effects, place = np.unique((effects - chance @ effects).round(12), return_inverse=True)
    chance = np.bincount(place, chance)
    target = mean + sd * effects
    within = sd * np.sqrt(max(1 - chance @ effects**2, 0))
    impossible = LedgerError(
        f"simulation: outcomes.{item}", found=f"mean {mean:.2f}, SD {sd:.2f} and its effects",
        expected=f"a mean and an SD that answers from {codes[0]} to {codes[-1]} can have",
        mend="bring the mean nearer to the middle, or make the SD or the effects smaller")
    if target.min() <= codes[0] or target.max() >= codes[-1]:
        raise impossible
    if len(codes) == 2:      # the share of the higher answer is all there is
        return -ndtri(target - codes[0])[place, None]

    reach, widest = (40.0, 15.0) if len(codes) < 16 else (5.0 * len(codes), 2.0 * len(codes))

    def standardized(spread: float) -> np.ndarray:
        low, high = np.full((2, len(target)), [[cuts[0] - reach], [cuts[-1] + reach]])
        for _ in range(45):      # to 1e-12 of a point
            center = (low + high) / 2
            rises = codes[0] + ndtr((center[:, None] - cuts) / spread).sum(1) < target
            low, high = np.where(rises, center, low), np.where(rises, high, center)
        return (cuts - low[:, None]) / spread

    def excess(spread: float) -> float:
        # With P_k the chance of an answer above c_(k-1): E y = c_0 + sum of P_k (c_k - c_(k-1)),
        # whose steps are 1, and E y^2 = c_0^2 + sum of P_k (c_k^2 - c_(k-1)^2).
        above = ndtr(-standardized(spread))
        first = codes[0] + above.sum(1)
        second = codes[0] ** 2 + above @ (np.array(codes[1:]) ** 2 - np.array(codes[:-1]) ** 2)
        return float(np.sqrt(chance @ (second - first**2)) - within)

    try:
        return standardized(brentq(excess, 0.05, widest, xtol=1e-6))[place]
    except ValueError:
        raise impossible from None


def _latent_correlation(wanted: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Latent correlations whose answers, cut at thresholds, have the wanted correlations.

    Mehler's formula: with c_k the Hermite coefficients of two step functions of standard normals,
    their covariance is sum c_k d_k rho^k. The thresholds are the averages over cells.
    """
    orders = np.arange(1, _HERMITE + 1)
    finite = np.isfinite(thresholds)
    average = np.where(finite, thresholds, 0).sum(0) / np.maximum(finite.sum(0), 1)
    known = finite.any(0)
    density = np.where(known, np.exp(-(average**2) / 2) / np.sqrt(2 * np.pi), 0)
    # A step at t has the coefficients phi(t) He_(k-1)(t) / sqrt(k!).
    steps = density[..., None] * eval_hermitenorm(orders - 1, average[..., None])
    coefficients = steps.sum(1) * np.exp(-gammaln(orders + 1) / 2)
    above = np.where(known, ndtr(-average), 0)
    least = np.minimum(above[:, :, None], above[:, None, :])
    sd = np.sqrt((least - above[:, :, None] * above[:, None, :]).sum((1, 2)))
    result = np.eye(len(wanted))
    for i, j in zip(*np.nonzero(np.tril(wanted, -1)), strict=True):
        series = coefficients[i] * coefficients[j] / (sd[i] * sd[j])
        result[i, j] = result[j, i] = _solved(
            lambda rho, s=series, r=wanted[i, j]: s @ rho**orders - r, 0.99, "correlations",
            f"{wanted[i, j]} between two items", "a correlation that items of these means can have")
    return result


def _solved(excess: Callable, end: float, key: str, found: str, expected: str) -> float:
    """The correlation between -end and end at which `excess` is zero."""
    try:
        return brentq(excess, -end, end)
    except ValueError:
        raise LedgerError(f"simulation: {key}", found=found, expected=expected,
                          mend="bring it nearer to zero") from None
