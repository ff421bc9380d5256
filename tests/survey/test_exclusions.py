import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.survey.recoding import exclude


def frame(**changes) -> pd.DataFrame:
    """Five good rows, with some cells changed: column={row: value}."""
    good = {
        "Status": "IP Address", "consent": 1.0, "eligible": 1.0, "attention": 3.0,
        "Finished": "True", "Duration (in seconds)": "400",
    }
    result = pd.DataFrame([good] * 5, index=range(1, 6))
    result["panel_id"] = list("abcde")
    for column, cells in changes.items():
        for row, value in cells.items():
            result.loc[row, column] = value
    return result


def dropped(registration, table: pd.DataFrame) -> dict[str, int]:
    _, flow = exclude(table, registration)
    return {r.id: r.dropped for r in flow.itertuples() if r.dropped}


def test_nobody_is_dropped_without_reason(registration):
    kept, flow = exclude(frame(), registration)
    assert len(kept) == 5 and flow["left"].tolist() == [5] * 8
    assert flow["label"].tolist()[1:] == [r.label for r in registration.exclusions]


@pytest.mark.parametrize(("column", "value", "rule"), [
    ("Status", "Survey Preview", "preview"), ("Status", "1", "preview"),
    ("consent", 2.0, "consent"), ("consent", float("nan"), "consent"),
    ("eligible", 2.0, "eligible"),
    ("attention", 1.0, "attention"), ("Finished", "False", "unfinished"),
    ("Finished", "0", "unfinished"), ("Finished", "", "unfinished"),
    ("Duration (in seconds)", "119", "speed"), ("panel_id", "a", "duplicate"),
])
def test_each_rule_drops_its_row(registration, column, value, rule):
    kept, _ = exclude(frame(**{column: {3: value}}), registration)
    assert dropped(registration, frame(**{column: {3: value}})) == {rule: 1}
    assert kept.index.tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize(("column", "value"), [
    ("Finished", "1"), ("Finished", "TRUE"), ("Duration (in seconds)", "120"),
    ("Duration (in seconds)", ""), ("Status", "0"),
])
def test_what_a_rule_leaves_alone(registration, column, value):
    assert dropped(registration, frame(**{column: {3: value}})) == {}


def test_numbers_above_a_limit_are_dropped(registration):
    rule = next(r for r in registration.exclusions if r.id == "speed")
    slow = registration.model_copy(update={
        "exclusions": [rule.model_copy(update={"below": 120, "above": 3600})]})
    table = frame(**{"Duration (in seconds)": {1: "3601", 2: "3600", 3: "119", 4: ""}})
    assert exclude(table, slow)[0].index.tolist() == [2, 4, 5]


def test_blank_keys_repeat_nothing(registration):
    assert dropped(registration, frame(panel_id={1: "", 2: "", 3: " "})) == {}


def test_a_rule_sees_what_the_rules_before_it_left(registration):
    table = frame(panel_id={2: "a"}, attention={1: 1.0}, Finished={1: "False"})
    kept, flow = exclude(table, registration)
    assert dropped(registration, table) == {"attention": 1}
    assert kept.index.tolist() == [2, 3, 4, 5]
    assert flow["left"].iloc[-1] == 4


def test_a_missing_column_is_named(registration):
    with pytest.raises(LedgerError, match="exclusion speed"):
        exclude(frame().drop(columns="Duration (in seconds)"), registration)
