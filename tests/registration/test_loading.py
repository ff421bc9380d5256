from pathlib import Path

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.registration.codebook import answers, instrument_table, vignette_table
from claimledger.registration.loading import load
from claimledger.yaml_files import Source


def test_a_predicted_null_may_stand_without_quotes(root, tmp_path):
    text = (root / "src/claimledger/template/designs/two-arm.yml").read_text("utf-8")
    for word in ("null", '"null"'):
        (tmp_path / "r.yml").write_text(text.replace("direction: positive", f"direction: {word}"))
        assert load(tmp_path / "r.yml").hypotheses[0].direction == "null"


HERE = Path(__file__).parent
SMALL = (HERE / "small.yml").read_text("utf-8")


def test_what_need_not_be_said(tmp_path):
    path = tmp_path / "registration.yml"
    path.write_text(SMALL)
    r = load(path)
    assert [x.probability for x in r.design.factors["arm"].levels.values()] == [1 / 3] * 3
    assert r.instrument.scales["five"].labels[5] == "Yes"      # a word, not a truth value
    one = r.hypothesis("H1")
    assert set(one.criterion) == {"supported", "negligible", "undecided"}
    assert (one.vcov, one.sample, one.frame) == ("HC2", "all", "respondents")
    assert r.samples == {"all": {}}
    assert one.bound(sd=0.4) == pytest.approx(0.05)
    assert r.comparisons[0].bound(1.0) is None
    assert [r.unit(v) for v in ("likes", "like", "half")] == [
        "percentage points", "points, 1 to 5", "points, 0 to 1"]
    assert r.is_binary("likes") and not r.is_binary("half")


def test_three_mistakes_are_told_at_once_with_their_lines(tmp_path):
    path = tmp_path / "registration.yml"
    text = SMALL.replace("direction: two", "directon: two").replace("size: 100", "size: -1")
    path.write_text(text)
    with pytest.raises(LedgerError) as caught:
        load(path)
    said = str(caught.value)
    assert "line 2, study.size: -1; expected a number above 0" in said
    line = 1 + text.splitlines().index(next(x for x in text.splitlines() if "directon" in x))
    assert f"line {line}, hypotheses.H1.directon: an unknown key" in said
    assert "did you mean direction?" in said and "a value for `direction`" in said


@pytest.mark.parametrize("wrong", yaml.safe_load((HERE / "mistakes.yml").read_text("utf-8")),
                         ids=lambda wrong: f"{wrong['at']}, {wrong['says']}")
def test_each_key_refuses_what_cannot_be(tmp_path, wrong):
    path = tmp_path / "registration.yml"
    path.write_text(SMALL)
    content = Source.read(path).content
    load(path)
    inside = content
    for key in wrong["set"][:-1]:
        inside = inside[key]
    inside[wrong["set"][-1]] = wrong["to"]
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    with pytest.raises(LedgerError) as caught:
        load(path)
    said = str(caught.value).replace("\n  found:    ", ": ")
    assert "registration.yml" in said and ("line " in said or "unfinished" in said)
    assert wrong["at"] in said and wrong["says"] in said
    assert "Input" not in said and "pydantic" not in said


@pytest.mark.parametrize(("text", "says"), [
    (None, "no such file"), ("- a\n- b\n", "list"), ("a: [1, 2\n", "valid YAML"),
    ("families: {}\nfamilies: {}\n", "`families` stands twice"),
    ("schema: 2\n\tstudy: x\n", "line 2, column 1(.|\n)*in place of the tab")])
def test_files_that_are_no_registration(tmp_path, text, says):
    path = tmp_path / "registration.yml"
    if text:
        path.write_text(text)
    with pytest.raises(LedgerError, match=says):
        load(path)


def test_tables_show_every_item_and_level(root):
    r = load(root / "registration.yml")
    assert len(instrument_table(r)) == len(r.instrument.items)
    assert instrument_table(r)["Block"].iloc[0] == "Consent and eligibility"
    levels = sum(len(f.levels) for f in r.design.factors.values())
    assert len(vignette_table(r)) == levels + 2
    assert answers(r.instrument.scales["years"]) == "a number from 18 to 110"
    assert answers(r.instrument.scales["consent"]).startswith("1 I agree")
