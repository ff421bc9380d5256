"""The grid of a diagnosis: equal to the registered analysis on rows, whoever computes it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from joblib import parallel_config
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.calibration import matrix
from claimledger.statistics.decision import HYPOTHESIS, decide
from claimledger.statistics.experiments import Plan, draw_moments, experiments
from claimledger.statistics.power import default_sizes, numbers, power_grid, tables
from claimledger.statistics.tally import dask_cluster, run, tally
from claimledger.survey.recoding import sample_rows

ROOT = Path(__file__).parents[2]
REGISTRATION = load(ROOT / "registration.yml")
SIMULATION = load_simulation(ROOT / "data" / "simulation.yml", REGISTRATION)


@pytest.fixture(scope="module")
def plan():
    return Plan.of(REGISTRATION, SIMULATION)


def rows_of(plan: Plan, seed, n: int) -> pd.DataFrame:
    """The respondents that `plan.draw` reduces to moments, one row each."""
    rng = np.random.default_rng(seed)
    count = rng.multinomial(n, plan.probabilities)
    place = rng.integers(0, 2**16, (len(plan.root), n), dtype=np.uint16)
    latent = plan.root @ stats.norm.ppf((place + 0.5) / 2**16).astype(np.float32)
    answers = plan.lowest[:, None] + (latent[..., None] > plan.thresholds[:, None]).sum(-1)
    factors = {k: list(f.levels) for k, f in REGISTRATION.design.factors.items()}
    cells = pd.MultiIndex.from_product(factors.values(), names=factors).to_frame(index=False)
    frame = cells.loc[np.repeat(cells.index, count)].reset_index(drop=True)
    for name, levels in factors.items():
        frame[name] = pd.Categorical(frame[name], levels)
    frame[list(SIMULATION.outcomes)] = answers.T.astype(float)
    for name, derived in REGISTRATION.instrument.derived.items():
        if derived.mean:
            frame[name] = frame[derived.mean].mean(axis=1)
    return frame


@pytest.mark.parametrize("target", ["H3b", "H2a"])
def test_an_experiment_is_the_registered_analysis_on_rows(plan, target):
    """Effects added to the rows one by one, statsmodels with HC2, the family's decision."""
    n, d, seed = 400, 0.3, np.random.SeedSequence(5)
    chosen = REGISTRATION.hypothesis(target)
    family = [h for h in REGISTRATION.hypotheses if h.family == chosen.family]
    group = next(f for f in plan.families if f.name == chosen.family)
    frame = rows_of(plan, seed, n)
    ids = [a.id for f in plan.families for a in f.members]
    size = d * group.sd[[h.id for h in family].index(target)]
    size *= -1 if chosen.direction == "negative" else 1
    moved = frame.copy()
    for term, weight in chosen.contrast.items():
        factor, level = term.removesuffix("]").split("[T.")
        moved[chosen.outcome] += size * frame[factor].eq(level) * (1 if weight else 0)
    found = []
    for h in family:
        rows = sample_rows(REGISTRATION, moved, h.sample)
        fit = smf.ols(h.model, rows).fit(cov_type="HC2", use_t=True)
        contrast = [h.contrast.get(name, 0.0) for name in fit.params.index]
        test = fit.t_test(contrast)
        sd = rows[h.outcome].std(ddof=1)
        found.append((test.effect.item(), test.sd.item(), fit.df_resid, h.sesoi * sd))
    direction = [1 if h.direction == "positive" else -1 for h in family]
    decision = decide(*np.array(found).T, direction, 0.05, "holm")
    sums = experiments(plan, n, (0.0, d), seed, 1)
    at, own = ids.index(target), [h.id for h in family].index(target)
    assert sums["error"][at, 1] == pytest.approx(found[own][0] - size, abs=1e-9)
    assert sums["se"][at, 1] == pytest.approx(found[own][1], rel=1e-9)
    verdicts = [sums[f"verdict_{code}"][at, 1] for code in range(4)]
    assert verdicts == [decision.verdict[own] == code for code in range(4)]
    assert sums["equivalence"][at, 1] == (decision.tost_p_adjusted[own] < 0.05)
    others = np.delete(decision.p_adjusted, own)
    assert sums["false"][at, 1] == (others < 0.05).any()


def test_a_within_respondent_effect_moves_its_own_contrast_alone(plan):
    group = next(f for f in plan.families if f.name == "H1")
    for h, one in enumerate(group.members):
        full = np.zeros(len(one.outcome))
        for k, other in enumerate(group.members):
            shift = group.shift[h][k]
            full[other.items] = shift[:, 0]
            assert other.outcome @ full == pytest.approx(float(h == k), abs=1e-12)


