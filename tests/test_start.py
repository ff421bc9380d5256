"""`claimledger new`, and that neither it nor the engine knows this repository's study."""

import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from claimledger.errors import LedgerError
from claimledger.project import Run
from claimledger.prose.source import read_sources
from claimledger.registration.loading import load
from claimledger.start.draft import draft
from claimledger.start.folder import DESIGNS, complete, notebook, paper, start
from claimledger.yaml_files import Source
from engine import called, command
from readback import check_page, read_html

WORDS = re.compile(
    r"\b(all(?:y|ies|iances?)|treat(?:y|ies)|misalign\w*|kiratli|nato|regimes?|democra\w+|shaming"
    r"|sanctions?|tomz|weeks \(?2013|vendors?|proliferat\w+|accession)\b", re.IGNORECASE)
QSF = Path(__file__).parent / "support" / "trees.qsf"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "my study"
    start(folder, date(2026, 1, 2))
    return folder


def rendered(folder: Path, *arguments: str) -> tuple[dict, str]:
    """The ledger and the page of a build in a new study, whose prose says what its ledger says."""
    done = command(folder, "render", "--formats", "html", *arguments)
    assert done.returncode == 0, done.stderr
    base = folder / "build" / "runs" / arguments[-1] if arguments else folder
    ledger = base / ("ledger.json" if arguments else "results/ledger.json")
    page = base / ("manuscript" if arguments else "_manuscript") / "index.html"
    text = page.read_text("utf-8")
    read = read_html(text, page.name)
    assert read.ledger == json.loads(ledger.read_text("utf-8"))
    sources = read_sources([folder / "paper.qmd", folder / "notebooks" / "01_results.ipynb"])
    assert check_page(read, read.ledger, sources) == []
    return read.ledger, text


@pytest.mark.build
@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "verdicts", "sentence"), [
    ([], {"supported"}, "The data support H1, by the registered rule."),
    (["--world", "reversed"], {"refuted"}, "The data contradict H1."),
    (["--world", "null"], {"negligible", "undecided"}, "H1")])
def test_the_paper_of_a_new_study_builds_and_is_true(folder, arguments, verdicts, sentence):
    ledger, page = rendered(folder, *arguments)
    assert ledger["entries"]["H1"]["verdict"] in verdicts and sentence in page
    assert ledger["header"]["status"] == "simulated" and "The data are simulated" in page
    assert ledger["entries"]["sample.n"]["value"] == 800


