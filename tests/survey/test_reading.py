import csv
import io
import re

import numpy as np
import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.models import Scale
from claimledger.simulation.platform_file import export
from claimledger.survey.loading import examine
from claimledger.survey.reading import _apply, coded, meaning, read_export
from exports import answers, levels

SUPPORT = Scale(kind="ordinal", labels={1: "Strongly oppose", 2: "Don't know", 3: "Support"})


def test_choice_texts_codes_blanks_and_unanswered():
    cells = pd.Series(["Strongly oppose", " support ", "Don’t know", "3", "2.0", "", "-99"])
    codes, strange = answers(cells, SUPPORT)
    np.testing.assert_array_equal(codes, [1, 3, 2, 3, 2, np.nan, np.nan])
    assert not strange.any()


def test_what_is_neither_is_marked():
    codes, strange = answers(pd.Series(["4", "Support it", "2.5", "1"]), SUPPORT)
    assert strange.tolist() == [True, True, True, False]
    assert codes.isna().tolist() == [True, True, True, False]


def test_numbers_are_read_and_words_are_not():
    codes, strange = answers(pd.Series(["35", "-99", "old", "17"]), Scale(kind="numeric"))
    np.testing.assert_array_equal(codes, [35, np.nan, np.nan, 17])
    assert strange.tolist() == [False, False, True, False]


def test_levels_by_id_or_label(registration):
    found, strange = levels(
        pd.Series(["democracy", "Not a democracy", "", "monarchy"]), registration, "regime"
    )
    assert found.tolist()[:2] == ["democracy", "nondemocracy"]
    assert found.isna().tolist() == [False, False, True, True]
    assert strange.tolist() == [False, False, False, True]


def test_an_export_is_recognized(exported, registration):
    read = read_export(exported, registration)
    assert read.header_rows == 3
    assert read.recognized["trust"] == "choice texts"
    assert read.recognized["age"] == "numbers"
    assert read.recognized["comment"] == "free text"
    assert read.recognized["regime"] == "level ids or labels"
    assert read.cells.index[0] == 1


@pytest.mark.parametrize("change", [
    lambda b: b"\xef\xbb\xbf" + b,
    lambda b: b.replace(b"\n", b"\r\n"),
    lambda b: b"\xef\xbb\xbf" + b.replace(b"\n", b"\r\n"),
    lambda b: b.rstrip(b"\n"),
])
def test_marks_and_line_ends_do_not_matter(exported, registration, tmp_path, change):
    path = tmp_path / "x.csv"
    path.write_bytes(change(exported.read_bytes()))
    one, two = (read_export(p, registration).cells for p in (path, exported))
    pd.testing.assert_frame_equal(one.drop(columns="comment"), two.drop(columns="comment"))
    assert one["comment"].str.replace("\r", "").equals(two["comment"])


def test_line_breaks_and_quotes_inside_a_cell(exported, registration):
    comments = set(read_export(exported, registration).cells["comment"])
    assert any("\n" in c for c in comments)
    assert any('"never trust' in c and "," in c for c in comments)


def test_a_mapping_renames_columns_and_values(spoil, registration, tmp_path):
    path = spoil((",trust,", ",Q7_1,"), (",democracy,", ",DEM,"), count=10_000)
    mapping = tmp_path / "mapping.yml"
    mapping.write_text("columns: {Q7_1: trust}\nvalues: {regime: {DEM: democracy}}\n")
    frame, strange = coded(read_export(path, registration, mapping), registration)
    assert frame["trust"].notna().any()
    assert set(frame["regime"].dropna()) == {"democracy", "nondemocracy"}
    assert not strange.to_numpy().any()


@pytest.mark.parametrize("text", ["columns: [1]", "renames: {a: b}", "columns: {a"])
def test_a_wrong_mapping_is_refused(exported, registration, tmp_path, text):
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(text)
    with pytest.raises(LedgerError, match=r"mapping\.yml"):
        read_export(exported, registration, mapping)


def test_a_column_twice_belongs_to_neither(spoil, registration):
    path = spoil((",reliability,", ",trust,"))
    read = read_export(path, registration)
    assert {"trust (1)", "trust (2)"} < set(read.cells) and "trust" not in read.cells
    problems = examine(read, registration).problems
    assert {p.column for p in problems if p.severity == "error"} == {"trust", "reliability"}


def test_files_that_cannot_be_read(registration, tmp_path):
    with pytest.raises(LedgerError, match="no such file"):
        read_export(tmp_path / "none.csv", registration)
    with pytest.raises(LedgerError, match="ending in"):
        read_export(tmp_path / "x.docx", registration)
    for content, said in {
        b"": "empty file", b"a,b\n1,2\n1,2,3\n": "row 2 has 3", b"a,b\n1,2\n1\n": "row 2 has 1",
        b'a,b\n1,"2\n': "unexpected end", b'a,b\n1,"2"3\n': "expected after",
        b"a,b\n1,\x81\n": "0x81", b"PK\x03\x04\0\0abc\0": "Excel",
    }.items():
        path = tmp_path / "x.csv"
        path.write_bytes(content)
        with pytest.raises(LedgerError, match=said):
            read_export(path, registration)
    for ending in (".sav", ".dta", ".parquet"):
        path = tmp_path / f"x{ending}"
        path.write_bytes(b"not such a file at all" * 20)
        with pytest.raises(LedgerError, match="export as CSV"):
            read_export(path, registration)


