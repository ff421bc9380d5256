"""Kinds of things that go wrong in exports, each in several forms, with inputs of our own."""

import csv
import io

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from claimledger.errors import LedgerError, Problem, warning_lines
from claimledger.registration.models import Factor, Scale
from claimledger.survey import qualtrics
from claimledger.survey.loading import examine
from claimledger.survey.mapping_draft import Question, draft, read_definition, write_draft
from claimledger.survey.reading import (
    CODES,
    OPEN,
    TEXTS,
    meaning,
    meaning_of_levels,
    read_export,
)
from exports import check, coded, kept

FIVE = Scale(kind="ordinal", labels={1: "Not at all", 2: "A little", 3: "Somewhat",
                                     4: "Quite a lot", 5: "Completely"})
ELEVEN = Scale(kind="ordinal", labels={code: str(code - 1) for code in range(1, 12)})
ENDS = Scale(kind="ordinal", labels={1: "0 (cold)", 2: "1", 3: "2", 4: "3", 5: "4 (warm)"})
GROUPS = Scale(kind="nominal", labels={1: "North", 2: "South", 3: "West"})


@pytest.fixture(scope="module")
def small(tmp_path_factory, files):
    from claimledger.simulation.platform_file import export

    path = tmp_path_factory.mktemp("kinds") / "answers.csv"
    export(path, *files, "published", 7, n=80)
    return path


@pytest.fixture(scope="module")
def rows(small):
    return list(csv.reader(io.StringIO(small.read_text(encoding="utf-8"), newline="")))


@pytest.fixture
def changed(rows, tmp_path):
    """A copy of the export whose records (dictionaries) or header were changed."""

    def changed(change=None, header=None, **form):
        head, body = [list(row) for row in rows[:3]], rows[3:]
        names = list(head[0])
        records = [dict(zip(names, row, strict=True)) for row in body]
        if change:
            change(records)
        if header:
            header(head)
        path = tmp_path / "changed.csv"
        text = io.StringIO(newline="")
        writer = csv.writer(text, **form)
        writer.writerows(head)
        writer.writerows([[record[name] for name in names] for record in records])
        path.write_bytes(text.getvalue().encode())
        return path

    return changed


def staying(records):
    return [r for r in records if r["Finished"] == "True" and r["attention"] == "Blue"
            and r["Status"] == "IP Address" and r["consent"].startswith("I agree")
            and r["eligible"] == "Yes"]


def each(records, change):
    for n, record in enumerate(records):
        record.update(change(n, record))


def told(path, registration, severity="warning"):
    found = examine(read_export(path, registration), registration).problems
    if severity == "warning":
        return warning_lines(found)
    return [str(p) for p in found if p.severity == "error"]


# --- codes or texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "cells", "form", "table"), [
    (FIVE, ["Not at all", "completely", ""], TEXTS, {"Not at all": 1, "completely": 5}),
    (FIVE, ["1", "5.0", "-99"], CODES, {"1": 1, "5.0": 5}),
    (FIVE, ["Not at all", "3"], OPEN, None),
    (ELEVEN, ["1", "11", "5"], CODES, {"1": 1, "11": 11, "5": 5}),
    (ELEVEN, ["0", "10", "5"], TEXTS, {"0": 1, "10": 11, "5": 6}),
    (ELEVEN, ["1", "10", "5"], OPEN, None),
    (ELEVEN, ["0", "11"], OPEN, None),
    (ELEVEN, ["1.0", "10.0"], OPEN, None), (ELEVEN, ["0.0", "10.00"], TEXTS, {"10.00": 11}),
    (FIVE, ["-99.00", "2.00"], CODES, {"2.00": 2}),
    (FIVE, ["Not\u200b at\u2009all", "\u200fcompletely"], TEXTS, {"\u200fcompletely": 5}),
    (ENDS, ["0 (cold)", "1", "4 (warm)"], TEXTS, {"1": 2, "0 (cold)": 1}),
    (ENDS, ["1", "2", "3"], OPEN, None),
    (ENDS, ["1", "5"], CODES, {"1": 1, "5": 5}),
    (GROUPS, ["North", "2"], OPEN, None),
    (GROUPS, ["1", "2"], CODES, {"1": 1, "2": 2}),
])
def test_codes_or_texts_is_decided_for_the_column(scale, cells, form, table):
    found = meaning(cells, scale)
    assert found.form == form and bool(found.uncertain) == (form == OPEN)
    for cell, code in (table or {}).items():
        assert found.table[cell] == code
    assert not found.strange


