"""The examples: other people's experiments, whose printed numbers come out of a build."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import load
from claimledger.registration.lock import check_lock
from claimledger.survey.loading import open_survey
from engine import command

DATA = {"cregg-taxes": "cregg/taxes.csv",
        "mummolo-nall": "projoint/mummolo_nall_replication.csv"}


def built(root: Path, realdata: Path, folder: Path, name: str) -> dict:
    """The ledger of an example whose paper was built; skips where its data are not here."""
    source = realdata / DATA[name]
    if not source.is_file():
        pytest.skip(f"{source.name} is not here: examples/{name}/README.md says how to fetch it")
    shutil.copytree(root / "examples" / name, folder)
    shutil.copytree(root / "_extensions", folder / "_extensions")
    shutil.copy(source, folder / "data")
    done = command(folder, "render", "--formats", "html")
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "results" / "ledger.json").read_text("utf-8"))["entries"]


def agrees(value: float, printed) -> bool:
    return abs(value - printed.published) <= 0.5 * 10.0**-printed.printed_decimals * (1 + 1e-6)


@pytest.mark.parametrize("name", DATA)
def test_an_example_is_whole_and_as_frozen(root, name):
    folder = root / "examples" / name
    check_lock(folder / "registration.yml")
    assert load(folder / "registration.yml").schema_version == 2
    for file in ("README.md", "paper.qmd", "mapping.yml", "notebooks/01_results.ipynb"):
        assert (folder / file).is_file()
    assert [path.name for path in (folder / "data").iterdir()
            if path.suffix in (".csv", ".sav")] == []


@pytest.mark.build
@pytest.mark.slow
def test_the_taxes_of_cregg_to_the_printed_digit(root, realdata, tmp_path):
    entries = built(root, realdata, tmp_path / "taxes", "cregg-taxes")
    factors = load(root / "examples" / "cregg-taxes" / "registration.yml").design.factors
    ids = {f"{f}[T.{level.label}]": f"{f}.{id}"
           for f, factor in factors.items() for id, level in factor.levels.items()}
    printed = pd.read_csv(realdata / "published.csv").query("dataset == 'cregg_taxes'")
    assert len(printed) == 100
    for row in printed.itertuples():
        what, kind, term = row.quantity.split(" ", 2)
        id = f"{'AMCE' if kind == 'unweighted' else 'weighted'}.{ids[term]}"
        assert agrees(entries[id]["value" if what == "AMCE" else "se"], row), row.quantity
        assert entries[id]["status"] == "registered" and entries[id]["n"] == 2000


@pytest.mark.build
@pytest.mark.slow
def test_mummolo_and_nall_from_the_raw_export(root, realdata, tmp_path):
    entries = built(root, realdata, tmp_path / "towns", "mummolo-nall")
    assert entries["sample.n"]["value"] == 400 and entries["profiles.n"]["value"] == 6400
    mean, effect = entries["choice.h40"], entries["choice.effect"]
    found = {
        "choice-level MM 40% vs 15%": mean["value"], "CR2 SE": mean["se"], "CI lo": mean["ci"][0],
        "CI hi": mean["ci"][1], "tau": entries["change"]["value"],
        "MM corrected": entries["choice.h40.corrected"]["value"],
        "AMCE 40% vs 30%": effect["value"], "AMCE CR2 SE": effect["se"],
        "AMCE CI lo": effect["ci"][0], "AMCE CI hi": effect["ci"][1],
        "AMCE corrected": entries["choice.effect.corrected"]["value"],
    }
    printed = pd.read_csv(realdata / "published.csv").query("dataset == 'projoint_mummolo_nall'")
    assert {row.quantity for row in printed.itertuples()} == set(found)
    for row in printed.itertuples():
        assert agrees(found[row.quantity], row), row.quantity
    assert entries["H1"]["status"] == "registered" and entries["H1"]["unit"] == "percentage points"


@pytest.mark.parametrize(("column", "cell", "said"), [
    ("ID", "", "rows that are nobody's"), ("weight", "0", "without a weight above zero"),
])
def test_a_profile_needs_a_respondent_and_a_weight(root, tmp_path, column, cell, said):
    folder, path = root / "examples" / "cregg-taxes", tmp_path / "x.csv"
    rng = np.random.default_rng(1)
    promise = load(folder / "registration.yml")
    rows = pd.DataFrame({
        name: rng.choice([level.label for level in factor.levels.values()], 400)
        for name, factor in promise.design.factors.items()})
    rows = rows.assign(chose_plan=rng.integers(0, 2, 400), ID=np.repeat(np.arange(100), 4),
                       weight=1.5).astype(str)
    rows.to_csv(path, index=False)
    survey = open_survey(path, promise, folder, folder / "mapping.yml")
    assert survey.frame["respondent"].tolist() == np.repeat(np.arange(1, 101), 4).tolist()
    assert survey.weights.eq(1.5).all()
    rows.loc[7, column] = cell
    rows.to_csv(path, index=False)
    with pytest.raises(LedgerError, match=said):
        open_survey(path, promise, folder, folder / "mapping.yml")
    rows.drop(columns=column).to_csv(path, index=False)
    with pytest.raises(LedgerError, match=f"{column}: no such column"):
        open_survey(path, promise, folder, folder / "mapping.yml")
