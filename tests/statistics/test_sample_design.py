"""Weights, strata and clusters of a sample, against numbers that R's survey 4.1 printed."""

import numpy as np
import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.statistics.estimators import model_of
from hypotheses import hypothesis

COEFFICIENTS = {name: {name: 1.0} for name in ("Intercept", "arm[T.b]", "arm[T.c]", "x")}
H = hypothesis(model="y ~ arm + x", vcov="survey")

# By design: seed, strata, clusters in each, most rows of a cluster beyond two (0: one row each).
MADE = {"elements": (1, 3, 30, 0), "stages": (2, 4, 6, 5), "clusters": (3, 1, 14, 6)}
R = {  # coefficients, their standard errors, degrees of freedom; F and p of both arms
    "elements": ([0.06162745028047, 0.3164296417488, -0.05751651404086, 0.1834175212076],
                 [0.2251298112266, 0.3978201796773, 0.3940707622052, 0.2294505412736], 87,
                 (0.4111918693657, 0.6641411370075)),
    "stages": ([-0.4633822577233, 0.2933457435149, 0.3956264365685, -0.1809826597553],
               [0.2332990794975, 0.2912245796661, 0.2552697454935, 0.1035680638759], 20,
               (1.364969319675, 0.2781745046589)),
    "clusters": ([-0.3335678370426, -0.2387381027383, 0.2684738548667, -0.1787555237853],
                 [0.3835100755787, 0.4698048159381, 0.3636029516566, 0.2588601463775], 13,
                 (0.8921046217047, 0.4334551191066)),
}


def sample(seed: int, strata: int, clusters: int, more: int) -> pd.DataFrame:
    """An invented sample with unequal weights and unequal clusters."""
    rng = np.random.default_rng(seed)
    units = strata * clusters
    size = rng.integers(2, 3 + more, units) if more else np.ones(units, dtype=int)
    psu, n = np.repeat(np.arange(units), size), int(size.sum())
    frame = pd.DataFrame({"stratum": psu // clusters, "psu": psu,
                          "w": rng.uniform(0.3, 3, n).round(2),
                          "arm": pd.Categorical(rng.choice(["a", "b", "c"], n)),
                          "x": rng.normal(size=n).round(2)})  # fmt: skip
    y = rng.normal(size=n) + rng.normal(size=units)[psu] + psu // clusters * 0.2
    return frame.assign(y=y.round(2), respondent=np.arange(n))


@pytest.mark.parametrize("name", MADE)
def test_weights_strata_and_clusters_are_those_of_survey(name):
    """R: `frame.to_csv(...)`, read as d; then

    des <- svydesign(~1, strata = ~stratum, weights = ~w, data = d)                  # elements
    des <- svydesign(~psu, strata = ~stratum, weights = ~w, data = d, nest = TRUE)   # stages
    des <- svydesign(~psu, weights = ~w, data = d)                                   # clusters
    fit <- svyglm(y ~ arm + x, des)
    print(coef(summary(fit, df.resid = degf(des))), digits = 13)
    regTermTest(fit, ~arm, df = degf(des))
    """
    frame = sample(*MADE[name])
    model = model_of(
        H, frame, weights=frame["w"], clusters=None if name == "elements" else frame["psu"],
        strata=None if name == "clusters" else frame["stratum"])
    found = model.contrasts(COEFFICIENTS)
    estimate, se, df, joint = R[name]
    np.testing.assert_allclose(found["estimate"], estimate, rtol=1e-11)
    np.testing.assert_allclose(found["se"], se, rtol=1e-11)
    assert (found["df"] == df).all()
    f, df1, df2, p = model.joint([COEFFICIENTS["arm[T.b]"], COEFFICIENTS["arm[T.c]"]])
    np.testing.assert_allclose((f, p), joint, rtol=1e-11)
    assert (df1, df2) == (2, df)


@pytest.mark.parametrize("change, said", [
    (lambda f: f[(f["stratum"] > 0) | (f["psu"] == 0)], "strata with a single cluster: 1"),
    (lambda f: f.assign(stratum=f["stratum"].mask(f.index == 0, 3)), "clusters nested in strata"),
])  # fmt: skip
def test_a_stratum_of_one_cluster_and_a_cluster_of_two_strata_are_errors(change, said):
    """R's default stops at the first, too: "Stratum (0) has only one PSU at stage 1"."""
    frame = change(sample(*MADE["stages"]))
    model = model_of(H, frame, weights=frame["w"], clusters=frame["psu"], strata=frame["stratum"])
    with pytest.raises(LedgerError, match=said):
        model.contrasts(COEFFICIENTS)
