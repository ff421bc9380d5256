"""Cluster-robust covariances of a linear model, with small-sample degrees of freedom.

Three corrections, named in every result because packages differ in the fourth digit:

- ``CR2``: Bell and McCaffrey (2002), unbiased under independent errors, with Satterthwaite degrees
  of freedom for each contrast; as R's estimatr and clubSandwich (for weights see Pustejovsky and
  Tipton 2018, with the identity as working covariance). Not the Bell-McCaffrey degrees of freedom
  that R's survey offers (`svycontrast`, `degf.coef`): these take the sampling weights as the
  inverse working variances, and differ as soon as weights do.
- ``stata``: cluster scores times G/(G-1) (N-1)/(N-k), G - 1 degrees of freedom.
- ``survey``: linearized errors of a sample of clusters within strata (Binder 1983): scores summed
  by cluster, centered within their stratum h, times n_h/(n_h - 1); clusters minus strata degrees of
  freedom; as R's survey and cregg. No finite population correction.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from claimledger.errors import errors_of
from claimledger.statistics.linear import check_design

CORRECTIONS = ("CR2", "stata", "survey")
_WHERE = "clustered covariance"
_error = errors_of(_WHERE)


class Contrast(NamedTuple):
    """Estimate, standard error and degrees of freedom of one contrast, or of several (q,)."""

    estimate: np.ndarray
    se: np.ndarray
    df: np.ndarray


@dataclass(frozen=True)
class ClusterRobust:
    """Cluster-robust covariance of a linear model.

    params : (k,) coefficients; cov : (k, k); correction : one of CORRECTIONS; df : clusters less
    strata (1 where there are none). For the degrees of freedom of CR2, rows sorted by cluster:
    X, XW : (n, k) design, and design times weights; B : (n, k) adjusted design A_g W_g X_g M;
    starts : (G,) first row of each cluster; M : (k, k) inverse of X'WX; S2 : X'WWX.
    """

    params: np.ndarray
    cov: np.ndarray
    correction: str
    df: float
    X: np.ndarray
    XW: np.ndarray
    B: np.ndarray
    starts: np.ndarray
    M: np.ndarray
    S2: np.ndarray

    def contrast(self, weights) -> Contrast:
        """Estimate one or several linear combinations of the coefficients.

        weights : (k,) or (q, k). LedgerError where a combination has no variance.
        """
        C = np.asarray(weights, dtype=float)
        variance = np.sum(C @ self.cov * C, axis=-1)
        scale = (np.abs(C) @ np.sqrt(np.maximum(np.diag(self.cov), 0))) ** 2
        if not np.all(variance > 1e-14 * scale):
            raise _error("a contrast whose variance is zero", "contrasts that the data inform",
                         "look for a constant outcome or a contrast of weights all zero")
        df = np.full(variance.shape, self.df)
        if self.correction == "CR2":
            df = np.reshape([_satterthwaite(self, c) for c in np.atleast_2d(C)], variance.shape)
        return Contrast(C @ self.params, np.sqrt(variance), df)

    def wald(self, weights) -> tuple[float, int, float, float]:
        """Joint test that several contrasts are zero: F, df1, df2, p.

        CR2: the approximate Hotelling test of Pustejovsky and Tipton (2018), "HTZ" in clubSandwich.
        Otherwise F = Wald / q on q and G - 1 degrees of freedom, as Stata's `test` after clustering
        and R's survey; with few clusters it is liberal.
        """
        rows = np.atleast_2d(np.asarray(weights, dtype=float))
        cov = rows @ self.cov @ rows.T
        _check_rank(cov)  # before the degrees of freedom, which need it
        df, scale = self.df, 1.0
        if self.correction == "CR2":
            wishart = _hotelling(self, rows)
            df = wishart - len(rows) + 1
            if df <= 0:
                raise _error(
                    f"a joint test of {len(rows)} contrasts with {wishart:.1f} degrees of freedom",
                    "more degrees of freedom than contrasts", "test fewer contrasts at once")
            scale = df / wishart
        return f_test(rows @ self.params, cov, df, scale)


def f_test(value, cov, df: float, scale: float = 1.0) -> tuple[float, int, float, float]:
    """Joint test of contrasts (q,) with covariance (q, q): F = scale Wald / q, q, df, p."""
    _check_rank(cov)
    q = len(value)
    f = scale * float(value @ np.linalg.solve(cov, value)) / q
    return f, q, df, float(special.fdtrc(q, df, f))


def _check_rank(cov) -> None:
    """An error where one of several contrasts follows from the others, by their covariance."""
    if np.linalg.matrix_rank(cov, hermitian=True) < len(cov):
        raise _error("contrasts of which one follows from the others (or too few clusters)",
                     "linearly independent contrasts", "drop the one that repeats")


def of_fit(fit, clusters, correction: str = "CR2") -> ClusterRobust:
    """Cluster-robust covariance of a fitted statsmodels OLS or WLS (weights: sampling weights)."""
    weights = checked_fit(fit)
    return cluster_robust(fit.model.exog, fit.model.endog, clusters, correction, weights=weights)


def checked_fit(fit) -> np.ndarray:
    """Weights (n,) of a fit that can be relied on, or an error; see `cluster_robust`."""
    from statsmodels.regression.linear_model import OLS, WLS  # not loaded by workers

    if not isinstance(getattr(fit, "model", None), (OLS, WLS)):
        raise _error(f"a fit of {type(getattr(fit, 'model', fit)).__name__}",
                     "a fitted statsmodels OLS or WLS", "fit the model with sm.OLS or sm.WLS")
    X = check_design(_WHERE, fit.model.exog)
    weights = np.broadcast_to(np.asarray(fit.model.weights, dtype=float), len(X))
    _check(weights, np.asarray(fit.resid, dtype=float), fit.model.endog)
    return weights


def _check(w, e, y) -> None:
    """An error for weights that are none, and where residuals (n,) are rounding only."""
    if not np.all((w > 0) & np.isfinite(w)):
        raise _error("a weight that is zero, negative or missing", "weights above 0",
                     "drop the rows without a weight before fitting")
    if not np.max(np.abs(e)) > 1e-10 * np.max(np.abs(y)):
        raise _error("an outcome that is constant, missing, or fitted exactly",
                     "a complete outcome with variation that the model leaves",
                     "look at the outcome and the rows of the analysis")


def cluster_robust(
    X, y, clusters, correction: str = "CR2", *, weights=None, strata=None
) -> ClusterRobust:
    """Least squares of y (n,) on X (n, k), with a cluster-robust covariance.

    Parameters
    ----------
    clusters : (n,) cluster of each row; any labels. correction : CR2, stata or survey.
    weights : (n,) sampling weights, all above 0. strata : (n,) of a sample design, in which
        clusters are nested; for `survey` alone.

    Raises
    ------
    LedgerError : fewer than two clusters (in a stratum), a design without full column rank, a
        missing cluster label, a weight that is not above 0, an outcome that is constant or fitted
        exactly.

    Memory: one (s, s) matrix for each cluster of s rows; no n x n matrix.
    """
    X, y = check_design(_WHERE, X), np.asarray(y, dtype=float)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=float)
    # b = R^-1 Q'W^(1/2) y, more exact than by the inverse of X'WX, which the covariance uses.
    root = np.sqrt(np.maximum(w, 0))
    Q, R = np.linalg.qr(X * root[:, None])
    params = np.linalg.solve(R, Q.T @ (y * root))
    e = y - X @ params
    _check(w, e, y)
    order, starts, sizes = _sorted_clusters(clusters, len(X))
    (n, k), groups, layers = X.shape, len(starts), 1
    X, w, e = X[order], w[order], e[order]
    XW = X * w[:, None]
    M = np.linalg.inv(X.T @ XW)
    S2 = XW.T @ XW
    B = _adjusted(X, w, XW, M, S2, starts, sizes) if correction == "CR2" else XW @ M
    # Liang and Zeger (1986): the sum over clusters of the products of their scores, (G, k).
    scores = np.add.reduceat(B * e[:, None], starts, axis=0)
    if correction == "survey":
        scores, layers = _centered_in_strata(scores, strata, order, starts, sizes)
    elif correction == "stata":
        scores = scores * np.sqrt((n - 1) / (n - k) * groups / (groups - 1))
    return ClusterRobust(params, scores.T @ scores, correction, float(groups - layers), X, XW, B,
                         starts, M, S2)


def clustered_scores(scores, clusters, strata=None, centered: bool = False) -> np.ndarray:
    """Scores (n, k) of any likelihood, summed by cluster and corrected: (G, k).

    Times the root of G / (G - 1); centered within strata (Binder 1983) where asked for.
    """
    order, starts, sizes = _sorted_clusters(clusters, len(scores))
    summed = np.add.reduceat(np.asarray(scores)[order], starts, axis=0)
    if centered:
        return _centered_in_strata(summed, strata, order, starts, sizes)[0]
    return summed * np.sqrt(len(starts) / (len(starts) - 1))


def _centered_in_strata(scores, strata, order, starts, sizes) -> tuple[np.ndarray, int]:
    """Scores (G, k) less their stratum's mean, times the root of n_h / (n_h - 1); and strata."""
    codes = np.zeros(len(scores), dtype=int)
    if strata is not None:
        each = pd.factorize(np.asarray(strata)[order])[0]
        codes = each[starts]
        if np.any(each < 0) or np.any(each != np.repeat(codes, sizes)):
            raise _error(
                "a row without a stratum, or a cluster in two strata",
                "clusters nested in strata", "look at the strata of the sample design")
    count = np.bincount(codes)
    if count.min() < 2:
        # An error in R's survey, too, unless told otherwise.
        raise _error(f"strata with a single cluster: {int((count < 2).sum())}",
                     "two clusters in each", "merge such a stratum with one that is like it")
    means = np.stack([np.bincount(codes, column) for column in scores.T], axis=1) / count[:, None]
    return (scores - means[codes]) * np.sqrt(count / (count - 1))[codes, None], len(count)


