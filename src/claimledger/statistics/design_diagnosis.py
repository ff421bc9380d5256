"""Design diagnosis: how often the registered procedure says what, over simulated experiments.

Everything comes from the registration (factors and their probabilities, samples, models, contrasts,
families, criteria) and from the assumed distribution of the answers. Each experiment is judged by
the rule of `decision`, the one that judges the real data. The vocabulary is that of DeclareDesign
(Blair, Cooper, Coppock and Humphreys 2019); the work is done in `simulated_experiments`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from patsy import PatsyError, dmatrix
from scipy.special import ndtr

from claimledger.errors import LedgerError
from claimledger.registration.analyses import Bound, Hypothesis
from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import Simulation, World, drawn
from claimledger.simulation.calibration import Latent, calibrate, matrix
from claimledger.simulation.respondents import Simulator, intervals, to_frame
from claimledger.statistics import simulated_experiments as engine
from claimledger.statistics.balance import covariate_matrix
from claimledger.statistics.decision import DIRECTIONS, HYPOTHESIS
from claimledger.statistics.linear import adjusted
from claimledger.statistics.specification_curve import OPTIONS
from claimledger.survey.recoding import derivation_order, derive, recode, sample_rows
from claimledger.survey.weighting import rake_as_registered

MULTIPLES = (1 / 6, 1 / 3, 1 / 2, 2 / 3, 1, 4 / 3, 2, 4)  # of the registered size
EFFECTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
NO_EFFECT = World(label="no effect", default=0)


# What is registered, in the terms of the engine --------------------------------------------------


class Outcomes:
    """Variables that are linear in simulated items, or a numeric recode of one item.

    recodes : (item, value of each of its answers); weights : variable to (items + recodes,)
    weights; asked : (cells, items + recodes) of those items and recodes; lowest : what an answer
    counted as 0 is worth, the lowest code of an item and 0 of a recode; covariance : without
    effects; 0 of a recode with others: unknown.
    """

    def __init__(self, registration: Registration, simulation: Simulation, latent: Latent):
        """Find them among the derived variables."""
        items, derived = latent.items, registration.instrument.derived
        recoded = {
            name: d for name, d in derived.items()
            if d.of in items and d.numeric and (d.yes or d.map)
            and not set(d.missing) & set(drawn(registration.scale_of(d.of)))
        }
        known = {name: i for i, name in enumerate([*items, *recoded])}
        self.weights = weights = {name: np.eye(len(known))[i] for name, i in known.items()}
        self.recodes = recodes = [
            (items.index(d.of), derive(d, {d.of: np.array(drawn(registration.scale_of(d.of)))}))
            for d in recoded.values()]
        for name in derivation_order(registration):
            d = derived[name]
            if (d.mean or d.sum) and all(part in weights for part in d.sources):
                weights[name] = derive(d, weights)
        self.asked = latent.asked[:, [*range(len(items)), *(item for item, _ in recodes)]]
        self.lowest = np.r_[latent.lowest, np.zeros(len(recodes))]
        within = matrix(items, simulation.correlations) * np.outer(latent.sds, latent.sds)
        self.covariance = np.pad(within, (0, len(recodes)))
        cuts = _thresholds_without_effects(latent)
        for j, (item, values) in enumerate(recodes, len(items)):
            share = np.diff(np.r_[0, ndtr(cuts[item][: len(values) - 1]), 1])
            self.covariance[j, j] = share @ values**2 - (share @ values) ** 2


def _thresholds_without_effects(latent: Latent) -> np.ndarray:
    """Thresholds (items, categories - 1) without effects, when all cells that are asked agree."""
    first = np.argmax(latent.asked, axis=0)
    return latent.thresholds[first, np.arange(len(first))]


def registered_test(
    registration: Registration, frame: pd.DataFrame, h: Hypothesis, outcomes: Outcomes,
    covariates: str = "none", weights: np.ndarray | None = None,
) -> engine.RegisteredTest:
    """A hypothesis as a test of the engine.

    frame : the assigned factors, a row a respondent (or a row a cell of the design), with the
    background where a model or the adjustment (covariates: lin) uses it. weights : (n,) or None.
    """
    wanted = ("CR2", "stacked") if h.frame == "stacked" else ("HC2", "respondents")
    if (h.vcov, h.frame) != wanted or h.joint or h.at or h.estimator != "ols":
        raise LedgerError(
            f"hypothesis {h.id}", found=f"a model of {h.frame} with {h.vcov}, {h.estimator}"
            + (", a joint test" if h.joint else ""),
            expected="least squares with HC2 of respondents, or CR2 of items stacked within them",
        )
    if unknown := [name for name in h.stack or [h.outcome] if name not in outcomes.weights]:
        raise LedgerError(
            f"hypothesis {h.id}",
            found=f"{', '.join(unknown)}, which the simulation does not draw",
            expected="items with simulated answers, their means and sums, and recodes of one item",
            mend="add the item below `outcomes:` of data/simulation.yml")
    rows = sample_rows(registration, frame, h.sample)
    size = h.margin if h.direction == "non-inferiority" else h.sesoi
    in_sd = not isinstance(size, Bound) or size.unit == "sd"
    bound = size.of(1.0) if isinstance(size, Bound) else np.nan if size is None else float(size)
    common = dict(id=h.id, family=h.family, direction=DIRECTIONS[h.direction], bound=bound,
                  in_sd=in_sd)  # fmt: skip
    if h.frame == "stacked":
        mixture = np.zeros(len(next(iter(outcomes.weights.values()))))
        for term, weight in h.contrast.items():
            mixture += weight * outcomes.weights[re.fullmatch(r"item\[(\w+)\]", term).group(1)]
        inside = frame.index.isin(rows.index)
        return engine.RegisteredTest(
            rows=inside, design=np.ones((len(rows), 1)), contrast=np.ones(1), outcome=mixture,
            within=True, weights=None if weights is None else weights[inside], **common)
    try:
        design = dmatrix(h.model.partition("~")[2], rows, return_type="dataframe")
    except PatsyError as error:
        raise LedgerError(
            f"{h.id}: {h.model}", found=str(error).splitlines()[0],
            expected="a model of the assigned factors, " + ", ".join(registration.design.factors),
            mend="a model of what is not asked before the treatment cannot be simulated",
        ) from None
    inside = frame.index.isin(design.index)  # a missing covariate leaves its row out
    own = None if weights is None else weights[inside]
    if covariates == "lin":
        design = adjusted(design, covariate_matrix(rows.loc[design.index], registration), own)
    if missing := set(h.contrast) - set(design):
        raise LedgerError(h.id, found=", ".join(missing), expected=", ".join(design))
    return engine.RegisteredTest(
        rows=inside, design=design.to_numpy(), outcome=outcomes.weights[h.outcome],
        contrast=np.array([h.contrast.get(name, 0.0) for name in design]), weights=own,
        leans=_leans(registration, h, covariates), **common)


def _leans(registration: Registration, h: Hypothesis, covariates: str) -> bool:
    """Whether an analysis uses the background; a comparison within respondents does not."""
    known = {*registration.instrument.items, *registration.instrument.derived}
    named = known & set(re.findall(r"\w+", h.model.partition("~")[2]))
    return h.frame != "stacked" and (covariates == "lin" or bool(named))


def _check(name: str, option: str) -> None:
    if option not in OPTIONS[name]:
        raise LedgerError(name, found=option, expected=" or ".join(OPTIONS[name]),
                          mend="correct the name")


def experiments_of(
    registration: Registration, simulation: Simulation, world: World = NO_EFFECT,
    frame: pd.DataFrame | None = None, covariates: str = "none",
    weights: np.ndarray | None = None,
) -> engine.Experiments:
    """Experiments with the answers of a world; with the assignment of a frame where one is given.

    weights : (n,) or None. With weights, or where an analysis leans on the background, the people
    of the frame are held fixed. LedgerError for an analysis that cannot be diagnosed.
    """
    _check("covariates", covariates)
    latent = calibrate(registration, simulation, world)
    outcomes = Outcomes(registration, simulation, latent)
    people = frame is not None and (weights is not None or any(
        _leans(registration, h, covariates) for h in registration.hypotheses))
    rows = pd.DataFrame(product(*latent.factors.values()), columns=list(latent.factors))
    rows = frame if people else rows.astype(
        {name: pd.CategoricalDtype(levels) for name, levels in latent.factors.items()})
    tests = [registered_test(registration, rows, h, outcomes, covariates, weights)
             for h in registration.hypotheses]
    cells = _cell(latent, rows)
    asked = outcomes.asked[cells]
    for t in tests:
        if not asked[np.ix_(t.rows, t.outcome != 0)].all():
            raise LedgerError(
                f"hypothesis {t.id}", found="an item that part of its sample is not asked",
                expected="items that everyone in the sample is asked",
                mend="register the sample in which the item is asked")
    rules = {name: (f.alpha, f.correction) for name, f in registration.families.items()}
    families, mix = engine.families(tests, rules, outcomes.covariance)
    thresholds, fixed, lean = latent.thresholds[cells], None, None
    alike = _thresholds_without_effects(latent)
    if people:
        fixed = np.ones(len(frame), dtype=int)
        if any(t.leans for t in tests):
            lean = latent.slopes.astype("f4"), intervals(registration, simulation, frame)
    elif frame is not None:
        fixed = np.bincount(_cell(latent, frame), minlength=len(rows))
    if not people and np.all((thresholds == alike) | ~asked[:, : len(alike), None]):
        thresholds = alike  # no world with effects: drawn in a fifth of the time
    roots = {False: np.linalg.cholesky(latent.correlation).astype("f4"),
             True: latent.residual_root.astype("f4")}
    return engine.Experiments(
        families, latent.probabilities, fixed, roots, thresholds.astype("f4"), lean, mix,
        tuple(outcomes.recodes), outcomes.lowest)


def _cell(latent: Latent, frame: pd.DataFrame) -> np.ndarray:
    return latent.cell([pd.Categorical(frame[f], levels).codes
                        for f, levels in latent.factors.items()])


# How often each verdict comes out in a world -----------------------------------------------------


class Rates(NamedTuple):
    """verdicts: one row a hypothesis, one column a verdict; supported_any: (rate, se) by family.

    `supported_any` also has the key `any`: at least one hypothesis of the whole paper.
    """

    verdicts: pd.DataFrame
    supported_any: dict[str, tuple[float, float]]


def verdict_rates(
    registration: Registration, simulation: Simulation, frame: pd.DataFrame, world: str,
    simulations: int, seed: int, *, covariates: str = "none",
    weights: pd.Series | None = None,
) -> Rates:
    """Run the registered analysis on `simulations` surveys with the assignment of a frame.

    covariates (none, lin), weights : as in the specification curve. The people's weights, and their
    background where an analysis uses covariates, are held fixed like the assignment, and their
    answers lean on their background; else everyone's answers are drawn afresh.
    """
    given = None if weights is None else weights.loc[frame.index].to_numpy()
    design = experiments_of(
        registration, simulation, simulation.world(world), frame, covariates, given)
    as_drawn = {f.name: np.zeros((1, len(f.tests))) for f in design.families}
    job = partial(engine.batch, design, len(frame), as_drawn)
    sums = engine.run(job, simulations, seed)
    ids = [t.id for f in design.families for t in f.tests]
    table = {verdict: sums[verdict][0] / simulations for verdict in HYPOTHESIS}
    verdicts = pd.DataFrame(table, index=pd.Index(ids, name="id"))
    names = [*(f.name for f in design.families), "any"]
    found = {name: tuple(map(float, engine.proportion(hits, simulations)))
             for name, hits in zip(names, sums["any_supported"][0], strict=True)}
    return Rates(verdicts.loc[[h.id for h in registration.hypotheses]], found)


def false_claim_rates(
    registration: Registration, simulation: Simulation, n: int, simulations: int, seed: int,
) -> pd.DataFrame:
    """How often a family makes a false claim of either kind, by what is true of its hypotheses.

    truth : `none`, no effect at all; `bound`, every effect just as large as matters; `mixed`, the
    two in turn. A claim is false where it says supported, refuted or negligible and that is not so.
    Columns: family, truth, rate, se; the family `any` is the whole paper.
    """
    design = experiments_of(registration, simulation)
    scenarios = {}
    for family in design.families:
        size = np.nan_to_num(family.bounds(family.sd)) / family.sd
        sign = np.where([t.direction in (-1, 4) for t in family.tests], -1.0, 1.0)
        turn = np.arange(len(size)) % 2
        scenarios[family.name] = np.stack([0 * size, size, size * turn]) * sign
    job = partial(engine.batch, design, n, scenarios)
    sums = engine.run(job, simulations, [seed, n])
    rows = []
    for i, truth in enumerate(("none", "bound", "mixed")):
        for name, hit in zip([*scenarios, "any"], sums["false_claim"][i], strict=True):
            rows.append((name, truth, *map(float, engine.proportion(hit, simulations))))
    return pd.DataFrame(rows, columns=["family", "truth", "rate", "se"])


# Over sample sizes and effects -------------------------------------------------------------------


@dataclass(frozen=True)
class PowerGrid:
    """Result of `power_grid`.

    n : (sizes,); d : (effects,) in SD of the analyzed outcome without effects, in the registered
    direction; values, mcse : for each hypothesis and quantity (those of `summarize`, and fwer: a
    true null of the family rejected) an array (sizes, effects), NaN where it is not defined.
    """

    n: tuple[int, ...]
    d: tuple[float, ...]
    simulations: int
    values: dict[str, dict[str, np.ndarray]]
    mcse: dict[str, dict[str, np.ndarray]]
    covariates: str = "none"
    weights: str = "none"

    def at(self, n: int) -> pd.DataFrame:
        """One row for each hypothesis and effect at one sample size, every quantity a column."""
        where = self.n.index(n)
        return pd.concat([pd.DataFrame(
            {"hypothesis": id, "effect": self.d}
            | {name: grid[where] for name, grid in found.items()}
            | {f"{name}_mcse": grid[where] for name, grid in self.mcse[id].items()}
        ) for id, found in self.values.items()], ignore_index=True)

    def as_json(self, registration: Registration) -> dict:
        """The grid as plain values, None where not defined: what `fig-power.json` holds."""
        def plain(grids: dict[str, np.ndarray]) -> dict[str, list]:
            return {name: [[None if np.isnan(v) else round(v, 6) for v in row]
                           for row in grid.tolist()] for name, grid in grids.items()}

        return {
            "n": list(self.n), "d": list(self.d), "simulations": self.simulations,
            "covariates": self.covariates, "weights": self.weights,
            "registered_n": registration.study.size,
            "what": "Simulated from the registration; one hypothesis has the effect d (in standard "
                    "deviations of its outcome), the others of its family have none.",
            "hypotheses": {
                h.id: {"family": h.family, "sesoi": h.bound(1.0), "direction": h.direction,
                       "alpha": registration.families[h.family].alpha,
                       **plain(self.values[h.id]), "mcse": plain(self.mcse[h.id])}
                for h in map(registration.hypothesis, self.values)
            },
        }


def power_grid(
    registration: Registration, simulation: Simulation, *, sizes: Sequence[int] | None = None,
    effects: Sequence[float] | None = None, simulations: int = 1000, seed: int = 1,
    workers: int = 1, progress: Callable[[int, int], None] | None = None,
    root: Path = Path(), covariates: str = "none", weights: str = "none",
) -> PowerGrid:
    """Diagnose the registered analysis over sample sizes and effects.

    In each scenario one hypothesis has a true effect and the other members of its family have none.
    covariates (none, lin), weights (none, raked): as in the specification curve; root: the
    project's, where the margins lie. With either, and where a registered model names covariates,
    the people of one simulated survey of each size are held fixed.

    The answer depends on the seed and on `simulations`, not on `workers`, the scheduler, or the
    other sizes and effects of the grid. progress : called with experiments done and their total.
    """
    given = default_sizes(registration.study.size) if sizes is None else sizes
    sizes = tuple(sorted(map(int, given)))
    effects = tuple(sorted(map(float, EFFECTS if effects is None else effects)))
    if not sizes or not effects or min(sizes) < 50 or not np.all(np.isfinite(effects)):
        raise LedgerError(
            "diagnose", found=f"sizes {sizes}, effects {effects}",
            expected="sizes of 50 or more, and finite effects in standard deviations",
            mend="give lists such as 500,1000 and 0,0.1,0.2")
    _check("weights", weights)
    hypotheses, found = registration.hypotheses, []
    raked = weights == "raked" or any(h.weighted for h in hypotheses)
    fixed = raked or any(_leans(registration, h, covariates) for h in hypotheses)
    design = None if fixed else experiments_of(registration, simulation, covariates=covariates)
    with engine.processes(workers) as many:
        for i, n in enumerate(sizes):
            if fixed:
                design = _simulated_people(
                    registration, simulation, n, seed, root, covariates, raked)
            found.append(_power_at(
                design, n, effects, simulations, seed, many, progress and (
                    lambda done, total, i=i: progress(i * total + done, len(sizes) * total)),
            ))
    places = [(t.id, h) for family in design.families for h, t in enumerate(family.tests)]
    grids = [{id: {name: np.array([part[name][which][h * len(effects):(h + 1) * len(effects), m]
                                   for part in found]) for name in found[0]}
              for m, (id, h) in enumerate(places)} for which in (0, 1)]
    return PowerGrid(sizes, effects, simulations, *grids, covariates, weights)


def _power_at(design, n, effects, simulations, seed, many, progress) -> dict[str, tuple]:
    """Each quantity with its Monte Carlo error (scenarios, members of all families), at one size.

    Scenarios are the effects of the first member of each family, then those of the second, and so
    on; shorter families repeat their last one.
    """
    widest = max(len(f.tests) for f in design.families)
    scenarios = {}
    for family in design.families:
        m = len(family.tests)
        sign = np.where([t.direction == -1 for t in family.tests], -1.0, 1.0)
        rows = [np.eye(m)[min(h, m - 1)] * sign * d for h in range(widest) for d in effects]
        scenarios[family.name] = np.array(rows)
    job = partial(engine.batch, design, n, scenarios)
    sums = engine.run(job, simulations, [seed, n], many=many, progress=progress)
    truth = np.concatenate([scenarios[f.name] * f.sd for f in design.families], axis=1)
    found = engine.summarize(sums, truth)
    sd = np.concatenate([family.sd for family in design.families])
    for name in ("bias", "rmse", "mean_se"):
        found[name] = tuple(value / sd for value in found[name])
    members = [len(family.tests) for family in design.families]
    found["fwer"] = engine.proportion(
        np.repeat(sums["false_null"][:, :-1], members, axis=1), simulations)
    return found


def _simulated_people(registration, simulation, n, seed, root, covariates, raked: bool):
    """One simulated survey of n people without effects, whose people are held fixed."""
    drawn = Simulator(registration, simulation, NO_EFFECT).draw(
        np.random.default_rng([seed, n]), n)
    people = recode(to_frame(drawn, registration), registration)
    weights = rake_as_registered(people, registration, root).weights.to_numpy() if raked else None
    return experiments_of(registration, simulation, NO_EFFECT, people, covariates, weights)


def default_sizes(registered: int) -> tuple[int, ...]:
    """From a sixth of the registered size to four times, rounded to tens but for itself."""
    sizes = (registered if m == 1 else 10 * round(registered * m / 10) for m in MULTIPLES)
    return tuple(sorted({max(50, size) for size in sizes}))


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


def numbers(text: str) -> tuple[float, ...]:
    """Numbers from a text with commas between them."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise LedgerError(
            "diagnose", found=text, expected="numbers with commas between, such as 500,1000",
            mend="leave out blanks and units") from None


@contextmanager
def dask_cluster(address: str) -> Iterator[None]:
    """Send the chunks of every diagnosis within to the workers of a Dask scheduler.

    address : such as `tcp://host:8786`. The workers need this package. LedgerError where Dask is
    not installed or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise LedgerError(
            "scheduler", found="Dask is not installed", expected="the package distributed",
            mend='pip install "claimledger[dask]", or leave --scheduler out',
        ) from None
    try:
        client = Client(address, timeout=5)
    except (OSError, ValueError) as error:
        raise LedgerError(
            f"scheduler {address}", found=str(error).splitlines()[0],
            expected="a Dask scheduler that answers",
            mend="start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
        ) from None
    from joblib import parallel_config

    with client, parallel_config(backend="dask", client=client):
        yield
