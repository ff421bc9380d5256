import numpy as np
import pandas as pd
import pytest

from claimledger.simulation import respondents as population
from claimledger.simulation.calibration import calibrate
from claimledger.simulation.respondents import intervals, simulate
from claimledger.statistics.simulated_experiments import draw_moments
from claimledger.survey.recoding import recode
from survey_items import CORRECTIVE, MEASURES


def test_the_registered_size_is_the_default_and_worlds_may_differ(registration, simulation):
    assert len(simulate(registration, simulation, "published", 1)) == registration.study.size
    assert len(simulate(registration, simulation, "tiny", 1)) == 60


def test_fewer_respondents_are_the_first_of_more(registration, simulation):
    n = population.BLOCK + 10
    more = simulate(registration, simulation, "published", 3, n)
    fewer = simulate(registration, simulation, "published", 3, 200)
    pd.testing.assert_frame_equal(fewer, more.head(200))
    assert more.index.equals(pd.RangeIndex(n))


def test_only_those_who_are_asked_answer(registration, simulation):
    frame = simulate(registration, simulation, "published", 1, 2000)
    control = frame["misalignment"] == "control"
    assert frame.loc[control, MEASURES].isna().all().all()
    assert frame.loc[~control, MEASURES].notna().mean().min() > 0.98
    for name, item in registration.instrument.items.items():
        labels = registration.instrument.scales[item.scale].labels
        if name in frame and labels:
            assert set(frame[name].dropna()) <= set(labels)


def test_assignment_has_the_registered_probabilities(registration, simulation):
    frame = simulate(registration, simulation, "published", 1, 20_000)
    for name, factor in registration.design.factors.items():
        shares = frame[name].value_counts(normalize=True)
        for level, entry in factor.levels.items():
            assert shares[level] == pytest.approx(entry.probability, abs=0.015)


def drawn_again(latent, people, seed, times, background=None) -> np.ndarray:
    """Answers (times, items, n) of people with a given assignment, each a cell of one."""
    cells = latent.cell(np.array([people[f].cat.codes for f in latent.factors]))
    root = np.linalg.cholesky(latent.correlation) if background is None else latent.residual_root
    lean = None if background is None else (latent.slopes.astype("f4"), background)
    mean, within = draw_moments(
        np.random.default_rng(seed), np.ones((times, len(cells)), dtype=int), root.astype("f4"),
        latent.thresholds[cells].astype("f4"), lean=lean)
    assert (within == 0).all()
    return mean + np.where(latent.asked[cells].T, latent.lowest[:, None], 0)


def test_the_fast_path_agrees_with_the_slow_one(registration, simulation, big):
    design = big["published"].head(1502)
    latent = calibrate(registration, simulation, simulation.world("published"))
    draws = drawn_again(latent, design, 1, 60)
    items = list(simulation.outcomes)
    assert draws.shape == (60, len(items), 1502)
    control = (design["misalignment"] == "control").to_numpy()
    for j, item in enumerate(items):
        asked = ~control if item in MEASURES else np.ones(1502, dtype=bool)
        assert (draws[:, j, ~asked] == 0).all()
        assert draws[:, j, asked].min() >= 1
        assert draws[:, j, asked].mean() == pytest.approx(big["published"][item].mean(), abs=0.03)
        assert draws[:, j, asked].std() == pytest.approx(big["published"][item].std(), abs=0.03)
    democracy = (design["regime"] == "democracy").to_numpy()
    index = draws[:, [items.index(c) for c in CORRECTIVE]].mean(1)
    gap = index[:, democracy & ~control].mean() - index[:, ~democracy & ~control].mean()
    assert gap == pytest.approx(-0.25 * 1.2, abs=0.03)
    one, two = (
        draws[:, items.index(i)][:, ~control].ravel()
        for i in ("cut_military_aid", "economic_sanctions"))
    assert np.corrcoef(one, two)[0, 1] == pytest.approx(0.37, abs=0.03)


def test_answers_lean_on_the_background_of_the_same_people(registration, simulation, big):
    """Given their intervals the answers have the slopes and spreads of a simulated survey."""
    people = recode(big["null"].head(3000), registration)
    latent = calibrate(registration, simulation, simulation.world("null"))
    draws = drawn_again(latent, people, 2, 40, intervals(registration, simulation, people))
    fresh = drawn_again(latent, people, 2, 40)
    whole = recode(big["null"], registration)
    for item in ("favourable", "troops"):
        at = latent.items.index(item)
        assert draws[:, at].mean() == pytest.approx(whole[item].mean(), abs=0.05)
        assert draws[:, at].std() == pytest.approx(whole[item].std(), abs=0.03)
        for other in ("internationalism", "party", "age", "militant"):
            expected = whole[item].corr(whole[other])
            found = np.corrcoef(draws[:, at].mean(axis=0), people[other])[0, 1]
            found *= draws[:, at].mean(axis=0).std() / draws[:, at].std()
            assert found == pytest.approx(expected, abs=0.035), (item, other)
            assert abs(np.corrcoef(fresh[:, at].ravel(), np.tile(people[other], 40))[0, 1]) < 0.02


def test_intervals_hold_the_latent_normals_and_are_everywhere_without_an_answer(
    registration, simulation, big):
    people = recode(big["published"].head(2000), registration)
    people.loc[:9, ["party", "age"]] = np.nan
    people.loc[:9, "sex"] = None
    low, high = intervals(registration, simulation, people)
    names = list(simulation.background)
    for name in ("party", "age", "sex"):
        at = names.index(name)
        assert (low[at, :10] == 0).all() and (high[at, :10] == 1).all()
        assert ((high - low)[at, 10:] < 0.7).all()
    assert (low < high).all()
    male = people["sex"].iloc[10:] == "Male"
    ends = low[names.index("sex"), 10:], high[names.index("sex"), 10:]
    np.testing.assert_allclose(ends[0], np.where(male, 0, 0.49), atol=1e-6)
    np.testing.assert_allclose(ends[1], np.where(male, 0.49, 1), atol=1e-6)
    # Each answer's interval is as wide as its share, so that the places fill the unit interval.
    place = (low + high)[names.index("age"), 10:] / 2
    assert np.abs(np.sort(place) - np.linspace(0, 1, len(place))).max() < 0.05