def _sorted_clusters(clusters, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return order of the rows by cluster (n,), first row (G,) and size (G,) of each cluster."""
    codes, labels = pd.factorize(np.asarray(clusters))
    if len(codes) != n or np.any(codes < 0):
        raise _error(f"{len(codes)} cluster labels, {int(np.sum(codes < 0))} of them missing",
                     f"one label for each of the {n} rows of the fit",
                     "take the clusters of the rows that the fit used")
    if len(labels) < 2:
        raise _error("one cluster", "at least two clusters", "use HC2 where rows are independent")
    sizes = np.bincount(codes)
    return np.argsort(codes, kind="stable"), np.r_[0, np.cumsum(sizes)[:-1]], sizes


def _adjusted(X, w, XW, M, S2, starts, sizes) -> np.ndarray:
    """Rows A_g W_g X_g M (n, k), with A_g the inverse root of cluster g's block of (I-H)(I-H)'.

    H = X M X'W. Clusters of one size are handled together. Eigenvalues that are zero (a cluster
    with a column of its own) stay zero: the generalized inverse of Pustejovsky and Tipton (2018).
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
    mean = cluster_robust(np.ones((len(weights), 1)), places, places, weights=weights)
    return float(mean.contrast([1.0]).df)


# Degrees of freedom of CR2 with few clusters (Pustejovsky and Tipton 2018), with independent errors
# of equal variance as the working model. An entry (s, t) of the estimated covariance of contrasts
# is a sum over clusters g of products of two linear forms in the errors, (p_sg'e) (p_tg'e), with
# p_sg = (I-H)_g' a_sg and a_sg the rows of cluster g of B c_s.


