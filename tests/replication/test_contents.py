"""What an archive may hold: the project's own files, and no raw data that may identify people."""

import json
import zipfile
from io import BytesIO

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.project import Run, sha256_file
from claimledger.replication.archive import CHECKSUMS, Contents, checksums, pack

CONFIG = "ledger: {registration: r.yml, data: data/raw/open.csv, seed: 1, lint: []}\n"


@pytest.fixture
def contents(tmp_path):
    """An unpacked archive with four raw files, of which one is shown to be simulated."""
    root = tmp_path / "paper"
    (root / "data/raw").mkdir(parents=True)
    (root / "_quarto.yml").write_text(CONFIG)
    (root / "data/raw/README.md").write_text("what is here")
    for name in ("open", "collected", "changed", "called_open"):
        path = root / f"data/raw/{name}.csv"
        path.write_text(name)
        manifest = {"simulated": name != "called_open", "sha256": sha256_file(path)}
        if name != "collected":
            path.with_suffix(".manifest.json").write_text(json.dumps(manifest))
    (root / "data/raw/changed.csv").write_text("answers of people")
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "left over.csv").write_text("not listed")
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    names = [name for name in names if name != "left over.csv"] + ["../secret", "gone.txt"]
    (root / CHECKSUMS).write_text("".join(f"{'0' * 64}  {name}\n" for name in names))
    return Contents(Run.open(root, name="record"))


def test_raw_files_are_left_out_unless_their_manifest_shows_them_to_be_simulated(contents):
    assert contents.withheld == [
        "data/raw/called_open.csv", "data/raw/called_open.manifest.json",
        "data/raw/changed.csv", "data/raw/changed.manifest.json", "data/raw/collected.csv"]
    assert contents.sources == [
        "_quarto.yml", "data/raw/README.md", "data/raw/open.csv", "data/raw/open.manifest.json"]


def test_in_a_checkout_without_git_nothing_is_packed_and_elsewhere_the_folder(
        contents, monkeypatch):
    root = contents.run.root
    (root / CHECKSUMS).unlink()
    monkeypatch.setenv("PATH", "")
    assert {"_quarto.yml", "left over.csv"} <= set(contents.sources)
    assert "link" not in contents.sources
    (root / ".git").mkdir()
    with pytest.raises(LedgerError, match="a list of the files"):
        _ = Contents(contents.run).sources


def test_a_zip_has_one_date_and_one_order_and_its_checksums_are_right():
    files = {"b": b"2", "a": b"1"}
    packed = pack(files, 0)
    assert packed == pack(dict(sorted(files.items())), 0)
    with zipfile.ZipFile(BytesIO(packed)) as read:
        assert [(one.filename, one.date_time[0]) for one in read.infolist()] == [
            ("a", 1980), ("b", 1980)]
    assert checksums(files).splitlines()[0] == (
        "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b  a")


def test_the_citation_names_the_study_and_no_other_person(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    front = next(yaml.safe_load_all((root / "paper.qmd").read_text("utf-8").split("\n---\n")[0]))
    assert [one["name"] for one in citation["authors"]] == [
        one["name"]["literal"] for one in front["author"]]
    assert citation["title"].startswith(front["title"])
    promise = yaml.safe_load((root / "registration.yml").read_text("utf-8"))["study"]
    people = {f"{one['given-names']} {one['family-names']}"
              for work in citation["references"] for one in work["authors"]}
    assert people == {one["name"] for one in promise["authors"]}
    assert citation["cff-version"] == "1.2.0" and citation["message"]
