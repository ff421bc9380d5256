import re

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.registration.codebook import answers, instrument_table, vignette_table
from claimledger.registration.loading import load
from claimledger.yaml_files import Source


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


def test_a_predicted_null_may_stand_without_quotes(root, tmp_path):
    text = (root / "src/claimledger/template/designs/two-arm.yml").read_text("utf-8")
    for word in ("null", '"null"'):
        (tmp_path / "r.yml").write_text(text.replace("direction: positive", f"direction: {word}"))
        assert load(tmp_path / "r.yml").hypotheses[0].direction == "null"


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
        (lambda c: c.update(desing=c.pop("design")), "desing", "did you mean design?"),
        (lambda c: c["comparisons"][0].update(family="H1"), "measures.family", "of its own"),
        (lambda c: c["weighting"].update(column="w"), "weighting", "either column, or margins"),
        (lambda c: c["hypotheses"][0].pop("model"), "hypotheses.H1a.model", "a value for `model`"),
        (lambda c: c["hypotheses"][0].update(direction="up"), "direction", "positive"),
        (lambda c: c["study"].update(size="many"), "study.size", "a whole number"),
        (lambda c: c["hypotheses"][2].update(outcome="perception"), "'perception'", "perceptions"),
        (lambda c: c["hypotheses"][2].update(family="H9"), "'H9'", "H1"),
        (lambda c: c["samples"]["misaligned"]["misalignment"].append("late"), "'late'", "control"),
        (lambda c: c["instrument"]["items"]["trust"].update(scale="trsut"), "'trsut'", "trust"),
        (
            lambda c: c["design"]["factors"]["treaty"]["levels"]["signed"].update(probability=0.4),
            "factors.treaty", "sum to 0.9",
        ),
        (
            lambda c: c["exclusions"][0].update(below=3), "preview", "exactly one of equals",
        ),
        (lambda c: c["hypotheses"][1].update(id="H1a"), "the id 'H1a' twice", "each id once"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_key_found_expected(written, change, key, expected):
    with pytest.raises(LedgerError) as caught:
        load(written(change))
    message = str(caught.value)
    assert "registration.yml" in message
    assert key in message
    assert expected in message


SMALL = """
schema: 2
study: {title: T, short: t, authors: [{name: A}], question: Q, population: P, size: 100}
design:
  factors:
    arm: {label: Arm, levels: {plain: {label: Plain}, bold: {label: Bold}, odd: {label: Odd}}}
    hue: {label: Hue, levels: {red: {label: Red}, blue: {label: Blue}}}
instrument:
  scales:
    five: {kind: ordinal, labels: {1: No, 2: Rather no, 3: Neither, 4: Rather yes, 5: Yes}}
    year: {kind: numeric, minimum: 1900, maximum: 2010}
    town: {kind: nominal, labels: {1: North, 2: South}}
  blocks: {b: Block}
  items:
    born: {label: Born, role: background, scale: year, block: b, wording: "When?"}
    town: {label: Town, role: background, scale: town, block: b, wording: "Where?"}
    like: {label: Liking, role: outcome, scale: five, block: b, wording: "How?"}
  derived:
    age: {label: Age, formula: 2025 - born}
    likes: {label: Likes it, of: like, yes: [4, 5], missing: [3]}
    half: {label: Half, of: like, map: {0: [1, 2], 0.5: [3], 1: [4, 5]}}
    young: {label: Young, of: age, cut: {Young: 18, Old: 40}}
families: {F: {label: F}, G: {label: G}}
hypotheses:
  - {id: H1, statement: S, estimand: E, outcome: likes, model: likes ~ arm + hue,
     contrast: {"arm[T.bold]": 1}, direction: two-sided, family: F,
     sesoi: {value: 5, unit: percentage points}}
comparisons:
  - {id: C, estimand: E, outcome: like, model: like ~ arm, levels: [bold, odd],
     term: "arm[T.{level}]", family: G}
"""


@pytest.fixture
def small(tmp_path):
    def write(change=lambda c: None):
        path = tmp_path / "registration.yml"
        path.write_text(SMALL)
        content = Source.read(path).content
        change(content)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        return path

    return write


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
    assert "line 3, study.size: -1; expected a number above 0" in said
    line = 1 + text.splitlines().index(next(x for x in text.splitlines() if "directon" in x))
    assert f"line {line}, hypotheses.H1.directon: an unknown key" in said
    assert "did you mean direction?" in said and "a value for `direction`" in said


def setter(*keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value
    return change


H, C, D = ("hypotheses", 0), ("comparisons", 0), ("instrument", "derived")


@pytest.mark.parametrize(("change", "key", "expected"), [
    (setter("schema", value=3), "schema 3", "older than the registration"),
    (setter("design", "tasks", value=3), "design", "needs `respondent`"),
    (setter("design", "profiles", value="two"), "design.profiles: 'two'", "a whole number"),
    (setter("design", "clusters", value="arm"), "design.clusters", "not an arm"),
    (setter("design", "restrictions", value=[{"arm": ["bold"]}]), "restrictions.1", "two factors"),
    (setter("design", "restrictions", value=[{"arm": ["bold"], "hue": ["red", "blue"]}]),
     "restrictions.1", "can occur somewhere"),
    (setter("design", "restrictions", value=[{"arm": ["bald"], "hue": ["red"]}]),
     "restrictions.1.arm", "did you mean bold?"),
    (setter("design", "factors", "hue", "columns", value={"rde": "c"}), "hue", "names a level"),
    (setter("design", "factors", "arm", "columns", value={"bold": "c"}), "arm", "one level only"),
    (setter("design", "factors", "hue", "levels", value={"red": {"label": "Red"}}), "factors.hue",
     "two or more arms"),
    (setter(*D, "half", "map", value={0: [1], 1: [4, 5]}), "derived.half.map", "missing: [2, 3]"),
    (setter(*D, "half", "map", value={"a": [1, 2], 1: [3, 4, 5]}), "derived.half", "not to both"),
    (setter(*D, "likes", "yes", value=[4, 6]), "derived.likes: 6", "one of 1, 2, 3, 4, 5"),
    (setter(*D, "age", "formula", value="2025 - bron"), "derived.age: 'bron'", "born"),
    (setter(*D, "age", "formula", value="__import__('os')"), "derived.age", "only variables"),
    (setter(*D, "age", "formula", value="2025 - age"), "derived.age", "no circle"),
    (setter(*D, "age", "formula", value="town * 2"), "'town', which has groups", "numbers"),
    (setter(*D, "age", value={"label": "A", "mean": ["born"], "of": "born"}), "age", "`of`"),
    (setter(*H, "outcome", value="young"), "outcome: 'young'", "one of"),
    (setter(*H, "model", value="like ~ arm"), "'like' on the left", "'likes', the outcome"),
    (setter(*H, "model", value="likes ~ amr"), "model: 'amr'", "did you mean arm"),
    (setter(*H, "contrast", value={"arm[T.bald]": 1}), "contrast: 'bald'", "did you mean bold?"),
    (setter(*H, "contrast", value={}), "hypotheses.H1", "exactly one of contrast, joint"),
    (setter("exclusions", value=[{"id": "x", "label": "Under 18", "column": "age", "below": 18}]),
     "exclusions.x.column: 'age', which is derived", "an item, or a column of the export"),
    (setter(*H, "direction", value="postive"), "'postive'", "did you mean positive?"),
    (setter(*H, "direction", value="non-inferiority"), "hypotheses.H1", "`margin` with"),
    (setter(*H, "margin", value={"value": 1}), "hypotheses.H1", "and only there"),
    (setter(*H, "sesoi", value={"value": 1, "unit": "inches"}), "sesoi.unit: 'inches'", "points"),
    (setter(*H, "sesoi", value=-0.2), "sesoi: -0.2", "above 0"),
    (setter(*C, "sesoi", value={"value": 1, "unit": "percentage points"}), "C.sesoi", "not 0 or 1"),
    (setter(*C, "estimator", value="logit"), "C.estimator: logit", "0 or 1"),
    (setter(*H, "estimator", value="amce"), "H1.estimator: amce", "ols"),
    (setter(*H, "vcov", value="CR2"), "H1.vcov: CR2", "`design.clusters`"),
    (setter(*H, "frame", value="profiles"), "H1.frame: profiles", "whose a profile is"),
    (setter(*H, "missing", value="drop"), "H1.missing: 'drop'", "complete, indicator, impute"),
    (setter(*H, "at", value={"ages": [30]}), "H1.at: 'ages'", "did you mean age?"),
    (setter(*H, "at", value={"age": [30, 60]}), "hypotheses.H1", "one value of `at`"),
    (setter(*H, "at", value={"age": []}), "H1.at.age", "at least one entry"),
    (setter(*H, "at", value={"born": [1950]}), "H1.at: 'born', which is not", "`outcome ~ factor"),
    (setter(*H, "at", value={"born": [19]}), "H1.at.born", "can have: 1900 to 2010"),
    (setter(*H, "contrast", value={"arm[T.bold]": float("nan")}), "contrast", "finite"),
    (setter("design", "tasks", value=10**9), "design.tasks", "at most 100"),
    (setter("instrument", "scales", "five", "labels", value={10**20: "x"}), "10000000", "at most"),
    (setter(*C, "levels", value=["bold", "bold"]), "C.levels: bold, bold", "each level once"),
    (setter(*H, "id", value={"a": 1}), "hypotheses.1.id", "a text"),
    (setter(*H, 7, value="x"), "hypotheses.H1.7", "an unknown key"),
    (setter("families", "F", "alpha", value=0), "families.F.alpha: 0", "above 0"),
    (setter(*H, "weighted", value=True), "H1.weighted: true", "`weighting`"),
    (setter("families", "F", "correction", value="bonferoni"), "F.correction", "holm, bh, none"),
    (setter("families", "F", "alpha", value=1), "families.F.alpha: 1", "below 1"),
    (setter(*C, "term", value="arm[T.bold]"), "C.term", "`{level}`"),
    (setter("samples", value={"all": {}, "old": {"young": ["Odl"]}}), "samples.old.young", "Old"),
    (setter("study", "question", value="? what is asked"), "1 unfinished", "begins with '?'"),
])  # fmt: skip
def test_each_key_refuses_what_cannot_be(small, change, key, expected):
    load(small())
    with pytest.raises(LedgerError) as caught:
        load(small(change))
    said = str(caught.value).replace("\n  found:    ", ": ")
    assert "registration.yml" in said and ("line " in said or "unfinished" in said)
    assert key in said and expected in said
    assert "Input" not in said and "pydantic" not in said


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


def test_a_tab_is_named(tmp_path):
    (tmp_path / "r.yml").write_text("schema: 2\n\tstudy: x\n")
    with pytest.raises(LedgerError, match="line 2, column 1(.|\n)*in place of the tab"):
        load(tmp_path / "r.yml")
