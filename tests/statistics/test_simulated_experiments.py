"""The engine: equal to fits one at a time, known truths come back, whoever computes them."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.clustered import of_fit
from claimledger.statistics.decision import HYPOTHESIS, decide, false_claims
from claimledger.statistics.simulated_experiments import (
    Experiments,
    RegisteredTest,
    _spreads,
    average,
    batch,
    draw_moments,
    families,
    judge,
    proportion,
    run,
    summarize,
    tally,
)

TRUTH = np.array([0.3, -0.2, 0.0])
N = 400


@pytest.fixture
def drawn(rng):
    estimate = TRUTH + rng.normal(0, 0.15, (N, 3))
    se = rng.uniform(0.1, 0.2, (N, 3))
    return estimate, se, decide(estimate, se, 12, 0.5, [1, -1, 1])


@pytest.fixture
def found(drawn):
    """Summary of two unequal parts, added."""
    estimate, se, _ = drawn
    parts = []
    for at in (slice(0, 150), slice(150, N)):
        decision = decide(estimate[at], se[at], 12, 0.5, [1, -1, 1])
        parts.append(tally(estimate[at], se[at], 12, decision, TRUTH))
    return summarize({name: parts[0][name] + parts[1][name] for name in parts[0]}, TRUTH)


def test_rates_and_their_errors(drawn, found):
    _, _, decision = drawn
    rates = {"power": decision.p_adjusted < 0.05, "equivalence": decision.tost_p_adjusted < 0.05}
    rates |= {name: decision.verdict == code for code, name in enumerate(HYPOTHESIS)}
    for name, hits in rates.items():
        np.testing.assert_allclose(found[name][0], hits.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found[name][1], hits.std(axis=0) / np.sqrt(N), rtol=1e-9)
    assert rates["power"][:, :2].any(axis=0).all() and rates["equivalence"].any()


def test_means_and_their_errors(drawn, found):
    estimate, se, _ = drawn
    error = estimate - TRUTH
    for name, values in {"bias": error, "mean_se": se}.items():
        np.testing.assert_allclose(found[name][0], values.mean(axis=0), rtol=1e-9)
        mcse = values.std(axis=0, ddof=1) / np.sqrt(N)
        np.testing.assert_allclose(found[name][1], mcse, rtol=1e-9)
    rmse = np.sqrt((error**2).mean(axis=0))
    np.testing.assert_allclose(found["rmse"][0], rmse, rtol=1e-12)
    delta = (error**2).std(axis=0, ddof=1) / np.sqrt(N) / (2 * rmse)
    np.testing.assert_allclose(found["rmse"][1], delta, rtol=1e-9)
    inside = np.abs(error) <= 2.178812829663418 * se  # t with 12 degrees of freedom
    np.testing.assert_allclose(found["coverage"][0], inside.mean(axis=0), rtol=1e-12)


def test_sign_and_exaggeration_among_the_significant(drawn, found):
    estimate, _, decision = drawn
    for j in (0, 1):
        ratio = (estimate[:, j] / TRUTH[j])[decision.p_adjusted[:, j] < 0.05]
        wrong = (ratio < 0).mean()
        assert found["type_s"][0][j] == pytest.approx(wrong)
        assert found["type_s"][1][j] == pytest.approx(np.sqrt(wrong * (1 - wrong) / len(ratio)))
        assert found["type_m"][0][j] == pytest.approx(np.abs(ratio).mean())
        spread = np.abs(ratio).std(ddof=1) / np.sqrt(len(ratio))
        assert found["type_m"][1][j] == pytest.approx(spread)
    assert all(np.isnan(found[name][which][2]) for name in ("type_s", "type_m") for which in (0, 1))


def test_a_single_significant_estimate_says_nothing_of_exaggeration():
    estimate, se = np.array([[0.9], [0.0], [0.1]]), np.full((3, 1), 0.1)
    sums = tally(estimate, se, 50, decide(estimate, se, 50, None, 1), np.array([0.2]))
    two = np.array([[0.9], [0.7], [0.1]])
    both = tally(two, se, 50, decide(two, se, 50, None, 1), np.array([0.2]))
    assert both["power"] == 2 and summarize(both, np.array([0.2]))["type_m"][0] == pytest.approx(4)
    assert sums["power"] == 1 and np.isnan(summarize(sums, np.array([0.2]))["type_m"][0])


def test_the_level_may_differ_and_is_not_reached_by_equality():
    estimate, se = np.array([[0.2, 0.2]] * 2), np.full((2, 2), 0.1)
    decision = decide(estimate, se, 30, 0.5, 1, correction="none")
    p, tost_p = decision.p[0, 0], decision.tost_p[0, 0]
    both = tally(estimate, se, 30, decision, 0.0, alpha=np.array([p, p * 1.001]))
    assert list(both["power"]) == [0, 2]
    both = tally(estimate, se, 30, decision, 0.0, alpha=np.array([tost_p, tost_p * 1.001]))
    assert list(both["equivalence"]) == [0, 2]


def test_small_pieces():
    assert proportion(3, 12) == (0.25, 0.125)
    mean, error = average(np.array(6.0), np.array(14.0), 3)  # 1, 2, 3
    assert mean == 2 and error == pytest.approx(np.sqrt(1 / 3))
    assert average(np.array(0.3), np.array(0.03), 3)[1] < 1e-8, "equal values have no error"
    assert average(np.array(3.0), np.array(5.0), 2)[1] == 0.5  # 1, 2
    assert average(np.array(5.0), np.array(25.0), 1) == (5, 0)


def test_chunks_are_added_in_order_whoever_computes_them():
    def job(seed, size):
        value = np.random.default_rng(seed).random()
        return {"simulations": np.array(size), "value": np.array(value)}

    told = []
    one = run(job, 103, 5, chunk=10, progress=lambda *done: told.append(done))
    assert one["simulations"] == 103 and told[0] == (10, 103) and told[-1] == (103, 103)
    seeds = np.random.SeedSequence(5).spawn(11)
    expected = 0.0
    for seed in seeds:
        expected += np.random.default_rng(seed).random()
    assert one["value"] == expected
    assert run(job, 400, 5, chunk=1)["simulations"] == 400, "more than are handed out at once"
    with pytest.raises(LedgerError, match="two simulations or more"):
        run(job, 1, 5)
    assert run(job, 2, 5, chunk=1)["simulations"] == 2


ROWS = 200


def people(tests, draw, rules=None) -> Experiments:
    """Experiments with answers (size, items, ROWS) of `draw`, each person a cell."""
    made, mix = families(tests, rules or {t.family: (0.05, "holm") for t in tests},
                         np.eye(len(tests[0].outcome)))  # fmt: skip

    class Drawn(Experiments):
        def draw(self, rng, n, size, leans):
            values = mix @ draw(rng, size, leans)
            return np.ones(values.shape[-1]), values, np.broadcast_to(0.0, values.shape)

    return Drawn(made, *[None] * 8)


def one(X, outcome, **change) -> RegisteredTest:
    """A test of everybody, or of `rows`; of items within respondents where there is no design."""
    rows, weights = change.pop("rows", np.ones(ROWS, bool)), change.pop("weights", None)
    design = np.ones((ROWS, 1)) if X is None else X
    k = design.shape[1]
    common = dict(id="t", family="F", contrast=np.eye(k)[min(5, k - 1)], direction=1, bound=0.2)
    return RegisteredTest(**common | change, rows=rows, design=design[rows], within=X is None,
                          outcome=np.asarray(outcome, float),
                          weights=None if weights is None else weights[rows])


def test_each_kind_of_test_equals_the_ordinary_one(factorial, rng):
    """Subsets, covariates, weights and items within respondents: statsmodels and CR2."""
    X, drawn = factorial(ROWS), rng.integers(0, 5, (3, 5, ROWS)).astype(np.int8)
    treated, w = X[:, 1:5].sum(axis=1) > 0, rng.uniform(0.4, 3, ROWS)
    covariate = np.column_stack([X, rng.normal(size=ROWS)])
    subset = np.delete(X, 1, axis=1)
    mean = np.array([0.5, 0.5, 0, 0, 0])
    tests = [
        one(X, np.eye(5)[0], family="effect"),
        one(subset, mean, family="subset", rows=treated, contrast=np.eye(7)[4]),
        one(covariate, np.eye(5)[1], family="covariate"),
        one(X, np.eye(5)[2], family="weighted", weights=w),
        one(None, [0, -1, 0.5, 0.5, 0], family="within", rows=treated),
        one(None, [0, -1, 1, 0, 0], family="within, weighted", weights=w),
    ]
    design = people(tests, lambda *_: drawn)
    found, moments = design.estimates(rng, ROWS, 3)
    for family, (base, se, df) in zip(design.families, found, strict=True):
        t = family.tests[0]
        _, _, _, decision = judge(family, np.zeros((1, 1)), base, se, df, moments)
        for s in range(3):
            own = (t.outcome @ drawn[s])[t.rows]
            if not t.within:
                weights = 1.0 if t.weights is None else t.weights
                fit = sm.WLS(own, t.design, weights=weights).fit(cov_type="HC2", use_t=True)
                expected = fit.t_test(t.contrast)
                numbers = expected.effect.item(), expected.sd.item(), expected.df_denom
                sd = own.std(ddof=1)
            else:
                numbers, sd = within_respondents(t, drawn[s])
            np.testing.assert_allclose((base[s, 0], se[s, 0], df[s, 0]), numbers, rtol=1e-9,
                                       atol=1e-12, err_msg=t.family)  # fmt: skip
            p = stats.t.sf((0.2 * sd - abs(numbers[0])) / numbers[1], numbers[2])
            assert decision.tost_p[s, 0, 0] == pytest.approx(p, rel=1e-8)


def within_respondents(t: RegisteredTest, answers) -> tuple[tuple, float]:
    """The stacked items with CR2 by respondent: estimate, error, degrees of freedom; spread."""
    items = np.flatnonzero(t.outcome)
    used = answers[items][:, t.rows].astype(float)
    item, person = np.repeat(np.arange(len(items)), used.shape[1]), np.tile(
        np.arange(used.shape[1]), len(items))
    weights = 1.0 if t.weights is None else np.tile(t.weights, len(items))
    columns = (item[:, None] == np.arange(len(items))).astype(float)
    fit = sm.WLS(used.ravel(), columns, weights=weights).fit()
    return of_fit(fit, person).contrast(t.outcome[items])[:3], used.std(ddof=1)


ARM = np.arange(ROWS) % 2 == 1
TWO = np.column_stack([np.ones(ROWS), ARM]).astype(float)


def normal(rng, size, leans):
    """Three outcomes with a common part and no effect."""
    common = rng.standard_normal((size, 1, ROWS))
    return 0.6 * common + 0.8 * rng.standard_normal((size, 3, ROWS))


def rates(scenarios, simulations=2000, correction="holm", bound=0.5):
    tests = [one(TWO, np.eye(3)[i], id=f"t{i}", bound=bound, contrast=np.array([0.0, 1]))
             for i in range(3)]  # fmt: skip
    design = people(tests, normal, {"F": (0.05, correction)})
    given = {"F": np.atleast_2d(scenarios).astype(float)}
    sums = run(lambda seed, size: batch(design, ROWS, given, seed, size), simulations, 1)
    return sums, summarize(sums, given["F"])


def close(rate, truth, runs) -> bool:
    return abs(rate - truth) < 4 * np.sqrt(truth * (1 - truth) / runs)


def test_a_null_world():
    sums, found = rates([0, 0, 0])
    assert (np.abs(found["bias"][0]) < 4 * found["bias"][1]).all()
    assert all(close(rate, 0.95, 2000) for rate in found["coverage"][0].ravel())
    # Holm under positive dependence: at most 5 %, and not far below it.
    assert 0.025 < sums["false_null"][0, 0] / 2000 < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 2000)
    assert np.isnan(found["type_s"][0]).all()
    plain, found = rates([0, 0, 0], correction="none")
    assert all(close(rate, 0.05, 2000) for rate in found["power"][0].ravel())
    assert plain["false_null"][0, 0] / 2000 > 0.08


def test_only_true_nulls_count_as_errors_of_the_family():
    sums, found = rates([1.2, 1.2, 0])
    assert (found["power"][0][0, :2] > 0.99).all()
    # The others are always rejected, so Holm leaves the null its full 5 %.
    assert close(sums["false_null"][0, 0] / 2000, 0.05, 2000)


def test_a_real_effect_has_the_power_of_the_t_test():
    _, found = rates([0.3, 0, 0], correction="none")
    se = np.sqrt(4 / ROWS)
    law, critical = stats.nct(ROWS - 2, 0.3 / se), stats.t.ppf(0.975, ROWS - 2)
    power = law.sf(critical) + law.cdf(-critical)
    assert close(found["power"][0][0, 0], power, 2000)
    assert abs(found["rmse"][0][0, 0] - se) < 4 * found["rmse"][1][0, 0]
    assert found["type_m"][0][0, 0] > 1.2 and found["type_s"][0][0, 0] < 0.02


def test_two_kinds_of_claims_can_be_false_at_once():
    """Each correction holds its own kind at 5 %; where truths are mixed, both kinds add up."""
    sums, _ = rates([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.5], [0.25, 0.25, 0.25]], 4000)
    none, bound, mixed, between = sums["false_claim"][:, 0] / 4000
    assert none < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 4000)
    assert bound < 0.055 + 4 * np.sqrt(0.05 * 0.95 / 4000)
    assert max(none, bound) < mixed < 0.10 + 4 * np.sqrt(0.1 * 0.9 / 4000)
    assert between < 0.01, "only a wrong sign is false"


@pytest.mark.parametrize("direction, truth, wrong", [
    (1, 0.0, [0, 1]), (1, 0.3, [1, 2]), (1, 0.1, [1]), (1, -0.1, [0]), (-1, 0.1, [0]),
    (-1, -0.3, [1, 2]), (2, 0.0, [0]), (2, 0.3, [2]), (3, 0.0, [1]), (3, 0.3, [0]),
    (4, -0.1, [1]), (4, -0.3, [0]),
])  # fmt: skip
def test_which_verdicts_are_false(direction, truth, wrong):
    """Bound (or margin) 0.2 SD; codes 0 supported, 1 refuted, 2 negligible, 3 undecided."""
    codes = [code for code in (0, 1, 2, 3) if direction < 3 or code != 2]
    for code in codes:
        if direction == 2 and code == 1:
            continue
        decision = decide([0.1], 0.1, 9, 0.2, direction)
        decision = type(decision)(**vars(decision) | {"verdict": np.array([[code]])})
        found = false_claims(decision, np.array([[truth]]), 0.2)
        assert bool(found) == (code in wrong), code


def test_spreads_of_outcomes_with_an_effect():
    """The unit of the smallest effect of interest, moments against rows."""
    rng = np.random.default_rng(2)
    values, place = rng.normal(3, 1, (2, 60)), np.repeat(np.arange(3), [10, 20, 30])
    shift = rng.normal(size=(2, 3))
    mean = np.array([[row[place == c].mean() for c in range(3)] for row in values])
    within = np.array([[((row[place == c] - row[place == c].mean()) ** 2).sum() for c in range(3)]
                       for row in values])  # fmt: skip
    found = _spreads(np.array([[10, 20, 30]]), mean[None], within[None], shift[None])
    assert found.item() == pytest.approx((values + shift[:, place]).std(ddof=1), rel=1e-12)


def test_empty_cells_and_blocks_of_experiments():
    """Counts with empty cells first, inside and last; many experiments at once as one by one."""
    count = np.zeros((3, 6), dtype=int)
    count[0, 1], count[1, 0], count[2, [0, 2]] = 8, 8, 4
    cuts = np.array([[-0.5, 0.5], [0.0, 9.0]], dtype=np.float32)
    seen = []
    for seed, given in ((1, cuts), (2, cuts), (2, np.broadcast_to(cuts, (6, 2, 2)))):
        rng = np.random.default_rng(seed)
        mean, within = draw_moments(rng, count, np.eye(2, dtype=np.float32), given)
        empty = np.broadcast_to(count[:, None] == 0, mean.shape)
        assert (mean[empty] == 0).all() and (within[empty] == 0).all()
        assert (mean[~empty] >= 0).all() and (mean[:, 1] <= 1).all() and mean[:, 0].max() <= 2
        seen.append(mean)
    assert not np.array_equal(seen[0], seen[1]) and np.array_equal(seen[1], seen[2])


def test_recodes_of_one_item():
    """Two answers of four count as 1: the outcome is their share."""
    count = np.array([[5000, 5000]])
    cuts = np.array([[-1.0, 0, 1.0]], dtype=np.float32)
    mean, within = draw_moments(np.random.default_rng(1), count, np.eye(1, dtype=np.float32), cuts,
                                np.array([[0.0, 1.0]]),
                                [(0, np.array([0.0, 0, 1, 1]))])  # fmt: skip
    np.testing.assert_allclose(mean, 0.5, atol=0.03)
    np.testing.assert_allclose(within, 5000 * mean * (1 - mean), rtol=1e-9)


@pytest.mark.parametrize("size", [2, 500])
def test_memory_does_not_grow_with_the_simulations(size):
    decision = decide(np.zeros((size, 2)), 1.0, 10, None, 1)
    kept = tally(np.zeros((size, 2)), np.ones((size, 2)), 10, decision, 0.0)
    assert kept["simulations"] == size and {a.shape for a in kept.values()} == {(), (2,)}


def test_tests_that_cannot_change_alone_are_named():
    with pytest.raises(LedgerError, match="cannot change alone"):
        families([one(TWO, [1.0], id="a"), one(TWO, [1.0], id="b")], {"F": (0.05, "holm")},
                 np.eye(1))  # fmt: skip
