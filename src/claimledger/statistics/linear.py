"""Least squares with HC2 or HC3: one outcome, or thousands of them, on one design or on many.

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

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

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


def check_design(where: str, X) -> np.ndarray:
    """Return X (n, k) as floats; an error unless finite, of full column rank k, and n > k."""
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or not np.all(np.isfinite(X)):
        raise singular(where, f"a design of shape {X.shape} with missing or infinite values")
    rank = int(np.linalg.matrix_rank(X))
    if rank < X.shape[1] or len(X) <= X.shape[1]:
        raise singular(where, f"a design of rank {rank} with {X.shape[1]} columns, {len(X)} rows")
    return X


def orthonormal(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal Q (..., n, k) and R (..., k, k) with A = QR; LedgerError where one is singular.

    By Cholesky's factor of the cross-products, twice as fast as Householder's reflections, which
    serve where the columns (scaled to unit length) are so nearly collinear that it loses digits.
    """
    G = np.swapaxes(A, -1, -2) @ A
    scale = np.sqrt(np.diagonal(G, axis1=-2, axis2=-1))
    if A.shape[-2] < A.shape[-1] or not np.all((scale > 0) & np.isfinite(scale)):
        raise singular(_WHERE, f"a design of {A.shape[-1]} columns and {A.shape[-2]} rows, some "
                       "empty, missing or infinite, or without full column rank")
    try:
        R = np.linalg.cholesky(G / (scale[..., None] * scale[..., None, :])).swapaxes(-1, -2)
    except np.linalg.LinAlgError:
        R = np.zeros((1, 1))
    if np.diagonal(R, axis1=-2, axis2=-1).min() > 1e-3:
        R = R * scale[..., None, :]
        return A @ np.linalg.inv(R), R
    Q, R = np.linalg.qr(A / scale[..., None, :])
    if np.abs(np.diagonal(R, axis1=-2, axis2=-1)).min() < 1e-9:
        raise singular(_WHERE, f"a design of {A.shape[-1]} columns without full column rank")
    return Q, R * scale[..., None, :]


