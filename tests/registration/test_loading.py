import re

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.registration.codebook import answers, instrument_table, vignette_table
from claimledger.registration.loading import load


@pytest.fixture
def content(root):
    return yaml.safe_load((root / "registration.yml").read_text())


@pytest.fixture
def written(tmp_path, content):
    def write(change):
        change(content)
        path = tmp_path / "registration.yml"
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return path

    return write


def test_the_shipped_registration_is_complete(root):
    r = load(root / "registration.yml")
    assert [h.id for h in r.hypotheses] == ["H1a", "H1b", "H2a", "H2b", "H3a", "H3b", "H3c"]
    assert r.study.size == 1502
    for h in r.hypotheses:
        assert abs(sum(h.contrast.values())) < 1e-12 or h.frame == "respondents"
        assert set(h.criterion) == {"supported", "refuted", "negligible", "undecided"}
        assert h.sesoi == 0.20


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        (lambda c: c.update(desing=c.pop("design")), "desing", "only keys"),
        (lambda c: c["comparisons"][0].update(family="H1"), "measures.family", "of its own"),
        (lambda c: c["weighting"].update(column="w"), "weighting", "either column, or margins"),
        (lambda c: c["hypotheses"][0].pop("model"), "hypotheses.0.model", "a value for `model`"),
        (lambda c: c["hypotheses"][0].update(direction="up"), "direction: 'up'", "positive"),
        (lambda c: c["study"].update(size="many"), "study.size: 'many'", "integer"),
        (lambda c: c["hypotheses"][2].update(outcome="perception"), "'perception'", "perceptions"),
        (lambda c: c["hypotheses"][2].update(family="H9"), "'H9'", "H1"),
        (lambda c: c["samples"]["misaligned"]["misalignment"].append("late"), "'late'", "control"),
        (lambda c: c["instrument"]["items"]["trust"].update(scale="trsut"), "'trsut'", "trust"),
        (
            lambda c: c["design"]["factors"]["treaty"]["levels"]["signed"].update(probability=0.4),
            "factors.treaty", "sum to 0.9",
        ),
        (
            lambda c: c["exclusions"][0].update(below=3), "exclusions.0", "exactly one of equals",
        ),
        (lambda c: c["hypotheses"][1].update(id="H1a"), "the id twice", "once"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_found_expected(written, change, key, expected):
    with pytest.raises(LedgerError) as caught:
        load(written(change))
    message = str(caught.value)
    assert "registration.yml" in message
    assert key in message
    assert expected in message


def test_a_key_given_twice_is_an_error(tmp_path, root):
    text = (root / "registration.yml").read_text()
    path = tmp_path / "registration.yml"
    path.write_text(re.sub(r"^families:$", "families: {}\nfamilies:", text, flags=re.M))
    with pytest.raises(LedgerError, match="`families` stands twice"):
        load(path)


def test_files_that_are_no_registration(tmp_path):
    with pytest.raises(LedgerError, match="no such file"):
        load(tmp_path / "none.yml")
    (tmp_path / "list.yml").write_text("- a\n- b\n")
    with pytest.raises(LedgerError, match="list"):
        load(tmp_path / "list.yml")
    (tmp_path / "broken.yml").write_text("a: [1, 2\n")
    with pytest.raises(LedgerError, match="valid YAML"):
        load(tmp_path / "broken.yml")


def test_tables_show_every_item_and_level(root):
    r = load(root / "registration.yml")
    assert len(instrument_table(r)) == len(r.instrument.items)
    assert instrument_table(r)["Block"].iloc[0] == "Consent and eligibility"
    levels = sum(len(f.levels) for f in r.design.factors.values())
    assert len(vignette_table(r)) == levels + 2
    assert answers(r.instrument.scales["years"]) == "a number from 18 to 110"
    assert answers(r.instrument.scales["consent"]).startswith("1 I agree")
