"""Inference from the assignment itself.

The test of the sharp null that no treatment changes anyone's outcome, with the HC2 t statistic:
studentized, it is also valid in large samples for the null of no average effect (Wu and Ding 2021).
`registered_test` draws the assignment again as it was made: within blocks, whole clusters, and only
combinations that could occur. `randomization_test` is the kernel for designs of few cells.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from claimledger.errors import errors_of
from claimledger.registration.models import Hypothesis, Registration
from claimledger.statistics.clustered import cluster_robust
from claimledger.statistics.estimators import Model, model_of
from claimledger.statistics.linear import Cells, Estimates, LeastSquares, of_counts, orthonormal
from claimledger.statistics.specification_curve import columns_of_factor
from claimledger.survey.recoding import BLOCK, CLUSTER

_WHERE = "randomization test"
_error = errors_of(_WHERE)


@dataclass(frozen=True)
class RandomizationTest:
    """Result of `randomization_test` for m outcomes and q contrasts.

    estimate, se, statistic, p : (m, q) observed values and two-sided p = (1 + hits) / (1 + draws).
    resampled : (draws, m, q) statistics under the sharp null, one assignment for each draw.
    """

    estimate: np.ndarray
    se: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    resampled: np.ndarray


def randomization_test(
    X,
    outcomes,
    contrasts,
    *,
    seed: int,
    draws: int = 10_000,
    probabilities=None,
    blocks=None,
    chunk: int = 500,
    progress: Callable[[int, int], None] | None = None,
) -> RandomizationTest:
    """Test contrasts of a factorial design by drawing the assignment again.

    Parameters
    ----------
    X : (n, k) design of the assigned factors, few distinct rows: its cells are what is assigned.
    outcomes : (n,) or (n, m), complete. One set of draws serves all of them.
    contrasts : (k,) or (q, k) weights over the coefficients.
    probabilities : None for complete assignment: the cells are permuted, their sizes kept. For
        simple assignment (n, c) or (c,) probabilities of the cells, in the order of
        `Cells.of(X).rows`: each draw assigns every unit anew; a draw with fewer than two units in
        a cell is drawn again (inference conditional on that).
    blocks : (n,) labels: the cells are permuted within blocks. Blocks made of all other factors
        test one factor alone and leave the others where they are. Complete assignment only.
    chunk : draws at a time, which bounds the memory. progress : called with draws done and total.
    """
    cells, Y = Cells.of(X), np.asarray(outcomes, dtype=float)
    Y = Y.reshape(len(Y), -1).T
    if Y.shape[1] != len(cells.index) or not np.all(np.isfinite(Y)) or draws < 1:
        raise _error(
            f"outcomes of shape {Y.T.shape} for {len(cells.index)} rows, {draws} draws",
            "complete outcomes of the rows of the design, one draw or more",
            "select the complete rows first",
        )
    if 2 * len(cells.rows) > len(cells.index):
        raise _error(
            f"{len(cells.rows)} distinct design rows among {len(cells.index)}",
            "a design of the assigned factors alone",
            "leave covariates out of the design",
        )
    if probabilities is not None and blocks is not None:
        raise _error(
            "both probabilities and blocks", "one of them", "use blocks with complete assignment"
        )
    design = LeastSquares.of(cells.rows, contrasts, count=cells.count)
    estimate, se = design.estimate(*cells.moments(Y))
    if np.any(se == 0):
        raise _error(
            "an outcome without variation",
            "outcomes that vary within cells",
            "leave the constant outcome out",
        )
    rng, parts, done = np.random.default_rng(seed), [], 0
    redraw = (
        _permuted(cells, design, blocks) if probabilities is None
        else _assigned(cells, probabilities)
    )
    while done < draws:
        size = min(chunk, draws - done)
        parts.append(_t(redraw(rng, Y, size, contrasts)))
        done += size
        if progress is not None:
            progress(done, draws)
    statistic, resampled = estimate / se, np.concatenate(parts)
    # Ordinal outcomes tie exactly: a tie up to rounding is a hit.
    hits = np.sum(np.abs(resampled) >= np.abs(statistic) * (1 - 1e-9), axis=0)
    return RandomizationTest(estimate, se, statistic, (1 + hits) / (1 + draws), resampled)


def _t(found: Estimates) -> np.ndarray:
    """T statistics; a draw in which every cell is constant separates the cells without error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = found.coef / found.se
    return np.where(found.se > 0, t, np.where(np.abs(found.coef) > 0, np.inf, 0.0))


