"""Bad input is a clear error, or a fallback that is reported; never a missing number in silence."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from claimledger.errors import LedgerError
from claimledger.ledger.entries import dump
from claimledger.ledger.results import Fitted
from claimledger.survey.weighting import rake

N = 60


@pytest.fixture
def data(rng) -> pd.DataFrame:
    return pd.DataFrame({
        "y": rng.normal(size=N), "arm": pd.Categorical(np.tile(["a", "b", "c"], N // 3)),
        "x": rng.normal(size=N), "w": rng.uniform(0.5, 2, N),
    })  # fmt: skip


def contrast_of(data: pd.DataFrame, weights=None, model="y ~ arm", term="arm[T.b]"):
    """The way of every notebook: fit, and one contrast of it."""
    fit = smf.wls(model, data, weights=1.0 if weights is None else weights)
    return Fitted(fit.fit(cov_type="HC2", use_t=True)).contrast({term: 1.0})


def test_sound_input_passes(data):
    assert np.isfinite(contrast_of(data)).all()
    assert np.isfinite(contrast_of(data, data["w"])).all()


@pytest.mark.parametrize("change, model, said", [
    (lambda d: d.assign(y=3.3), {}, "constant"),
    (lambda d: d[d["arm"] != "b"], {}, "rank"),  # an empty cell
    (lambda d: d.assign(z=2 * d["x"]), {"model": "y ~ x + z", "term": "x"}, "rank"),
    (lambda d: d.assign(y=d["y"].mask(d.index == 5, np.inf)), {}, "missing"),
])  # fmt: skip
def test_what_cannot_be_estimated(data, change, model, said):
    with pytest.raises(LedgerError, match=said):
        contrast_of(change(data), **model)


def test_a_missing_answer_leaves_its_row_out_and_the_n_of_the_entry_says_so(data):
    broken = data.assign(y=data["y"].mask(data.index == 5))
    assert Fitted(smf.ols("y ~ arm", broken).fit(cov_type="HC2", use_t=True)).n == N - 1


def test_a_weight_of_zero(data):
    with pytest.raises(LedgerError, match="weight"):  # statsmodels refuses others that are none
        contrast_of(data, data["w"].mask(data.index == 3, 0.0))


def test_a_margin_that_the_sample_cannot_meet(data):
    with pytest.raises(LedgerError, match="nobody in d"):
        rake(data, {"arm": {"a": 0.3, "b": 0.3, "c": 0.3, "d": 0.1}})
    with pytest.raises(LedgerError, match="no margin for c"):
        rake(data, {"arm": {"a": 0.5, "b": 0.5}})
    # Two margins that contradict each other in this sample: sex follows from the arm.
    bound = data.assign(sex=data["arm"].map({"a": "m", "b": "m", "c": "f"}).astype(str))
    margins = {"arm": {"a": 0.3, "b": 0.3, "c": 0.4}, "sex": {"m": 0.2, "f": 0.8}}
    with pytest.raises(LedgerError, match="points off"):
        rake(bound, margins)
    # Weights that may not be trimmed and meet the margin at once: the cap holds, the margin not.
    weights = rake(data, {"arm": {"a": 0.05, "b": 0.05, "c": 0.9}}, trim=1.5).weights
    assert weights.max() <= 1.5 + 1e-6 and weights[data["arm"] == "c"].sum() / N < 0.89


def test_the_ledger_takes_no_missing_number():
    with pytest.raises(ValueError, match="JSON compliant"):
        dump({"value": float("nan")})
