"""HC2 for many outcomes at once, and the design of Lin (2013).

A single regression belongs to statsmodels. These kernels are for thousands of them on one design
matrix: simulated experiments and permutations. The two forms give the same numbers:

- `hc2` takes the rows, so it serves any design;
- `hc2_cells` takes each cell's count, mean and sum of squares about it, which are sufficient when
  the design has few distinct rows, as a factorial has.

HC2 (MacKinnon and White 1985): the squared residual of row i counts e_i^2 / (1 - h_i). A row of
leverage one has a residual that is zero whatever its outcome, so HC2 knows nothing of its
variance: a contrast that uses such a row is an error; one that does not is unaffected.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError

_WHERE = "statistics.linear"


class Estimates(NamedTuple):
    """Estimates and HC2 standard errors; degrees of freedom are those of the design, n - k."""

    coef: np.ndarray
    se: np.ndarray


def check_design(where: str, X, n: int | None = None) -> np.ndarray:
    """Return X as a float matrix; an error unless finite, of full column rank k, and n > k.

    X : (n, k), or its distinct rows alone where n is given.
    """
    X = np.asarray(X, dtype=float)
    n = len(X) if n is None else n
    if X.ndim != 2 or not np.all(np.isfinite(X)):
        found, rank = f"a design of shape {X.shape} with missing or infinite values", None
    else:
        rank = int(np.linalg.matrix_rank(X))
        found = f"a design of rank {rank} with {X.shape[1]} columns and {n} rows"
    if rank is None or rank < X.shape[1] or n <= X.shape[1]:
        raise LedgerError(
            where,
            found=found,
            expected="finite values, full column rank and more rows than columns",
            mend="drop the column of an empty cell, or the incomplete rows",
        )
    return X


def _hc2_weights(where: str, leverage, influence, occupied=True) -> np.ndarray:
    """Return 1 / (1 - h) of each row or cell; 0 where it is empty, or unused with leverage one.

    leverage : (..., n); influence : (..., q, n) weight of each row in each contrast.
    """
    full = occupied & (leverage >= 1 - 1e-10)
    if np.any(full & np.any(np.abs(influence) > 1e-10, axis=-2)):
        raise LedgerError(
            where,
            found="a contrast that uses a row alone in its cell (leverage one)",
            expected="at least two rows in each cell that a contrast compares",
            mend="merge the cell with another, or leave it out of the design",
        )
    idle = full | np.logical_not(occupied)
    return np.where(idle, 0.0, 1 / np.where(idle, 1.0, 1 - leverage))


def _root(variance, influence, scale) -> np.ndarray:
    """Standard errors; exactly 0 where the residuals of a constant outcome are rounding only."""
    noise = 1e-12 * scale * np.sqrt(np.sum(influence**2, axis=-1))
    se = np.sqrt(variance)
    return np.where(se > noise, se, 0.0)


def hc2(X, Y, contrasts=None, weights=None) -> Estimates:
    """Least squares estimates and HC2 standard errors of every outcome on one design matrix.

    Parameters
    ----------
    X : (n, k) design. Y : (n,) or (n, m) outcomes, finite. weights, contrasts : see `Rows.of`.

    Returns
    -------
    coef, se : (q, m), or (q,) for one outcome. A constant outcome gives a standard error of zero:
    the tests built on it refuse it.
    """
    return Rows.of(X, contrasts, weights).estimate(Y)


@dataclass(frozen=True)
class Rows:
    """A design made ready for the outcomes of its n rows, however many experiments there are.

    root : (n,) square root of the weights, 1 where there are none; Q : (n, k) orthonormal basis of
    the design times root; influence : (q, n) weight of each row, times root, in each contrast;
    free : (n,) what each squared residual counts, 1 / (1 - h).
    """

    root: np.ndarray
    Q: np.ndarray
    influence: np.ndarray
    free: np.ndarray

    @classmethod
    def of(cls, X, contrasts=None, weights=None, working: str = "weights") -> "Rows":
        """Prepare a design (n, k), with (q, k) contrasts (None: the coefficients themselves).

        weights : (n,) above 0, or None. working : what the correction for leverage takes the
        variances of the errors to be: the inverse `weights`, as HC2 of a WLS fit in statsmodels
        and estimatr; or the `identity`, as CR2 here and in clubSandwich, each row a cluster.
        """
        where = f"{_WHERE}.hc2"
        X = np.asarray(X, dtype=float)
        w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=float)
        if w.shape != X.shape[:1] or not np.all((w > 0) & np.isfinite(w)):
            raise LedgerError(
                where, found=f"weights of shape {w.shape}, or some zero, negative or missing",
                expected=f"a weight above 0 for each of {len(X)} rows",
                mend="drop the rows without a weight",
            )
        root = np.sqrt(w)
        X = check_design(where, X * root[:, None] if X.ndim == 2 else X)
        C = np.eye(X.shape[1]) if contrasts is None else np.atleast_2d(contrasts)
        Q, R = np.linalg.qr(X)
        influence, leverage = C @ np.linalg.solve(R, Q.T), np.sum(Q * Q, axis=1)
        if working == "identity":
            leverage = 2 * leverage - np.sum((Q @ ((Q.T * w) @ Q)) * Q, axis=1) / w
        return cls(root, Q, influence, _hc2_weights(where, leverage, influence))

    def estimate(self, Y) -> Estimates:
        """Estimates and standard errors (q, m), or (q,), of outcomes (n, m), or (n,)."""
        Y = np.asarray(Y, dtype=float)
        if len(Y) != len(self.Q) or not np.all(np.isfinite(Y)):
            raise LedgerError(
                f"{_WHERE}.hc2", found=f"outcomes of shape {Y.shape}, "
                f"{int(np.sum(~np.isfinite(Y)))} values not finite",
                expected=f"finite outcomes of the {len(self.Q)} rows of the design",
                mend="select the complete rows of design and outcome together",
            )
        Y = (Y.T * self.root).T
        variance = (self.influence**2 * self.free) @ (Y - self.Q @ (self.Q.T @ Y)) ** 2
        scale = np.abs(Y).max(axis=0)[..., None]
        return Estimates(self.influence @ Y, _root(variance.T, self.influence, scale).T)


@dataclass(frozen=True)
class Cells:
    """Distinct rows of a design, with the order of the data rows by cell.

    rows : (c, k) distinct rows; index : (n,) cell of each data row; count : (c,) rows in each;
    order : (n,) data rows sorted by cell; starts : (c,) where each cell starts in that order.
    """

    rows: np.ndarray
    index: np.ndarray
    count: np.ndarray
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, X) -> "Cells":
        """Cells of a design matrix (n, k)."""
        rows, index = np.unique(np.asarray(X, dtype=float), axis=0, return_inverse=True)
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


def hc2_cells(rows, count, mean, within, contrasts=None) -> Estimates:
    """HC2 from cell statistics; equal to `hc2` on the rows.

    Parameters
    ----------
    rows : (c, k) design row of each cell. count : (c,) rows in each cell, or (..., c) where it
        differs between experiments (0 allowed while the design keeps its rank).
    mean, within : (..., c) mean, and sum of squares about it, of each cell.
    contrasts : (q, k) weights over the coefficients; the coefficients themselves where None.

    Returns
    -------
    coef, se : (..., q).
    """
    rows, count = np.asarray(rows, dtype=float), np.asarray(count, dtype=float)
    C = np.eye(rows.shape[1]) if contrasts is None else np.atleast_2d(contrasts)
    gram = np.einsum("ci,...c,cj->...ij", rows, count, rows, optimize=True)
    if np.any(np.linalg.matrix_rank(gram, hermitian=True) < rows.shape[1]):
        raise LedgerError(
            f"{_WHERE}.hc2_cells",
            found="a design without full column rank",
            expected="cells that tell the coefficients apart",
            mend="drop the column of an empty cell",
        )
    solved = np.linalg.solve(gram, np.broadcast_to(rows.T, (*gram.shape[:-2], *rows.T.shape)))
    # (..., c) leverage of one row of each cell; (..., q, c) weight of one row in each contrast.
    leverage, influence = np.sum(rows.T * solved, axis=-2), C @ solved
    weights = _hc2_weights(f"{_WHERE}.hc2_cells", leverage, influence, count > 0)
    total = count * mean
    coef = _weighted(influence, total)
    fitted = _weighted(solved, total) @ rows.T
    squares = within + count * (mean - fitted) ** 2
    variance = _weighted(influence**2 * weights[..., None, :], squares)
    scale = np.abs(np.where(count > 0, mean, 0.0)).max(axis=-1)[..., None]
    return Estimates(coef, _root(variance, influence * np.sqrt(count)[..., None, :], scale))


def _weighted(weights, values) -> np.ndarray:
    """Sums of values (..., c) weighted by (q, c), or by (..., q, c) where experiments differ."""
    if weights.ndim == 2:
        return values @ weights.T
    return np.einsum("...qc,...c->...q", weights, values)


def lin_design(treatment, covariates, weights=None) -> pd.DataFrame:
    """Design of Lin (2013): treatment, centred covariates, and all products of the two.

    Parameters
    ----------
    treatment : (n,) Series of 0 and 1, or categorical: then its first category is the baseline.
    covariates : DataFrame of n rows; numeric columns as they are, others as indicators without
        their first level. Centred at their mean, weighted by `weights` where given.

    Returns
    -------
    DataFrame (n, k) with an intercept, to be fitted with statsmodels OLS and HC2; the coefficients
    of the treatment are average effects.
    """
    treatment = pd.Series(treatment).rename(getattr(treatment, "name", None) or "treatment")
    if isinstance(treatment.dtype, pd.CategoricalDtype) or treatment.dtype == object:
        arms = pd.get_dummies(treatment, prefix=treatment.name, drop_first=True, dtype=float)
    else:
        arms = treatment.astype(float).to_frame()
    X = pd.get_dummies(pd.DataFrame(covariates), drop_first=True, dtype=float).astype(float)
    if len(X) != len(arms) or X.isna().any().any() or arms.isna().any().any():
        raise LedgerError(
            f"{_WHERE}.lin_design",
            found="missing values, or covariates of other rows than the treatment",
            expected="complete treatment and covariates of the same rows",
            mend="drop or impute the incomplete rows first",
        )
    X.columns = [f"{name}_c" for name in X.columns]
    X.index = arms.index
    arms.insert(0, "Intercept", 1.0)
    design = interacted(arms, X, weights)
    check_design(f"{_WHERE}.lin_design", design)
    return design


def interacted(design: pd.DataFrame, covariates: pd.DataFrame, weights=None) -> pd.DataFrame:
    """A design (n, k) with an intercept, joined by centred covariates and all products of the two.

    Columns of the design that do not vary have no products. See `lin_design`.
    """
    C = covariates - np.average(covariates, axis=0, weights=weights)
    arms = design.loc[:, design.nunique() > 1]
    products = {f"{a}:{c}": arms[a].to_numpy() * C[c].to_numpy() for a in arms for c in C}
    return pd.concat([design, C, pd.DataFrame(products, index=design.index)], axis=1)
