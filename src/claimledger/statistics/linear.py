"""Least squares with HC2 or HC3: one outcome, or thousands of them on one design.

A regression in a notebook belongs to statsmodels. This is the one kernel behind everything that
the engine computes by itself: the audit, specification curves, permutations, simulated experiments.

HC2 (MacKinnon and White 1985) counts the squared residual of row i as e_i^2 / (1 - h_i), HC3 as
e_i^2 / (1 - h_i)^2, with h_i the leverage. A row of leverage one has a residual that is zero
whatever its outcome, so neither knows anything of its variance: a contrast that uses such a row is
an error; one that does not is unaffected.

A factorial design has few distinct rows, and then each cell's count, mean and sum of squares about
the mean are sufficient: all rows of a cell share their leverage and their fitted value m, and their
squared residuals sum to within + count (mean - m)^2.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import linalg

from claimledger.errors import LedgerError

_WHERE = "least squares"


class Estimates(NamedTuple):
    """Estimates and robust standard errors; degrees of freedom are those of the design, n - k."""

    coef: np.ndarray
    se: np.ndarray


def singular(where: str, found: str) -> LedgerError:
    """The error of a design whose coefficients cannot be told apart."""
    return LedgerError(
        where, found=found, expected="finite values, full column rank and more rows than columns",
        mend="drop the column of an empty cell, or the incomplete rows",
    )


def check_design(where: str, X, n: int | None = None) -> np.ndarray:
    """Return X as a float matrix; an error unless finite, of full column rank k, and n > k.

    X : (n, k), or its distinct rows alone where n is given.
    """
    X = np.asarray(X, dtype=float)
    n = len(X) if n is None else n
    if X.ndim != 2 or not np.all(np.isfinite(X)):
        raise singular(where, f"a design of shape {X.shape} with missing or infinite values")
    rank = int(np.linalg.matrix_rank(X))
    if rank < X.shape[1] or n <= X.shape[1]:
        raise singular(where, f"a design of rank {rank} with {X.shape[1]} columns and {n} rows")
    return X


def orthonormal(A: np.ndarray, where: str = _WHERE) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal Q (n, k) and upper triangular R (k, k) with A = QR; LedgerError where singular.

    By Cholesky's factor of the cross-products, twice as fast as Householder's reflections, which
    serve where the columns (scaled to unit length) are so nearly collinear that it loses digits.
    """
    scale = np.sqrt(np.einsum("nk,nk->k", A, A))
    if A.shape[0] < A.shape[1] or not np.all((scale > 0) & np.isfinite(scale)):
        raise singular(where, f"a design of {A.shape[1]} columns and {len(A)} rows, some empty")
    B = A / scale
    try:
        R = linalg.cholesky(B.T @ B, check_finite=False)
    except linalg.LinAlgError:
        R = None
    if R is not None and np.diag(R).min() > 1e-3:
        Q = linalg.solve_triangular(R, B.T, trans="T", check_finite=False).T
    else:
        Q, R = np.linalg.qr(B)
        if np.abs(np.diag(R)).min() < 1e-9:
            rank = int(np.linalg.matrix_rank(B))
            raise singular(where, f"a design of rank {rank} with {A.shape[1]} columns")
    return Q, R * scale