@dataclass(frozen=True)
class LeastSquares:
    """A design made ready for any number of outcomes; or designs, along the first axis.

    root : (n,) what outcomes are multiplied by: the square root of weight and count; Q : (n, k)
    orthonormal basis of the design times root; influence : (q, n) weight of each row, times root,
    in each contrast; free : (n,) what a squared residual counts, 1 / (1 - h) or its square; beside
    : (n, p) basis of columns partialled out. With an axis of designs before, but for `beside`.
    """

    root: np.ndarray
    Q: np.ndarray
    influence: np.ndarray
    free: np.ndarray
    beside: np.ndarray | None = None

    @classmethod
    def of(
        cls, X, contrasts=None, weights=None, *, vcov: str = "HC2", working: str = "weights",
        count=None, beside: np.ndarray | None = None,
    ) -> "LeastSquares":
        """Prepare a design (n, k), with (q, k) contrasts (None: the coefficients themselves).

        weights : (n,) above 0, or None. vcov : HC2 or HC3. working : what the correction for
        leverage takes the variances of the errors to be: the inverse `weights`, as HC2 of a WLS fit
        in statsmodels and estimatr; or the `identity`, as CR2 here and in clubSandwich, each row a
        cluster. count : (n,) rows that each row stands for, where it is a cell of the design; or
        (designs, n). beside : (n, p) orthonormal basis, times the root of the weights, of further
        columns that no contrast uses: they are partialled out (Frisch and Waugh 1933). X may then
        be (designs, n, k).
        """
        X = np.asarray(X, dtype=float)
        w = np.ones(X.shape[-2:-1]) if weights is None else np.asarray(weights, dtype=float)
        if not np.all((w > 0) & np.isfinite(w)):
            raise LedgerError(_WHERE, found="a weight that is zero, negative or missing",
                              expected="weights above 0", mend="drop the rows without a weight")
        n = np.ones(X.shape[-2]) if count is None else np.asarray(count, dtype=float)
        columns = X.shape[-1] + (0 if beside is None else beside.shape[1])
        if np.any(n.sum(axis=-1) <= columns):
            raise singular(_WHERE, f"a design of {columns} columns and {n.sum(axis=-1).min():.0f} "
                           "rows")
        root = np.sqrt(w * n)
        A = X if weights is None and count is None else X * root[..., None]
        if beside is not None:
            A = A - beside @ (beside.T @ A)
        Q, R = orthonormal(A)
        # b = R^-1 Q'z, z the weighted outcome: C R^-1 Q' is what each row adds to a contrast.
        C = np.eye(X.shape[-1]) if contrasts is None else np.atleast_2d(contrasts)
        influence = C @ np.linalg.inv(R) @ np.swapaxes(Q, -1, -2)
        leverage = np.einsum("...nk,...nk->...n", Q, Q)  # diagonal of the hat matrix QQ'
        if beside is not None:
            leverage += np.einsum("nk,nk->n", beside, beside)
        if working == "identity":
            # The diagonal of (I - H)(I - H)' for H = X (X'WX)^-1 X'W, which is not symmetric.
            leverage = 2 * leverage - np.einsum("nk,nk->n", Q @ ((Q.T * w) @ Q), Q) / w
        # Rows of a cell share its leverage; an empty cell has neither leverage nor influence.
        rows = np.maximum(n, 1)
        return cls(root, Q, influence, _free(leverage / rows, influence, vcov) / rows, beside)

    def estimate(self, Y, within=0.0) -> Estimates:
        """Estimates and standard errors (..., q) of outcomes (..., n).

        Of several designs (designs, m, q), of outcomes (designs, m, n) or (m, n).
        within : sums of squares about the means Y, where rows are cells. A constant outcome gives
        a standard error of exactly zero: the tests built on it refuse it.
        """
        Y = np.asarray(Y, dtype=float)
        several = self.Q.ndim == 3
        root, free = (part[:, None] if part.ndim == 2 else part for part in (self.root, self.free))
        Z = Y * root
        if self.beside is not None:
            Z = Z - (Z @ self.beside) @ self.beside.T
        residual = Z - (Z @ self.Q) @ np.swapaxes(self.Q, -1, -2)
        weight = np.swapaxes(self.influence, -1, -2)
        # Eicker, Huber and White: the sum over rows of (influence e)^2, e^2 as HC2 or HC3 count it.
        variance = ((residual**2 + within) * free) @ weight**2
        # Residuals of a constant outcome are rounding only: an error of exactly zero.
        length = np.sqrt(np.sum(self.influence**2, axis=-1))
        noise = 1e-12 * np.abs(Y).max(axis=-1)[..., None] * (length[:, None] if several else length)
        se = np.sqrt(variance)
        return Estimates(Z @ weight, np.where(se > noise, se, 0.0))

    def covariance(self, y) -> np.ndarray:
        """Covariance (q, q) of the contrasts, of one outcome (n,) on one design."""
        z = np.asarray(y, dtype=float) * self.root
        residual = z - self.Q @ (self.Q.T @ z)
        return (self.influence * (self.free * residual**2)) @ self.influence.T


def _free(leverage, influence, vcov: str) -> np.ndarray:
    """Return 1 / (1 - h), or its square for HC3; 0 for a row that is unused and has leverage one.

    leverage : (..., n); influence : (..., q, n) weight of each row in each contrast.
    """
    full = leverage >= 1 - 1e-10
    if np.any(full) and np.any(full & np.any(np.abs(influence) > 1e-10, axis=-2)):
        raise LedgerError(
            _WHERE, found="a contrast that uses a row alone in its cell (leverage one)",
            expected="at least two rows in each cell that a contrast compares",
            mend="merge the cell with another, or leave it out of the design")
    return np.where(full, 0.0, np.where(full, 1.0, 1 - leverage) ** (-2.0 if vcov == "HC3" else -1))


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