def test_spreads_of_outcomes_with_an_effect(plan):
    """The unit of the smallest effect of interest, moments against rows."""
    from claimledger.statistics.experiments import _spreads

    rng = np.random.default_rng(2)
    values, place = rng.normal(3, 1, (2, 60)), np.repeat(np.arange(3), [10, 20, 30])
    shift, t = rng.normal(size=(2, 3)), 0.7
    mean = np.array([[row[place == c].mean() for c in range(3)] for row in values])
    within = np.array([[((row[place == c] - row[place == c].mean()) ** 2).sum() for c in range(3)]
                       for row in values])  # fmt: skip
    found = _spreads(np.array([[10, 20, 30]]), mean[None], within[None], [shift], np.array([[t]]))
    expected = (values + t * shift[:, place]).std(ddof=1)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_unit_of_effects_is_the_spread_of_the_answers(plan):
    rng, n = np.random.default_rng(3), 40_000
    frame = rows_of(plan, rng, n)
    for family in plan.families:
        for a, sd in zip(family.members, family.sd, strict=True):
            h = REGISTRATION.hypothesis(a.id)
            used = list(SIMULATION.outcomes) if h.stack else [h.outcome]
            used = [used[i] for i in a.items] if h.stack else used
            assert frame[used].to_numpy().std() == pytest.approx(sd, rel=0.02), a.id


def test_drawn_answers_have_the_assumed_distribution(plan):
    """Means, spreads and correlations of the items, and cells of the registered shares."""
    rng, n = np.random.default_rng(8), 200_000
    count, mean, within = plan.draw(rng, n, 1)
    assert np.abs(count[0] / n - plan.probabilities).max() < 5 * np.sqrt(0.05 / n)
    average = (count * mean[0]).sum(axis=1) / n
    spread = np.sqrt((within[0] + count * (mean[0] - average[:, None]) ** 2).sum(axis=1) / n)
    frame = rows_of(plan, rng, 40_000)
    for j, (item, outcome) in enumerate(SIMULATION.outcomes.items()):
        assert spread[j] == pytest.approx(outcome.sd, abs=0.01), item
        assert average[j] == pytest.approx(frame[item].mean(), abs=0.04), item
    wanted = matrix(list(SIMULATION.outcomes), SIMULATION.correlations)
    found = frame[list(SIMULATION.outcomes)].corr().to_numpy()
    assert np.abs(found - wanted).max() < 0.03


def test_empty_cells_and_blocks_of_experiments(plan):
    """Counts with empty cells first, inside and last; many experiments at once as one by one."""
    count = np.zeros((3, 6), dtype=int)
    count[0, 1], count[1, 0], count[2, [0, 2]] = 8, 8, 4
    seen = []
    for seed in (1, 2):
        mean, within = draw_moments(
            np.random.default_rng(seed), count, np.eye(2, dtype=np.float32),
            np.array([[-0.5, 0.5], [0.0, 9.0]], dtype=np.float32),
        )
        empty = np.broadcast_to(count[:, None] == 0, mean.shape)
        assert (mean[empty] == 0).all() and (within[empty] == 0).all()
        assert (mean[~empty] >= 0).all() and (mean[:, 1] <= 1).all() and mean[:, 0].max() <= 2
        seen.append(mean)
    assert not np.array_equal(*seen)


@pytest.fixture(scope="module")
def small():
    return power_grid(REGISTRATION, SIMULATION, sizes=(300, 1200), effects=(0, 0.2, 0.5),
                      simulations=200, seed=3)  # fmt: skip


def test_known_truths_come_back(small):
    for id, found in small.values.items():
        verdicts = sum(found[name] for name in HYPOTHESIS)
        np.testing.assert_allclose(verdicts, 1)
        mcse = small.mcse[id]
        assert (np.abs(found["bias"]) < 4.5 * mcse["bias"]).all()
        assert (np.abs(found["coverage"] - 0.95) < 4.5 * np.sqrt(0.95 * 0.05 / 200)).all()
        assert (found["fwer"] < 0.05 + 4.5 * np.sqrt(0.05 * 0.95 / 200)).all()
        assert (np.diff(found["supported"], axis=1) >= 0).all(), "an effect is easier to find"
        assert (found["supported"][1, 1:] >= found["supported"][0, 1:]).all(), "in more people too"
        assert np.isnan(found["type_m"][:, 0]).all() and (found["type_m"][0, 1] > 1)
        assert found["supported"][1, 2] > 0.99 and found["negligible"][1, 0] > 0.5
        within = small.families[id] == "H1"
        assert (found["power"][0, 1] > 0.4) == within, "comparisons within people need fewer"


