import csv
import json
import re

import pytest

from claimledger.errors import LedgerError
from claimledger.project import sha256_file
from claimledger.registration.loading import load
from claimledger.simulation import platform_file
from claimledger.simulation.platform_file import export, extras
from claimledger.simulation.respondents import BLOCK
from claimledger.survey import qualtrics
from claimledger.survey.loading import examine
from claimledger.survey.reading import read_export
from claimledger.survey.recoding import exclude
from exports import coded


def rows_of(path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_three_header_rows_and_the_platform_s_columns(exported, registration):
    names, texts, ids = rows_of(exported)[:3]
    assert names == qualtrics.columns(registration)
    assert texts[names.index("trust")] == registration.instrument.items["trust"].wording
    assert [json.loads(i)["ImportId"] for i in ids][:3] == ["startDate", "endDate", "status"]
    assert re.fullmatch(r"QID\d+", json.loads(ids[names.index("trust")])["ImportId"])
    assert json.loads(ids[0])["timeZone"]


def test_every_row_says_that_it_is_simulated_and_names_nobody(exported):
    names, _, _, *rows = rows_of(exported)
    frame = [dict(zip(names, row, strict=True)) for row in rows]
    assert {r["data_source"] for r in frame} == {"simulated: world published, seed 5"}
    for r in frame:
        if r["IPAddress"]:
            assert r["IPAddress"].startswith(("192.0.2.", "198.51.100.", "203.0.113."))
        assert r["RecipientEmail"].endswith(("@example.org", "@example.com"))
        assert re.fullmatch(r"R_[0-9A-Za-z]{15}", r["ResponseId"])
    assert len({r["ResponseId"] for r in frame}) == len(frame)
    comments = "".join(r["comment"] for r in frame)
    assert "\n" in comments and "’" in comments and "👍" in comments and "=1+1" in comments


def test_each_exclusion_drops_its_rows_and_exactly_n_stay(
        files, tmp_path, registration, simulation):
    path, n = tmp_path / "x.csv", BLOCK + 250      # beyond one block
    export(path, *files, "null", 9, n=n)
    kept, flow = exclude(coded(read_export(path, registration), registration)[0], registration)
    assert len(kept) == n
    added = extras(registration, simulation.fieldwork.extra, 0, n)
    assert flow["dropped"].tolist() == [0, *added] and min(added) > 0
    assert flow["left"].iloc[0] == n + sum(added)
    assert flow.set_index("id").loc["unfinished", "dropped"] == round(0.048 * n)


def test_the_unfinished_stop_and_those_without_consent_see_nothing(exported):
    names, _, _, *rows = rows_of(exported)
    frame = [dict(zip(names, row, strict=True)) for row in rows]
    unfinished = [r for r in frame if r["Finished"] == "False"]
    assert unfinished and all(r["recall_treaty"] == "" for r in unfinished)
    assert all(int(r["Progress"]) < 100 for r in unfinished)
    refused = [r for r in frame if r["consent"] == "I do not agree"]
    assert refused and all(r["age"] == r["misalignment"] == r["trust"] == "" for r in refused)


def test_the_manifest(exported, files):
    manifest = json.loads(exported.with_suffix(".manifest.json").read_text())
    assert manifest["simulated"] is True
    assert (manifest["world"], manifest["seed"], manifest["n"]) == ("published", 5, 400)
    assert manifest["sha256"] == sha256_file(exported)
    assert manifest["registration_sha256"] == sha256_file(files[0])
    assert manifest["simulation_sha256"] == sha256_file(files[1])
    assert "No person" in manifest["statement"]


def test_a_folder_that_cannot_be_written(files, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match="written to"):
        export(tmp_path / "file" / "x.csv", *files, "null", 1, n=5)


def test_nothing_half_written_when_it_fails(files, tmp_path, monkeypatch):
    def parts(writer, n):
        yield "a header"
        raise RuntimeError("power cut")

    monkeypatch.setattr(platform_file._Writer, "parts", parts)
    target = tmp_path / "x.csv"
    target.write_text("old")
    with pytest.raises(RuntimeError):
        export(target, *files, "null", 1, n=50)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


def odd(rule):
    def change(registration, simulation):
        registration["exclusions"].append({"id": "odd", "label": "Odd", **rule})
        simulation["fieldwork"]["extra"]["odd"] = 0.5
    return change


def test_a_rule_that_cannot_be_simulated_is_named(variant, tmp_path):
    paths = variant(odd({"column": "UserLanguage", "equals": ["FR"]}))
    with pytest.raises(LedgerError, match="exclusion odd"):
        export(tmp_path / "x.csv", *paths, "null", 1, n=10)


@pytest.mark.parametrize("rule", [{"column": "region", "equals": [1]},
                                  {"column": "age", "below": 21}])
def test_rows_that_a_rule_on_an_item_drops_are_added(variant, tmp_path, rule):
    files = variant(odd(rule))
    export(tmp_path / "x.csv", *files, "null", 1, n=100)
    registration = load(files[0])
    found = examine(read_export(tmp_path / "x.csv", registration), registration)
    assert len(found.frame) == 100
    assert found.flow.set_index("id").loc["odd", "dropped"] == 50


def test_the_shipped_file_is_what_the_engine_makes(root, files, tmp_path):
    shipped = root / "data" / "raw" / "alliance-cohesion-simulated-published.csv"
    export(tmp_path / "x.csv", *files, "published", 20250901)
    assert (tmp_path / "x.csv").read_bytes() == shipped.read_bytes()
    manifest = json.loads(shipped.with_suffix(".manifest.json").read_text())
    assert manifest["sha256"] == sha256_file(shipped)
    assert manifest["registration_sha256"] == sha256_file(files[0])