@dataclass(frozen=True)
class LeastSquares:
    """A design made ready for any number of outcomes.

    root : (n,) what outcomes are multiplied by: the square root of weight and count; Q : (n, k)
    orthonormal basis of the design (and of what is beside it) times root; influence : (q, n) weight
    of each row, times root, in each contrast; free : (n,) what a squared residual counts,
    1 / (1 - h) or its square.
    """

    root: np.ndarray
    Q: np.ndarray
    influence: np.ndarray
    free: np.ndarray

    @classmethod
    def of(
        cls, X, contrasts=None, weights=None, *, vcov: str = "HC2", working: str = "weights",
        count=None, beside: np.ndarray | None = None,
    ) -> "LeastSquares":
        """Prepare a design (n, k), with (q, k) contrasts (None: the coefficients themselves).

        weights : (n,) above 0, or None. vcov : HC2 or HC3. working : what the correction for
        leverage takes the variances of the errors to be: the inverse `weights`, as HC2 of a WLS fit
        in statsmodels and estimatr; or the `identity`, as CR2 here and in clubSandwich, each row a
        cluster. count : (n,) rows that each row stands for, where it is a cell of the design.
        beside : (n, p) orthonormal basis, times the root of the weights, of further columns that no
        contrast uses: they are partialled out (Frisch and Waugh 1933).
        """
        X = np.asarray(X, dtype=float)
        w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=float)
        if X.ndim != 2 or w.shape != X.shape[:1] or not np.all((w > 0) & np.isfinite(w)):
            raise LedgerError(
                _WHERE, found=f"weights of shape {w.shape}, or some zero, negative or missing",
                expected=f"a weight above 0 for each of {len(X)} rows",
                mend="drop the rows without a weight",
            )
        n = np.ones(len(X)) if count is None else np.asarray(count, dtype=float)
        columns = X.shape[1] + (0 if beside is None else beside.shape[1])
        if n.sum() <= columns or not np.all(np.isfinite(X)):
            raise singular(_WHERE, f"a design of {columns} columns and {n.sum():.0f} rows, "
                           f"{int((~np.isfinite(X)).sum())} values missing or infinite")
        root = np.sqrt(w * n)
        A = X * root[:, None]
        if beside is not None:
            A = A - beside @ (beside.T @ A)
        Q, R = orthonormal(A)
        C = np.eye(X.shape[1]) if contrasts is None else np.atleast_2d(contrasts)
        influence = linalg.solve_triangular(R, C.T, trans="T", check_finite=False).T @ Q.T
        if beside is not None:
            Q = np.hstack([beside, Q])
        leverage = np.einsum("nk,nk->n", Q, Q)
        if working == "identity":
            # The diagonal of (I - H)(I - H)' for H = X (X'WX)^-1 X'W, which is not symmetric.
            leverage = 2 * leverage - np.einsum("nk,nk->n", Q @ ((Q.T * w) @ Q), Q) / w
        leverage = leverage / n
        free = _free(leverage, influence, vcov=vcov) / n
        return cls(root, Q, influence, free)

    def estimate(self, Y, within=0.0) -> Estimates:
        """Estimates and standard errors (..., q) of outcomes (..., n).

        within : (..., n) sums of squares about the means Y, where rows are cells. A constant
        outcome gives a standard error of exactly zero: the tests built on it refuse it.
        """
        Y = np.asarray(Y, dtype=float)
        if Y.shape[-1:] != self.root.shape or not np.all(np.isfinite(Y)):
            raise LedgerError(
                _WHERE, found=f"outcomes of shape {Y.shape}, "
                f"{int(np.sum(~np.isfinite(Y)))} values not finite",
                expected=f"finite outcomes of the {len(self.Q)} rows of the design",
                mend="select the complete rows of design and outcome together",
            )
        Z = Y * self.root
        residual = Z - (Z @ self.Q) @ self.Q.T
        variance = (residual**2 + within) @ (self.influence**2 * self.free).T
        scale = np.abs(Y).max(axis=-1)[..., None]
        return Estimates(Z @ self.influence.T, _root(variance, self.influence, scale))

    def with_hc3(self) -> "LeastSquares":
        """The same design with HC3 in place of HC2; rows alone, not cells."""
        return replace(self, free=self.free**2)

    def covariance(self, y) -> np.ndarray:
        """Covariance (q, q) of the contrasts, of one outcome (n,)."""
        z = np.asarray(y, dtype=float) * self.root
        residual = z - self.Q @ (self.Q.T @ z)
        return (self.influence * (self.free * residual**2)) @ self.influence.T


def _free(leverage, influence, occupied=True, vcov: str = "HC2") -> np.ndarray:
    """Return 1 / (1 - h), or its square for HC3; 0 for a row that is unused and has leverage one.

    leverage : (..., n); influence : (..., q, n) weight of each row in each contrast.
    """
    full = occupied & (leverage >= 1 - 1e-10)
    if np.any(full & np.any(np.abs(influence) > 1e-10, axis=-2)):
        raise LedgerError(
            _WHERE, found="a contrast that uses a row alone in its cell (leverage one)",
            expected="at least two rows in each cell that a contrast compares",
            mend="merge the cell with another, or leave it out of the design",
        )
    idle = full | np.logical_not(occupied)
    return np.where(idle, 0.0, np.where(idle, 1.0, 1 - leverage) ** (-2.0 if vcov == "HC3" else -1))


def _root(variance, influence, scale) -> np.ndarray:
    """Standard errors; exactly 0 where the residuals of a constant outcome are rounding only."""
    noise = 1e-12 * scale * np.sqrt(np.sum(influence**2, axis=-1))
    se = np.sqrt(variance)
    return np.where(se > noise, se, 0.0)