def test_power_is_that_of_the_t_test():
    """H3b at 1,200 alone in its family against the noncentral t distribution."""
    alone = [h for h in REGISTRATION.hypotheses if h.id == "H3b"]
    registration = REGISTRATION.model_copy(update={"hypotheses": alone})
    found = power_grid(registration, SIMULATION, sizes=(1200,), effects=(0.15,), simulations=1000)
    n = 1200 * 0.8
    law = stats.nct(n - 7, 0.15 / np.sqrt(4 / n))
    critical = stats.t.ppf(0.975, n - 7)
    expected = law.sf(critical) + law.cdf(-critical)
    rate = found.values["H3b"]["power"].item()
    assert abs(rate - expected) < 4 * np.sqrt(expected * (1 - expected) / 1000)


def test_workers_and_the_rest_of_the_grid_change_nothing(small):
    with parallel_config(backend="loky"):
        other = power_grid(REGISTRATION, SIMULATION, sizes=(1200,), effects=(0.2, 0.5),
                           simulations=200, seed=3, workers=2)  # fmt: skip
    for id, found in other.values.items():
        for name, grid in found.items():
            np.testing.assert_array_equal(grid[0], small.values[id][name][1, 1:], name)


def test_a_dask_cluster_of_two_workers_gives_the_same_answer(small):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True,
    ) as cluster, dask_cluster(cluster.scheduler_address):
        other = power_grid(REGISTRATION, SIMULATION, sizes=(300, 1200), effects=(0, 0.2, 0.5),
                           simulations=200, seed=3, workers=-1)  # fmt: skip
    for id, found in other.values.items():
        for name, grid in found.items():
            np.testing.assert_array_equal(grid, small.values[id][name], name)


def test_a_scheduler_that_is_not_there_is_named():
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(LedgerError, match="scheduler"), dask_cluster("tcp://127.0.0.1:1"):
        pass


def test_memory_does_not_grow_with_the_simulations():
    """What is kept between chunks is one tally, whose size is that of the grid."""
    alive = []

    def job(seed, size):
        kept = tally(np.zeros((size, 2)), np.ones((size, 2)), 10,
                     decide(np.zeros((size, 2)), 1.0, 10, None, 1))  # fmt: skip
        alive.append(sum(a.nbytes for a in kept.values()))
        return kept

    total = run(job, 500, 1, chunk=5)
    assert total["simulations"] == 500 and sum(a.nbytes for a in total.values()) == alive[0]
    assert len(set(alive)) == 1 and all(a.shape in ((), (2,)) for a in total.values())


def test_shapes_for_files_and_terminals(small):
    content = small.as_json(REGISTRATION)
    assert content["n"] == [300, 1200] and content["d"] == [0, 0.2, 0.5]
    one = content["hypotheses"]["H3b"]
    assert one["type_s"][0][0] is None and one["direction"] == "negative"
    for name in (*HYPOTHESIS, "power", "equivalence"):
        assert np.shape(one[name]) == np.shape(one["mcse"][name]) == (2, 3)
    texts = list(tables(small))
    assert len(texts) == 2 and texts[1].startswith("1200 respondents")
    assert f"{100 * small.values['H1a']['supported'][1, 1]:.1f}±" in texts[1]
    detectable = small.detectable("H3b")
    assert 0 < detectable[1] < detectable[0] <= 0.5
    assert np.isnan(small.detectable("H3b", power=1.01)).all()


def test_sizes_follow_the_registration():
    assert default_sizes(1502)[4] == 1502 and default_sizes(1502)[0] == 250
    assert sorted(default_sizes(997)) == list(default_sizes(997))


@pytest.mark.parametrize("change", [{"sizes": (20,)}, {"sizes": ()}, {"effects": (np.nan,)},
                                    {"effects": ()}, {"simulations": 1}])  # fmt: skip
def test_bad_grids(change):
    with pytest.raises(LedgerError):
        power_grid(REGISTRATION, SIMULATION, **change)


def test_what_cannot_be_diagnosed_is_named():
    with pytest.raises(LedgerError, match="numbers"):
        numbers("a lot")
    twice = [h for h in REGISTRATION.hypotheses if h.id == "H3a"]
    copy = twice[0].model_copy(update={"id": "H3d"})
    registration = REGISTRATION.model_copy(update={"hypotheses": [*twice, copy]})
    with pytest.raises(LedgerError, match="cannot change alone"):
        Plan.of(registration, SIMULATION)
    unasked = twice[0].model_copy(update={"sample": "all"})
    registration = REGISTRATION.model_copy(update={"hypotheses": [unasked]})
    with pytest.raises(LedgerError, match="not asked"):
        Plan.of(registration, SIMULATION)
    covariate = twice[0].model_copy(update={"model": "corrective ~ regime + age"})
    registration = REGISTRATION.model_copy(update={"hypotheses": [covariate]})
    with pytest.raises(LedgerError, match="age"):
        Plan.of(registration, SIMULATION)
