"""The grid of a diagnosis: equal to the registered analysis on rows, whoever computes it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.registration.analyses import Bound
from claimledger.registration.loading import load
from claimledger.registration.models import Derived
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.respondents import simulate
from claimledger.statistics import simulated_experiments as engine
from claimledger.statistics.decision import HYPOTHESIS, decide
from claimledger.statistics.design_diagnosis import (
    dask_cluster,
    default_sizes,
    experiments_of,
    false_claim_rates,
    numbers,
    power_grid,
    tables,
    verdict_rates,
)
from claimledger.statistics.specification_curve import Specified
from claimledger.survey.recoding import recode, sample_rows
from claimledger.survey.weighting import rake_as_registered

ROOT = Path(__file__).parents[2]
REGISTRATION = load(ROOT / "registration.yml")
SIMULATION = load_simulation(ROOT / "data" / "simulation.yml", REGISTRATION)


@pytest.fixture(scope="module")
def plan():
    return experiments_of(REGISTRATION, SIMULATION)


def rows_of(plan: engine.Experiments, seed, n: int) -> pd.DataFrame:
    """The respondents that `plan.draw` reduces to moments, one row each."""
    rng = np.random.default_rng(seed)
    count = rng.multinomial(n, plan.probabilities)
    root = plan.roots[False]
    place = rng.integers(0, 2**16, (len(root), n), dtype=np.uint16)
    latent = root @ stats.norm.ppf((place + 0.5) / 2**16).astype(np.float32)
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
    own = [h.id for h in family].index(target)
    given = {f.name: np.zeros((1, len(f.tests))) for f in plan.families}
    given[chosen.family][0, own] = d if chosen.direction == "positive" else -d
    sums = engine.batch(plan, n, given, seed, 1)
    at = [t.id for f in plan.families for t in f.tests].index(target)
    assert sums["error"][0, at] == pytest.approx(found[own][0] - size, abs=1e-9)
    assert sums["se"][0, at] == pytest.approx(found[own][1], rel=1e-9)
    assert [name for name in HYPOTHESIS if sums[name][0, at]] == [decision.names[own]]
    assert sums["equivalence"][0, at] == (decision.tost_p_adjusted[own] < 0.05)
    others = np.delete(decision.p_adjusted, own)
    place = [f.name for f in plan.families].index(chosen.family)
    assert sums["false_null"][0, place] == (others < 0.05).any()


def test_a_within_respondent_effect_moves_its_own_contrast_alone(plan):
    group = next(f for f in plan.families if f.name == "H1")
    for h in range(len(group.tests)):
        for k, other in enumerate(group.tests):
            moved = group.shift[h][k][:, 0] @ other.pooled
            assert other.outcome @ moved == pytest.approx(float(h == k), abs=1e-12)


def test_the_unit_of_effects_is_the_spread_of_the_answers(plan):
    rng, n = np.random.default_rng(3), 40_000
    frame = rows_of(plan, rng, n)
    for family in plan.families:
        for a, sd in zip(family.tests, family.sd, strict=True):
            h = REGISTRATION.hypothesis(a.id)
            used = list(SIMULATION.outcomes) if h.stack else [h.outcome]
            used = [used[i] for i in np.flatnonzero(a.outcome)] if h.stack else used
            assert frame[used].to_numpy().std() == pytest.approx(sd, rel=0.02), a.id


@pytest.fixture(scope="module")
def small():
    return power_grid(REGISTRATION, SIMULATION, sizes=(300, 1200), effects=(0, 0.2, 0.5),
                      simulations=200, seed=3)  # fmt: skip


def come_back(grid, slack: float) -> None:
    """Over 200 experiments of each size the truths are found within Monte Carlo error."""
    error = 4.5 * np.sqrt(0.95 * 0.05 / 200)
    for id, found in grid.values.items():
        np.testing.assert_allclose(sum(found[name] for name in HYPOTHESIS), 1)
        assert (np.abs(found["bias"]) < 4.5 * grid.mcse[id]["bias"] + slack).all(), id
        assert (np.abs(found["coverage"] - 0.95) < error + slack).all(), id
        assert (found["fwer"] < 0.05 + error).all(), id
        np.testing.assert_allclose(found["mean_se"], found["rmse"], rtol=0.2)


def test_known_truths_come_back(small):
    come_back(small, 0.0)
    for id, found in small.values.items():
        assert (np.diff(found["supported"], axis=1) >= 0).all(), "an effect is easier to find"
        assert (found["supported"][1, 1:] >= found["supported"][0, 1:]).all(), "in more people too"
        assert np.isnan(found["type_m"][:, 0]).all() and (found["type_m"][0, 1] > 1)
        assert found["supported"][1, 2] > 0.99 and found["negligible"][1, 0] > 0.5
        within = REGISTRATION.hypothesis(id).family == "H1"
        assert (found["power"][0, 1] > 0.4) == within, "comparisons within people need fewer"


def same(found, other, part) -> None:
    """Every quantity is that part (sizes, effects) of another grid."""
    for id, values in found.values.items():
        for name, grid in values.items():
            np.testing.assert_allclose(grid, other.values[id][name][part], rtol=1e-9, atol=1e-12)


def test_workers_and_the_rest_of_the_grid_change_nothing(small):
    other = power_grid(REGISTRATION, SIMULATION, sizes=(1200,), effects=(0.2, 0.5),
                       simulations=200, seed=3, workers=2)  # fmt: skip
    same(other, small, np.s_[1:, 1:])


@pytest.mark.slow
def test_a_dask_cluster_of_two_workers_gives_the_same_answer(small):
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True,
    ) as cluster, dask_cluster(cluster.scheduler_address):
        other = power_grid(REGISTRATION, SIMULATION, sizes=(300, 1200), effects=(0, 0.2, 0.5),
                           simulations=200, seed=3, workers=-1)  # fmt: skip
    same(other, small, np.s_[:])


def test_a_scheduler_that_is_not_there_is_named():
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(LedgerError, match="scheduler"), dask_cluster("tcp://127.0.0.1:1"):
        pass


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


def test_sizes_follow_the_registration():
    assert default_sizes(1502)[4] == 1502 and default_sizes(1502)[0] == 250
    assert sorted(default_sizes(997)) == list(default_sizes(997))
    assert min(default_sizes(60)) == 50


@pytest.mark.parametrize("change", [{"sizes": (20,)}, {"sizes": ()}, {"effects": (np.nan,)},
                                    {"effects": ()}, {"simulations": 1}])  # fmt: skip
def test_bad_grids(change):
    with pytest.raises(LedgerError, match="numbers"):
        numbers("a lot")
    with pytest.raises(LedgerError):
        power_grid(REGISTRATION, SIMULATION, **change)


@pytest.mark.parametrize("changes, said", [
    ([{}, {"id": "H3d"}], "cannot change alone"), ([{"sample": "all"}], "not asked"),
    ([{"model": "corrective ~ regime + age"}], "age"), ([{"vcov": "HC3"}], "HC3"),
    ([{"frame": "profiles", "vcov": "CR2"}], "profiles"), ([{"model": "corrective ~ who"}], "who"),
    ([{"contrast": {"regime[T.none]": 1.0}}], r"regime\[T.none"),
])  # fmt: skip
def test_what_cannot_be_diagnosed_is_named(changes, said):
    h = REGISTRATION.hypothesis("H3a")
    changed = [h.model_copy(update=change) for change in changes]
    with pytest.raises(LedgerError, match="H3a|H3") as caught:
        experiments_of(REGISTRATION.model_copy(update={"hypotheses": changed}), SIMULATION)
    assert re.search(said, str(caught.value))


OPTIONS = [(c, w) for c in ("none", "lin") for w in ("none", "raked")]


@pytest.fixture(scope="module")
def study():
    """A simulated survey of 700 and its raked weights."""
    people = recode(simulate(REGISTRATION, SIMULATION, "published", 4, 700), REGISTRATION)
    raked = rake_as_registered(people, REGISTRATION, ROOT).weights
    return people, raked


@pytest.mark.parametrize("covariates, weights", OPTIONS[1:])
def test_many_at_once_are_the_specifications_of_the_curve(study, covariates, weights):
    """Estimate, error and degrees of freedom of every hypothesis, to 1e-9."""
    people, raked = study
    given = raked.to_numpy() if weights == "raked" else None
    plan = experiments_of(REGISTRATION, SIMULATION, SIMULATION.world("published"), people,
                          covariates, given)  # fmt: skip
    found, _ = plan.estimates(np.random.default_rng(1), len(people), 2)
    rng, drawn = np.random.default_rng(1), {}
    items = replace(plan, mix=np.eye(len(SIMULATION.outcomes)))
    for leans in sorted({t.leans for f in plan.families for t in f.tests}):
        drawn[leans] = items.draw(rng, len(people), 2, leans)[1][1]
    for family, (base, se, df) in zip(plan.families, found, strict=True):
        for k, t in enumerate(family.tests):
            h = REGISTRATION.hypothesis(t.id)
            frame = people.copy()
            frame[list(SIMULATION.outcomes)] = drawn[t.leans].T.astype(float)
            for name, derived in REGISTRATION.instrument.derived.items():
                if derived.mean:
                    frame[name] = frame[derived.mean].mean(axis=1)
            specified = Specified(REGISTRATION, frame, raked)
            model = specified.model(h, {"covariates": covariates, "weights": weights})
            expected = model.contrasts({h.id: h.contrast}).loc[h.id]
            np.testing.assert_allclose((base[1, k], se[1, k], df[1, k]),
                                       expected[["estimate", "se", "df"]].to_numpy(float),
                                       rtol=1e-9, err_msg=h.id)  # fmt: skip


def grid(sizes=(600,), registration=REGISTRATION, **options):
    return power_grid(registration, SIMULATION, sizes=sizes, effects=(0, 0.3), simulations=200,
                      seed=3, root=ROOT, **options)


@pytest.fixture(scope="module")
def grids():
    kinds = {"registered": {}, "adjusted": {"covariates": "lin"}, "weighted": {"weights": "raked"}}
    return {name: grid((600, 1500), **options) for name, options in kinds.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adjusted", "weighted"])
def test_known_truths_come_back_with_people_held_fixed(grids, name):
    # People are held fixed, and their answers are steps: a hundredth of an SD may stay.
    come_back(grids[name], 0.01)


@pytest.mark.slow
def test_covariates_sharpen_and_weights_blunt(grids):
    between = ("H2a", "H2b", "H3a", "H3b", "H3c")
    plain, adjusted, weighted = (
        np.array([g.values[id]["mean_se"][1, 0] for id in between]) for g in grids.values()
    )
    assert (adjusted / plain > 0.85).all() and (adjusted / plain < 0.97).all()  # R2 .13 to .22
    people = recode(simulate(REGISTRATION, SIMULATION, "null", 4, 1500), REGISTRATION)
    w = rake_as_registered(people, REGISTRATION, ROOT).weights.to_numpy()
    kish = np.sqrt(len(w) * (w**2).sum() / w.sum() ** 2)
    assert kish > 1.02
    np.testing.assert_allclose(weighted / plain, kish, rtol=0.05)
    within = [g.values["H1b"]["mean_se"][1, 0] for g in grids.values()]
    np.testing.assert_allclose(within[1:], within[0] * np.array([1, kish]), rtol=0.05)


@pytest.mark.slow
def test_workers_and_other_sizes_change_nothing_with_people_held_fixed(grids):
    same(grid((1500,), covariates="lin", workers=2), grids["adjusted"], np.s_[1:, :])


def test_a_registered_model_may_name_covariates():
    h = REGISTRATION.hypothesis("H3b")
    named = h.model_copy(update={"model": f"{h.model} + internationalism + militant + age"})
    other = REGISTRATION.hypothesis("H2a")
    registration = REGISTRATION.model_copy(update={"hypotheses": [named, other]})
    found, plain = grid((1500,), registration=registration), grid((1500,))
    assert found.values["H3b"]["mean_se"][0, 0] < 0.97 * plain.values["H3b"]["mean_se"][0, 0]
    assert found.values["H2a"]["mean_se"] == pytest.approx(
        plain.values["H2a"]["mean_se"], rel=0.02
    )


def test_a_missing_covariate_leaves_its_row_out(study):
    h = REGISTRATION.hypothesis("H3b")
    named = h.model_copy(update={"model": "corrective ~ capability + age"})
    registration = REGISTRATION.model_copy(update={"hypotheses": [named]})
    less = study[0].astype({"age": float})
    less.loc[[3, 5], "age"] = np.nan
    whole, part = (experiments_of(registration, SIMULATION, frame=frame).families[0].tests[0]
                   for frame in (study[0], less))
    gone = np.flatnonzero(whole.rows & ~part.rows)
    assert set(gone) <= {3, 5} and len(gone) == len(whole.design) - len(part.design) > 0


@pytest.mark.slow
def test_rates_of_the_verdicts_on_the_sample_at_hand(study):
    people, raked = study
    rates = {
        (c, w): verdict_rates(REGISTRATION, SIMULATION, people, "published", 300, 3, covariates=c,
                              weights=raked if w == "raked" else None) for c, w in OPTIONS
    }  # fmt: skip
    for found in rates.values():
        assert list(found.verdicts.index) == [h.id for h in REGISTRATION.hypotheses]
        np.testing.assert_allclose(found.verdicts.sum(axis=1), 1)
    supported = {o: found.verdicts.at["H3a", "supported"] for o, found in rates.items()}
    assert supported["none", "raked"] < supported["none", "none"] < supported["lin", "none"]


def test_options_and_margins_that_are_not_there_are_named(tmp_path):
    for options in ({"covariates": "all"}, {"weights": "trimmed"}):
        with pytest.raises(LedgerError, match="none or"):
            grid(**options)
    bare = REGISTRATION.model_copy(update={"weighting": None})
    with pytest.raises(LedgerError, match="margins to rake to"):
        grid(registration=bare, weights="raked")


def test_false_claims_of_either_kind():
    found = false_claim_rates(REGISTRATION, SIMULATION, 1502, 400, 1)
    assert len(found) == 3 * (len({h.family for h in REGISTRATION.hypotheses}) + 1)
    rate = found.set_index(["family", "truth"])["rate"]
    limit = 4 * np.sqrt(0.05 * 0.95 / 400)
    for family in ("H1", "H2", "H3"):
        assert rate[family, "none"] < 0.05 + limit
        assert rate[family, "mixed"] < 0.10 + limit
    assert (rate["any"] >= rate["H3"] - 1e-12).all()


def test_binary_outcomes_are_diagnosed():
    """A yes/no recode of an item: effects in its own SD, rates that add up."""
    derived = Derived(label="Favors sanctions", of="economic_sanctions", yes=[4, 5])
    instrument = REGISTRATION.instrument
    instrument = instrument.model_copy(update={"derived": instrument.derived | {"favors": derived}})
    h = REGISTRATION.hypothesis("H3a").model_copy(update={
        "outcome": "favors", "model": "favors ~ regime",
        "sesoi": Bound(value=5, unit="percentage points"),
    })
    registration = REGISTRATION.model_copy(update={"hypotheses": [h], "instrument": instrument})
    found = power_grid(registration, SIMULATION, sizes=(1500,), effects=(0, 0.3), simulations=200)
    values = found.values["H3a"]
    np.testing.assert_allclose(sum(values[v] for v in HYPOTHESIS), 1)
    assert values["power"][0, 1] > 0.9 > 0.2 > values["power"][0, 0]
    family = experiments_of(registration, SIMULATION).families[0]
    assert 0.4 < family.sd[0] < 0.51, "the SD of a share near one half"