@dataclass(frozen=True)
class Cells:
    """Distinct rows of a design and who is in each.

    rows : (c, k) distinct rows; index : (n,) cell of each unit; count : (c,) units in each cell;
    order : (n,) units sorted by cell; starts : (c,) first place of each cell in `order`.
    """

    rows: np.ndarray
    index: np.ndarray
    count: np.ndarray
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, X) -> "Cells":
        """Cells of a design (n, k)."""
        X = np.asarray(X, dtype=float)
        rows, index = np.unique(X, axis=0, return_inverse=True)
        index = index.ravel()
        count = np.bincount(index)
        return cls(
            rows, index, count, np.argsort(index, kind="stable"), np.r_[0, np.cumsum(count)[:-1]]
        )

    def moments(self, Y) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sum of squares about it (..., c) of outcomes (..., n), by cell."""
        return self.sorted_moments(np.asarray(Y, dtype=float)[..., self.order])

    def sorted_moments(self, Y) -> tuple[np.ndarray, np.ndarray]:
        """The same of outcomes, of any real dtype, whose rows stand in the order of the cells."""
        # About a value of the data, so that a large common level does not cost digits.
        Y = np.array(Y, dtype=float)  # first the copy: a cast within the subtraction is slow
        level = Y[..., :1].copy()
        Y -= level
        mean = np.add.reduceat(Y, self.starts, axis=-1) / self.count
        squares = np.add.reduceat(np.multiply(Y, Y, out=Y), self.starts, axis=-1)
        within = squares - self.count * mean**2
        return mean + level, np.maximum(within, 0.0)


def of_counts(rows, count, mean, within, contrasts=None) -> Estimates:
    """HC2 of experiments whose cells differ in size: `LeastSquares` where each has its own counts.

    Parameters
    ----------
    rows : (c, k) design row of each cell. count : (..., c) rows in each cell, 0 allowed while the
        design keeps its rank. mean, within : (..., c) mean, and sum of squares about it.
    contrasts : (q, k) weights over the coefficients; the coefficients themselves where None.

    Returns
    -------
    coef, se : (..., q).
    """
    rows, count = np.asarray(rows, dtype=float), np.asarray(count, dtype=float)
    C = np.eye(rows.shape[1]) if contrasts is None else np.atleast_2d(contrasts)
    gram = np.einsum("ci,...c,cj->...ij", rows, count, rows, optimize=True)  # X'X
    try:
        pivots = np.diagonal(np.linalg.cholesky(gram), axis1=-2, axis2=-1) ** 2
        sound = pivots > 1e-10 * np.diagonal(gram, axis1=-2, axis2=-1)
    except np.linalg.LinAlgError:
        sound = np.array(False)
    if not sound.all():
        raise singular(_WHERE, "a design without full column rank")
    solved = np.linalg.solve(gram, np.broadcast_to(rows.T, (*gram.shape[:-2], *rows.T.shape)))
    # (..., c) leverage of one row of each cell; (..., q, c) weight of one row in each contrast.
    leverage, influence = np.sum(rows.T * solved, axis=-2), C @ solved
    free = _free(leverage, influence, count > 0)
    total = (count * mean)[..., None]
    coef = (influence @ total)[..., 0]
    residual = mean - (np.swapaxes(solved @ total, -1, -2) @ rows.T)[..., 0, :]
    squares = within + count * residual**2
    variance = ((influence**2 * free[..., None, :]) @ squares[..., None])[..., 0]
    scale = np.abs(np.where(count > 0, mean, 0.0)).max(axis=-1)[..., None]
    return Estimates(coef, _root(variance, influence * np.sqrt(count)[..., None, :], scale))


def adjusted(design: pd.DataFrame, covariates: pd.DataFrame, weights=None) -> pd.DataFrame:
    """The adjustment of Lin (2013): a design (n, k) with an intercept, joined by covariates.

    Covariates are centered at their mean, weighted by `weights` where given, and multiplied with
    every column of the design that varies, so that the coefficients of the design's own columns
    stay average effects. Without the products where they would leave fewer than two rows to a
    coefficient.
    """
    C = covariates - np.average(covariates, axis=0, weights=weights)
    arms = design.loc[:, design.nunique() > 1]
    parts = [design, C]
    if len(design) >= 2 * (design.shape[1] + C.shape[1] * (1 + arms.shape[1])):
        products = {f"{a}:{c}": arms[a].to_numpy() * C[c].to_numpy() for a in arms for c in C}
        parts.append(pd.DataFrame(products, index=design.index))
    return pd.concat(parts, axis=1)
