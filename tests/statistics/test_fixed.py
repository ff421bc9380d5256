"""Diagnosis with covariates and weights: the same numbers as fits, and truths that come back."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.calibration import calibrate
from claimledger.simulation.simulate import simulate
from claimledger.statistics.batch import Batch
from claimledger.statistics.decision import HYPOTHESIS
from claimledger.statistics.fixed import Fixed
from claimledger.statistics.power import power_grid
from claimledger.statistics.rates import Draw, leans, registered_analyses, verdict_rates, weighs
from claimledger.statistics.specification_curve import Specified
from claimledger.survey.recoding import recode, sample_rows
from claimledger.survey.weighting import rake_as_registered

ROOT = Path(__file__).parents[2]
REGISTRATION = load(ROOT / "registration.yml")
SIMULATION = load_simulation(ROOT / "data" / "simulation.yml", REGISTRATION)
OPTIONS = [(c, w) for c in ("none", "lin") for w in ("none", "raked")]


@pytest.fixture(scope="module")
def study():
    """A simulated survey of 700, with its raked weights, as `verdict_rates` needs it."""
    people = recode(simulate(REGISTRATION, SIMULATION, "published", 4, 700), REGISTRATION)
    raked = rake_as_registered(people, REGISTRATION, ROOT).weights
    return SimpleNamespace(
        registration=REGISTRATION, frame=people, survey=SimpleNamespace(weights=raked),
        run=SimpleNamespace(root=ROOT, seed=3),
        sample=lambda name: sample_rows(REGISTRATION, people, name),
    )  # fmt: skip


def answered(study, drawn: np.ndarray) -> SimpleNamespace:
    """The study with one draw (items and indices, n) in place of its answers."""
    frame = study.frame.copy()
    frame[list(SIMULATION.outcomes)] = drawn[: len(SIMULATION.outcomes)].T.astype(float)
    for name, derived in REGISTRATION.instrument.derived.items():
        if derived.mean:
            frame[name] = frame[derived.mean].mean(axis=1)
    sample = lambda name: sample_rows(REGISTRATION, frame, name)  # noqa: E731
    return SimpleNamespace(**vars(study) | {"frame": frame, "sample": sample})


@pytest.mark.parametrize("covariates, weights", OPTIONS)
def test_many_at_once_are_the_fits_of_the_multiverse(study, covariates, weights):
    """Estimate, error, degrees of freedom and unit of every hypothesis, to 1e-9."""
    w = study.survey.weights.to_numpy() if weights == "raked" else None
    analyses = registered_analyses(REGISTRATION, SIMULATION, study.frame, covariates, w)
    latent = calibrate(REGISTRATION, SIMULATION, SIMULATION.world("published"))
    lean = leans(REGISTRATION, covariates)
    draw = Draw.of(REGISTRATION, SIMULATION, latent, study.frame, lean)
    values = draw(np.random.default_rng(1), 2).astype(float)
    items = len(SIMULATION.outcomes)
    for part in np.split(values, 1 + lean, axis=1):  # the means of items, to the last digit
        part[:, items:] = draw.means @ part[:, :items]
    found = np.array(Batch(analyses).estimate(values))[:, 1]
    half = values.shape[1] // (2 if lean else 1)
    for j, (h, a) in enumerate(zip(REGISTRATION.hypotheses, analyses, strict=True)):
        second = lean and h.frame != "stacked"
        one = answered(study, values[1, half:] if second else values[1, :half])
        specified = Specified(REGISTRATION, one.frame, study.survey.weights)
        model = specified.model(h, {"covariates": covariates, "weights": weights})
        expected = model.contrasts({h.id: h.contrast}).loc[h.id]
        numbers = expected[["estimate", "se", "sd"]].to_numpy(float)
        np.testing.assert_allclose(found[:, j], numbers, rtol=1e-9, err_msg=h.id)
        assert a.df == pytest.approx(expected["df"], rel=1e-9), h.id


def grid(sizes=(600,), simulations=200, registration=REGISTRATION, **options):
    return power_grid(
        registration, SIMULATION, sizes=sizes, effects=(0, 0.3), simulations=simulations, seed=3,
        root=ROOT, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def grids():
    return {
        name: grid((600, 1500), 400, **options)
        for name, options in {
            "registered": {}, "adjusted": {"covariates": "lin"}, "weighted": {"weights": "raked"},
        }.items()
    }


@pytest.mark.parametrize("name", ["adjusted", "weighted"])
def test_known_truths_come_back(grids, name):
    found = grids[name]
    for id, values in found.values.items():
        np.testing.assert_allclose(sum(values[v] for v in HYPOTHESIS), 1)
        # People are held fixed, and their answers are steps: a hundredth of an SD may stay.
        assert (np.abs(values["bias"]) < 4 * found.mcse[id]["bias"] + 0.01).all(), id
        assert (np.abs(values["coverage"] - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400) + 0.01).all()
        assert (values["fwer"] < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)).all()
        np.testing.assert_allclose(values["mean_se"], values["rmse"], rtol=0.12)


def test_covariates_sharpen_and_weights_blunt(grids):
    between = ("H2a", "H2b", "H3a", "H3b", "H3c")
    plain, adjusted, weighted = (
        np.array([g.values[id]["mean_se"][1, 0] for id in between]) for g in grids.values()
    )
    assert (adjusted / plain > 0.85).all() and (adjusted / plain < 0.97).all()  # R2 .13 to .22
    w = Fixed.of(REGISTRATION, SIMULATION, 1500, 3, ROOT, weights="raked").batch.analyses[0].weights
    kish = np.sqrt(len(w) * (w**2).sum() / w.sum() ** 2)
    assert kish > 1.02
    np.testing.assert_allclose(weighted / plain, kish, rtol=0.03)
    within = [g.values["H1b"]["mean_se"][1, 0] for g in grids.values()]
    np.testing.assert_allclose(within[1:], within[0] * np.array([1, kish]), rtol=0.03)


def test_workers_and_other_sizes_change_nothing(grids):
    other = grid((1500,), 400, covariates="lin", workers=2)
    for id, values in other.values.items():
        for name, part in values.items():
            np.testing.assert_array_equal(part[0], grids["adjusted"].values[id][name][1], name)


def test_a_registered_model_may_name_covariates():
    h = REGISTRATION.hypothesis("H3b")
    named = h.model_copy(update={"model": f"{h.model} + internationalism + militant + age"})
    other = REGISTRATION.hypothesis("H2a")
    registration = REGISTRATION.model_copy(update={"hypotheses": [named, other]})
    assert leans(registration, "none") and not leans(REGISTRATION, "none")
    found, plain = grid((1500,), registration=registration), grid((1500,))
    assert found.values["H3b"]["mean_se"][0, 0] < 0.97 * plain.values["H3b"]["mean_se"][0, 0]
    assert found.values["H2a"]["mean_se"] == pytest.approx(
        plain.values["H2a"]["mean_se"], rel=0.02
    )
    heavy = h.model_copy(update={"weighted": True})
    heavy = REGISTRATION.model_copy(update={"hypotheses": [heavy]})
    assert weighs(heavy, "none") and not weighs(REGISTRATION, "none")
    assert (Fixed.of(heavy, SIMULATION, 400, 1, ROOT).batch.analyses[0].weights != 1).any()


def test_a_missing_covariate_leaves_its_row_out(study):
    h = REGISTRATION.hypothesis("H3b")
    named = h.model_copy(update={"model": "corrective ~ capability + age"})
    registration = REGISTRATION.model_copy(update={"hypotheses": [named]})
    people = study.frame.astype({"age": float})
    people.loc[[3, 5], "age"] = np.nan
    whole, less = (
        registered_analyses(registration, SIMULATION, frame)[0] for frame in (study.frame, people)
    )
    gone = np.flatnonzero(whole.rows & ~less.rows)
    assert set(gone) <= {3, 5} and whole.df - less.df == len(gone) > 0
    assert (less.X[gone] == 0).all()


def test_rates_of_the_verdicts_on_the_sample_at_hand(study):
    rates = {o: verdict_rates(study, "published", 300, covariates=o[0], weights=o[1])
             for o in OPTIONS}  # fmt: skip
    for found in rates.values():
        assert list(found.verdicts.index) == [h.id for h in REGISTRATION.hypotheses]
        np.testing.assert_allclose(found.verdicts.sum(axis=1), 1)
    supported = {o: found.verdicts.at["H3a", "supported"] for o, found in rates.items()}
    assert supported["none", "raked"] < supported["none", "none"] < supported["lin", "none"]


@pytest.mark.parametrize(
    "change", [{"vcov": "HC3"}, {"frame": "profiles", "vcov": "CR2"}, {"model": "corrective ~ who"},
               {"contrast": {"regime[T.none]": 1.0}}],
)  # fmt: skip
def test_what_cannot_be_diagnosed_is_refused(change):
    h = REGISTRATION.hypothesis("H3a").model_copy(update=change)
    with pytest.raises(LedgerError, match="H3a"):
        grid(registration=REGISTRATION.model_copy(update={"hypotheses": [h]}), weights="raked")


def test_options_and_margins_that_are_not_there_are_named(tmp_path):
    for options in ({"covariates": "all"}, {"weights": "trimmed"}):
        with pytest.raises(LedgerError, match="none or"):
            grid(**options)
    bare = REGISTRATION.model_copy(update={"weighting": None})
    with pytest.raises(LedgerError, match="margins to rake to"):
        grid(registration=bare, weights="raked")


def test_weights_that_do_not_fit(study):
    one = registered_analyses(REGISTRATION, SIMULATION, study.frame)[4]
    good = np.ones(len(study.frame))
    for bad in (good[1:], 0 * good, -good, np.where(good.cumsum() == 9, np.nan, good)):
        with pytest.raises(LedgerError, match="weight"):
            Batch([replace(one, weights=bad)])
    ones = Batch([one, replace(one, id="weighted", weights=3 * good)])
    Y = np.random.default_rng(2).normal(size=(3, 14, len(good)))
    for part in ones.estimate(Y):
        np.testing.assert_allclose(part[:, 0], part[:, 1], rtol=1e-10)
