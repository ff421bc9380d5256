import numpy as np
import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.models import Scale
from claimledger.survey.export import export
from claimledger.survey.read import answers, coded, levels, read_export

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


def test_an_export_is_recognised(exported, registration):
    read = read_export(exported, registration)
    assert read.header_rows == 3
    assert read.recognised["trust"] == "choice texts"
    assert read.recognised["age"] == "numbers"
    assert read.recognised["comment"] == "free text"
    assert read.recognised["regime"] == "level ids or labels"
    assert read.cells.index[0] == 1


def test_codes_instead_of_texts_give_the_same(exported, registration, files, tmp_path):
    path = tmp_path / "codes.csv"
    export(path, *files, "published", 5, n=400, codes=True)
    read = read_export(path, registration)
    assert read.recognised["trust"] == "codes"
    pd.testing.assert_frame_equal(
        coded(read, registration)[0], coded(read_export(exported, registration), registration)[0]
    )


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


def test_a_column_twice_is_refused(spoil, registration):
    with pytest.raises(LedgerError, match="'trust'"):
        read_export(spoil((",reliability,", ",trust,")), registration)


def test_files_that_cannot_be_read(registration, tmp_path):
    with pytest.raises(LedgerError, match="no such file"):
        read_export(tmp_path / "none.csv", registration)
    with pytest.raises(LedgerError, match="ending in"):
        read_export(tmp_path / "x.docx", registration)
    for name, content in {"empty": b"", "utf16": "a,b\n1,2\n".encode("utf-16"),
                          "ragged": b"a,b\n1,2\n1,2,3\n"}.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(content)
        with pytest.raises(LedgerError, match="UTF-8"):
            read_export(path, registration)
