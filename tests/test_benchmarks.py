"""The benchmarks time the right thing: the same p values as statsmodels."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
tasks = pytest.importorskip("tasks")


def test_the_analysis_equals_statsmodels():
    Y = tasks.answers(3, n=400)
    found = tasks.ours_analysis(Y, block=2)
    assert found.shape == (3, 8, 12)
    np.testing.assert_allclose(found, tasks.statsmodels_loop(Y), rtol=0, atol=1e-10)


def test_drawn_experiments_are_under_the_null_with_the_wanted_correlation():
    p = tasks.ours_full(400, n=400)
    assert abs((p[..., 1:] < 0.05).mean() - 0.05) < 0.01
    assert (p[..., 0] < 1e-6).all(), "the mean of the answers is not zero"
    correlation = np.corrcoef(tasks.answers(5)[:, :2].swapaxes(0, 1).reshape(2, -1))[0, 1]
    assert 0.2 < correlation < 0.35


def test_permutations_and_raking_run_as_described():
    p = tasks.permutations(99)
    assert p.shape == (8,) and (p >= 0.01).all() and (p <= 1).all()
    frame, margins = tasks.population(2000)
    weights = tasks.raking(frame, margins)
    for name, shares in margins.items():
        weighted = np.bincount(frame[name].cat.codes, weights) / weights.sum()
        np.testing.assert_allclose(weighted, list(shares.values()), atol=1e-9)
