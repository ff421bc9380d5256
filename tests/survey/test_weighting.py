"""Against R's survey package (tests/reference/survey/raking.R), and by properties."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimledger.errors import LedgerError
from claimledger.survey.weighting import rake, read_margins

MARGINS = {
    "sex": {"Male": 0.49, "Female": 0.51},
    "group": {"young": 0.29, "middle": 0.325, "old": 0.385},
    "region": {"Northeast": 0.173, "Midwest": 0.204, "South": 0.387, "West": 0.236}}


@pytest.fixture(scope="module")
def sample(root) -> pd.DataFrame:
    return pd.read_csv(root / "tests" / "reference" / "survey" / "raking.csv")


@pytest.fixture(scope="module")
def printed(root) -> dict:
    return json.loads((root / "tests" / "reference" / "survey" / "raking.json").read_text())


def test_weights_and_means_are_those_of_r(sample, printed):
    raking, wanted = rake(sample, MARGINS), printed["equal"]
    np.testing.assert_allclose(raking.weights, wanted["weights"], rtol=1e-9)
    assert raking.design_effect == pytest.approx(wanted["kish"], rel=1e-9)
    assert raking.effective_n == pytest.approx(len(sample) / wanted["kish"], rel=1e-9)
    assert np.average(sample["y"], weights=raking.weights) == pytest.approx(
        wanted["mean"], rel=1e-10)


def off(raking, sample) -> float:
    """The largest difference between a margin and the weighted sample."""
    return max(abs(raking.weights[sample[name] == label].mean() * (sample[name] == label).mean()
                   - share) for name, shares in MARGINS.items() for label, share in shares.items())


def test_trimmed_weights_are_raked_again(sample):
    free, trimmed = rake(sample, MARGINS), rake(sample, MARGINS, trim=2.2)
    assert free.weights.max() > 2.3
    assert trimmed.weights.max() <= 2.2 * (1 + 1e-6)
    assert off(trimmed, sample) < 1e-4
    assert trimmed.design_effect < free.design_effect


def test_a_cap_holds_where_margins_do_not_allow_it(sample):
    raking = rake(sample, MARGINS, trim=1.2)
    assert raking.weights.max() <= 1.2 * (1 + 1e-8)
    assert raking.weights.mean() == pytest.approx(1)
    assert off(raking, sample) > 0.01


def test_those_who_did_not_answer_a_variable_stay(sample):
    some = sample.assign(sex=sample["sex"].mask(sample.index < 20))
    raking = rake(some, MARGINS)
    assert (raking.weights > 0).all() and raking.weights.mean() == pytest.approx(1)
    known = some["sex"].notna()
    male = raking.weights[known & (some["sex"] == "Male")].sum() / raking.weights[known].sum()
    assert male == pytest.approx(0.49)
    alone = rake(some, {"sex": MARGINS["sex"]}).weights
    np.testing.assert_allclose(alone[~known], 1, rtol=1e-9)
    assert alone[known].mean() == pytest.approx(1)


@pytest.mark.parametrize(("change", "message"), [
    (lambda d: d[d["region"] != "West"], "nobody in West"),
    (lambda d: d.assign(region=d["region"].replace("West", "Abroad")), "no margin for Abroad"),
    (lambda d: d.assign(group=np.where(d["sex"] == "Male", "young",
                        np.where(d.index % 2 == 0, "middle", "old"))), "points off")])
def test_samples_that_cannot_be_raked(sample, change, message):
    with pytest.raises(LedgerError, match=message):
        rake(change(sample), MARGINS)


def test_the_study_s_margins(root, registration):
    weighting = registration.weighting
    margins = read_margins(root / weighting.margins, weighting.variables)
    assert list(margins) == weighting.variables
    for shares in margins.values():
        assert sum(shares.values()) == pytest.approx(1)
    assert margins["sex"] == pytest.approx({"Male": 0.49, "Female": 0.51})
    for name in weighting.variables:
        derived = registration.instrument.derived.get(name)
        item = registration.instrument.items.get(name)
        known = (derived.map or derived.cut) if derived else (
            registration.instrument.scales[item.scale].labels.values())
        assert set(margins[name]) == set(known)


@pytest.mark.parametrize("text", [
    "variable,category,percent\nsex,Male,49\n", "variable,category\nsex,Male\n", "",
    "variable,category,percent\nsex,Male,many\n", "variable,category,percent\nage,old,100\n"])
def test_margins_that_cannot_be_used(tmp_path, text):
    path = tmp_path / "margins.csv"
    path.write_text(text)
    with pytest.raises(LedgerError, match=r"margins\.csv"):
        read_margins(path, ["sex"])
    with pytest.raises(LedgerError):
        read_margins(tmp_path / "none.csv", ["sex"])


@st.composite
def samples(draw):
    """A sample in which all combinations of two variables occur, and margins it can meet."""
    sizes = draw(st.tuples(st.integers(2, 4), st.integers(2, 3)))
    counts = draw(st.lists(st.integers(1, 12), min_size=sizes[0] * sizes[1],
                           max_size=sizes[0] * sizes[1]))
    cells = np.repeat(np.arange(len(counts)), counts)
    one, two = np.divmod(cells, sizes[1])
    frame = pd.DataFrame({"a": one.astype(str), "b": two.astype(str)})
    margins = {}
    for name, size in zip("ab", sizes, strict=True):
        raw = draw(st.lists(st.floats(0.1, 1), min_size=size, max_size=size))
        margins[name] = {str(i): x / sum(raw) for i, x in enumerate(raw)}
    return frame, margins


@settings(max_examples=60, deadline=None)
@given(samples(), st.randoms(use_true_random=False))
def test_raking_meets_margins_whatever_the_order(drawn, random):
    frame, margins = drawn
    weights = rake(frame, margins).weights
    assert (weights > 0).all() and weights.mean() == pytest.approx(1)
    for name, shares in margins.items():
        got = weights.groupby(frame[name]).sum() / weights.sum()
        assert got.to_dict() == pytest.approx(shares, abs=1e-8)
    order = list(frame.index)
    random.shuffle(order)
    other = frame.loc[order].map("level {}".format)
    renamed = {name: {f"level {k}": shares[k] for k in reversed(shares)}
               for name, shares in reversed(margins.items())}  # fmt: skip
    again = rake(other, renamed).weights
    np.testing.assert_allclose(again.sort_index(), weights, rtol=1e-6)
