import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimledger.survey.disclosure import WITHHELD, anonymity, coarsen, identifying_variables

FRAME = pd.DataFrame({"sex": ["f"] * 6 + ["m"] * 4, "region": ["n"] * 5 + ["s"] + ["n"] * 4})


def test_cells_are_counted():
    found = anonymity(FRAME, ["sex", "region"])
    assert found["number"].tolist() == [10, 3, 1, 1, 5]
    assert "fewer than 5" in found.to_string()


def test_the_last_variable_is_withheld_first():
    coarse = coarsen(FRAME, ["sex", "region"], limit=4)
    assert coarse.iloc[:5].eq(["f", "n"]).all(axis=None)
    assert coarse.iloc[5].tolist() == [WITHHELD, WITHHELD]       # alone even without its region
    assert (coarse == WITHHELD).all(axis=1).sum() == 5           # the smallest cell joined it
    larger = pd.DataFrame({"sex": ["f"] * 7, "region": ["n"] * 4 + ["s", "e", "w"]})
    assert coarsen(larger, ["sex", "region"], limit=3).iloc[-1].tolist() == ["f", WITHHELD]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 80), limit=st.integers(2, 9))
def test_what_is_coarsened_is_anonymous(seed, n, limit):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.integers(0, 3, n), "b": rng.choice(["x", "y", None], n),
                          "c": pd.Categorical(rng.choice(["u", "v", "w", "z"], n))})
    coarse = coarsen(frame, ["a", "b", "c"], limit)
    everything = (coarse == WITHHELD).all(axis=None)
    assert everything or anonymity(coarse, ["a", "b", "c"], limit).iat[-1, 1] == 0
    kept = coarse.to_numpy() != WITHHELD
    original = frame.astype(object).where(frame.notna(), "").astype(str).to_numpy()
    assert (coarse.to_numpy()[kept] == original[kept]).all()


def test_the_variables_are_those_known_of_the_population(registration):
    assert identifying_variables(registration) == ["age_group", "sex", "race3", "education",
                                                   "region"]


def test_no_variable_no_cell():
    assert anonymity(FRAME, []).iat[-1, 1] == 0
    with pytest.raises(KeyError):
        anonymity(FRAME, ["none"])