def _permuted(cells: Cells, design: LeastSquares, blocks):
    """Complete assignment: permute the units over the places of the cells, within blocks."""
    n = len(cells.index)
    if blocks is None:
        places = [np.arange(n)]
    else:
        _, codes = np.unique(np.asarray(blocks)[cells.order], return_inverse=True)
        places = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    if all(len(np.unique(cells.index[cells.order][place])) < 2 for place in places):
        raise _error(
            "blocks that each hold one cell only",
            "something to permute in a block",
            "take blocks that contain several cells",
        )

    def redraw(rng, Y, size, contrasts) -> Estimates:
        units = np.tile(cells.order.astype(np.int32), (size, 1))
        for place in places:
            units[:, place] = rng.permuted(units[:, place], axis=1)
        moments = [cells.sorted_moments(y[units]) for y in Y]
        mean, within = (np.stack(part, axis=1) for part in zip(*moments, strict=True))
        return design.estimate(mean, within)

    return redraw


def _assigned(cells: Cells, probabilities):
    """Simple assignment: every unit is assigned a cell anew, independently."""
    n, c = len(cells.index), len(cells.count)
    p = np.broadcast_to(np.asarray(probabilities, dtype=float), (n, c))
    if not np.all(p >= 0) or not np.allclose(p.sum(axis=1), 1):
        raise _error(
            "probabilities that are negative or do not sum to one",
            f"probabilities of the {c} cells, each row summing to one",
            "give them in the order of Cells.of(X).rows",
        )
    edges = np.cumsum(p, axis=1)[:, :-1]

    def redraw(rng, Y, size, contrasts) -> Estimates:
        assigned = _draw_cells(rng, edges, size)
        for _ in range(1000):
            short = _counts(assigned, c).min(axis=1) < 2
            if not np.any(short):
                break
            assigned[short] = _draw_cells(rng, edges, int(short.sum()))
        else:
            raise _error(
                f"{c} cells that {n} units do not fill in a thousand draws",
                "two units in each cell",
                "drop factors from the design, or use complete assignment",
            )
        count = _counts(assigned, c).astype(float)
        centred = Y - Y.mean(axis=1, keepdims=True)
        inside = (assigned[:, None, :] == np.arange(c)[:, None]).astype(float)
        total = np.einsum("dcn,mn->mdc", inside, centred, optimize=True)
        squares = np.einsum("dcn,mn->mdc", inside, centred**2, optimize=True)
        mean = total / count
        found = of_counts(cells.rows, count, mean, np.maximum(squares - total * mean, 0), contrasts)
        return Estimates(*(part.swapaxes(0, 1) for part in found))

    return redraw


def _draw_cells(rng, edges, size: int) -> np.ndarray:
    """Cells (size, n) drawn with cumulative probabilities `edges` (n, c - 1)."""
    u = rng.random((size, len(edges)))
    return sum((u >= edge).astype(np.intp) for edge in edges.T)


def _counts(assigned, c: int) -> np.ndarray:
    """Units in each cell (draws, c)."""
    return np.stack([(assigned == cell).sum(axis=1) for cell in range(c)], axis=1)


class Randomized(NamedTuple):
    """Observed t statistic, two-sided p = (1 + hits) / (1 + draws), and what was drawn again."""

    statistic: float
    p: float
    drawn: str