class _Forms:
    """The products p_sg'p_th of all clusters (G, G) for contrasts s and t, never formed.

    With U_g = X_g'a_g and V_g = X_g'W_g a_g they are a diagonal d_st plus a matrix of rank 2k:
    Z_s K Z_t' = -V_s M U_t' - U_s M V_t' + U_s M S2 M U_t'.
    """

    def __init__(self, p: ClusterRobust, contrasts: np.ndarray):
        a = np.atleast_2d(contrasts) @ p.B.T                                     # (q, n)
        self.d = np.add.reduceat(a[:, None] * a[None], p.starts, axis=-1)        # (q, q, G)
        self.Z = np.stack([
            np.hstack([np.add.reduceat(D * row[:, None], p.starts) for D in (p.X, p.XW)])
            for row in a
        ])                                                                       # (q, G, 2k)
        self.K = np.block([[p.M @ p.S2 @ p.M, -p.M], [-p.M, np.zeros_like(p.M)]])
        self.low = np.einsum("sgi,ij,tgj->stg", self.Z, self.K, self.Z, optimize=True)

    def mean(self) -> np.ndarray:
        """Expected covariance (q, q) under the working model: the traces."""
        return np.sum(self.d + self.low, axis=-1)

    def inner(self, a: int, b: int, c: int, d: int) -> float:
        """Sum over clusters g and h of (p_ag'p_bh) (p_cg'p_dh)."""
        low = np.sum((self.Z[c].T @ self.Z[a] @ self.K) * (self.Z[b].T @ self.Z[d] @ self.K).T)
        one, two = self.d[a, b], self.d[c, d]
        return float(one @ two + one @ self.low[c, d] + two @ self.low[a, b] + low)


def _satterthwaite(fit: ClusterRobust, contrast: np.ndarray) -> float:
    """Degrees of freedom of one contrast (k,): twice the squared mean over the variance."""
    forms = _Forms(fit, contrast)
    return float(forms.mean()[0, 0] ** 2 / forms.inner(0, 0, 0, 0))


def _hotelling(fit: ClusterRobust, contrasts: np.ndarray) -> float:
    """Degrees of freedom of the Wishart distribution nearest to the covariance of (q, k) contrasts.

    Contrasts are first made uncorrelated under the working model; then the sum of the variances of
    all entries is that of a Wishart matrix, q (q + 1) over its degrees of freedom ("HTZ").
    """
    values, vectors = np.linalg.eigh(_Forms(fit, contrasts).mean())
    forms = _Forms(fit, (vectors / np.sqrt(values)) @ vectors.T @ contrasts)
    q = len(contrasts)
    total = sum(forms.inner(s, s, t, t) + forms.inner(s, t, t, s)
                for s in range(q) for t in range(q))
    return q * (q + 1) / total