@pytest.mark.parametrize(("way", "cells", "codes"), [
    ("registered", ["1", "5", "10"], [1, 5, 10]), ("texts", ["1", "5", "10"], [2, 6, 11]),
    ("reversed", ["1", "5", "11"], [11, 7, 1]),
])
def test_a_person_settles_it(way, cells, codes):
    found = meaning(cells, ELEVEN, way=way)
    assert not found.uncertain and [found.table[cell] for cell in cells] == codes


def test_a_mapping_of_single_answers_settles_it():
    cells = ["Not at all", "2", "3.0", "4"]
    found = meaning(cells, FIVE, mapped={"2": "4", "3": "3", "4.0": "2"})
    assert not found.uncertain and [found.table[c] for c in cells] == [1, 4, 3, 2]


@pytest.mark.parametrize(("labels", "cells", "certain"), [
    ({"1": "Not at all", "5": "Completely"}, ["Not at all", "2", "Completely"], True),
    ({"5": "Not at all", "1": "Completely"}, ["Not at all", "2", "Completely"], False),
    ({"1": "Completely"}, ["Completely", "2"], False),
    ({"5": "Completely"}, ["Completely", "2"], True),
    ({"3": "Somewhat"}, ["Somewhat", "2"], False),
    ({"1": "Not at all", "2": "not at ALL"}, ["Not at all", "not at ALL"], False),
    ({"0": "Not at all", "4": "Completely"}, ["Not at all", "1", "Completely"], False),
    ({"1": "Completely", "5": "Not at all"}, ["2", "3"], False), ({"9": "None"}, ["2"], True),
])
def test_what_the_labels_of_a_file_prove(labels, cells, certain):
    assert bool(meaning(cells, FIVE, labels).uncertain) != certain


def test_two_registered_codes_with_one_label_are_not_certain():
    scale = Scale(kind="ordinal", labels={1: "Often", 2: "often"})
    assert meaning(["Often"], scale).uncertain and not meaning(["1", "2"], scale).uncertain


def test_a_level_whose_label_is_the_id_of_another():
    factor = Factor.model_validate({"label": "F", "levels": {
        "weak": {"label": "strong"}, "strong": {"label": "Very"}}})
    assert meaning_of_levels(["strong"], factor).uncertain
    assert meaning_of_levels(["weak", "Very"], factor).table == {"weak": "weak", "Very": "strong"}
    assert meaning_of_levels(["Very"], factor, None, {"1": "Very", "2": "very"}).uncertain


# --- what files of statistical programs say ------------------------------------------------------


@pytest.mark.parametrize("ranges", [
    [{"lo": 99, "hi": 99}], [{"lo": 97, "hi": 99}], [98, 99], [{"lo": 90, "hi": 200}],
])
def test_values_that_an_spss_file_declares_missing(small, registration, tmp_path, ranges):
    meant, _ = coded(read_export(small, registration), registration)
    frame = meant.astype(dict.fromkeys(meant.select_dtypes("number"), float))
    frame.columns = [name.replace(" ", "_").replace("(", "_").replace(")", "_")
                     for name in frame.columns]
    frame["age"] = np.where(np.arange(len(frame)) % 7 == 0, 99.0, frame["age"])
    path = tmp_path / "x.sav"
    pyreadstat.write_sav(frame, str(path), missing_ranges={"age": ranges})
    read = read_export(path, registration)
    age = coded(read, registration)[0]["age"]
    assert age.isna().sum() >= (frame["age"] == 99).sum() and age.max() < 97
    assert "age" in read.missing
    assert any("declare" in line for line in warning_lines(check(path, registration)))


@pytest.mark.parametrize("letter", ["a", "m", "z"])
def test_extended_missing_values_of_stata(tmp_path, letter):
    frame = pd.DataFrame({"trust": [1, letter, 3], "age": [20.0, 30.0, 40.0]})
    path = tmp_path / "x.dta"
    pyreadstat.write_dta(frame, str(path), missing_user_values={"trust": [letter]})
    from claimledger.survey.tables import read_stata

    table = read_stata(path)
    assert table.cells["trust"].tolist() == ["1", "", "3"] and table.missing == {"trust": 1}


