"""Exports spoilt in every way: never a traceback, never a number changed without a word."""

import csv
import io
import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from claimledger.errors import LedgerError
from claimledger.simulation.platform_file import export
from claimledger.survey.loading import examine, html_report
from claimledger.survey.mapping_draft import draft, write_draft
from claimledger.survey.reading import read_export
from claimledger.survey.tables import plain
from exports import answers, coded

FUZZ = settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[
    HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
EVIL = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "=1+1", "@SUM(A1)", "\x1b[31m",
        "'\"><b>", "-98", "1e308", "nan", "0x1", "２", "\u202e", "{}", '{"ImportId":"QID1"}', "\t",
        "R_8pQx2LmN0vB7sTa", "?", "true", "Quite a lot "]
TAGS = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div", "table",
        "thead", "tbody", "tr", "th", "td", "@lang", "@charset", "@http-equiv", "@content", "@name",
        "@class", "@scope", "@tabindex"}


@pytest.fixture(scope="module")
def small(tmp_path_factory, files):
    path = tmp_path_factory.mktemp("fuzz") / "answers.csv"
    export(path, *files, "published", 7, n=30)
    return path


@pytest.fixture(scope="module")
def rows(small):
    return list(csv.reader(io.StringIO(small.read_text(encoding="utf-8"), newline="")))


@pytest.fixture(scope="module")
def before(small, registration):
    return coded(read_export(small, registration), registration)[0].set_index("ResponseId")


class Tags(HTMLParser):
    """Every tag of a page, and every attribute."""

    def __init__(self):
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.seen |= {tag, *(f"@{name}" for name, _ in attrs)}


def look(path, registration):
    """Read, check, report and start a mapping; None where it ends in a LedgerError."""
    try:
        read = read_export(path, registration)
        findings = examine(read, registration)
        page = Tags()
        page.feed(html_report(read, findings, registration))
        assert page.seen <= TAGS
        write_draft(*(draft(path, registration)[0], path, read.form))
    except LedgerError as error:
        assert str(error)
        return None
    return read, findings


def write(path, rows, encoding="utf-8", **form):
    file = io.StringIO(newline="")
    csv.writer(file, **form).writerows(rows)
    path.write_bytes(file.getvalue().encode(encoding, "replace"))
    return path


def unchanged(seen, before, registration, but=()) -> None:
    """Where nothing is called an error, each respondent's codes are those of the whole export."""
    if seen is None or any(p.severity == "error" for p in seen[1].problems):
        return
    after = coded(seen[0], registration)[0]
    names = [*registration.instrument.items, *registration.design.factors]
    assert set(names) - set(after) <= {"comment"}
    names = [name for name in names if name in after]
    if "ResponseId" not in after:       # nobody has a name: each row is one of those that were
        whole, part = (set(map(tuple, frame[names].astype(object).where(
            frame[names].notna(), "").to_numpy().tolist())) for frame in (before, after))
        assert part <= whole
        return
    for row in after.to_dict("records"):
        response = row["ResponseId"]
        if response in before.index:
            was = before.loc[response]
            for name in names:
                assert (response, name) in but or row[name] == was[name] or (
                    row[name] != row[name] and was[name] != was[name]), (response, name)


@FUZZ
@given(data=st.data())
def test_structure_may_change_but_no_number_does(data, rows, before, registration, tmp_path):
    table = [list(row) for row in rows]
    width = len(table[0])
    for kind in data.draw(st.lists(st.sampled_from(
            ["drop", "double", "order", "less", "more", "shuffle", "heads"]), max_size=3)):
        place = data.draw(st.integers(0, width - 3))
        if kind == "drop":
            table = [row[:place] + row[place + 1:] for row in table]
        elif kind == "double":
            table = [[*row, row[place]] for row in table]
        elif kind == "order":
            order = data.draw(st.permutations(range(len(table[0]))))
            table = [[row[i] for i in order] for row in table]
        elif kind == "less":
            table = table[:3] + table[3 + place:]
        elif kind == "more":
            table.append(list(table[-1]))
        elif kind == "shuffle":
            table = table[:3] + data.draw(st.permutations(table[3:]))
        else:
            table = table[:1] + table[data.draw(st.integers(1, 3)):]
        width = len(table[0])
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]))
    form = {"delimiter": data.draw(st.sampled_from(",;\t")),
            "lineterminator": data.draw(st.sampled_from(["\n", "\r\n"])),
            "quoting": data.draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))}
    path = write(tmp_path / "x.csv", table, encoding, **form)
    unchanged(look(path, registration), before, registration)


