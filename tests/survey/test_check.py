import pytest

from claimledger.errors import LedgerError
from claimledger.survey.check import Problem, check, require


def errors(path, registration) -> list[Problem]:
    return [p for p in check(path, registration) if p.severity == "error"]


def test_a_good_export_has_no_problem(exported, registration):
    assert check(exported, registration) == []


def test_a_missing_column_is_named_with_the_near_one(spoil, registration):
    problems = check(spoil((",no_action,", ",noaction,")), registration)
    missing = next(p for p in problems if p.severity == "error")
    assert missing.column == "no_action" and "noaction" in missing.found
    assert "map 'noaction' to 'no_action'" in missing.mend
    assert [p.column for p in problems if p.severity == "warning"] == ["noaction"]


def test_a_missing_column_of_an_exclusion(spoil, registration):
    columns = {p.column for p in errors(spoil((",panel_id,", ",pid,")), registration)}
    assert columns == {"panel_id"}


def test_an_answer_outside_the_scale_has_row_id_and_remedy(spoil, registration, exported):
    (problem,) = errors(spoil(("Quite a lot", "Plenty")), registration)
    assert problem.column in ("trust", "reliability")
    assert problem.found == "'Plenty'" and "4 'Quite a lot'" in problem.expected
    assert problem.row >= 1 and problem.response.startswith("R_")
    assert f"map the values of '{problem.column}'" in problem.mend
    lines = exported.read_text().split("Quite a lot")[0]
    assert problem.response in lines


def test_a_level_that_the_design_lacks(spoil, registration):
    (problem,) = errors(spoil((",rival_arms,", ",rival_ships,")), registration)
    assert problem.column == "misalignment" and "rival_arms" in problem.expected


@pytest.mark.parametrize("age", ["7", "300", "old"])
def test_an_impossible_age(spoil, registration, exported, age):
    line = next(x for x in exported.read_text().splitlines() if ",Yes,4" in x)
    at = line.index(",Yes,4")
    (problem,) = errors(spoil((line, line[:at] + f",Yes,{age}" + line[at + 7:])), registration)
    assert problem.column == "age" and "18 to 110" in problem.expected
    assert problem.found == repr(age)


def test_impossible_dates(spoil, registration, exported):
    line = exported.read_text().splitlines()[3]
    start, end = line.split(",")[:2]
    (back,) = errors(spoil((line, line.replace(end, "2024-01-01 00:00:00", 1))), registration)
    assert (back.row, back.column) == (1, "EndDate") and "before" in back.found
    (odd,) = errors(spoil((line, line.replace(start, "03/17/yesterday", 1))), registration)
    assert odd.column == "StartDate" and "yesterday" in odd.found


def test_a_respondent_who_stays_needs_a_treatment(spoil, registration, exported):
    line = next(x for x in exported.read_text().splitlines() if x.startswith("2025") and
                ",strong,control," in x and ",True," in x and "Blue" in x)
    problems = errors(spoil((line, line.replace(",strong,control,", ",,control,"))), registration)
    assert [p.column for p in problems] == ["capability"] and problems[0].found == "nothing"


def test_an_answer_to_what_was_not_asked(spoil, registration, exported):
    line = next(x for x in exported.read_text().splitlines() if x.startswith("2025") and
                ",control," in x and ",,,,,," in x and "Blue" in x and ",True," in x)
    spoilt = line.replace(",,,,,,", ",Strongly oppose,,,,,", 1)
    (problem,) = errors(spoil((line, spoilt)), registration)
    assert problem.column == "no_action" and "misaligned" in problem.expected


def test_an_allocation_against_the_design_is_a_warning(spoil, registration):
    (problem,) = check(spoil((",unsigned,", ",signed,"), count=60), registration)
    assert problem.severity == "warning" and problem.column == "treaty"


def test_every_problem_at_once(spoil, registration):
    path = spoil(("Quite a lot", "Plenty"), (",rival_arms,", ",ships,"), (",troops,", ",men,"))
    found = {p.column for p in errors(path, registration)}
    assert {"misalignment", "troops"} < found and found & {"trust", "reliability"}
    with pytest.raises(LedgerError) as caught:
        require(path, check(path, registration))
    for text in ("Plenty", "ships", "troops", "R_"):
        assert text in str(caught.value)


def test_like_problems_are_told_once(spoil, registration):
    path = spoil((",rival_arms,", ",ships,"), count=30)
    with pytest.raises(LedgerError, match=r"and 29 more rows") as caught:
        require(path, check(path, registration))
    assert caught.value.found.startswith("1 problem(s)")


def test_warnings_forbid_nothing(exported):
    require(exported, [Problem("x", "a", "b", "c", severity="warning")])