def registered_test(
    registration: Registration, rows: pd.DataFrame, hypothesis: Hypothesis, *, draws: int,
    seed: int, weights: pd.Series | None = None,
) -> Randomized:
    """Test the contrast of a hypothesis by drawing the assignment of its factor again.

    rows : of the registered sample. The factor's values change places among respondents (or whole
    clusters, where the design has some) who agree in the block and in all other factors: so blocks
    and restrictions hold in every draw. Within respondents nothing was assigned: each one's answers
    change places among the items that the contrast weighs, as if the items were alike.
    """
    rng = np.random.default_rng(seed)
    if hypothesis.frame == "stacked":
        return _within(rows, hypothesis, draws, rng)
    model = model_of(hypothesis, rows, weights=weights)
    moved = columns_of_factor(hypothesis, model.X)
    about = moved[0].partition("[")[0]
    data = rows.loc[rows[hypothesis.outcome].notna()]
    data = data.iloc[np.asarray(model.X.index)] if model.data is not None else data
    others = [name for name in registration.design.factors if name != about and name in data]
    strata = [data[name].astype(str).to_numpy() for name in others + [BLOCK] * (BLOCK in data)]
    stratum = pd.factorize(pd.Series(list(zip(*strata, strict=True))))[0] if strata else \
        np.zeros(len(data), dtype=int)
    unit = data[CLUSTER].to_numpy() if CLUSTER in data else np.arange(len(data))
    order, first, place = _units(unit, stratum)
    statistic = _statistic(model, moved, hypothesis.contrast)
    observed, hits = statistic(model.X[moved].to_numpy()), 0
    main = model.X[moved].to_numpy()[first]
    for _ in range(draws):
        drawn = np.empty(len(first), dtype=int)
        for at in order:
            drawn[at] = rng.permutation(at)
        # A tie up to rounding is a hit.
        hits += abs(statistic(main[drawn][place])) >= abs(observed) * (1 - 1e-9)
    what = "clusters" if CLUSTER in data else "respondents"
    within = f" within blocks of {', '.join(others + ['the design'] * (BLOCK in data))}"
    return Randomized(observed, (1 + hits) / (1 + draws), what + (within if strata else ""))


def _units(unit, stratum) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Units of each stratum; the first row of each unit; the unit of each row."""
    place, labels = pd.factorize(unit)
    first = np.zeros(len(labels), dtype=int)
    first[place[::-1]] = np.arange(len(place))[::-1]
    of_unit = stratum[first]
    if np.any(of_unit[place] != stratum):
        of_unit = np.zeros(len(labels), dtype=int)  # other factors vary within clusters
    order = [np.flatnonzero(of_unit == code) for code in np.unique(of_unit)]
    if all(len(at) < 2 for at in order):
        raise _error("nothing to permute in any block", "blocks that hold several units",
                     "look at design.blocks and design.clusters")
    return order, first, place


def _statistic(model: Model, moved: list[str], contrast: dict) -> Callable[[np.ndarray], float]:
    """The t statistic of a contrast for other values (n, m) of the moved columns."""
    C = np.array([contrast.get(name, 0.0) for name in moved])
    fixed = model.X.drop(columns=moved).to_numpy()
    if model.clusters is not None:
        whole = np.r_[C, np.zeros(fixed.shape[1])]

        def clustered(columns: np.ndarray) -> float:
            fit = cluster_robust(np.column_stack([columns, fixed]), model.y, model.clusters,
                                 "stata", weights=model.weights)  # fmt: skip
            return float(fit.contrast(whole).t)

        return clustered
    root = np.ones(len(model.y)) if model.weights is None else np.sqrt(model.weights)
    basis, _ = orthonormal(fixed * root[:, None])

    def independent(columns: np.ndarray) -> float:
        found = LeastSquares.of(columns, C, model.weights, beside=basis).estimate(model.y)
        return float(found.coef[0] / found.se[0])

    return independent


def _within(rows: pd.DataFrame, h: Hypothesis, draws: int, rng) -> Randomized:
    """The mean of the contrast of items over its standard error, answers changing places."""
    weigh = {term.removeprefix("item[").removesuffix("]"): w for term, w in h.contrast.items() if w}
    answers = rows.dropna(subset=h.stack)[list(weigh)].to_numpy(dtype=float)
    W = np.array(list(weigh.values()))

    def statistic(values: np.ndarray) -> float:
        own = values @ W
        return float(own.mean() / (own.std(ddof=1) / np.sqrt(len(own))))

    observed = statistic(answers)
    hits = sum(abs(statistic(rng.permuted(answers, axis=1))) >= abs(observed) * (1 - 1e-9)
               for _ in range(draws))  # fmt: skip
    return Randomized(observed, (1 + hits) / (1 + draws), "answers within respondents")
