"""Notebooks that try to talk the ledger into a verdict: none gets one labeled registered.

Each runs its code as a kernel would, in a small project of its own, and its fragment is merged as
the build does it. What comes out is either an error, with nothing written, or a ledger whose
registered results are those that file and registration give.
"""

import json
import shutil
from pathlib import Path

import pytest

import small_paper
from claimledger.errors import LedgerError
from claimledger.ledger.merging import merge
from claimledger.project import Run
from claimledger.registration.lock import deviate, lock_path
from claimledger.study import Study
from honest_notebook import DATA, HONEST, TURN, write_study
from small_paper import write_project

pytestmark = pytest.mark.slow  # half a minute on a quiet machine


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A project whose one notebook is called `a`."""
    return write_study(tmp_path_factory.mktemp("hostile") / "project")


@pytest.fixture(scope="module")
def truth(prepared) -> dict[str, dict]:
    """The registered entries of an honest notebook."""
    run(prepared, "rest()")
    entries = json.loads((prepared / "results/ledger.json").read_text())["entries"]
    (prepared / "results/ledger.json").unlink()
    return {id: entry for id, entry in entries.items() if entry["status"] == "registered"}


def run(place: Path, code: str, after: str = "") -> None:
    """Run a notebook's code, save, do something to the fragment, and merge as the build does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr("gc.collect", lambda *_: 0)  # multipletests calls it: seconds, over all tests
        study = Study.open("a", "registration.yml", DATA, 3)
        names = {"study": study, "patch": patch}
        exec(HONEST + code, names)
        study.save()
        path = place / "build/fragments/a.json"
        if after:
            fragment = json.loads(path.read_text())
            exec(after, {"fragment": fragment, "f": fragment["entries"]})
            path.write_text(json.dumps(fragment))
    merge(Run.open(place))


