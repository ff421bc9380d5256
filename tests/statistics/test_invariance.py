"""What may not matter: order of rows and levels, names, the zero and the unit of the scale.

From the answers to the verdict: whatever is drawn, estimates follow the unit, and p values and
verdicts stay.
"""

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st

from claimledger.ledger.results import Fitted
from claimledger.statistics.balance import lee_bounds
from claimledger.statistics.decision import adjust, decide, equivalence_p, jzs_bayes_factor
from claimledger.statistics.estimators import Model
from claimledger.statistics.linear import LeastSquares

SEEDS = st.integers(0, 2**32 - 1)
SHIFTS, UNITS = st.floats(-50, 50), st.floats(0.05, 50)
few = settings(max_examples=25, deadline=None)
LEVELS = ["control", "low", "high"]


def survey(seed: int, n: int = 90) -> pd.DataFrame:
    """Three arms, a covariate, weights, three items of each respondent; some effects, some not."""
    rng = np.random.default_rng(seed)
    arm = rng.permutation(np.arange(n) % 3)
    common = rng.normal(size=n)
    frame = pd.DataFrame({
        "arm": pd.Categorical.from_codes(arm, LEVELS), "x": rng.normal(size=n),
        "sex": pd.Categorical(rng.choice(["f", "m"], n)), "w": rng.uniform(0.3, 3, n),
        "who": np.arange(n), "y": rng.normal(size=n) + rng.normal(0, 0.6, 3)[arm],
    })  # fmt: skip
    for item in "pqr":
        frame[item] = common + rng.normal(size=n) + rng.normal(0, 0.3)
    return frame


def judged(frame: pd.DataFrame, direction: int = 1, weights=None) -> tuple[np.ndarray, list]:
    """Both arms against control with HC2, and the family's verdicts: (numbers, names)."""
    model = smf.wls("y ~ arm + x", frame, weights=1.0 if weights is None else frame[weights])
    fit = Fitted(model.fit(cov_type="HC2", use_t=True))
    levels, reference = frame["arm"].cat.categories, frame["arm"].cat.categories[0]
    found = []
    for level in ("low", "high"):
        contrast = {f"arm[T.{name}]": sign for name, sign in ((level, 1.0), ("control", -1.0))
                    if name in levels and name != reference}  # fmt: skip
        found.append(fit.contrast(contrast))
    estimate, se, df = np.array(found).T
    sd = fit.sd({})
    decision = decide(estimate, se, df, 0.4 * sd, direction)
    numbers = [estimate / sd, se / sd, df, decision.p_adjusted, decision.tost_p_adjusted]
    return np.array(numbers), decision.names


@few
@given(SEEDS, SHIFTS, UNITS, st.permutations(LEVELS), st.sampled_from([None, "w"]))
def test_from_answers_to_verdict(seed, shift, unit, levels, weights):
    frame = survey(seed)
    numbers, names = judged(frame, weights=weights)
    other = frame.sample(frac=1, random_state=seed % 1000)
    other = other.assign(y=shift + unit * other["y"], w=7 * other["w"], x=3 - 2 * other["x"])
    other["arm"] = other["arm"].cat.reorder_categories(levels)
    moved, same = judged(other, weights=weights)
    np.testing.assert_allclose(moved, numbers, rtol=1e-6, atol=1e-9)
    assert same == names
    turned, mirrored = judged(frame.assign(y=-frame["y"]), direction=-1, weights=weights)
    np.testing.assert_allclose(turned, numbers * [[-1], [1], [1], [1], [1]], rtol=1e-8, atol=1e-12)
    assert mirrored == names


@few
@given(SEEDS, SHIFTS, UNITS, st.permutations("pqr"), st.sampled_from([None, "w"]))
def test_items_within_respondents(seed, shift, unit, items, weights):
    def contrast(frame, items) -> np.ndarray:
        long = frame.melt(id_vars=["who", "w"], value_vars=list("pqr"), var_name="item")
        long["item"] = pd.Categorical(long["item"], list(items))
        given = 1.0 if weights is None else long[weights]
        fit = Fitted(smf.wls("value ~ 0 + item", long, weights=given).fit(), long["who"])
        between = {"item[p]": 0.5, "item[q]": 0.5, "item[r]": -1.0}
        return np.array([*fit.contrast(between), fit.sd(between)])

    frame = survey(seed)
    estimate, se, df, sd = contrast(frame, "pqr")
    other = frame.sample(frac=1, random_state=seed % 1000)
    other[list("pqr")] = shift + unit * other[list("pqr")]
    moved = contrast(other.assign(who="person " + other["who"].astype(str)), items)
    np.testing.assert_allclose(moved, [unit * estimate, unit * se, df, unit * sd], rtol=1e-6,
                               atol=1e-9 * unit)  # fmt: skip