def same(one, two) -> bool:
    """Line ends inside cells may differ: the platform writes what the respondent's system wrote."""
    return one.replace("\r\n", "\n", regex=True).equals(two)


@pytest.mark.parametrize(("form", "change"), [
    ("CSV, UTF-16, commas, 3 header rows", lambda text: text.encode("utf-16")),
    ("CSV, UTF-16, commas, 3 header rows", lambda text: text.encode("utf-16-le")),
    ("CSV, UTF-16, commas, 3 header rows", lambda text: text.encode("utf-16-be")),
    ("CSV, cp1252, commas, 3 header rows",
     lambda text: text.replace("👍", "").encode("cp1252")),
    ("CSV, UTF-8, commas, 2 header rows",
     lambda text: "".join(text.splitlines(True)[:2] + text.splitlines(True)[3:]).encode()),
    ("CSV, UTF-8, commas, 1 header row",
     lambda text: "".join(text.splitlines(True)[:1] + text.splitlines(True)[3:]).encode()),
    ("CSV, UTF-8, commas, 3 header rows", lambda text: re.sub(
        r'"\{""ImportId"":""(\w+)""[^}]*\}"', r"{'ImportId': '\1'}", text).encode()),
    ("CSV, UTF-8, tabs, 3 header rows", lambda text: rewritten(text, "\t")),
    ("CSV, UTF-8 with byte-order mark, semicolons, 3 header rows",
     lambda text: b"\xef\xbb\xbf" + rewritten(text, ";")),
])
def test_every_dialect_gives_the_same_cells(exported, registration, tmp_path, form, change):
    path = tmp_path / "dialect.csv"
    text = exported.read_text(encoding="utf-8")
    path.write_bytes(change(text))
    read, whole = read_export(path, registration), read_export(exported, registration)
    assert read.form == form
    emoji = "cp1252" in form
    assert same(read.cells, whole.cells.replace("👍", "", regex=True) if emoji else whole.cells)
    assert bool(read.doubts) == emoji


def rewritten(text: str, separator: str) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator).writerows(csv.reader(io.StringIO(text, newline="")))
    return file.getvalue().encode()


def test_header_texts_of_other_languages(spoil, registration, exported):
    path = spoil(("Start Date,End Date", "Startdatum,Enddatum"), ("Response ID", "Antwort-ID"),
                 ("Response Type", "Antworttyp"))
    assert read_export(path, registration).header_rows == 3
    lines = path.read_text(encoding="utf-8").splitlines(True)
    path.write_text("".join(lines[:2] + lines[3:]), encoding="utf-8")
    assert read_export(path, registration).header_rows == 2


def test_a_cell_of_ten_megabytes_is_read(spoil, registration):
    path = spoil(("Thank you, interesting study.", "long " * 2_000_000))
    assert read_export(path, registration).cells["comment"].str.len().max() == 10_000_000


def test_a_file_without_a_last_line_end_is_doubted(exported, registration, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(exported.read_bytes().rstrip(b"\n"))
    assert "cut off" in read_export(path, registration).doubts[0]


@pytest.mark.parametrize(("text", "said"), [
    ("columns: {Q7: trust}", "Q7"), ("columns: {trust: trst}", "one of trust"),
    ("values: {trust: {Yes: 9}}", "'9'"), ("values: {regime: {a: b}}", "democracy"),
    ("codes: {trust: '?'}", "1 unfinished"), ("columns: {'? trust': trust}", "unfinished"),
    ("values: {trust: {Yes: '?', No: '?'}}", "2 unfinished"),
    ("codes: {region: reversed}", "ordinal"), ("columns: {Q1: trust, Q1: age}", "stands twice"),
    ("columns: {Q1: regime, Q2: regime}", "twice"),
])
def test_a_mapping_that_does_not_fit_is_refused(exported, registration, tmp_path, text, said):
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(text)
    with pytest.raises(LedgerError, match=said):
        read_export(exported, registration, mapping)


def test_a_reversed_scale_and_a_code_that_is_no_answer(exported, registration, files, tmp_path):
    path, mapping = tmp_path / "codes.csv", tmp_path / "mapping.yml"
    export(path, *files, "published", 5, n=400, codes=True)
    mapping.write_text("codes: {trust: reversed}\nvalues: {reliability: {5: missing}}\n")
    plain, _ = coded(read_export(path, registration), registration)
    turned, strange = coded(read_export(path, registration, mapping), registration)
    assert (6 - turned["trust"]).equals(plain["trust"])
    assert turned["reliability"].isna().sum() == (
        plain["reliability"].isna().sum() + (plain["reliability"] == 5).sum())
    assert not strange.to_numpy().any()


@pytest.mark.parametrize("cell", ["１", "1_0", "nan", "inf", "1e1", "0x1", "٣"])
def test_only_plain_numbers_are_numbers(cell):
    for scale in (SUPPORT, Scale(kind="numeric")):
        codes, strange = answers(pd.Series([cell]), scale)
        assert strange[0] and np.isnan(codes[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("number", ["70000", "120000.5", "16777217"])
def test_large_numbers_are_read_exactly_and_without_a_warning(registration, number):
    scales = [s for s in registration.instrument.scales.values() if s.kind == "numeric"]
    found = meaning([number, "5", ""], scales[0])
    cells = pd.Series(pd.Categorical([number, "5", "", number]), name="age")
    values, strange = _apply(cells, found, None)
    assert values.iloc[[0, 1, 3]].tolist() == [float(number), 5.0, float(number)]
    assert values.isna().tolist() == [False, False, True, False] and not strange.any()