@pytest.mark.parametrize("kind", ["Int8", "Int64", "boolean", "string", "category", "Float64"])
def test_nulls_of_parquet_are_blanks(tmp_path, kind):
    import fastparquet

    from claimledger.survey.tables import read_parquet

    values = pd.Series([1, None, 0], dtype="Int64").astype(
        {"string": "object", "category": "float"}.get(kind, kind))
    path = tmp_path / "x.parquet"
    fastparquet.write(str(path), pd.DataFrame({
        "x": values.astype("category") if kind == "category" else values}))
    cells = read_parquet(path).cells["x"].tolist()
    assert cells[1] == "" and cells[0] in ("1", "True") and cells[2] in ("0", "False")


# --- the platform's columns ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Finished (1)", "Finished.1", "Finished_1", "Finished 2"])
def test_a_name_with_a_number_is_no_column_of_the_platform(name):
    assert qualtrics.canonical(name) is None


@pytest.mark.parametrize("column", ["Finished", "Status"])
def test_an_import_id_that_disagrees_is_an_error(changed, registration, column):
    def header(head):
        place = head[0].index(column)
        head[2][place] = '{"ImportId":"QID77"}'

    errors = told(changed(header=header), registration, "error")
    assert any(error.startswith(f"{column}: several columns") for error in errors)


def test_a_platform_column_of_another_name_is_known_by_its_import_id(changed, registration, small):
    def header(head):
        head[0][head[0].index("Finished")] = "Fertig"

    one = examine(read_export(changed(header=header), registration), registration)
    two = examine(read_export(small, registration), registration)
    pd.testing.assert_frame_equal(one.frame, two.frame)


# --- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "two"), [
    ("1234", "1234.0"), ("00123", "123"), ("AB12CD", "ab12cd"), ("P123", "P123\u200b"),
    ("P123", "Ｐ123"), ("5001", "'5001"),
])
def test_an_id_that_is_written_in_two_ways_is_said(changed, registration, one, two):
    path = changed(lambda records: each(records[3:10:6], lambda n, r: {"panel_id": (one, two)[n]}))
    assert "two ways to write one id" in " ".join(told(path, registration))


@pytest.mark.parametrize("text", ["#NAME?", "########", "${e://Field/pid}", "{{PID}}", "[%ID%]",
                                  "test", "N/A", "-", "-1", "0", "<NA>", "deleted", "inf"])
def test_two_rows_without_an_id_are_not_one_person(changed, registration, text):
    def change(records):
        for record in staying(records)[:2]:
            record["panel_id"] = text

    assert any("on 2 rows, of which one stays" in p.found
               for p in check(changed(change), registration))


def test_dates_whose_import_ids_are_interchanged_are_an_error(changed, registration):
    def header(head):
        head[2][0], head[2][1] = head[2][1], head[2][0]

    found = check(changed(header=header), registration)
    assert {p.column for p in found if "several columns" in p.found} == {"StartDate", "EndDate"}


@pytest.mark.parametrize("ids", [
    lambda n: f"{5.6 + n % 5 / 100:.2E}", lambda n: f"{56 + n % 3},1e+15",
    lambda n: f"{5600123456789 + n % 50}000", lambda n: f"{n}.0",
    lambda n: str(int(float(2**60 + 977 * n))), lambda n: f"{int(np.float32(6e9 + 977 * n))}",
    lambda n: f"{n + 1000}00000000",
])
def test_rounded_ids_are_said(changed, registration, ids):
    path = changed(lambda records: each(records, lambda n, r: {"panel_id": ids(n)}))
    assert any("ids that were rounded" in line for line in told(path, registration))


@pytest.mark.parametrize("ids", [
    lambda n: f"P{n:010d}", lambda n: f"{7919 * (n + 10**12)}", lambda n: f"5e{n:06x}a",
    lambda n: f"{10**16 + 7919 * n + n % 7}",
])
def test_whole_ids_are_not(changed, registration, ids):
    path = changed(lambda records: each(records, lambda n, r: {"panel_id": ids(n)}))
    assert not told(path, registration)


