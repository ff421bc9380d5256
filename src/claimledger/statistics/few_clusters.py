"""Degrees of freedom of CR2 with few clusters: of one contrast, and of several tested at once.

Pustejovsky and Tipton (2018), with independent errors of equal variance as the working model. An
entry (s, t) of the estimated covariance of contrasts is a sum over clusters g of products of two
linear forms in the errors, (p_sg'e) (p_tg'e), with p_sg = (I-H)_g' a_sg and a_sg the rows of
cluster g of B c_s.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Parts:
    """What the degrees of freedom need, rows sorted by cluster (n rows, k columns, G clusters).

    X, XW : (n, k) design, and design times weights; B : (n, k) adjusted design A_g W_g X_g M;
    starts : (G,) first row of each cluster; M : (k, k) inverse of X'WX; S2 : X'W W X.
    """

    X: np.ndarray
    XW: np.ndarray
    B: np.ndarray
    starts: np.ndarray
    M: np.ndarray
    S2: np.ndarray


class _Forms:
    """The products p_sg'p_th of all clusters (G, G) for contrasts s and t, never formed.

    With U_g = X_g'a_g and V_g = X_g'W_g a_g they are a diagonal d_st plus a matrix of rank 2k:
    Z_s K Z_t' = -V_s M U_t' - U_s M V_t' + U_s M S2 M U_t'.
    """

    def __init__(self, parts: Parts, contrasts: np.ndarray):
        p = parts
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


def satterthwaite(parts: Parts, contrast: np.ndarray) -> float:
    """Degrees of freedom of one contrast (k,): twice the squared mean over the variance."""
    forms = _Forms(parts, contrast)
    return float(forms.mean()[0, 0] ** 2 / forms.inner(0, 0, 0, 0))


def hotelling(parts: Parts, contrasts: np.ndarray) -> float:
    """Degrees of freedom of the Wishart distribution nearest to the covariance of (q, k) contrasts.

    Contrasts are first made uncorrelated under the working model; then the sum of the variances of
    all entries is that of a Wishart matrix, q (q + 1) over its degrees of freedom ("HTZ").
    """
    values, vectors = np.linalg.eigh(_Forms(parts, contrasts).mean())
    forms = _Forms(parts, (vectors / np.sqrt(values)) @ vectors.T @ contrasts)
    q = len(contrasts)
    total = sum(
        forms.inner(s, s, t, t) + forms.inner(s, t, t, s) for s in range(q) for t in range(q)
    )
    return q * (q + 1) / total
