import json
import re
from pathlib import Path

import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.simulation.platform_file import export
from claimledger.survey.mapping_draft import draft, rated, read_definition, write_draft
from claimledger.survey.reading import read_export
from exports import coded


def written(path, registration, tmp_path, qsf=None):
    made, table = draft(path, registration, qsf)
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(write_draft(made, path, table.form), encoding="utf-8")
    return made, mapping


def test_names_are_found_by_the_question_text(spoil, registration, tmp_path, exported):
    path = spoil((",trust,", ",Q7_1,"), (",age,", ",Q3,"))
    made, mapping = written(path, registration, tmp_path)
    assert made.open == 0
    assert {(old, new) for old, new, _ in made.columns} == {("Q7_1", "trust"), ("Q3", "age")}
    one, two = (coded(read_export(*p), registration)[0]
                for p in ((path, registration, mapping), (exported, registration)))
    assert one[two.columns].equals(two)


def test_names_are_found_where_they_are_the_question_texts(spoil, registration, tmp_path):
    made, _ = written(spoil((",trust,", f",{registration.instrument.items['trust'].wording},")),
                      registration, tmp_path)
    assert made.open == 0 and [new for _, new, _ in made.columns] == ["trust"]


def test_what_is_not_certain_stays_open(spoil, registration, tmp_path):
    path = spoil((",trust,", ",Q7,"), ("How much do you trust this country as a", "Trust in a"),
                 ("Somewhat support", "Don't know"))
    made, mapping = written(path, registration, tmp_path)
    assert ("? trust", "trust") in [(old, new) for old, new, _ in made.columns]
    assert [[e[:2] for e in lines] for lines in made.values.values()] == [[("Don't know", "?")]]
    with pytest.raises(LedgerError, match="2 unfinished"):
        read_export(path, registration, mapping)
    text = mapping.read_text().replace('"? trust"', "Q7").replace('"?"', "missing")
    mapping.write_text(text)
    frame, strange = coded(read_export(path, registration, mapping), registration)
    assert frame["trust"].notna().any() and not strange.to_numpy().any()


def test_numbers_are_never_taken_for_granted(files, registration, tmp_path):
    path = tmp_path / "codes.csv"
    export(path, *files, "published", 5, n=60, codes=True)
    made, mapping = written(path, registration, tmp_path)
    labeled = [n for n, i in registration.instrument.items.items()
                if registration.instrument.scales[i.scale].labels]
    assert [name for name, _, _ in made.codes] == labeled and made.open == len(labeled)
    assert "or `reversed`" in dict((n, c) for n, _, c in made.codes)["trust"]
    assert "or `reversed`" not in dict((n, c) for n, _, c in made.codes)["region"]
    with pytest.raises(LedgerError, match="codes: trust"):
        read_export(path, registration, mapping)
    mapping.write_text(mapping.read_text().replace('"?"', "registered"))
    assert read_export(path, registration, mapping).doubts == []


def test_a_qsf_says_what_numbers_mean(files, registration, tmp_path):
    path, qsf = tmp_path / "codes.csv", tmp_path / "survey.qsf"
    export(path, *files, "published", 5, n=200, codes=True)
    text = path.read_text().replace(",trust,", ",Q9,", 1)
    text = text.replace("How much do you trust this country as a security partner?", "Trust", 1)
    path.write_text(text)
    labels = registration.instrument.scales["trust"].labels
    choices = {str(n): {"Display": f"<b>{text}</b>&nbsp;"} for n, text in enumerate(
        reversed(labels.values()), start=21)}        # the platform turned the scale around
    qsf.write_text(json.dumps({"SurveyElements": [{"Element": "SQ", "Payload": {
        "DataExportTag": "Q9", "Choices": choices,
        "QuestionText": "How much do you <i>trust</i> this country as a security&nbsp;partner?",
        "RecodeValues": {str(n): str(n - 20) for n in range(21, 26)}}}]}))
    made, _ = written(path, registration, tmp_path, qsf)
    assert ("Q9", "trust", "by the .qsf") in made.columns
    assert [(old, new) for old, new, _ in made.values["trust"]] == [
        (str(code), str(6 - code)) for code in range(1, 6)]
    assert "trust" not in [name for name, _, _ in made.codes]


@pytest.mark.parametrize("content", ["{", "[]", '{"SurveyElements": [{"Element": "SQ"}]}', "1"])
def test_a_broken_qsf_is_said(tmp_path, content):
    path = tmp_path / "x.qsf"
    path.write_text(content)
    with pytest.raises(LedgerError, match=r"\.qsf"):
        read_definition(path)


def test_a_cell_cannot_break_out_of_the_mapping(spoil, registration, tmp_path):
    evil = 'x": 1\n  # }\x1b[31m\n? [a]: {b'
    path = spoil(("Quite a lot", '"' + evil.replace('"', '""') + '"'), count=10_000)
    made, mapping = written(path, registration, tmp_path)
    assert {e[0] for lines in made.values.values() for e in lines} == {evil}
    assert b"\x1b" not in write_draft(made, Path("\x1b\udcff\n.csv"), "CSV").encode()
    with pytest.raises(LedgerError, match="unfinished"):
        read_export(path, registration, mapping)
    mapping.write_text(re.sub(r'"\?"', "4", mapping.read_text()))
    assert not coded(read_export(path, registration, mapping), registration)[1].to_numpy().any()


def test_the_draft_of_a_conjoint_unfolds_it(root, tmp_path):
    registration = load(root / "examples" / "mummolo-nall" / "registration.yml")
    factors = registration.design.factors
    asked = {"Q1.2": registration.instrument.items["consent"].wording,
             "Q3.1": registration.instrument.items["word"].wording,
             **{f"Q4.{task}": "Which of these two communities do you prefer? Table"
                for task in range(1, 9)}, "ResponseId": "Response ID", "Finished": "Finished"}
    row = {"Q1.2": "Yes", "Q3.1": "Assemble", "ResponseId": "R_1", "Finished": "True"}
    row |= {f"Q4.{task}": f"Community {'AB'[task % 2]}" for task in range(1, 9)}
    for task in range(1, 9):
        for place, factor in enumerate(factors.values(), start=1):
            row[f"K-{task}-{place}"] = factor.label
            row |= {f"K-{task}-{side}-{place}": next(iter(factor.levels.values())).label
                    for side in (1, 2)}
    path, mapping = tmp_path / "x.csv", tmp_path / "mapping.yml"
    pd.DataFrame([{name: asked.get(name, name) for name in row}, row]).to_csv(path, index=False)
    made, table = draft(path, registration)
    text = write_draft(made, path, table.form)
    assert made.open == 4 and '"chosen": ["Q4.1"' in text      # again, turned, and two answers
    assert rated(["Q6_1", "Q6_2", "Q7_1", "Q7_2"], 2) == ["Q6_{profile}", "Q7_{profile}"]
    assert rated(["Q4.1", "Q4.2", "Q4.4", "Q4.5"], 2) == []
    text = "\n".join(line for line in text.splitlines() if '"? ' not in line)
    text = text.replace("registration\nvalues:", "registration\n  {}\nvalues:")
    mapping.write_text(text, encoding="utf-8")
    with pytest.raises(LedgerError, match="2 unfinished"):
        read_export(path, registration, mapping)
    for side, number in (("A", 1), ("B", 2)):
        text = text.replace(f'"Community {side}": "?"', f'"Community {side}": "{number}"')
    mapping.write_text(text, encoding="utf-8")
    read = read_export(path, registration, mapping)
    assert len(read.columns) == 16
    assert read.columns["chosen"].tolist() == ["0", "1", "1", "0"] * 4
