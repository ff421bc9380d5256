import re
from dataclasses import replace

import pytest

from claimledger.errors import LedgerError, Problem, require
from claimledger.survey.loading import examine, html_report
from claimledger.survey.reading import read_export
from exports import check


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
    (far,) = errors(spoil((line, line.replace(end, "2925-01-01 00:00:00", 1))), registration)
    assert far.column == "EndDate"


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


def row_of(exported, *wanted: str) -> str:
    """A record that stays and holds the texts."""
    return next(x for x in exported.read_text().splitlines() if x.startswith("2025") and
                ",True," in x and "Blue" in x and "I agree to take part" in x
                and all(text in x for text in wanted))


def test_a_word_that_no_exclusion_knows_is_an_error(spoil, registration, exported):
    line = row_of(exported)
    german = line.replace(",True,", ",Wahr,").replace(",IP Address,", ",IP-Adresse,")
    german = german.replace(f",{line.split(',')[5]},", ",9 min,", 1)
    found = {p.column: p for p in errors(spoil((line, german)), registration)}
    assert {*found} == {"Finished", "Status", "Duration (in seconds)"}
    assert "map the values of 'Status'" in found["Status"].mend
    assert "9 min" in found["Duration (in seconds)"].found


def test_an_id_of_the_platform_twice(spoil, registration, exported):
    line = row_of(exported)
    found = errors(spoil((line, f"{line}\n{line}")), registration)
    assert [p.column for p in found] == ["ResponseId"] and "earlier" in found[0].found


def test_a_person_who_saw_another_arm_before(spoil, registration, exported):
    line = row_of(exported, ",control,")
    first = line.replace(",control,", ",rival_arms,").replace(",True,", ",False,")
    first = first.replace("R_", "R_x", 1)
    (problem,) = check(spoil((line, f"{first}\n{line}")), registration)
    assert problem.column == "panel_id" and problem.severity == "warning"
    assert "another arm" in problem.found


def test_a_person_in_two_arms_whom_no_exclusion_drops(registration, exported, tmp_path):
    loose = registration.model_copy(update={
        "exclusions": [rule for rule in registration.exclusions if not rule.repeats]})
    line = row_of(exported, ",control,")
    other = line.replace(",control,", ",rival_arms,").replace("R_", "R_x", 1)
    path = tmp_path / "x.csv"
    path.write_text(exported.read_text() + other + "\n")
    found = [p for p in check(path, loose) if p.severity == "error"]
    assert {p.column for p in found} == {"panel_id"}
    assert all("another arm" in p.found for p in found)
    assert re.search(r"R_\w+", line)[0] in {p.response for p in found}


def test_missing_answers_that_differ_between_arms(spoil, registration):
    path = spoil((",rival_arms,", ",rival_arms,"))
    lines = [line.replace("Increase", "-99 Increase") if ",rival_arms," in line else line
             for line in path.read_text().splitlines(keepends=True)]
    text = "".join(lines)
    for answer in ("Increase a lot", "Increase a little"):
        text = text.replace(f"-99 {answer}", "-99")
    path.write_text(text)
    found = [p for p in check(path, registration) if p.severity == "warning"]
    assert {p.column for p in found} >= {"troops", "spending"}
    assert all("missing by misalignment" in p.found for p in found)
    table = examine(read_export(path, registration), registration).missing
    arms = table[(table["item"] == "troops") & (table["factor"] == "misalignment")]
    arms = arms.set_index("level")
    assert arms.loc["rival_arms", "unanswered"] > 3 * arms.loc["control", "unanswered"]
    assert arms["blank"].sum() == 0


def test_the_report_escapes_and_says_what_to_mend(spoil, registration):
    path = spoil(("Quite a lot", "<script>alert(1)</script>"), (",rival_arms,", ",<b>x</b>,"))
    read = read_export(path, registration)
    page = html_report(replace(read, path="\x1b\udcff"), examine(read, registration), registration)
    assert b"\x1b" not in page.encode() and r"\x1b\udcff" in page
    assert "<script" not in page and "<b>" not in page and "&lt;script&gt;" in page
    assert "cannot be built" in page and "R_" in page and "map the values" in page
    assert "default-src 'none'" in page


def test_the_report_of_a_good_export(exported, registration):
    read = read_export(exported, registration)
    page = html_report(read, examine(read, registration), registration)
    for text in ("the paper can be built", "Failed the attention check", "CSV, UTF-8", "age_group",
                 "rows that are alone in theirs", "public_shaming", "<td>IPAddress</td>"):
        assert text in page
