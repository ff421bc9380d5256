"""Sums over experiments against the same quantities computed from all of them at once."""

import numpy as np
import pytest

from claimledger.errors import LedgerError
from claimledger.statistics.decision import decide
from claimledger.statistics.tally import add, average, proportion, run, summarise, tally

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
    return summarise(add(*parts), TRUTH)


def test_rates_and_their_errors(drawn, found):
    _, _, decision = drawn
    rates = {"power": decision.p_adjusted < 0.05, "equivalence": decision.tost_p_adjusted < 0.05}
    rates |= {f"verdict_{code}": decision.verdict == code for code in range(4)}
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
    assert both["power"] == 2 and summarise(both, np.array([0.2]))["type_m"][0] == pytest.approx(4)
    assert sums["power"] == 1 and np.isnan(summarise(sums, np.array([0.2]))["type_m"][0])
    assert "bias" not in summarise(tally(estimate, se, 50, decide(estimate, se, 50, None, 1)))


def test_the_level_may_differ_and_is_not_reached_by_equality():
    estimate, se = np.array([[0.2, 0.2]] * 2), np.full((2, 2), 0.1)
    decision = decide(estimate, se, 30, 0.5, 1, correction="none")
    p, tost_p = decision.p[0, 0], decision.tost_p[0, 0]
    both = tally(estimate, se, 30, decision, alpha=np.array([p, p * 1.001]))
    assert list(both["power"]) == [0, 2]
    both = tally(estimate, se, 30, decision, alpha=np.array([tost_p, tost_p * 1.001]))
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
    for simulations, chunk in [(1, 10), (10, 0)]:
        with pytest.raises(LedgerError, match="two simulations or more"):
            run(job, simulations, 5, chunk=chunk)
    assert run(job, 2, 5, chunk=1)["simulations"] == 2
