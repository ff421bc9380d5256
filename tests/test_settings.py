"""`_quarto.yml: ledger`: every wrong value is told with its line, and nothing else is."""

import re
from pathlib import Path
from tempfile import mkdtemp

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.settings import CONFIG, Settings, notebook_stems, settings

GOOD = """project: {type: manuscript}
ledger:
  registration: registration.yml
  data: data/answers.csv
  seed: 1
  lint: [abstract]
  notebooks:
    - notebook: build/notebooks/01_results.ipynb
    - build/notebooks/02_more.ipynb
format:
  html: {toc: true}
"""
WRONG = {
    "a list for a text": ("registration.yml", "[a.yml]", "line 3: ledger.registration", "a text"),
    "a word for a number": ("seed: 1", "seed: one", "line 5: ledger.seed", "a whole number"),
    "a negative number": ("seed: 1", "seed: -1", "line 5: ledger.seed", "of at least 0"),
    "a number in a list": ("[abstract]", "[abstract, 3]", "line 6: ledger.lint.2", "a text"),
    "an unknown key": ("  lint:", "  lints: x\n  lint:", "line 6: ledger.lints",
                       "did you mean lint"),
    "a key of a notebook": ("- notebook:", "- notbook:", "line 8: ledger.notebooks.1",
                            "did you mean notebook"),
    "nothing": ("  seed: 1\n", "", "ledger.seed", "of everything that an analysis draws"),
    "no settings": ("ledger:", "ledgers:", "ledger", "registration"),
    "a set that is a text": ("  seed: 1", "  sets: {both: H1}\n  seed: 1",
                             "line 5: ledger.sets.both", "a list"),
    "a key of another study": (
        "  seed: 1", "  external: {x: {notebook: a, data: b, recordet: c}}\n  seed: 1",
        "line 5: ledger.external.x.recordet", "did you mean recorded"),
    "another study without its data": (
        "  seed: 1", "  external: {x: {notebook: a}}\n  seed: 1", "ledger.external.x.data",
        "where its data lie")}


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_value_is_told_with_its_line(tmp_path, change):
    old, new, where, said = WRONG[change]
    assert old in GOOD
    (tmp_path / CONFIG).write_text(GOOD.replace(old, new, 1))
    with pytest.raises(LedgerError) as told:
        settings(tmp_path)
    text = re.sub(r"(line \d+), ", r"\1: ", str(told.value))      # one mistake, or a list of them
    assert where in text and said in text
    assert not re.search(r"pydantic|validation|extra_forbidden|Traceback", text)


OF = {key: kind for keys, kind in {
    ("registration", "data", "mapping"): ["", "x"], ("seed", "cell_seconds"): [3],
    ("lint", "notebooks", "subjects", "review"): [[]],
    ("words", "sets", "phrases", "external"): [{}]}.items() for key in keys}


@pytest.mark.parametrize("key", Settings.model_fields)
def test_no_value_of_a_wrong_kind_passes_or_ends_in_anything_but_words(tmp_path, key):
    good, passed = yaml.safe_load(GOOD), []
    for value in (3, -1.5, True, "", "x", [], [3], [[]], {}, {"a": 3}, {"a": {"b": 3}}):
        place = Path(mkdtemp(dir=tmp_path))  # a file of its own: one is read once a change of time
        (place / CONFIG).write_text(yaml.safe_dump(
            good | {"ledger": good["ledger"] | {key: value}}, sort_keys=False))
        try:
            settings(place)
            passed.append(value)
        except LedgerError as error:
            assert f"ledger.{key}" in str(error) and "line " in str(error)
    assert passed == OF[key]


def test_good_settings_are_read_and_what_is_quartos_is_left_alone(tmp_path):
    (tmp_path / CONFIG).write_text(GOOD)
    assert settings(tmp_path)["format"] == {"html": {"toc": True}}
    assert notebook_stems(tmp_path) == ["01_results", "02_more"]
