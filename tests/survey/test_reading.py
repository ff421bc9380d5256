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
from claimledger.survey.reading import read_export
from exports import answers, coded, levels

SUPPORT = Scale(kind="ordinal", labels={1: "Strongly oppose", 2: "Don't know", 3: "Support"})


NUMBER = Scale(kind="numeric")


@pytest.mark.parametrize(("scale", "meant"), [
    (SUPPORT, {"Strongly oppose": 1, " support ": 3, "Don’t know": 2, "3": 3, "2.0": 2}),
    (SUPPORT, {"4": None, "Support it": None, "2.5": None, "1": 1}),
    (SUPPORT, {"": np.nan, "-99": np.nan}),
    (NUMBER, {"35": 35, "-99": np.nan, "old": None, "17": 17, "120000.5": 120000.5}),
    *[(scale, {cell: None}) for cell in ["１", "1_0", "nan", "inf", "1e1", "0x1", "٣"]
      for scale in (SUPPORT, NUMBER)],
])
def test_a_cell_is_an_answer_or_blank_or_strange(scale, meant):
    codes, strange = answers(pd.Series(list(meant)), scale)
    np.testing.assert_array_equal(codes, np.array([*meant.values()], float))
    assert strange.tolist() == [code is None for code in meant.values()]


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
    ("CSV, UTF-8, commas, 3 header rows", lambda text: text.replace("\n", "\r\n").encode()),
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
    ("columns: [1]", r"mapping\.yml"), ("renames: {a: b}", "renames"), ("columns: {a", "yml"),
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