@FUZZ
@given(data=st.data())
def test_a_corrupted_cell_changes_itself_at_most(data, rows, before, registration, tmp_path):
    table = [list(row) for row in rows]
    touched = set()
    for _ in range(data.draw(st.integers(1, 4))):
        line = data.draw(st.integers(0, len(table) - 1))
        place = data.draw(st.integers(0, len(table[0]) - 1))
        text = data.draw(st.one_of(st.sampled_from(EVIL), st.text(max_size=12)))
        table[line][place] = text
        name = rows[0][place]
        touched.add((rows[line][rows[0].index("ResponseId")], name))
        scale = registration.instrument.items.get(name)
        if line > 2 and scale is not None:
            known = registration.instrument.scales[scale.scale]
            codes, strange = answers(pd.Series([text], dtype=object), known)
            assert strange[0] or known.kind == "text" or plain(text) in {
                "", "-99", *map(plain, known.labels.values())} or codes[0] == float(text)
    path = write(tmp_path / "x.csv", table)
    unchanged(look(path, registration), before, registration, but=touched)


@FUZZ
@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)),
                                           max_size=5))
@example(cut=1.0, flips=[]).via("the file as it is")
def test_bytes_cut_and_flipped_end_in_words(cut, flips, small, before, registration, tmp_path):
    content = bytearray(small.read_bytes())
    for where, value in flips:
        content[int(where * (len(content) - 1))] = value
    path = tmp_path / "x.csv"
    path.write_bytes(content[:int(cut * len(content))])
    seen = look(path, registration)
    if not flips and seen:
        last = next(iter(seen[0].cells.get("ResponseId", pd.Series())[::-1]), "")
        whole = content[:int(cut * len(content))].endswith(b"\n")
        assert whole or any("cut off" in doubt for doubt in seen[0].doubts)
        unchanged(seen, before, registration, but={
            (last, name) for name in (*registration.instrument.items, *registration.design.factors)
        } if not whole else ())


@FUZZ
@given(content=st.binary(max_size=400),
       ending=st.sampled_from([".csv", ".sav", ".dta", ".parquet"]))
def test_any_bytes_end_in_words(content, ending, registration, tmp_path):
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    look(path, registration)


@pytest.mark.parametrize("form", [
    "{}", "Please answer. - {}", "<p>{}</p>", "{} - Selected Choice", "{:.40}", "{:.40}...",
])
def test_moved_names_are_found_by_the_question_texts(rows, registration, tmp_path, form):
    table = [list(row) for row in rows]
    table[1] = [form.format(text) for text in table[1]]
    one, two = table[0].index("trust"), table[0].index("reliability")
    table[0][one], table[0][two] = "reliability", "trust"
    seen = look(write(tmp_path / "x.csv", table), registration)
    found = {(p.column, p.found) for p in seen[1].problems if p.severity == "error"}
    assert found == {("trust", "the question text of 'reliability'"),
                     ("reliability", "the question text of 'trust'")}


@pytest.mark.slow
def test_memory_is_bounded_by_the_file(files, registration, tmp_path):
    """In a process of its own: the peak grows by less than eight times the file."""
    path = tmp_path / "many.csv"
    export(path, *files, "null", 1, n=12_000)
    text = path.read_text(encoding="utf-8").replace(
        "Good survey 👍", "<script>" + "x" * 10_000_000, 1)
    path.write_text(text, encoding="utf-8")
    peaks = [peak(files[0], name) for name in (path, tmp_path / "none.csv")]
    assert peaks[0] - peaks[1] < 8 * path.stat().st_size, peaks


def peak(registration, path) -> int:
    """Bytes of memory that a check of the file needs at most."""
    code = (
        "import resource, sys; from pathlib import Path;"
        "from claimledger.registration.loading import load;"
        "from claimledger.errors import LedgerError;"
        "from claimledger.survey.loading import examine; from claimledger.survey.reading import *;"
        "r = load(Path(sys.argv[1]));\n"
        "try: e = read_export(Path(sys.argv[2]), r); assert not [p for p in "
        "examine(e, r).problems if p.severity == 'error']\n"
        "except LedgerError as error: assert 'no such file' in str(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(registration), str(path)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit
