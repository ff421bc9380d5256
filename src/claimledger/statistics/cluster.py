"""Cluster-robust covariances of a fitted linear model, with small-sample degrees of freedom.

Three corrections, named in every result because packages differ in the fourth digit:

- ``CR2``: Bell and McCaffrey (2002), unbiased under independent errors, with Satterthwaite degrees
  of freedom for each contrast; as R's estimatr and clubSandwich (for weights see Pustejovsky and
  Tipton 2018, with the identity as working covariance).
- ``stata``: cluster scores times G/(G-1) (N-1)/(N-k), G - 1 degrees of freedom.
- ``survey``: centred cluster scores times G/(G-1), G - 1 degrees of freedom; as R's survey and
  cregg.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special
from statsmodels.regression.linear_model import OLS, WLS

from claimledger.errors import errors_of
from claimledger.statistics.few_clusters import Parts, hotelling, satterthwaite
from claimledger.statistics.linear import check_design
from claimledger.statistics.student import t_upper

CORRECTIONS = ("CR2", "stata", "survey")
_WHERE = "statistics.cluster"
_error = errors_of(_WHERE)


class Contrast(NamedTuple):
    """Estimate of one contrast (floats) or of several ((q,) arrays); p is two-sided."""

    estimate: np.ndarray | float
    se: np.ndarray | float
    df: np.ndarray | float
    t: np.ndarray | float
    p: np.ndarray | float

    def ci(self, level: float = 0.95) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Return both limits of the t interval at this level."""
        half = special.stdtrit(self.df, (1 + level) / 2) * self.se
        return self.estimate - half, self.estimate + half


@dataclass(frozen=True)
class ClusterRobust:
    """Cluster-robust covariance of a linear model.

    params : (k,) coefficients; names : their names; cov : (k, k); correction : one of CORRECTIONS;
    clusters : their number; rows : number of rows.
    """

    params: np.ndarray
    names: tuple[str, ...]
    cov: np.ndarray
    correction: str
    clusters: int
    rows: int
    _parts: Parts

    def contrast(self, weights) -> Contrast:
        """Estimate one or several linear combinations of the coefficients.

        weights : name of a coefficient, a mapping of names to weights, a (k,) vector, or a (q, k)
            matrix. LedgerError where a combination has no variance or a name does not exist.
        """
        rows = contrast_rows(self.names, weights)
        one, rows = rows.ndim == 1, np.atleast_2d(rows)
        variance = np.einsum("qi,ij,qj->q", rows, self.cov, rows)
        scale = (np.abs(rows) @ np.sqrt(np.maximum(np.diag(self.cov), 0))) ** 2
        if not np.all(variance > 1e-14 * scale):
            raise _error(
                "a contrast whose variance is zero",
                "contrasts that the data inform",
                "look for a constant outcome or a contrast of weights all zero",
            )
        estimate, se = rows @ self.params, np.sqrt(variance)
        if self.correction == "CR2":
            df = np.array([satterthwaite(self._parts, row) for row in rows])
        else:
            df = np.full(len(rows), float(self.clusters - 1))
        t = estimate / se
        result = (estimate, se, df, t, np.minimum(1.0, 2 * t_upper(np.abs(t), df)))
        return Contrast(*(float(part[0]) for part in result)) if one else Contrast(*result)

    def wald(self, weights) -> tuple[float, int, float, float]:
        """Joint test that several contrasts are zero: F, df1, df2, p.

        CR2: the approximate Hotelling test of Pustejovsky and Tipton (2018), "HTZ" in clubSandwich.
        Otherwise F = Wald / q on q and G - 1 degrees of freedom, as Stata's `test` after clustering
        and R's survey; with few clusters it is liberal.
        """
        rows = np.atleast_2d(contrast_rows(self.names, weights))
        middle, value = rows @ self.cov @ rows.T, rows @ self.params
        if np.linalg.matrix_rank(middle, hermitian=True) < len(rows):
            raise _error(
                "contrasts of which one follows from the others (or too few clusters)",
                "linearly independent contrasts",
                "drop the one that repeats",
            )
        f, q = float(value @ np.linalg.solve(middle, value)) / len(rows), len(rows)
        df2 = float(self.clusters - 1)
        if self.correction == "CR2":
            wishart = hotelling(self._parts, rows)
            df2 = wishart - q + 1
            if df2 <= 0:
                raise _error(
                    f"a joint test of {q} contrasts with {wishart:.1f} degrees of freedom",
                    "more degrees of freedom than contrasts", "test fewer contrasts at once",
                )
            f *= df2 / wishart
        return f, q, df2, float(special.fdtrc(q, df2, f))


def contrast_rows(names, weights) -> np.ndarray:
    """Weights over coefficients as a (k,) or (q, k) array, from a name, a mapping or an array."""
    names = list(names)
    if isinstance(weights, str):
        weights = {weights: 1.0}
    if isinstance(weights, (Mapping, pd.Series)):
        weights = pd.Series(weights, dtype=float)
        unknown = weights.index.difference(names)
        if len(unknown):
            raise _error(
                f"coefficient {unknown[0]!r}",
                f"one of {', '.join(names)}",
                "name a coefficient of the fitted model",
            )
        weights = weights.reindex(names, fill_value=0.0)
    rows = np.asarray(weights, dtype=float)
    if rows.ndim not in (1, 2) or rows.shape[-1] != len(names) or not np.all(np.isfinite(rows)):
        raise _error(
            f"contrast weights of shape {rows.shape}",
            f"({len(names)},) finite numbers, or rows of so many",
            "give one weight for each coefficient",
        )
    return rows


