"""Randomisation inference: against enumeration, and by what it promises."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis
from claimledger.statistics.linear import Cells, LeastSquares
from claimledger.statistics.randomization_inference import randomization_test, registered_test


def two_arms(n: int) -> np.ndarray:
    return np.column_stack([np.ones(n), np.arange(n) % 2]).astype(float)


def test_every_assignment_counted():
    """Ten units, five treated: all 252 assignments, Welch t, against 20,000 draws."""
    rng = np.random.default_rng(3)
    y, X = rng.normal(size=10), two_arms(10)
    y[1::2] += 0.8
    observed = abs(stats.ttest_ind(y[1::2], y[::2], equal_var=False).statistic)
    hits = 0
    for treated in combinations(range(10), 5):
        arm = np.isin(np.arange(10), treated)
        t = stats.ttest_ind(y[arm], y[~arm], equal_var=False).statistic
        hits += abs(t) >= observed * (1 - 1e-9)
    exact = hits / 252
    found = randomization_test(X, y, [0, 1], seed=1, draws=20_000)
    assert abs(found.p[0, 0] - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000) + 1 / 20_000
    np.testing.assert_allclose(np.abs(found.statistic[0, 0]), observed, rtol=1e-10)


def test_drawn_statistics_are_hc2_statistics(factorial, rng):
    """Each resampled statistic is the HC2 t of some permutation: here of a recomputed one."""
    X, contrasts = factorial(120), np.eye(8)[[1, 5]]
    Y = rng.normal(size=(120, 2))
    found = randomization_test(X, Y, contrasts, seed=4, draws=50)
    design = LeastSquares.of(X, contrasts)
    expected = design.estimate(Y.T)
    np.testing.assert_allclose(found.statistic, expected.coef / expected.se, rtol=1e-9)
    assert found.resampled.shape == (50, 2, 2)
    # The same null distribution as by shuffling rows: equal spread within Monte Carlo error.
    many = randomization_test(X, Y[:, 0], contrasts, seed=4, draws=2000).resampled[:, 0]
    direct = np.array([
        np.divide(*design.estimate(rng.permutation(Y[:, 0]))) for _ in range(2000)
    ])  # fmt: skip
    np.testing.assert_allclose(many.std(axis=0), direct.std(axis=0), rtol=0.1)
    assert np.corrcoef(many.T)[0, 1] == pytest.approx(np.corrcoef(direct.T)[0, 1], abs=0.1)


def test_size_under_the_sharp_null_with_ties():
    """Ordinal outcomes: rejections at 5 % stay at or below 5 % within Monte Carlo error."""
    rng = np.random.default_rng(6)
    X = two_arms(40)
    p = [
        randomization_test(X, rng.integers(1, 6, 40), [0, 1], seed=s, draws=199).p[0, 0]
        for s in range(500)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 500)
    assert np.min(p) >= 1 / 200


def test_studentised_test_holds_where_only_the_average_effect_is_zero():
    """Unequal variances and sizes, no average effect: the raw difference would reject far more."""
    rng = np.random.default_rng(7)
    X = np.column_stack([np.ones(100), np.arange(100) < 20]).astype(float)
    scale = np.where(X[:, 1] == 1, 3.0, 1.0)
    p = [
        randomization_test(X, scale * rng.normal(size=100), [0, 1], seed=s, draws=199).p[0, 0]
        for s in range(400)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)


def test_result_depends_on_the_seed_alone(rng):
    X, y = two_arms(60), rng.normal(size=60)
    one = randomization_test(X, y, [0, 1], seed=5, draws=300)
    again = randomization_test(X, y, [0, 1], seed=5, draws=300)
    other = randomization_test(X, y, [0, 1], seed=6, draws=300)
    np.testing.assert_array_equal(one.resampled, again.resampled)
    assert not np.array_equal(one.resampled, other.resampled)


def test_blocks_keep_the_other_factor_where_it_is(rng):
    """A strong effect of the blocking factor does not blur the test of the other one."""
    block, arm = np.repeat([0, 1], 50), np.tile([0, 1], 50)
    X = np.column_stack([np.ones(100), block, arm]).astype(float)
    y = 20.0 * block + rng.normal(size=100)
    blocked = randomization_test(X, y, [0, 0, 1], seed=1, draws=500, blocks=block)
    # Within blocks the level of the block drops out: the same draws without it say the same.
    level = randomization_test(X, y - 20 * block, [0, 0, 1], seed=1, draws=500, blocks=block)
    np.testing.assert_allclose(blocked.resampled, level.resampled, atol=1e-8)


def test_three_blocks_each_keep_their_level_and_their_numbers(rng):
    block, arm = np.repeat([0, 1, 2], 40), np.tile([0, 1], 60)
    X = np.column_stack([np.ones(120), block == 1, block == 2, arm]).astype(float)
    y = rng.normal(size=120)
    one, two = (randomization_test(X, y + 30 * block * level, [0, 0, 0, 1], seed=1, draws=200,
                                   blocks=block) for level in (0, 1))  # fmt: skip
    np.testing.assert_allclose(one.resampled, two.resampled, atol=1e-8)


def test_simple_assignment_to_three_cells(rng):
    """Units that are sure of their cell stay there; the others take all cells, by probability."""
    arm = np.arange(90) % 3
    X = np.eye(3)[arm]
    y = rng.normal(size=90) + 10 * (arm == 2)
    cells = Cells.of(X)
    certain = np.eye(3)[cells.index]
    fixed = randomization_test(X, y, [-1, 0, 1], seed=3, draws=20, probabilities=certain)
    np.testing.assert_allclose(fixed.resampled, fixed.statistic[None].repeat(20, 0), rtol=1e-9)
    free = randomization_test(X, y, [-1, 0, 1], seed=3, draws=400, probabilities=[0.2, 0.3, 0.5])
    spread = randomization_test(X, y, [-1, 0, 1], seed=3, draws=400)
    assert free.p[0, 0] == spread.p[0, 0] == 1 / 401
    assert stats.ks_2samp(free.resampled.ravel(), spread.resampled.ravel()).pvalue > 1e-3


def test_simple_assignment(rng):
    """Arm sizes vary from draw to draw; the p value is near the one of complete assignment."""
    X, y = two_arms(80), rng.normal(size=80) + 0.45 * (np.arange(80) % 2)
    simple = randomization_test(X, y, [0, 1], seed=3, draws=4000, probabilities=[0.5, 0.5])
    complete = randomization_test(X, y, [0, 1], seed=3, draws=4000)
    assert simple.p[0, 0] == pytest.approx(complete.p[0, 0], abs=0.02)
    certain = np.zeros((80, 2))
    certain[np.arange(80), np.arange(80) % 2] = 1.0
    fixed = randomization_test(X, y, [0, 1], seed=3, draws=20, probabilities=certain)
    np.testing.assert_allclose(fixed.resampled, fixed.statistic[None].repeat(20, 0), rtol=1e-9)
    assert fixed.p[0, 0] == 1


def test_progress_is_told(rng):
    told = []
    randomization_test(two_arms(20), rng.normal(size=20), [0, 1], seed=1, draws=120, chunk=50,
                       progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert told == [(50, 120), (100, 120), (120, 120)]


@pytest.mark.parametrize(
    "change",
    [{"outcomes": np.r_[np.nan, np.ones(39)]}, {"outcomes": np.ones(40)}, {"outcomes": np.ones(3)},
     {"draws": 0}, {"X": np.column_stack([np.ones(40), np.linspace(0, 1, 40)])},
     {"blocks": np.arange(40) % 2}, {"probabilities": [0.5, 0.6]},
     {"probabilities": [0.5, 0.5], "blocks": np.zeros(40)}, {"probabilities": [0.0, 1.0]}],
)  # fmt: skip
def test_bad_input(rng, change):
    arguments = {"X": two_arms(40), "outcomes": rng.normal(size=40), "draws": 10} | change
    with pytest.raises(LedgerError):
        randomization_test(contrasts=[0, 1], seed=1, **arguments)


CRITERION = dict.fromkeys(("supported", "refuted", "negligible", "undecided"), "c")


def claim(**change) -> Hypothesis:
    common = dict(
        id="T", statement="s", estimand="e", outcome="y", model="y ~ arm",
        contrast={"arm[T.b]": 1.0}, vcov="HC2", family="F", direction="positive",
        criterion=CRITERION,
    )  # fmt: skip
    return Hypothesis(**common | change)


def people(n: int, seed: int, effect: float = 0.0) -> pd.DataFrame:
    """Two arms within two levels of another factor; items; a block for every ten."""
    rng = np.random.default_rng(seed)
    arm, other = rng.permutation(n) % 2, rng.integers(0, 2, n)
    common = rng.normal(size=n)
    return pd.DataFrame({
        "respondent": np.arange(n), "arm": pd.Categorical.from_codes(arm, ["a", "b"]),
        "other": pd.Categorical.from_codes(other, ["u", "v"]),
        "y": common + effect * arm, "p": common + rng.normal(size=n) + effect,
        "q": common + rng.normal(size=n),
    })  # fmt: skip


DESIGN = SimpleNamespace(design=SimpleNamespace(factors={"arm": None, "other": None}))


def test_a_registered_test_is_the_kernel_within_the_other_factors():
    rows = people(160, 3, 0.25)
    found = registered_test(DESIGN, rows, claim(), draws=4000, seed=1)
    X = np.column_stack([np.ones(160), rows["arm"] == "b"]).astype(float)
    kernel = randomization_test(X, rows["y"], [0, 1], seed=2, draws=4000, blocks=rows["other"])
    assert found.statistic == pytest.approx(kernel.statistic.item(), rel=1e-9)
    assert abs(found.p - kernel.p.item()) < 0.03 and "other" in found.drawn
    adjusted = registered_test(DESIGN, rows, claim(model="y ~ arm + p"), draws=99, seed=1)
    fit = smf.ols("y ~ arm + p", rows).fit(cov_type="HC2")
    assert adjusted.statistic == pytest.approx(fit.tvalues["arm[T.b]"], rel=1e-9)


def test_arms_change_places_within_blocks_alone():
    """Blocks that differ much, and shares of the arms with them: only the block explains."""
    rng = np.random.default_rng(5)
    block = np.repeat([0, 1], 60)
    arm = np.r_[rng.permutation(np.repeat([0, 1], [50, 10])),
                rng.permutation(np.repeat([0, 1], [10, 50]))]
    rows = pd.DataFrame({"arm": pd.Categorical.from_codes(arm, ["a", "b"]),
                         "y": 3.0 * block + rng.normal(size=120), "respondent": np.arange(120)})
    blind = registered_test(DESIGN, rows, claim(), draws=199, seed=1)
    within = registered_test(DESIGN, rows.assign(block=block), claim(), draws=199, seed=1)
    assert blind.p == 0.005 and within.p > 0.05


def test_clusters_change_places_whole():
    """No effect, and outcomes alike within clusters: rows alone would reject far too often."""
    p = {True: [], False: []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cluster = np.repeat(np.arange(12), 15)
        arm = rng.permutation(np.arange(12) % 2)[cluster]
        rows = pd.DataFrame({
            "arm": pd.Categorical.from_codes(arm, ["a", "b"]), "respondent": np.arange(180),
            "y": rng.normal(size=12)[cluster] + 0.3 * rng.normal(size=180),
        })  # fmt: skip
        whole = registered_test(DESIGN, rows.assign(cluster=cluster), claim(vcov="CR2"), draws=39,
                                seed=1)  # fmt: skip
        p[True].append(whole.p)
        p[False].append(registered_test(DESIGN, rows, claim(), draws=39, seed=1).p)
    assert np.mean(np.array(p[True]) <= 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean(np.array(p[False]) <= 0.05) > 0.4


def test_answers_within_respondents_change_places():
    within = claim(outcome=None, stack=["p", "q"], frame="stacked", model="response ~ 0 + item",
                   contrast={"item[p]": 1.0, "item[q]": -1.0}, vcov="CR2")  # fmt: skip
    rows = people(80, 1, 0.5)
    found = registered_test(DESIGN, rows, within, draws=199, seed=1)
    paired = stats.ttest_rel(rows["p"], rows["q"])
    assert found.statistic == pytest.approx(paired.statistic, rel=1e-9) and found.p < 0.05
    none = registered_test(DESIGN, people(80, 1), within, draws=999, seed=1)
    expected = stats.ttest_rel(people(80, 1)["p"], people(80, 1)["q"]).pvalue
    assert abs(none.p - expected) < 0.05