@pytest.mark.parametrize(("column", "cell"), [
    *[("Status", status) for status in ("Survey Test", "Spam", "Synthetic", "Preview Spam",
                                        "Offline Survey Preview", "2", "8", "17", "40")],
    ("Q_TerminateFlag", "QuotaMet"), ("state", "Screened out"), ("Q_RelevantIDDuplicate", "true"),
    ("gc", "3"),
])
def test_rows_that_nobody_gave_are_said(changed, registration, column, cell):
    def header(head):
        place = head[0].index("UserLanguage")
        head[0][place], head[2][place] = (column, "{}") if column != "Status" else ("L", "{}")

    def change(records):
        staying(records)[0]["Status" if column == "Status" else "UserLanguage"] = cell

    assert any("1 rows stay that no respondent gave" in line
               for line in told(changed(change, header), registration))


@pytest.mark.parametrize("change", [
    lambda records: [r.update(Finished="False") for r in records],
    lambda records: records.clear(),
])
def test_nobody_stays_is_an_error(changed, registration, change):
    (error,) = [e for e in told(changed(change), registration, "error") if "nobody stays" in e]
    assert "Did not finish" in error or "of 0" in error


@pytest.mark.parametrize("value", ["-99", "", " ", "\u00a0", "-99.0"])
def test_a_respondent_without_an_arm_is_an_error(changed, registration, value):
    def change(records):
        staying(records)[0]["treaty"] = value

    assert any("treaty" in e and "assigned level" in e
               for e in told(changed(change), registration, "error"))


# --- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [
    "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %I:%M:%S %p",
    "%Y-%m-%dT%H:%M:%SZ",
])
def test_time_decides_who_took_part_before(changed, registration, form):
    def change(records, back=False):
        for n, record in enumerate(records):
            for name in qualtrics.DATES:
                moment = pd.Timestamp(record[name]) + pd.Timedelta(days=n)
                record[name] = moment.strftime(form)
        two = staying(records)[:2]
        for record in two:
            record["panel_id"] = "P77"
        if back:
            records.reverse()

    one = kept(read_export(changed(change), registration), registration)
    two = kept(read_export(changed(lambda r: change(r, True)), registration), registration)
    assert set(one["ResponseId"]) == set(two["ResponseId"])


def test_equal_and_missing_times_are_said_and_settled_alike(changed, registration):
    def change(records, back=False):
        two = staying(records)[:2]
        for record in two:
            record.update(panel_id="P77", StartDate="2025-03-04 10:00:00",
                          EndDate="2025-03-04 10:10:00", RecordedDate="2025-03-04 10:10:00")
            record["Duration (in seconds)"] = "600"
        if back:
            records.reverse()

    there = []
    for back in (False, True):
        path = changed(lambda records, back=back: change(records, back))
        assert any("start is missing or the same" in line for line in told(path, registration))
        there.append(set(kept(read_export(path, registration), registration)["ResponseId"]))
    assert there[0] == there[1]


@pytest.mark.parametrize(("start", "end"), [
    ("2025-11-02 01:50:00", "2025-11-02 01:10:00"), ("2025-03-09 01:55:00", "2025-03-09 03:05:00")])
def test_a_change_of_clocks_is_no_error(changed, registration, start, end):
    def change(records):
        record = staying(records)[0]
        record.update({"StartDate": start, "EndDate": end, "Duration (in seconds)": "600"})

    path = changed(change)
    assert told(path, registration, "error") == []
    assert any("clock" in line for line in told(path, registration))


@pytest.mark.parametrize("texts", [
    ("03/25/2025 10:00", "03/24/2025 10:00"), ("25.3.2025 10:00", "24.3.2025 10:00"),
    ("3/25/25 1:05 PM", "3/25/25 11:05 AM"),
])
def test_an_end_before_the_start_is_said_in_any_form(changed, registration, texts):
    def change(records):
        staying(records)[0].update(StartDate=texts[0], EndDate=texts[1])

    lines = told(changed(change), registration) + told(changed(change), registration, "error")
    assert any("before StartDate" in line for line in lines)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "sign", "encoding"), [
    ("sep=,", ",", "utf-8"), ("sep=;", ";", "utf-16"), ("SEP=\t", "\t", "utf-8-sig"),
    ('"sep=;"', ";", "utf-8"), ("sep = ,", ",", "utf-8"), ("sep=;" + ";" * 50, ";", "utf-8"),
])
def test_a_line_that_names_the_separator(changed, registration, small, line, sign, encoding):
    path = changed(delimiter=sign)
    path.write_bytes((f"{line}\n" + path.read_text("utf-8")).encode(encoding))
    one = examine(read_export(path, registration), registration).frame
    pd.testing.assert_frame_equal(
        one, examine(read_export(small, registration), registration).frame)


