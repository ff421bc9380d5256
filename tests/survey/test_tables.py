"""A big file is read by another parser, and gives the same cells or the same refusal."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from claimledger import big_columns
from claimledger.errors import LedgerError
from claimledger.survey import tables
from claimledger.survey.recoding import repeated
from claimledger.survey.tables import distinct, read_csv

CELLS = st.text(st.sampled_from('ab1 ,;"\t\n\ré'), max_size=5)


def read(path):
    """The table in parts that can be compared, or the words of the refusal."""
    try:
        table = read_csv(path)
    except LedgerError as error:
        return str(error)
    return table.form, table.texts, table.doubts, table.cells.astype(object).to_dict("list")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.integers(2, 4).flatmap(lambda width: st.lists(
           st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=12)),
       spoilt=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(
           [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b" "])), max_size=2),
       ends=st.sampled_from(["\n", "\r\n"]), quoted=st.booleans(), piece=st.integers(8, 64),
       first=st.sampled_from([2, 2000]))     # of which most differ: columns of texts
@example(rows=[["a", "b"], ["1", ""]], spoilt=[], ends="\n", quoted=False, piece=8,
         first=2)
def test_both_ways_of_reading_agree(rows, spoilt, ends, quoted, piece, first, tmp_path):
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=ends, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
               ).writerows(rows)
    content = file.getvalue().encode()
    for place, sign in spoilt:
        at = int(place * len(content))
        content = content[:at] + sign + content[at:]
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        careful = read(path)
        patch.setattr(tables, "_BIG", 0)
        patch.setattr(big_columns, "PIECE", piece)
        patch.setattr(big_columns, "FIRST", first)
        assert read(path) == careful


@pytest.mark.parametrize("body", ["1,2\n3,4\n", '"1;1",2\n', "a;b,c;d\n"])
def test_other_separators_within_a_name_do_not_count(tmp_path, body):
    path = tmp_path / "x.csv"
    path.write_text("first;;;;;;;;;;;;second,Q2\n" + body)
    assert list(read_csv(path).cells) == ["first;;;;;;;;;;;;second", "Q2"]


def test_a_regular_file_is_read_at_once(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"x, ""y"""\n2,\n')
    monkeypatch.setattr(tables, "_BIG", 0)
    monkeypatch.setattr(tables, "_with_care", None)
    assert read_csv(path).cells.to_dict("list") == {"a": ["1", "2"], "b": ['x, "y"', ""]}


def test_a_column_of_many_texts_is_used_as_any_other(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"R_{n % 3 or n},{n}\n" for n in range(9)))
    monkeypatch.setattr(tables, "_BIG", 0)
    monkeypatch.setattr(big_columns, "FIRST", 4)
    cells = read_csv(path).cells["a"]
    assert isinstance(cells.array, big_columns.Texts) and cells.loc[2] == "R_1"
    assert cells[cells == "R_2"].index.tolist() == cells[cells.isin(["R_2"])].index.tolist()
    assert cells.iloc[-2:].tolist() == ["R_1", "R_2"] and not cells.isna().any()
    assert repeated(cells).tolist() == repeated(cells.astype(object)).tolist()
    assert distinct(cells) == ["R_0", "R_1", "R_2", "R_3", "R_6"]
    assert list(cells) == cells.tolist() and len(cells.iloc[:0]) == 0


def test_one_definition_of_a_blank():
    texts = ["", " ", "-99", "-99.0", "\u00a0-99.00\u200b", "99", "9", "-", "0", "a", "-9", "_"]
    for kind in (object, "category", big_columns.TextsType()):
        cells = pd.Series(texts, dtype=object).astype(kind)
        assert tables.blanks(cells).tolist() == [True] * 5 + [False] * 7