H3 = 'h3 = table_of("H3"); {change}; study.record("H3", h3); rest("H3")'
HOSTILE = {
    "answers turned around in copies": (
        f"rows = study.frame; {TURN}; rows = study.sample('misaligned'); {TURN}; "
        "study.weights[:] = 9.0; rest()", "", None),
    "answers turned around in the survey": (f"rows = study.survey.frame; {TURN}; rest()", "",
                                            "to mend: .*claimledger deviate"),
    "respondents dropped in place": (
        "study.survey.frame.drop(index=range(20), inplace=True); rest()", "", "deviate"),
    "the outcome sorted": (
        'rows = study.survey.frame; rows["corrective"] = np.sort(rows["corrective"]); rest()', "",
        "deviate"),
    "random weights": (
        'rows = study.sample("misaligned"); h = study.registration.hypothesis("H3a"); '
        "w = np.random.default_rng(1).uniform(0.2, 5, len(rows)); "
        'f = smf.wls(h.model, rows, weights=w).fit(cov_type="HC2", use_t=True); '
        'study.record("H3", table_of("H3", dict.fromkeys(["H3a", "H3b", "H3c"], f)))', "",
        "H3a, .*estimate"),
    "clusters nobody registered": (
        'rows = study.sample("misaligned").dropna(subset="corrective"); '
        'f = fit(study.registration.hypothesis("H3a"), rows); study.record("H3", decide('
        'study.results(f, "H3", groups=rows["age_group"].astype(str))))', "", "H3a, .*se"),
    "another sample": (
        'rows = study.sample("misaligned").query("sex == \'Female\'"); '
        'study.record("H3", table_of("H3", dict.fromkeys(["H3a", "H3b", "H3c"], '
        'fit(study.registration.hypothesis("H3a"), rows))))', "", "H3a, estimate, .*, n"),
    "another model": (
        'f = smf.ols("corrective ~ regime + capability + treaty", study.sample("misaligned"))'
        '.fit(cov_type="HC2", use_t=True); study.record("H3", table_of("H3", '
        'dict.fromkeys(["H3a", "H3b", "H3c"], f)))', "", "H3a, estimate"),
    "another class of model": (
        'rows = study.sample("misaligned"); rows["y"] = (rows["corrective"] > 3).astype(int); '
        'f = smf.logit("y ~ regime + capability + treaty", rows).fit(disp=0); '
        'study.results(f, "H3")', "", "."),
    "an object that is no fit": ('study.results("fit", "H3")', "", "a fitted statsmodels model"),
    "a table that is no table": ('study.record("H3", {"H3a": "supported"})', "", "a dict"),
    "normal p values": (
        'h3 = table_of("H3"); from scipy.stats import norm; '
        'h3["p"] = 2 * norm.sf(abs(h3["estimate"] / h3["se"])); study.record("H3", h3)', "",
        "H3., p"),
    "another correction": (
        H3.format(change='h3["p_adjusted"] = multipletests(h3["p"], method="fdr_bh")[1]'), "",
        "H3., p_adjusted"),
    "no correction": (H3.format(change='h3["p_adjusted"] = h3["p"]'), "", "p_adjusted"),
    "a wider bound": (
        H3.format(change='h3["p_equivalence"] = tost(h3.assign(bound=1.0))'), "", "p_equivalence"),
    "verdicts by decree": (H3.format(change='h3["verdict"] = "supported"'), "", "verdict"),
    "rows that change places": (
        H3.format(change='h3.index = ["H3c", "H3b", "H3a"]'), "", "H3"),
    "nothing recorded": ('rest("H3")', "", "no result for H3a, H3b, H3c"),
    "a part recorded": ('study.record("H3", table_of("H3").iloc[:2])', "", "as a whole"),
    "recorded twice": ('rest(); study.record("H3", table_of("H3"))', "", "recorded twice"),
    "a fact that calls itself registered": (
        'rest(); study.record.fact("mine", 1, "mine", status="registered")', "",
        "status registered"),
    "an entry put in by hand": (
        'rest(); e = study.record.entries; e["H3b"] = e["H3b"].model_copy('
        'update={"verdict": "supported"})', "", "H3b, verdict"),
    "an entry taken out": ('rest(); del study.record.entries["H3b"]', "", "no result for H3b"),
    "a fragment written by hand": (
        "rest()", 'f["H3b"]["value"], f["H3b"]["verdict"] = -0.5, "supported"', "H3b, .*estimate"),
    "an invented result": (
        "rest()", 'f["H4"] = f["H3a"] | {"id": "H4"}', "H4"),
    "a pattern by hand": ("rest()", 'f["H3.pattern"]["verdict"] = "all"', "H3.pattern"),
    "a printed text by hand": (
        "rest()", 'f["H3a"]["text"]["est"] = "−9.99"; f["H3a"]["label"] = "nothing"', None),
    "a row of deviations by hand": (
        "rest()", 'fragment["deviations"].append({"id": "H3a", "aspect": "other"})', None),
    "another study's name": (
        "rest()", 'fragment["external"] = "tomz-weeks-2013"; fragment["recorded"] = "2026-01-01"',
        None),
    "answers that people are said to have given": (
        "rest()", 'fragment["data"]["status"] = "collected"', "same data"),
    "a promise changed in memory": (
        'h = study.registration.hypothesis("H3a"); h.contrast["regime[T.democracy]"] = -1.0; '
        "rest()", "", "H3a"),
    "an audit that says yes": (
        "from claimledger.ledger.audit import Audit; "
        'patch.setattr(Audit, "compare", lambda *a: None); '
        f'rows = study.survey.frame; {TURN}; rest()', "", "deviate"),
    "another promise in the kernel": (
        'from claimledger.registration.models import Registration; '
        'patch.setattr(Registration, "samples", {"all": {}, "misaligned": {}}, raising=False); '
        'study.registration.samples.update(misaligned={}); rest()', "", "."),
    "estimates and decisions patched in the engine": (
        "from claimledger.ledger import audit; from claimledger.statistics import decision; "
        'patch.setattr(audit, "decide", lambda e, s, *a, **k: decision.decide(-e, s, *a, **k)); '
        "rest()", "", "."),
    "corrected p values patched in statsmodels": (
        'multipletests = lambda p, **k: (None, np.asarray(p) / 3); rest()', "", "p_adjusted"),
    "methods of pandas patched": (
        'drop = pd.DataFrame.dropna; patch.setattr(pd.DataFrame, "dropna", '
        "lambda self, *a, **k: drop(self, *a, **k).iloc[:-30]); rest()", "", "H2a, est.*, n"),
    "a thread that turns answers": (
        "import threading\n"
        'def turn():\n    rows = study.survey.frame; rows["corrective"] = 6 - rows["corrective"]\n'
        "one = threading.Thread(target=turn); one.start(); one.join(); rest()", "", "deviate"),
    "an alternative of nothing": (
        'rest(); study.record.fact("mine", 1, "mine", status="alternative")', "",
        "id that holds that of a registered analysis"),
    "an alternative in the place of the registered": (
        "rest()", 'f["H3a"]["status"] = "alternative"; f["H3a"]["value"] = -9.0', "H3a, estimate"),
    "a set by hand": (
        "rest()", 'f["H3.supported"] = f["H3.pattern"] | {"id": "H3.supported", "value": 3, '
        '"status": "exploratory", "verdict": "all"}', None),
    "the date of freezing by hand": (
        "rest()", 'f["registration.frozen"] = f["H3.pattern"] | {"id": "registration.frozen", '
        '"status": "exploratory", "text": {"est": "January 1, 2001"}}', None),
    "a fragment of another shape": ("rest()", 'f["H3a"]["ci"] = {"low": 1}', "a.json"),
    "numbers that are none": ("rest()", 'f["H3a"]["value"] = float("nan")', "a.json"),
    "letters that are none": ("rest()", r'f["H3a"]["label"] = "\ud800"', "a.json"),
    "the variables of the process": (
        'import os; patch.setenv("SOURCE_DATE_EPOCH", "1"); patch.setenv("CLAIMLEDGER_DATA", "x"); '
        "rest()", "", None)}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_verdict_but_the_registered_one(prepared, truth, name):
    code, after, error = HOSTILE[name]
    ledger = prepared / "results/ledger.json"
    ledger.unlink(missing_ok=True)
    if error:
        with pytest.raises(LedgerError, match=rf"(?s){error}"):
            run(prepared, code, after)
        assert not ledger.exists()
        return
    run(prepared, code, after)
    found = json.loads(ledger.read_text())
    claimed = {id: e for id, e in found["entries"].items() if e["status"] == "registered"}
    assert claimed == truth
    assert found["deviations"] == []
    assert found["header"]["status"] == "simulated"


