"""Exports that went wrong elsewhere: each is right, or refused, or said; never read in silence."""

import warnings
from pathlib import Path

import pandas as pd
import pytest

from claimledger.errors import LedgerError, warning_lines
from claimledger.registration.loading import load
from claimledger.survey.loading import examine
from claimledger.survey.mapping_draft import draft, write_draft
from claimledger.survey.reading import read_export
from exports import coded, kept


@pytest.fixture(scope="module")
def trouble(realdata) -> Path:
    if not (realdata / "trouble-exports").is_dir():
        pytest.skip("the collection of exports is not here (set CLAIMLEDGER_REALDATA)")
    return realdata / "trouble-exports"


@pytest.fixture(scope="module")
def base(trouble, registration):
    return examine(read_export(trouble / "00-base" / "base.csv", registration), registration).frame


def looked(path: Path, registration, root=None):
    """Errors, warnings and the frame of an export."""
    own, mapping = path.parent / "registration.yml", path.parent / "mapping.yml"
    registration = load(own) if own.is_file() else registration
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = read_export(path, registration, mapping if mapping.is_file() else None)
    found = examine(read, registration, root)
    errors = [str(p) for p in found.problems if p.severity == "error"]
    return errors, warning_lines(found.problems), found


@pytest.mark.parametrize("name", [
    "00-base/base.csv", "00-base/base.sav", "00-base/base.dta", "19-sep-line/comma.csv",
    "19-sep-line/semicolon.csv", "27-parquet/codes.parquet", "27-parquet/typed.parquet",
    "42-comment-is-label/x.csv", "11-dst/x.csv",
    "44-escape-in-name/x.csv", "44-escape-in-name/newline.csv", "50-console-encoding/name.csv",
])
def test_the_same_frame_as_the_base(trouble, registration, base, name):
    errors, _, found = looked(trouble / name, registration)
    assert errors == []
    pd.testing.assert_frame_equal(found.frame, base)


@pytest.mark.parametrize(("name", "said"), [
    ("01-ends-labelled-reversed/x.sav", "trust: not certain"),
    ("04-repeated-labels/x.sav", "'Somewhat' on the codes 3 and 4"),
    ("04-repeated-labels/x.dta", "'Somewhat' on the codes 3 and 4"),
    *[(f"06-duplicate-platform-name/{name}-{place}.csv", "several columns that could be it")
      for name in ("Status", "Finished", "Duration") for place in ("first", "last")],
    ("24-stacked-exports/x.csv", "numbers ("),
    ("35-other-files/header-only.csv", "nobody stays of 0"),
    ("35-other-files/nobody-stays.csv", "Did not agree to take part 80"),
    ("35-other-files/one-row.csv", "nobody stays in"),
    ("43-factor-99/x.csv", "treaty: '-99'"), ("43-factor-99/all.csv", "treaty: '-99'"),
    ("43-factor-99/nbsp.csv", "treaty: nothing"),
])
def test_an_error_that_says_it(trouble, root, registration, name, said):
    errors, _, _ = looked(trouble / name, registration, root)
    assert any(said in error for error in errors), errors


@pytest.mark.parametrize(("name", "said"), [
    ("02-spss-user-missing/age99.sav", "file declares missing"),
    ("13-scientific-ids/x.csv", "ids that were rounded"),
    ("13-scientific-ids/x.csv", "drops 64 of 68 rows (94%)"),
    ("32-test-rows/x.csv", "6 rows stay that no respondent gave"),
    ("54-dates/reversed-slash.csv", "a date before StartDate"),
    ("11-dst/x.csv", "change of clocks"),
])
def test_a_warning_that_says_it(trouble, registration, name, said):
    _, told, _ = looked(trouble / name, registration)
    assert any(said in line for line in told), told


def test_a_registered_label_is_nothing_private(trouble, registration):
    assert looked(trouble / "42-comment-is-label" / "y.csv", registration)[0] == []


def test_declared_missing_values_are_missing(trouble, registration):
    _, _, found = looked(trouble / "02-spss-user-missing" / "age99.sav", registration)
    assert found.frame["age"].isna().sum() == 6 and found.frame["age"].max() < 99


@pytest.mark.parametrize("name", ["codes.csv", "texts.csv"])
def test_eleven_points(trouble, name):
    path = trouble / "34-eleven-points" / name
    registration = load(path.parent / "registration.yml")
    read = read_export(path, registration)
    frame, strange = coded(read, registration)
    for item in ("trust", "reliability"):
        raw = pd.to_numeric(read.cells[item], errors="coerce")
        raw = raw.where(raw != -99)
        expected = raw if name == "codes.csv" else raw + 1
        assert frame[item].astype(float).equals(expected.rename(item)) and not strange[item].any()


def test_a_finished_line_that_begins_with_a_question_mark(trouble, registration):
    errors, _, found = looked(trouble / "40-question-marks" / "x.csv", registration)
    assert errors == [] and len(found.frame) == 68


def test_time_decides_who_took_part_before(trouble, registration):
    there = [set(kept(read_export(trouble / "55-repeats" / name, registration), registration)[
        "ResponseId"]) for name in ("by-time.csv", "newest-first.csv")]
    assert there[0] == there[1] and len(there[0]) == 67


@pytest.mark.parametrize("name", [
    "01-ends-labelled-reversed/x.sav", "04-repeated-labels/x.dta", "24-stacked-exports/x.csv",
    "06-duplicate-platform-name/Status-first.csv", "50-console-encoding/x.csv",
])
def test_what_is_not_certain_stays_open_in_the_mapping(trouble, registration, tmp_path, name):
    made, table = draft(trouble / name, registration)
    assert made.open
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(write_draft(made, trouble / name, table.form), encoding="utf-8")
    with pytest.raises(LedgerError, match="unfinished"):
        read_export(trouble / name, registration, mapping)
    if name.startswith("01"):
        mapping.write_text(mapping.read_text("utf-8").replace('"?"', "reversed"), encoding="utf-8")
        read = read_export(trouble / name, registration, mapping)
        assert read.meanings["trust"].table["2"] == 4 and read.meanings["trust"].table["4"] == 2
        assert read.meanings["trust"].table["Not at all"] == 1
