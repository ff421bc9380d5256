import numpy as np
import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.registration.models import Derived
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.platform_file import export
from claimledger.simulation.respondents import simulate
from claimledger.survey.loading import examine
from claimledger.survey.reading import read_export
from claimledger.survey.recoding import derive, labeled, recode, stack
from survey_items import MEASURES


@pytest.fixture(scope="module")
def clean(registration, simulation):
    return recode(simulate(registration, simulation, "published", 2, 800), registration)


def test_factors_are_in_registered_order_reference_first(clean, registration):
    for name, factor in registration.design.factors.items():
        assert list(clean[name].cat.categories) == list(factor.levels)


def test_items_are_numbers_and_nominal_ones_labels(clean, registration):
    assert clean["age"].dtype == np.int64 and clean["party"].dtype == np.int64
    assert clean["trust"].dtype == np.float64
    assert list(clean["region"].cat.categories) == ["Northeast", "Midwest", "South", "West"]
    assert clean["respondent"].tolist() == list(range(1, 801))
    assert clean.index.equals(pd.RangeIndex(800))
    assert not {"comment", "consent", "eligible", "attention"} & set(clean.columns)


def test_an_index_needs_all_its_items(clean):
    items = ["favourable", "trust", "reliability"]
    whole = clean[items].notna().all(axis=1)
    assert (~whole).any()
    assert clean.loc[~whole, "perceptions"].isna().all()
    whole = clean[whole]
    np.testing.assert_allclose(whole["perceptions"], whole[items].mean(axis=1))


def test_maps_and_cuts():
    codes = {"a": np.array([1.0, 2.0, 3.0, np.nan]), "n": np.array([18, 24.5, 25, np.nan])}
    groups = derive(Derived(label="", of="a", map={"low": [1, 2], "high": [3]}), codes)
    assert groups.tolist() == ["low", "low", "high", np.nan]
    bands = derive(Derived(label="", of="n", cut={"young": 18, "old": 25}), codes)
    assert bands.tolist() == ["young", "young", "old", np.nan]
    assert list(bands.categories) == ["young", "old"]
    below = derive(Derived(label="", of="n", cut={"old": 25}), codes)
    assert below.tolist() == [np.nan, np.nan, "old", np.nan]


def test_recall(registration, simulation):
    raw = simulate(registration, simulation, "published", 2, 300)
    raw["recall_regime"] = np.where(raw["regime"] == "democracy", 1.0, 2.0)
    raw.loc[0, "recall_regime"] = 3
    raw.loc[1, "recall_regime"] = np.nan
    result = recode(raw, registration)
    assert result["recall_regime_correct"].tolist() == [False, False] + [True] * 298
    every = result[[c for c in result if c.endswith("_correct")]].all(axis=1)
    assert result["recalled_all"].equals(every.rename("recalled_all"))
    assert 0 < every.mean() < 1


def test_stack(clean):
    long = stack(clean, MEASURES)
    assert list(long.columns[:3]) == ["respondent", "item", "response"]
    assert list(long["item"].cat.categories) == MEASURES
    assert len(long) == clean[MEASURES].notna().to_numpy().sum()
    assert not set(MEASURES) & set(long.columns)
    one = long[long["respondent"] == long["respondent"].iloc[0]]
    row = clean.set_index("respondent").loc[one["respondent"].iloc[0]]
    assert one["response"].tolist() == row[MEASURES].dropna().tolist()
    assert (one["party"] == row["party"]).all()


def test_stack_names_an_unknown_item(clean):
    with pytest.raises(LedgerError, match="no column nonsense"):
        stack(clean, ["trust", "nonsense"])


def test_labeled(clean, registration):
    result = labeled(clean, ["education", "sex", "age_group"], registration)
    assert result["education"].cat.categories[0] == "Less than high school"
    counts = result["education"].value_counts()
    assert counts["High school"] == (clean["education"] == 2).sum()
    assert result["sex"].equals(clean["sex"])


def test_a_reversed_item_comes_back_as_it_was_meant(variant, tmp_path):
    def change(registration, simulation):
        registration["instrument"]["items"]["trust"]["reverse"] = True

    paths = variant(change)
    registration = load(paths[0])
    simulation = load_simulation(paths[1], registration)
    for codes in (True, False):
        path = tmp_path / f"{codes}.csv"
        export(path, *paths, "null", 3, n=50, codes=codes)
        meant = simulate(registration, simulation, "null", 3, 50)["trust"]
        read = examine(read_export(path, registration), registration).frame["trust"]
        np.testing.assert_array_equal(read, meant)