@few
@given(SEEDS, st.permutations(LEVELS))
def test_joint_tests_do_not_depend_on_the_reference(seed, levels):
    frame = survey(seed)
    other = frame.assign(arm=frame["arm"].cat.reorder_categories(levels))
    for vcov, clusters in (("HC2", None), ("CR2", frame["who"].to_numpy() // 2)):
        found = []
        for data in (frame, other):
            X = pd.get_dummies(data["arm"], drop_first=True, dtype=float)
            X.insert(0, "Intercept", 1.0)
            model = Model(data["y"].to_numpy(), X, vcov, clusters=clusters)
            found.append(model.joint([{name: 1.0} for name in X.columns[1:]]))
        np.testing.assert_allclose(*found, rtol=1e-7)


@given(SEEDS, UNITS, st.sampled_from(["holm", "bh", "none"]))
def test_the_unit_and_the_order_of_the_tests_do_not_matter_to_verdicts(seed, unit, correction):
    rng = np.random.default_rng(seed)
    estimate, se, df = rng.normal(0, 0.2, 5), rng.uniform(0.03, 0.1, 5), rng.integers(3, 900, 5)
    direction, order = rng.choice([-1, 0, 1], 5), rng.permutation(5)
    one = decide(estimate, se, df, 0.2, direction, correction=correction)
    parts = (part[order] for part in (unit * estimate, unit * se, df))
    two = decide(*parts, unit * 0.2, direction[order], correction=correction)
    assert [one.names[i] for i in order] == two.names
    np.testing.assert_allclose(two.p_adjusted, one.p_adjusted[order], rtol=1e-9)
    turned = decide(-estimate, se, df, 0.2, -direction, correction=correction)
    kept = direction != 0
    np.testing.assert_array_equal(turned.verdict[kept], one.verdict[kept])
    np.testing.assert_allclose(equivalence_p(estimate, se, df, 0.2),
                               equivalence_p(-estimate, se, df, 0.2), rtol=1e-12)  # fmt: skip
    t = estimate / se
    np.testing.assert_array_equal(jzs_bayes_factor(t, df, 50), jzs_bayes_factor(-t, df, 50))
    assert (adjust(one.p, "holm") >= one.p).all()


@few
@given(SEEDS, SHIFTS, UNITS)
def test_rows_and_cells(seed, shift, unit):
    frame = survey(seed)
    X = np.column_stack([np.ones(len(frame)), pd.get_dummies(frame["arm"]).to_numpy(float)[:, 1:]])
    y, moved = frame["y"].to_numpy(), shift + unit * frame["y"].to_numpy()
    cells, place, count = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    inside = place.ravel() == np.arange(len(cells))[:, None]

    def moments(v):
        mean = np.array([v[one].mean() for one in inside])
        return mean, np.array([((v[one] - v[one].mean()) ** 2).sum() for one in inside])

    rows, shared = LeastSquares.of(X), LeastSquares.of(cells, count=count)
    for one, two in ((shared.estimate(*moments(y)), shared.estimate(*moments(moved))),
                     (rows.estimate(y), rows.estimate(moved))):  # fmt: skip
        np.testing.assert_allclose(two.coef, unit * one.coef + [shift, 0, 0], rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(two.se, unit * one.se, rtol=1e-7)


@few
@given(SEEDS, SHIFTS, UNITS)
def test_bounds_under_attrition(seed, shift, unit):
    frame = survey(seed)
    rng = np.random.default_rng(seed)
    d = frame["arm"].ne("control").to_numpy()
    y = np.where(rng.random(len(d)) < 0.15 + 0.2 * d, np.nan, frame["y"])
    one, order = lee_bounds(y, d, seed=1, draws=20), rng.permutation(len(d))
    two = lee_bounds(shift + unit * y[order], d[order], seed=1, draws=20)
    assert one.lower <= one.upper
    np.testing.assert_allclose([two.lower, two.upper], [unit * one.lower, unit * one.upper],
                               rtol=1e-6, atol=1e-8 * (1 + unit))  # fmt: skip
    swapped = lee_bounds(y, ~d, seed=1, draws=20)
    np.testing.assert_allclose([swapped.lower, swapped.upper], [-one.upper, -one.lower], atol=1e-12)
