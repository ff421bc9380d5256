"""The specification curve as a whole: its kernel, its null distribution, its power."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import hypotheses
from claimledger.errors import LedgerError
from claimledger.registration.analyses import Bound
from claimledger.registration.models import Hypothesis
from claimledger.statistics.randomization_inference import CurveTest, curve_tests
from claimledger.statistics.specification_curve import (
    Specified,
    specification_curve,
    specifications,
)


def hypothesis(**change) -> Hypothesis:
    return hypotheses.hypothesis(**{"model": "y ~ arm + other"} | change)


WITHIN = hypothesis(
    outcome=None, stack=["first", "second"], frame="stacked", model="response ~ 0 + item",
    contrast={"item[first]": 1.0, "item[second]": -1.0}, vcov="CR2",
)  # fmt: skip
ALL = {
    "weights": ("none", "raked"), "covariates": ("none", "lin"),
    "exclusions": ("registered", "attentive"), "vcov": ("registered", "HC3"),
}  # fmt: skip
FEW = {"weights": ("none", "raked"), "vcov": ("registered", "HC3")}


def study(effect: float, seed: int, n: int = 120, robustness=ALL) -> SimpleNamespace:
    """Just enough of a study: one outcome, two factors, a covariate, two items, raked weights."""
    rng = np.random.default_rng(seed)
    arm = pd.Categorical(rng.permutation(np.repeat(["a", "b"], n // 2)), ["a", "b"])
    age = rng.normal(size=n)
    frame = pd.DataFrame({
        "respondent": np.arange(n), "arm": arm, "age": age,
        "other": pd.Categorical(rng.choice(["u", "v"], n), ["u", "v"]),
        "y": effect * (arm == "b") + 0.5 * age + rng.normal(size=n),
        "recalled_all": rng.random(n) < 0.8,
        "first": rng.normal(size=n) + effect, "second": rng.normal(size=n),
    })  # fmt: skip
    numeric = SimpleNamespace(scale="n")
    registration = SimpleNamespace(
        robustness={k: SimpleNamespace(options=dict.fromkeys(v)) for k, v in robustness.items()},
        families={"F": SimpleNamespace(alpha=0.05)},
        instrument=SimpleNamespace(
            covariates=["age"], items={"age": numeric}, derived={},
            scales={"n": SimpleNamespace(kind="numeric")},
        ),
        label=lambda name: name, samples={"all": {}},
        design=SimpleNamespace(factors={"arm": None, "other": None}, restrictions=[]),
    )  # fmt: skip
    weights = pd.Series(rng.uniform(0.5, 1.5, n), frame.index)
    return SimpleNamespace(registration=registration, frame=frame, weights=weights)


def curve_of(one: SimpleNamespace, claim: Hypothesis, draws: int, seed: int) -> CurveTest:
    one.registration.hypotheses = [claim]
    specified = Specified(one.registration, one.frame, one.weights)
    return curve_tests(specified, draws=draws, seed=seed)["T"]


def test_an_effect_in_every_specification_is_found():
    found = curve_of(study(1.0, 1), hypothesis(), 99, 1)
    assert found.share == 1 and found.median > 0.5
    assert found.median_p == 0.01, "the smallest that 99 draws can give"
    assert found.share_p <= 0.05
    assert len(found.estimates) == 16 and np.isfinite(found.t).all()
    opposite = curve_of(study(1.0, 1), hypothesis(direction="negative"), 99, 1)
    assert opposite.share == 0 and opposite.share_p == 1 and opposite.median_p == 0.01


def test_under_the_null_the_p_value_is_uniform():
    p = null_p(hypothesis())
    assert abs(np.mean(p <= 0.25) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(p))
    assert abs(np.mean(p <= 0.5) - 0.5) < 4 * np.sqrt(0.25 / len(p))


def null_p(claim: Hypothesis, runs: int = 120) -> np.ndarray:
    """P values of the median in experiments without an effect, 19 draws each."""
    studies = (study(0.0, seed, robustness=FEW) for seed in range(runs))
    return np.array([curve_of(one, claim, 19, at).median_p for at, one in enumerate(studies)])


def test_within_respondents_the_answers_change_places():
    found = curve_of(study(0.8, 2), WITHIN, 99, 1)
    assert len(found.t) == 4 and found.median_p == 0.01
    data = study(0.8, 2).frame
    difference = data["first"] - data["second"]
    assert found.t[0] == pytest.approx(difference.mean() / difference.sem(), rel=1e-9)
    p = null_p(WITHIN)
    assert abs(np.mean(p <= 0.25) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(p))


@pytest.mark.parametrize("claim", [hypothesis(), WITHIN], ids=["between", "within"])
def test_each_specification_is_the_one_of_the_multiverse(claim):
    one = study(0.4, 5)
    found = curve_of(one, claim, 1, 1)
    for spec, t in zip(specifications(one.registration, claim.frame), found.t, strict=True):
        model = Specified(one.registration, one.frame, one.weights).model(claim, spec)
        found_t = model.contrasts({"T": claim.contrast}).at["T", "statistic"]
        assert t == pytest.approx(found_t, rel=1e-8)


@pytest.mark.parametrize("direction, sesoi, verdict", [
    ("positive", 0.2, "refuted"), ("two-sided", None, "supported"), ("negative", 0.2, "supported"),
    ("null", Bound(value=5, unit="points"), "supported"),
    ("null", 0.1, "refuted"),
])  # fmt: skip
def test_every_kind_of_claim_is_decided_by_its_own_rule(direction, sesoi, verdict):
    """A clear effect of -1, and bounds in SD, in units, or none."""
    one, claim = study(-1.0, 1), hypothesis(direction=direction, sesoi=sesoi)
    one.registration.hypotheses = [claim]
    one.registration.families["F"].correction = "holm"
    table = specification_curve(Specified(one.registration, one.frame, one.weights))
    assert len(table) == 16 and (table["verdict"] == verdict).all()
    share = curve_of(one, claim, 1, 1).share
    assert share == (0 if direction == "positive" else 1)


def test_the_zero_and_the_unit_of_the_outcome_and_names_do_not_matter():
    one, frame = study(0.3, 8), study(0.3, 8).frame
    other = study(0.3, 8)
    moved = frame.assign(
        y=50 - 7 * frame["y"], arm=frame["arm"].cat.rename_categories({"a": "z", "b": "y"}),
    )
    other.frame = moved
    found = curve_of(one, hypothesis(), 60, seed=1)
    turned = hypothesis(direction="negative", contrast={"arm[T.y]": 1.0})
    same = curve_of(other, turned, 60, seed=1)
    np.testing.assert_allclose(same.estimates, -found.estimates, rtol=1e-8)
    np.testing.assert_allclose(same.t, -found.t, rtol=1e-8)
    assert (same.median_p, same.share, same.share_p) == (found.median_p, found.share, found.share_p)


def test_a_contrast_of_two_factors_or_with_products_is_named():
    for change in ({"model": "y ~ arm * other"},
                   {"contrast": {"arm[T.b]": 1.0, "other[T.v]": -1.0}}):  # fmt: skip
        with pytest.raises(LedgerError, match="one factor"):
            curve_of(study(0.0, 1), hypothesis(**change), 5, 1)
