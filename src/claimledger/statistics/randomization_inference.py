"""Inference from the assignment itself.

Randomisation inference tests the sharp null that no treatment changes anyone's outcome, with the
HC2 t statistic: studentised, the test is also valid in large samples for the null of no average
effect (Wu and Ding 2021).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from claimledger.errors import errors_of
from claimledger.statistics.linear import Cells, Estimates, LeastSquares, of_counts

_WHERE = "statistics.resampling"
_error = errors_of(_WHERE)


@dataclass(frozen=True)
class RandomisationTest:
    """Result of `randomisation_test` for m outcomes and q contrasts.

    estimate, se, statistic, p : (m, q) observed values and two-sided p = (1 + hits) / (1 + draws).
    resampled : (draws, m, q) statistics under the sharp null, one assignment for each draw, so that
    `multiplicity.romano_wolf` can use the dependence between tests.
    """

    estimate: np.ndarray
    se: np.ndarray
    statistic: np.ndarray
    p: np.ndarray
    resampled: np.ndarray


def randomisation_test(
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
) -> RandomisationTest:
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
    return RandomisationTest(estimate, se, statistic, (1 + hits) / (1 + draws), resampled)


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