@pytest.mark.build
@pytest.mark.slow
def test_a_new_study_is_diagnosed_archived_and_verified(folder):
    for words in (["diagnose", "--simulations", "20"], ["archive"], ["verify"]):
        done = command(folder, *words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert "claims survive" in done.stdout
    assert (folder / "build" / "archive.zip").is_file()


@pytest.mark.build
@pytest.mark.slow
@pytest.mark.parametrize("design", [name for name in DESIGNS if name != "two-arm"])
def test_every_design_builds(tmp_path, design):
    start(tmp_path / "new", date(2026, 1, 2), design)
    ledger, _ = rendered(tmp_path / "new")
    registered = {h.id for h in load(tmp_path / "new" / "registration.yml").hypotheses}
    assert registered <= {id for id, entry in ledger["entries"].items()
                          if entry["status"] == "registered"}


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_is_whole(tmp_path, design):
    start(tmp_path / "new", date(2026, 1, 2), design)
    names = {path.relative_to(tmp_path / "new").as_posix()
             for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert {name for name in names if "/" not in name} == {
        "Makefile", "CITATION.cff", "LICENSE", "README.md", "registration.yml", "references.bib",
        "registration.lock", "registration.schema.json", "settings.schema.json", "paper.qmd",
        "_quarto.yml", "_quarto-fast.yml", ".gitignore"}
    assert names >= {"notebooks/01_results.ipynb", "notebooks/_metadata.yml",
                     "data/simulation.yml", "_extensions/ledger/_extension.yml"}


@pytest.fixture
def drafted(tmp_path) -> Path:
    start(tmp_path / "new", date(2026, 1, 2), source=QSF)
    return tmp_path / "new"


def test_a_draft_holds_what_the_survey_knows_and_marks_the_rest(drafted):
    content = Source.read(drafted / "registration.yml").content
    items, scales = content["instrument"]["items"], content["instrument"]["scales"]
    assert list(items) == ["q1_1", "q1_2", "will", "m_1", "m_2"]
    assert items["will"]["wording"] == "Would you water it?"
    assert scales[items["will"]["scale"]]["labels"][2] == "Rather no"
    assert scales["q1_2"]["kind"] == "numeric" and items["m_1"]["scale"] == items["m_2"]["scale"]
    assert items["q1_1"]["role"] == "? consent" and items["q1_2"]["role"] == "? background"
    assert list(content["design"]["factors"]) == ["letter"]
    assert list(content["design"]["factors"]["letter"]["levels"]) == ["plain", "bold"]
    assert '"Q1.1": q1_1' in (drafted / "mapping.yml").read_text("utf-8")
    assert not (drafted / "registration.lock").exists()


def settle_and_freeze(folder: Path) -> None:
    """Replace every mark of a draft by an answer, and freeze it."""
    path = folder / "registration.yml"
    text = path.read_text("utf-8")
    for mark, answer in {
        r'"\? the code of consent"': "1", r'"\? respondents who[^"]*"': "80", r'"\? 0"': "0",
        r'"\? 100"': "100", r'"\? a number in SD[^"]*"': "0.2",
        r'"\? positive, neg[^"]*"': "positive", r'"\? (\w+): number the answers[^"]*"': r"\1",
        r'"\? ': '"',
    }.items():
        text = re.sub(mark, answer, text)
    path.write_text(text)
    frozen = called(folder, "freeze")
    assert frozen.returncode == 0, frozen.stderr


def test_a_draft_is_frozen_when_no_mark_is_left_and_then_completed(drafted):
    refused = called(drafted, "freeze")
    assert refused.returncode == 1 and "unfinished" in refused.stderr
    assert not (drafted / "registration.lock").exists()
    settle_and_freeze(drafted)
    for name in ("notebooks/01_results.ipynb", "paper.qmd", "data/simulation.yml", "CITATION.cff"):
        assert (drafted / name).is_file()
    assert list((drafted / "data" / "raw").glob("*.csv"))
    assert complete(Run.open(drafted, name="record")) == []


def test_a_figure_has_a_panel_for_each_outcome_and_bound(root):
    registration = load(root / "src/claimledger/template/designs/two-arm.yml")
    one = registration.hypotheses[0]
    other = one.model_copy(update={"id": "H2", "outcome": "age", "model": "age ~ letter",
                                   "sesoi": None})
    family = registration.families["H1"].model_copy(update={"label": "Both of two"})
    two = registration.model_copy(update={
        "hypotheses": [one, other], "families": {"H1": family}})
    cells = ["".join(cell["source"]) for cell in json.loads(notebook(two))["cells"]]
    figure = next(text for text in cells if "label: fig-h1" in text)
    compile(figure, "figure", "exec")
    assert 'isin(["H1"])]\nregion(axes[0]' in figure
    assert 'isin(["H2"])]\naxes[1].axvline(0)' in figure
    assert '[Both of two]{.typed reason=\\"as registered\\"}: estimates' in figure
    assert '## [Both of two]{.typed reason="as registered"}' in paper(two)


def test_arms_in_blocks_are_drafted_and_a_study_comes_of_it(tmp_path):
    folder = tmp_path / "new"      # one of three blocks is shown; a slider; don't know
    start(folder, date(2026, 1, 2), source=QSF.with_name("trees-in-blocks.qsf"))
    content = Source.read(folder / "registration.yml").content
    arm = content["design"]["factors"]["fl_7"]
    assert arm["levels"]["is_true"] == {"label": "True", "text": "Imagine a thirsty tree."}
    assert arm["columns"]["plain"] == "? FL_7_DO_Plain"
    assert list(content["instrument"]["items"]) == ["consent", "will", "warm_1"]
    assert content["instrument"]["blocks"] == {"start": "Start", "answers": "Answers"}
    roles = {name: item["role"] for name, item in content["instrument"]["items"].items()}
    assert roles == {"consent": "? consent", "will": "? outcome", "warm_1": "? outcome"}
    known = content["instrument"]["derived"]["will_known"]
    assert known["missing"] == [99] and known["map"] == {1: [1], 2: [2], 3: [3]}
    settle_and_freeze(folder)
    checked = called(folder, "check", "data/raw/answers-simulated-example.csv")
    assert "the paper can be built" in checked.stdout, checked.stderr


def test_a_row_for_each_profile_is_noticed(tmp_path):
    rows = [f"{r},{t},{p},{'ab'[(r + t + p) % 2]},{'xyz'[(r * t + p) % 3]},{(r + p) % 2}.0"
            for r in range(20) for t in (1, 2, 3) for p in (1, 2)]
    (tmp_path / "long.csv").write_text("CaseID,contest_no,profile,Color,Size,Chosen_Tree\n"
                                       + "\n".join(rows))
    (tmp_path / "draft.yml").write_text(draft(tmp_path / "long.csv")[0])
    content = Source.read(tmp_path / "draft.yml").content
    assert content["design"]["respondent"] == "CaseID" and content["design"]["tasks"] == "? 3"
    assert list(content["design"]["factors"]) == ["color", "size"]
    assert content["instrument"]["scales"]["chosen_tree"]["labels"] == {0: "No", 1: "Yes"}
    assert content["hypotheses"][0]["frame"] == "profiles" and content["exclusions"] == []


def test_a_conjoint_with_a_respondent_a_row_is_drafted(tmp_path):
    source = QSF.with_name("trees-conjoint.csv")      # two trees in each of three tasks
    start(tmp_path / "new", date(2026, 1, 2), source=source)
    content = Source.read(tmp_path / "new" / "registration.yml").content
    assert content["design"]["tasks"] == 3 and content["design"]["profiles"] == 2
    assert {name: list(factor["levels"]) for name, factor in content["design"]["factors"].items()
            } == {"price": ["q_9", "q_113"], "kind": ["elm", "oak"]}
    assert list(content["instrument"]["items"]) == ["chosen", "rating"]
    settle_and_freeze(tmp_path / "new")
    (tmp_path / "new" / "mapping.yml").unlink()
    done = called(tmp_path / "new", "map", str(source))
    assert "1 to finish" in done.stdout, done.stderr
    text = (tmp_path / "new" / "mapping.yml").read_text("utf-8")
    assert '"rating": ["Q5.2_{profile}", "Q6.2_{profile}", "Q7.2_{profile}"]' in text
    assert '"chosen": ["Q5.1", "Q6.1", "Q7.1"]' in text


def test_an_export_is_drafted_from_its_columns(tmp_path):
    rows = ["ResponseId,Q1,age,arm,FL_3_DO_x,email", "Response ID,Do you like it?,Your age,arm,x,e"]
    ids = ",".join(f'"{{""ImportId"":""{id}""}}"' for id in
                   ("_recordId", "QID1", "QID2_TEXT", "arm", "FL_3_DO_x", "email"))
    rows += [ids, *(f"R_{n},{'Yes' if n % 2 else 'No'},{20 + n},{'a' if n % 3 else 'b'},1,m{n}@x.y"
                    for n in range(30))]
    (tmp_path / "export.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "draft.yml").write_text(draft(tmp_path / "export.csv")[0])
    content = Source.read(tmp_path / "draft.yml").content
    assert list(content["instrument"]["items"]) == ["q1", "age"]
    assert list(content["design"]["factors"]["arm"]["levels"]) == ["a", "b"]
    assert "email" not in (tmp_path / "draft.yml").read_text()


def test_a_field_set_together_with_an_arm_is_what_was_read(tmp_path):
    survey = json.loads(QSF.read_text("utf-8"))
    for one in survey["SurveyElements"][1]["Payload"]["Flow"][1]["Flow"]:
        value = one["EmbeddedData"][0]["Value"]
        one["EmbeddedData"].append({"Field": "Letter_text", "Value": f"The {value} letter."})
    (tmp_path / "survey.qsf").write_text(json.dumps(survey))
    (tmp_path / "draft.yml").write_text(draft(tmp_path / "survey.qsf")[0])
    factors = Source.read(tmp_path / "draft.yml").content["design"]["factors"]
    assert list(factors) == ["letter"]
    assert factors["letter"]["levels"]["bold"] == {"label": "Bold", "text": "The Bold letter."}


@pytest.fixture
def answers() -> pd.DataFrame:
    """As a statistics program keeps them: codes, a labeled arm, weights."""
    chance = np.random.default_rng(3)
    return pd.DataFrame({
        "treatment": chance.integers(0, 2, 90), "will": chance.integers(1, 6, 90),
        "sign": chance.integers(0, 2, 90), "age": chance.integers(18, 80, 90),
        "weight": chance.uniform(0.5, 2, 90).round(3)})


LABELS = {"treatment": {0: "Plain letter", 1: "Bold letter"}, "sign": {0: "No", 1: "Yes"},
          "will": {1: "Never", 2: "Rarely", 3: "Sometimes", 4: "Often", 5: "Don't know"}}
TEXTS = ["Which letter", "How often would you water it?", "Do you sign?", "How old are you?", ""]


@pytest.mark.parametrize("kind", ["csv", "sav", "dta"])
def test_a_file_of_answers_is_drafted_settled_and_frozen_and_fits(tmp_path, answers, kind):
    export = tmp_path / f"answers.{kind}"
    if kind == "csv":      # as Qualtrics writes it: texts, and a column for each arm
        texts = answers.assign(**{name: answers[name].map(known) for name, known in LABELS.items()})
        arms = {f"FL_2_DO_{word}": np.where(texts.treatment == f"{word} letter", "1", "")
                for word in ("Plain", "Bold")}
        texts = texts.assign(**arms).drop(columns="treatment")
        asked = dict(zip(answers, TEXTS, strict=True))
        heads = [[asked.get(name) or name for name in texts],
                 [json.dumps({"ImportId": f"QID{n}" if asked.get(name) else name})
                  for n, name in enumerate(texts)]]
        pd.concat([pd.DataFrame(heads, columns=list(texts)), texts]).to_csv(export, index=False)
    else:
        write = {"sav": pyreadstat.write_sav, "dta": pyreadstat.write_dta}[kind]
        write(answers, export, column_labels=TEXTS, variable_value_labels=LABELS)
    folder = tmp_path / "new"
    start(folder, date(2026, 1, 2), source=export)
    content = Source.read(folder / "registration.yml").content
    (arm,) = content["design"]["factors"]
    assert list(content["instrument"]["items"]) == ["will", "sign", "age"]
    assert content["weighting"] == {"column": "? weight"}
    settle_and_freeze(folder)
    checked = called(folder, "check", str(export), "--mapping", "mapping.yml")
    assert "the paper can be built" in checked.stdout, checked.stderr


@pytest.mark.parametrize(("name", "said"), [
    ("survey.docx", "a file ending in .docx"), ("none.csv", "no such file"),
    ("none.qsf", "no such file"), ("broken.qsf", "a survey's .qsf file")])
def test_what_cannot_be_drafted_from_leaves_no_folder(tmp_path, name, said):
    (tmp_path / "broken.qsf").write_text("{}")
    with pytest.raises(LedgerError, match=said):
        start(tmp_path / "new", date(2026, 1, 2), source=tmp_path / name)
    assert not (tmp_path / "new").exists()


def test_an_unknown_design_is_named(tmp_path):
    with pytest.raises(LedgerError, match="conjoint, factorial, two-arm, within"):
        start(tmp_path / "new", date(2026, 1, 2), "three-arm")


def test_a_folder_that_holds_anything_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(LedgerError, match="new or an empty folder"):
            start(place, date.today())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_engine_and_its_template_hold_no_word_of_this_study(root):
    engine = [p for p in (root / "src" / "claimledger").rglob("*")
              if p.is_file() and "__pycache__" not in p.parts]
    engine += [p for p in (root / "_extensions").rglob("*") if p.suffix in (".lua", ".js", ".py")]
    assert len(engine) > 80
    found = [
        f"{path.relative_to(root)}:{number}: {line.strip()}"
        for path in engine
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
        if WORDS.search(line)]
    assert found == []
    assert WORDS.search((root / "registration.yml").read_text("utf-8"))