def test_separators_inside_a_quoted_name(changed, registration):
    def header(head):
        head[0][head[0].index("comment")] = ";" * 90

    path = changed(header=header, quoting=csv.QUOTE_ALL)
    assert ", commas," in read_export(path, registration).form


def test_accents_that_stand_apart_are_the_same(registration, tmp_path):
    scale = Scale(kind="nominal", labels={1: "Québec", 2: "Ontario"})
    assert meaning(["Que\u0301bec"], scale).table["Que\u0301bec"] == 1


def test_warnings_are_told_by_kind():
    many = [Problem(f"Q{n}", "a column that is not registered", "nothing", "look", None, None,
                    "warning", "columns that are not registered") for n in range(355)]
    (line,) = warning_lines(many)
    assert "355" in line and "Q0" in line and "347 more" in line


# --- mappings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [
    "? maybe", "?", "\x1b[31m", "a\u2028b\u0085c", "x" * 5000, "a: b # c", "- x",
    "\ud7ff\U0001f44d",
    '"quoted" \\ back', "YES", "\x7f",
])
def test_a_draft_can_be_read_back_whatever_was_answered(changed, registration, tmp_path, cell):
    def change(records):
        for record in staying(records)[:2]:
            record["trust"] = cell
        staying(records)[2]["trust"] = cell.lower()

    path, mapping = changed(change), tmp_path / "mapping.yml"
    made, table = draft(path, registration)
    text = write_draft(made, path, table.form)
    mapping.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(LedgerError, match="unfinished"):
        read_export(path, registration, mapping)
    mapping.write_text(text.replace(': "?"', ': "missing"'), encoding="utf-8", newline="")
    frame, strange = coded(read_export(path, registration, mapping), registration)
    assert not strange["trust"].any() and frame["trust"].isna().sum() >= 3


def test_a_qsf_with_every_kind_of_question(tmp_path):
    import json

    def question(tag, kind, **more):
        return {"Element": "SQ", "Payload": {
            "QuestionID": f"Q{tag}", "DataExportTag": tag, "QuestionType": kind,
            "QuestionText": "Stem", **more}}

    choices = {"1": {"Display": "Row A"}, "4": {"Display": "Row B"}}
    answers = {"1": {"Display": "No"}, "2": {"Display": "Yes"}}
    path = tmp_path / "s.qsf"
    path.write_text(json.dumps({"SurveyElements": [
        question("M", "Matrix", Choices=choices, Answers=answers, RecodeValues={"1": 7, "2": 3}),
        question("O", "Matrix", Choices=choices, Answers=answers,
                 ChoiceDataExportTags={"1": "O_own", "4": False}),
        question("C", "MC", Selector="MAVR", Choices=choices, RecodeValues={"1": "10"}),
        question("S", "Slider", Choices=choices),
        question("B", "SBS", Choices=choices, AdditionalQuestions={
            "1": {"Answers": answers, "QuestionText": "Left"},
            "2": {"Answers": answers, "QuestionText": "Right"}}),
        question("T", "TE", Validation=None), question("R", "MC", Selector="SAVR",
                                                      Choices=answers, RecodeValues=[]),
        question("P", "CS", Choices=choices), question("K", "RO", Choices=choices),
        question("D", "DD", Choices=choices, Answers=answers),
        question("E", "Matrix", Selector="TE", Choices=choices, Answers=answers),
        question("F", "MC", Selector="MAVR", Choices=[], DynamicChoices={
            "Locator": "q://QC/ChoiceGroup/SelectedChoices"}),
        question("I", "PGR", Choices=choices, Groups=["In", {"Display": "Out"}]),
        question("H", "HotSpot", Choices=choices, Answers=answers),
        *(question(f"N{kind}", kind, Choices=choices, QuestionText=f"A {kind}")
          for kind in ("HeatMap", "Draw", "FileUpload", "HL", "Calendar", "Timing", "DB")),
        question("NMC", "MC", Choices={"1": "no text"}, QuestionText="A MC"),
        question("L", "MC", Selector="NPS", Choices=[{"Display": n} for n in range(11)]),
        question("W", "MC", Choices=answers, RecodeValues={"1": "3", "2": "3"}),
        question("V", "Matrix", Selector="Profile", Choices=choices, Answers={
            "1": answers, "4": {"1": {"Display": "Red"}}}),
        question("G", "MC", Choices=answers, Language={"DE": {"QuestionText": "Stamm", "Choices": {
            "1": {"Display": "Nein"}, "2": {"Display": "Ja"}}}, "FR": []}),
    ]}))
    translated = read_definition(path, {"stamm"})
    assert translated.unread == {
        f"a {kind.lower()}": kind
        for kind in ("HeatMap", "Draw", "FileUpload", "HL", "Calendar", "MC")}
    assert translated.questions["G"] == Question("Stamm", {"1": "Nein", "2": "Ja"})
    found = read_definition(path).questions
    assert found["L"].choices == {str(n): str(n) for n in range(11)}
    assert found["W"].choices == {"3": "No / Yes"}
    assert found["V_1"].choices == {"1": "No", "2": "Yes"} and found["V_4"].choices == {"1": "Red"}
    assert found["I_1_GROUP"].row == "Out" and found["I_0_4_RANK"].numeric
    assert found["H_4"].choices == {"1": "No", "2": "Yes"}
    assert not [name for name in found if name.startswith("N")]
    assert found["M_4"].choices == {"7": "No", "3": "Yes"} and found["M_4"].row == "Row B"
    assert found["O_own"].row == "Row A" and "O_4" in found
    assert found["C_10"].chosen and found["C_4"].row == "Row B"
    assert found["S_1"].numeric and found["B#2_4"].choices == {"1": "No", "2": "Yes"}
    assert found["R"].choices == found["G"].choices == {"1": "No", "2": "Yes"}
    assert found["T"].choices == {} and found["P_4"].numeric and found["K_4"].row == "Row B"
    assert not found["D_1"].choices and found["E_4_2"].row == "Row B - Yes"
    assert found["F_x1"].row == "Row A" and found["F_x4"].chosen and "F_1" not in found