ON_DISK = {
    "the registration frozen anew": "from unhypothesized import write_registration\n"
                                    "pathlib.Path('registration.lock').unlink()\n"
                                    "pathlib.Path('registration.yml').unlink()\n"
                                    "write_registration(pathlib.Path('.'))\n"
                                    "open('registration.yml', 'a').write('# x')",
    "the data replaced": "pathlib.Path('data/raw/answers.csv').write_text('answer\\n2\\n')",
    "the settings changed": "open('_quarto.yml', 'a').write('\\n# another\\n')",
    "a mapping put beside": "pathlib.Path('data/margins.csv').write_text('x')"}


@pytest.mark.build
@pytest.mark.parametrize("name", ON_DISK)
def test_what_the_audit_rests_on_is_as_it_was_when_the_build_began(tmp_path, name):
    place = write_project(tmp_path / "paper")
    (place / "data/margins.csv").write_text("y")
    book = json.loads((place / "notebooks/02_b.ipynb").read_text())
    book["cells"][1]["source"] += (
        f"\nimport pathlib, sys\nsys.path.append({str(Path(small_paper.__file__).parent)!r})\n"
        + ON_DISK[name])
    (place / "notebooks/02_b.ipynb").write_text(json.dumps(book))
    status, said = small_paper.render(place)
    assert status == 1 and "while the notebooks ran" in said, said
    assert not (place / "results/ledger.json").exists()


DECLARED = {"analysis": "H3a", "aspect": "vcov", "run": "HC3", "reason": "a reviewer asked",
            "when": "after the data", "impact": "wider intervals"}
HC3 = """
f = smf.ols(study.registration.hypothesis("H3a").model, study.sample("misaligned"))
f = {"H3a": f.fit(cov_type="HC3", use_t=True), "H3b": fit(study.registration.hypothesis("H3b")),
     "H3c": fit(study.registration.hypothesis("H3c"))}
study.record("H3", table_of("H3", f)); rest("H3")
"""


def test_a_declared_deviation_carries_both_results(prepared, truth, tmp_path):
    place = Path(shutil.copytree(prepared, tmp_path / "declared"))
    deviate(place / "registration.yml", DECLARED, ["H3a"])
    run(place, HC3)
    ledger = json.loads((place / "results/ledger.json").read_text())
    entry, (row,) = ledger["entries"]["H3a"], ledger["deviations"]
    assert entry["status"] == "deviation" and entry["vcov"] == "HC3"
    assert entry["deviation"] == "vcov: HC3 instead of HC2"
    assert entry["as_registered"]["se"] == pytest.approx(truth["H3a"]["se"])
    assert entry["se"] > truth["H3a"]["se"]
    assert row["verdict_registered"] == truth["H3a"]["verdict"]
    assert row["verdict_run"] == entry["verdict"] and row["recomputed"]
    for name in ("H2a", "H1a"):
        assert ledger["entries"][name] == truth[name]


@pytest.mark.parametrize("code", ["rest()", HC3.replace("HC3", "HC1")])
def test_a_declared_deviation_allows_nothing_else(prepared, tmp_path, code):
    place = Path(shutil.copytree(prepared, tmp_path / "declared"))
    deviate(place / "registration.yml", DECLARED, ["H3a"])
    with pytest.raises(LedgerError, match="H3a, .*se"):
        run(place, code)


def test_what_cannot_be_computed_here_is_marked_so(prepared, tmp_path):
    """`other`: numbers as handed over, but correction and verdict follow from them."""
    place = Path(shutil.copytree(prepared, tmp_path / "other"))
    deviate(place / "registration.yml", DECLARED | {"aspect": "other", "run": "robust"}, ["H3a"])
    fits = HC3.replace("HC3", "HC1")
    run(place, fits)
    ledger = json.loads((place / "results/ledger.json").read_text())
    assert ledger["entries"]["H3a"]["status"] == "deviation"
    assert ledger["deviations"][0]["recomputed"] is False
    with pytest.raises(LedgerError, match="verdict"):
        run(place, fits.replace('table_of("H3", f)',
                                'table_of("H3", f).assign(verdict="refuted")'))
    with pytest.raises(LedgerError):
        run(place, fits.replace('table_of("H3", f)', 'table_of("H3", f).assign(df=None)'))


def test_a_lock_edited_by_hand_and_an_undeclared_amendment_stop_the_merge(prepared, tmp_path):
    place = Path(shutil.copytree(prepared, tmp_path / "edited"))
    lock = lock_path(place / "registration.yml")
    lock.write_text(lock.read_text().replace("deviations: []", "deviations:\n- {analysis: H3a}"))
    with pytest.raises(LedgerError, match="registration.lock"):
        run(place, "rest()")
