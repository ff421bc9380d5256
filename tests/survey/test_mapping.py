"""Conjoint exports with a respondent a row become a row for each profile."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.survey.mapping import Mapping, Tasks, rename, unfold
from claimledger.survey.reading import arms
from claimledger.survey.recoding import _check_strata


def registration(tasks=2, profiles=2, respondent="id"):
    factors = {"rent": SimpleNamespace(label="The rent"), "light": SimpleNamespace(label="Light")}
    return SimpleNamespace(design=SimpleNamespace(
        respondent=respondent, tasks=tasks, profiles=profiles, factors=factors,
        rows=(tasks or 1) * (profiles or 1)))


@pytest.fixture
def cells():
    """Two respondents; the second sees the attributes in the other order."""
    rows = {"id": ["a", "b"], "age": ["30", "40"]}
    rows |= {"pick1": ["Left", "Right"], "pick2": ["", "Left"]}
    for task in (1, 2):
        rows[f"K-{task}-1"], rows[f"K-{task}-2"] = ["The rent", "Light"], ["Light", "The rent"]
        for profile in (1, 2):
            rent, light = f"r{task}{profile}", f"l{task}{profile}"
            rows[f"K-{task}-{profile}-1"] = [rent, light]
            rows[f"K-{task}-{profile}-2"] = [light, rent]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, 3, name="record"), dtype=object)


TASKS = Tasks(levels="K-{task}-{profile}-{place}", attributes="K-{task}-{place}",
              choice={"chosen": "pick{task}"}, chosen={"Left": "1", "Right": "2"})


def test_each_profile_has_its_levels_wherever_they_stood(cells):
    long = unfold(cells, TASKS, registration(), Path("x.csv"))
    assert long["id"].tolist() == ["a"] * 4 + ["b"] * 4 and long.index.tolist() == list(range(1, 9))
    assert long["rent"].tolist() == ["r11", "r12", "r21", "r22"] * 2
    assert long["light"].tolist() == ["l11", "l12", "l21", "l22"] * 2
    assert long["chosen"].tolist() == ["1", "0", "", "", "0", "1", "1", "0"]
    assert long["age"].tolist() == ["30"] * 4 + ["40"] * 4 and "K-1-1" not in long


def test_patterns_of_each_factor_and_ratings(cells):
    cells = cells.assign(**{f"rate_{t}_{p}": str(10 * t + p) for t in (1, 2) for p in (1, 2)})
    tasks = Tasks(levels={"rent": "K-{task}-{profile}-1", "light": "K-{task}-{profile}-2"},
                  ratings={"rating": "rate_{task}_{profile}"})
    long = unfold(cells, tasks, registration(), Path("x.csv"))
    assert long["rating"].tolist() == ["11", "12", "21", "22"] * 2
    assert long["rent"].tolist()[:2] == ["r11", "r12"]
    listed = {"rating": ["rate_1_{profile}", "rate_2_{profile}"]}
    each = tasks.model_copy(update={"ratings": listed})
    assert unfold(cells, each, registration(), Path("x.csv")).equals(long)


@pytest.mark.parametrize(("change", "design", "said"), [
    ({"levels": "J-{task}-{profile}-{place}"}, {}, "no column 'J-1-1-1'"),
    ({"levels": "K-{tsak}"}, {}, "a pattern with"),
    ({"chosen": {"Left": "1"}}, {}, "'Right'"),
    ({"chosen": {"Left": "1", "Right": "3"}}, {}, "the profile, 1 to 2"),
    ({"attributes": "pick{task}"}, {}, "tasks: names"),
    ({}, {"tasks": None}, "how many tasks and profiles"),
    ({}, {"respondent": None}, "how many tasks and profiles"),
    ({}, {"tasks": 3}, "no column 'K-3-1-1'"),
    ({"choice": {"chosen": ["pick1"]}}, {}, "1 columns of 'chosen'"),
])
def test_what_does_not_fit_is_said(cells, change, design, said):
    with pytest.raises(LedgerError, match=said):
        unfold(cells, TASKS.model_copy(update=change), registration(**design), Path("x.csv"))


def test_an_item_may_stand_in_a_column_of_each_arm(cells):
    mapping = Mapping(columns={"spend_a": "spend", "spend_b": "spend"})
    cells = cells.assign(spend_a=["Too much", ""], spend_b=["", "Too little"])
    named = rename(mapping, cells, registration(), Path("x.csv"))
    assert named["spend"].tolist() == ["Too much", "Too little"] and "spend_b" not in named
    with pytest.raises(LedgerError, match="row 2\n.*answers in 'spend_a' and in 'spend_b'"):
        rename(mapping, cells.assign(spend_a="Too much"), registration(), Path("x.csv"))


def test_two_arms_in_one_row_are_told_with_all_else():
    factor = SimpleNamespace(columns={"a": "DO_a", "b": "DO_b"}, levels={"a": 1, "b": 2})
    study = SimpleNamespace(design=SimpleNamespace(factors={"arm": factor}))
    cells = pd.DataFrame({"DO_a": ["1", "1", ""], "DO_b": ["", "1", ""]}, index=[1, 2, 3])
    assert arms(cells, study, Path("x.csv"))["arm"].tolist() == ["a", "a and b", ""]


def test_a_stratum_with_one_unit_is_named():
    _check_strata({"stratum": ["n", "n", "s", "s"], "unit": [1, 2, 3, 4]})
    with pytest.raises(LedgerError, match="stratum s\n.*one sampling unit"):
        _check_strata({"stratum": ["n", "n", "s", "s"], "unit": [1, 2, 3, 3]})