def test_a_label_on_two_codes_is_said_of_other_columns_and_of_mapped_answers(
        rows, registration, tmp_path):
    frame = pd.DataFrame(rows[3:], columns=[name.partition(" ")[0] for name in rows[0]])
    frame["Finished"] = (frame["Finished"] == "True") * 1.0
    frame["trust"] = 2.0 + np.arange(len(frame)) % 2
    path, mapping = tmp_path / "x.sav", tmp_path / "mapping.yml"
    pyreadstat.write_sav(frame, str(path), variable_value_labels={
        "Finished": {0.0: "True", 1.0: "TRUE"}, "trust": {2.0: "Bit", 3.0: "Bit"}})
    mapping.write_text('values: {trust: {"Bit": 2}}')
    assert [doubt.partition(":")[0] for doubt in read_export(path, registration, mapping).doubts
            if "on the codes" in doubt] == ["Finished", "trust"]


def test_a_column_whose_name_begins_with_a_question_mark_can_be_mapped(
        changed, registration, tmp_path):
    def header(head):
        head[0][head[0].index("trust")] = "? trust"

    (mapping := tmp_path / "mapping.yml").write_text('columns: {"? trust": trust}')
    assert "trust" in read_export(changed(header=header), registration, mapping).columns
    with pytest.raises(LedgerError, match="1 unfinished: columns: . trust"):
        read_export(changed(), registration, mapping)


def test_not_chosen_is_an_answer():
    scale = Scale(kind="nominal", labels={0: "No", 1: "Television"})
    found = meaning(["Television", "", "-99"], scale, mapped={"": "0"})
    assert found.table[""] == 0 and found.table["Television"] == 1 and np.isnan(found.table["-99"])


@pytest.mark.parametrize(("column", "cell", "said"), [
    ("Duration (in seconds)", "", "cannot judge"), ("Status", " ", "cannot judge"),
    ("age", "99", "99 in"), ("age", "77", "77 in"),
])
def test_a_cell_that_stands_for_none_is_said(changed, registration, column, cell, said):
    def change(records):
        for record in records[::8]:
            record[column] = cell

    assert any(p.column == column and said in p.found for p in check(changed(change), registration))


def shifted(records, name="troops", last=40):
    """From some row on, the cells of three questions stand one column to the right."""
    for record in records[last:]:
        record[name], record["spending"], record["commitment"] = (
            "", record[name], record["spending"])


def sorted_alone(records):
    answers = sorted(record["trust"] for record in records)
    for record, answer in zip(records, answers, strict=True):
        record["trust"] = answer


