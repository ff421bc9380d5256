"""Registered analyses of many experiments at once: estimates, standard errors, outcome spreads.

Serves analyses that are contrasts of a least squares fit with HC2, or means of contrasts of items
within respondents, with covariates and weights where there are any. Analyses that share a design,
rows and weights are computed together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import df_of_mean
from claimledger.statistics.linear import Cells, LeastSquares

_WHERE = "statistics.batch"


@dataclass(frozen=True)
class Analysis:
    """One registered test: a contrast of a fit with HC2, or a mean within respondents.

    id, family : names.
    X : (n, k) design over all respondents, or None for a mean.
    contrast : (k,) weights over the coefficients; (1,) for a mean.
    rows : (n,) bool, the rows analysed.
    outcome : position in the stack of outcomes; or (outcomes,) weights that sum to zero, the
        contrast of items within each respondent. An index of items is an outcome of its own.
    direction : +1, -1, or 0 for a comparison.
    sesoi_sd : smallest effect of interest in standard deviations (ddof 1) of the outcome in the
        analysed rows, for a contrast of items in those of the stacked items; None where there is
        none.
    correction : holm, bh or none; one for the whole family.
    weights : (n,) above 0 in the analysed rows, or None. The spread stays unweighted.

    With complete answers the mean of a contrast of items is exactly the regression of the stacked
    items with CR2 by respondent, degrees of freedom included: HC2 and n - 1 without weights. With
    weights the identity is the working covariance, not the inverse weights as in HC2 of a WLS fit.
    """

    id: str
    family: str
    X: np.ndarray | None
    contrast: np.ndarray
    rows: np.ndarray
    outcome: int | np.ndarray
    direction: int
    sesoi_sd: float | None
    correction: str = "holm"
    weights: np.ndarray | None = None

    @cached_property
    def design(self) -> np.ndarray:
        """Design (n', k) of the analysed rows."""
        count = int(np.sum(self.rows))
        return np.ones((count, 1)) if self.X is None else np.asarray(self.X, float)[self.rows]

    @cached_property
    def df(self) -> float:
        """Degrees of freedom: n' - k; of a weighted mean those of CR2."""
        if self.X is None and self.used is not None:
            return df_of_mean(self.used)
        return float(self.design.shape[0] - self.design.shape[1])

    @property
    def used(self) -> np.ndarray | None:
        """Weights of the analysed rows, if any."""
        return None if self.weights is None else np.asarray(self.weights, float)[self.rows]

    @property
    def items(self) -> list[int]:
        """Positions in the stack of the outcomes that the analysis uses."""
        whole = np.ndim(self.outcome) == 0
        return [int(self.outcome)] if whole else np.flatnonzero(self.outcome).tolist()

    def check(self, n: int) -> None:
        """An error unless the parts fit together."""
        rows, weights = np.asarray(self.rows), np.asarray(self.outcome)
        if rows.dtype != bool or rows.shape != (n,):
            found, expected = f"rows {rows.dtype} {rows.shape}", f"a boolean for each of {n} rows"
        elif np.shape(self.contrast) != (self.design.shape[1],) or not np.any(self.contrast):
            found = f"contrast {self.contrast}"
            expected = f"({self.design.shape[1]},) weights, not all zero"
        elif weights.ndim == 1 and (abs(weights.sum()) > 1e-9 or not np.any(weights)):
            found, expected = f"item weights {weights}", "weights that sum to zero, not all zero"
        elif weights.ndim == 0 and weights < 0:
            found, expected = f"outcome {weights}", "a position in the stack, from 0"
        elif self.weights is not None and np.shape(self.weights) != (n,):
            found, expected = f"weights of shape {np.shape(self.weights)}", f"({n},) weights"
        else:
            return
        raise LedgerError(
            f"{_WHERE}: {self.id}", found=found, expected=expected, mend="correct the analysis"
        )


class Batch:
    """A set of analyses made ready for many experiments."""

    def __init__(self, analyses: Sequence[Analysis]):
        """Check the analyses and group them by design and rows."""
        self.analyses = tuple(analyses)
        self.ids = [a.id for a in self.analyses]
        if not self.ids or len(set(self.ids)) < len(self.ids):
            raise LedgerError(
                _WHERE,
                found=f"analyses {self.ids}",
                expected="at least one analysis, each with an id of its own",
                mend="correct the list of analyses",
            )
        self.n = len(self.analyses[0].rows)
        groups: dict[tuple, list[int]] = {}
        for position, a in enumerate(self.analyses):
            a.check(self.n)
            weights = None if a.weights is None else (a.X is None, a.used.tobytes())
            groups.setdefault((a.design.tobytes(), a.rows.tobytes(), weights), []).append(position)
        self._groups = [_Group(self.analyses, members) for members in groups.values()]
        self.outcomes = 1 + max(max(a.items) for a in self.analyses)

    def estimate(self, Y) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Estimates, HC2 standard errors and outcome spreads (simulations, analyses).

        Y : (simulations, outcomes, n), any real dtype; finite in the analysed rows.
        """
        Y = np.asarray(Y)
        if Y.ndim != 3 or Y.shape[1] < self.outcomes or Y.shape[2] != self.n:
            raise LedgerError(
                f"{_WHERE}.estimate",
                found=f"outcomes of shape {Y.shape}",
                expected=f"(simulations, {self.outcomes} or more, {self.n})",
                mend="make the drawn stack and the positions of the outcomes agree",
            )
        results = np.empty((3, len(Y), len(self.analyses)))
        for group in self._groups:
            results[:, :, group.members] = group.estimate(Y)
        return results[0], results[1], results[2]


class _Group:
    """Analyses that share a design and rows.

    members : positions of the analyses. items : positions in the stack of the outcomes in use.
    mixtures : (u, items) weights of the contrasts of items. pick : for each member its place
    among items and mixtures. pooled : for each member the items of its spread.
    """

    def __init__(self, analyses: Sequence[Analysis], members: list[int]):
        chosen = [analyses[m] for m in members]
        self.members = members
        self.name = ", ".join(a.id for a in chosen)
        self.items = sorted({i for a in chosen for i in a.items})
        self.X = chosen[0].design
        self.contrasts = np.array([a.contrast for a in chosen], dtype=float)
        self.pooled = [[self.items.index(i) for i in a.items] for a in chosen]
        mixtures = [np.asarray(a.outcome, float)[self.items] for a in chosen if np.ndim(a.outcome)]
        self.mixtures = np.array(mixtures).reshape(-1, len(self.items))
        places = iter(range(len(self.items), len(self.items) + len(mixtures)))
        self.pick = [
            next(places) if np.ndim(a.outcome) else self.items.index(int(a.outcome)) for a in chosen
        ]
        cells, weights = Cells.of(self.X), chosen[0].used
        # With weights, or with nearly as many distinct rows as rows (covariates), the rows serve.
        self.cells = cells if weights is None and len(cells.rows) <= len(self.X) / 4 else None
        rows = np.flatnonzero(chosen[0].rows)
        self.order = rows if self.cells is None else rows[cells.order]
        X, count = (self.X, None) if self.cells is None else (cells.rows, cells.count)
        self.design = LeastSquares.of(
            X, self.contrasts, weights, count=count,
            working="identity" if chosen[0].X is None else "weights",
        )

    def estimate(self, Y) -> np.ndarray:
        """Estimates, standard errors and spreads (3, simulations, members)."""
        values = np.asarray(Y[:, self.items][..., self.order], dtype=float)
        if not np.all(np.isfinite(values)):
            raise LedgerError(
                f"{_WHERE}: {self.name}",
                found="a missing or infinite outcome in an analysed row",
                expected="complete outcomes in the analysed rows",
                mend="leave the row out of the analysis, or draw its outcome",
            )
        mixed = np.einsum("ui,sin->sun", self.mixtures, values, optimize=True)
        if self.cells is None:
            coef, se = self.design.estimate(np.concatenate([values, mixed], axis=1))
            mean, count = values.mean(axis=-1)[..., None], len(self.X)
            within = np.sum((values - mean) ** 2, axis=-1)[..., None]
        else:
            mean, within = self.cells.sorted_moments(values)
            moments = [(mean, within), self.cells.sorted_moments(mixed)]
            coef, se = self.design.estimate(
                *(np.concatenate(part, axis=1) for part in zip(*moments, strict=True))
            )
            count = self.cells.count
        each = np.arange(len(self.members))
        sds = [_spread(count, mean[:, p], within[:, p]) for p in self.pooled]
        return np.stack([coef[:, self.pick, each], se[:, self.pick, each], np.stack(sds, axis=-1)])


def _spread(count, mean, within) -> np.ndarray:
    """Standard deviation (ddof 1) over the stacked items, from (simulations, items, c) moments."""
    total = np.sum(count) * mean.shape[1]
    grand = np.sum(count * mean, axis=(1, 2), keepdims=True) / total
    squares = np.sum(within + count * (mean - grand) ** 2, axis=(1, 2))
    return np.sqrt(squares / (total - 1))