def cr2(fit, clusters) -> ClusterRobust:
    """CR2 covariance of a fitted statsmodels OLS or WLS; see `cluster_robust`."""
    return cluster_robust(fit, clusters, "CR2")


def cluster_robust(fit, clusters, correction: str = "CR2") -> ClusterRobust:
    """Cluster-robust covariance of a fitted statsmodels OLS or WLS results object.

    Parameters
    ----------
    fit : results of OLS or WLS (weights are sampling weights, all above 0).
    clusters : (n,) cluster of each row that the fit used; any labels.
    correction : CR2, stata or survey.

    Raises
    ------
    LedgerError : fewer than two clusters, a design without full column rank, a missing cluster
        label, another length than the fit, a weight that is not above 0, a residual that is not
        finite, another kind of model.

    Memory: one (s, s) matrix for each cluster of s rows; no n x n matrix.
    """
    if correction not in CORRECTIONS:
        raise _error(
            f"correction {correction!r}", f"one of {', '.join(CORRECTIONS)}", "name one of these"
        )
    X, w, e = checked_fit(fit)
    order, starts, sizes = _sorted_clusters(clusters, len(X))
    X, w, e = X[order], w[order], e[order]
    XW = X * w[:, None]
    M = np.linalg.inv(X.T @ XW)
    S2 = XW.T @ XW
    B = _adjusted(X, w, XW, M, S2, starts, sizes) if correction == "CR2" else XW @ M
    scores = np.add.reduceat(B * e[:, None], starts, axis=0)
    groups, (n, k) = len(starts), X.shape
    if correction == "survey":
        scores = scores - scores.mean(axis=0)
    scale = {
        "CR2": 1.0,
        "stata": (n - 1) / (n - k) * groups / (groups - 1),
        "survey": groups / (groups - 1),
    }[correction]
    return ClusterRobust(
        np.asarray(fit.params, dtype=float),
        tuple(fit.model.exog_names),
        scale * scores.T @ scores,
        correction,
        groups,
        n,
        Parts(X, XW, B, starts, M, S2),
    )


def checked_fit(fit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design (n, k), weights (n,) and residuals (n,) of a fit, or an error (`cluster_robust`)."""
    if not isinstance(getattr(fit, "model", None), (OLS, WLS)):
        raise _error(
            f"a fit of {type(getattr(fit, 'model', fit)).__name__}",
            "a fitted statsmodels OLS or WLS",
            "fit the model with sm.OLS or sm.WLS",
        )
    X = check_design(_WHERE, fit.model.exog)
    w = np.broadcast_to(np.asarray(fit.model.weights, dtype=float), len(X))
    e = np.asarray(fit.resid, dtype=float)
    if not np.all((w > 0) & np.isfinite(w)):
        raise _error(
            "a weight that is zero, negative or missing",
            "weights above 0",
            "drop the rows without a weight before fitting",
        )
    if not np.max(np.abs(e)) > 1e-10 * np.max(np.abs(fit.model.endog)):
        raise _error(
            "an outcome that is constant, missing, or fitted exactly",
            "a complete outcome with variation that the model leaves",
            "look at the outcome and the rows of the analysis",
        )
    return X, w, e


def _sorted_clusters(clusters, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return order of the rows by cluster (n,), first row (G,) and size (G,) of each cluster."""
    codes, labels = pd.factorize(np.asarray(clusters))
    if len(codes) != n or np.any(codes < 0):
        raise _error(
            f"{len(codes)} cluster labels, {int(np.sum(codes < 0))} of them missing",
            f"one label for each of the {n} rows of the fit",
            "take the clusters of the rows that the fit used",
        )
    if len(labels) < 2:
        raise _error("one cluster", "at least two clusters", "use HC2 where rows are independent")
    sizes = np.bincount(codes)
    return np.argsort(codes, kind="stable"), np.r_[0, np.cumsum(sizes)[:-1]], sizes


def _adjusted(X, w, XW, M, S2, starts, sizes) -> np.ndarray:
    """Rows A_g W_g X_g M (n, k), with A_g the inverse root of cluster g's block of (I-H)(I-H)'.

    H = X M X'W. Clusters of one size are handled together. Eigenvalues that are zero (a cluster
    with a column of its own) stay zero: the generalised inverse of Pustejovsky and Tipton (2018).
    """
    right = XW @ M
    out = np.empty_like(right)
    for size in np.unique(sizes):
        rows = starts[sizes == size][:, None] + np.arange(size)
        Xg, wg = X[rows], w[rows]
        half = Xg @ M @ (Xg * wg[..., None]).swapaxes(1, 2)
        block = np.eye(size) - half - half.swapaxes(1, 2) + Xg @ (M @ S2 @ M) @ Xg.swapaxes(1, 2)
        values, vectors = np.linalg.eigh(block)
        root = np.where(values > 1e-12, np.maximum(values, 1e-12) ** -0.5, 0.0)
        out[rows] = (vectors * root[:, None, :]) @ (vectors.swapaxes(1, 2) @ right[rows])
    return out


def df_of_mean(weights) -> float:
    """Degrees of freedom of a weighted mean (n,) with CR2, each value a cluster of its own."""
    places = np.arange(len(weights))
    fit = WLS(places, np.ones((len(weights), 1)), weights).fit()
    return cr2(fit, places).contrast([1.0]).df