@pytest.mark.parametrize(("change", "said"), [
    (lambda records: each(records, lambda n, r: {"panel_id": f"{7919 * n * n % 256:02x}"}),
     "share an id of 2 signs, about as many as by chance"),
    (lambda records: each(records, lambda n, r: {
        "StartDate": r["EndDate"], "EndDate": r["StartDate"]}), "a date before StartDate"),
    (lambda records: each(records, lambda n, r: {"recall_regime": {
        "A democracy": "Not a democracy", "Not a democracy": "A democracy"}.get(
            r["recall_regime"], "")}), "most of democracy, nondemocracy another"),
    (lambda records: each(records, lambda n, r: {"recall_regime": (
        "A democracy", "Not a democracy")[n * n % 7 % 2]}), "as chance would"),
    (lambda records: each(records, lambda n, r: {"misalignment": {
        "rival_arms": "underspending", "underspending": "rival_arms"}.get(
            r["misalignment"], r["misalignment"])}), "most of rival_arms, underspending another"),
    (lambda records: each(records, lambda n, r: {**dict.fromkeys(
        qualtrics.DATES, ""), "Duration (in seconds)": "500000"}), "half of them longer"),
    (lambda records: each(records, lambda n, r: {       # 2025-03-04 becomes 2025-04-03
        name: f"2025-{n % 9 + 1:02d}-03 12:00:00" for name in qualtrics.DATES}), "within 8 days"),
    (lambda records: each(records[::8], lambda n, r: {"age": "110"}), "110 in"),
    (lambda records: each(records, lambda n, r: {"age": str(18 + n % 5)}), "no number above 22"),
    (lambda records: each(records, lambda n, r: {"IPAddress": f"192.0.2.{n % 9}"}),
     "IPAddress: one address on"),
    (lambda records: each(staying(records)[:3], lambda n, r: {"Progress": "40"}), "'40' 3"),
    (lambda records: records.extend([dict.fromkeys(records[0], "")] * 9),
     "9 without an id of the platform or a start"),
    (lambda records: records.append(dict.fromkeys(records[0], "") | {"ResponseId": "Total"}),
     "1 without an id of the platform or a start"),
    (sorted_alone, "trust: equal answers all stand together"),
    (lambda records: each(records, lambda n, r: {"trust": ""}), "trust: no answer of anybody"),
    (lambda records: each(records[::2], lambda n, r: {"attention": "Red"}),
     "'Failed the attention check' drops"),
    (lambda records: each(records[:3], lambda n, r: {"Duration (in seconds)": "99999"}),
     "3 rows whose duration is not"),
    (shifted, "troops: nobody answered the last"),
    (lambda records: records[0].update({"Duration (in seconds)": "1.023"}), "part thousands"),
    (lambda records: records.extend(dict(records[0]) for _ in range(65_533 - len(records))),
     "as many as a spreadsheet holds"),
])
def test_what_a_spreadsheet_does_to_rows_and_columns_is_said(changed, registration, change, said):
    assert any(said in f"{p} {p.kind}" for p in check(changed(change), registration))


def test_an_export_as_it_is_says_none_of_that(small, registration):
    assert not [p for p in check(small, registration) if p.severity == "warning"]


@pytest.mark.parametrize("age", ["97", "80", "70"])
def test_a_common_age_is_not_told(changed, registration, age):
    def change(records):
        for record, near in zip(records[::4], "012" * 9, strict=False):
            record["age"] = str(int(age) + int(near))

    assert not [p for p in check(changed(change), registration) if p.column == "age"]


def test_an_empty_value_label_is_no_blank(tmp_path):
    from claimledger.survey.tables import read_spss

    path = tmp_path / "labels.sav"
    pyreadstat.write_sav(pd.DataFrame({"trust": [1.0, 2.0, 3.0]}), str(path),
                         variable_value_labels={"trust": {1.0: "Not at all", 2.0: " "}})
    assert read_spss(path).cells["trust"].tolist() == ["Not at all", "2", "3"]


def test_times_of_several_zones_are_put_in_one_order():
    texts = ["2025-03-03 10:00:00+02:00", "2025-03-03 09:30:00Z", "2025-03-03T04:00:00-05:00"]
    found, _ = qualtrics.moments({"StartDate": pd.Series(texts)})
    assert found["StartDate"].dt.strftime("%H:%M").tolist() == ["08:00", "09:30", "09:00"]
