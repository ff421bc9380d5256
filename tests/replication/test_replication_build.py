"""A paper that was really built, tampered with, and verified."""

import hashlib
import json
import re
import socket
import sys
import zipfile
from pathlib import Path

import pytest

from engine import command

pytestmark = pytest.mark.xdist_group("clone")


@pytest.fixture(scope="module")
def tampered(clone, tmp_path_factory):
    """A copy of the paper: one number of its ledger and one verdict of its text are others."""
    html = (clone / "_manuscript/index.html").read_text("utf-8")
    ledger = json.loads((clone / "results/ledger.json").read_text("utf-8"))
    value = ledger["entries"]["H1a"]["value"]
    html, changed = re.subn(rf'("value": ?){value}\b', rf"\g<1>{value + 0.5}", html)
    assert changed == 1
    phrase = re.search(r'(href="#claim-H2b" class="claim says" data-verdict=")(\w+)', html)
    assert phrase[2] != "undecided"
    html = html.replace(phrase[0], phrase[1] + "undecided", 1)
    path = tmp_path_factory.mktemp("published") / "tampered.html"
    path.write_text(html, encoding="utf-8")
    return path


@pytest.mark.build
@pytest.mark.slow
def test_a_tampered_paper_is_found_out_elsewhere_and_the_rest_survives(unpacked, tampered):
    record = {path: path.read_bytes() for path in [
        unpacked / "results/ledger.json", unpacked / "_manuscript/index.html",
        *unpacked.glob("data/raw/*")]}
    done = command(unpacked, "verify", str(tampered))
    assert done.returncode == 1, done.stderr
    said = json.loads((unpacked / "build/verify/report.json").read_text("utf-8"))
    fallen = {claim["id"]: claim["outcome"] for claim in said["claims"] if not claim["survives"]}
    assert fallen == {"H1a": "moved", "H2b": "page"} and len(said["claims"]) > 200
    assert [one["place"] for one in said["differences"]] == []
    assert said["claims"][[c["id"] for c in said["claims"]].index("H1a")]["difference"] == (
        pytest.approx(-0.5))
    assert any("H2b" in one["ids"] for one in said["sentences"])
    assert "tampered.html: 2 of" in done.stdout and "should read:" in done.stdout
    for name in ("report.html", "report.txt", "report.json"):
        assert str(unpacked) not in (unpacked / "build/verify" / name).read_text("utf-8")
    assert {path: path.read_bytes() for path in record} == record
    assert not list((unpacked / "build/runs").iterdir())


@pytest.mark.build
@pytest.mark.slow  # three times all notebooks
def test_the_paper_itself_its_pdf_and_its_word_file_hold(clone):
    for name in ("index.html", "paper.pdf", "paper.docx"):
        done = command(clone, "verify", str(clone / "_manuscript" / name))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing else differs" in done.stdout


def test_the_archive_holds_what_an_archive_asks_for(archived):
    with zipfile.ZipFile(archived) as packed:
        names = set(packed.namelist())
        sums = packed.read("SHA256SUMS").decode().splitlines()
        for line in sums:
            digest, name = line.split("  ", 1)
            assert hashlib.sha256(packed.read(name)).hexdigest() == digest
        assert {line.split("  ", 1)[1] for line in sums} == names - {"SHA256SUMS"}
        crate = json.loads(packed.read("ro-crate-metadata.json"))
        readme = packed.read("README-replication.md").decode()
        ledger = json.loads(packed.read("results/ledger.json"))
        text = {name: packed.read(name) for name in names}
    assert {"LICENSE", "CITATION.cff", "codemeta.json", "requirements.lock", "registration.yml",
            "codebook/items.csv", "_manuscript/index.html", "_manuscript/paper.pdf",
            "_manuscript/paper.docx", "build/notebooks/01_sample.ipynb"} <= names
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    assert names - {"ro-crate-metadata.json", "SHA256SUMS"} <= graph.keys()
    for label, exhibit in ledger["exhibits"].items():
        action = graph[f"#make-{label}"]
        assert action["instrument"]["@id"] == f"notebooks/{exhibit['notebook']}.ipynb"
        assert f"`{label}`" in readme
        given = str(action["object"])
        real = exhibit["notebook"] == "09_real_respondents"
        assert (ledger["header"]["data"]["file"] in given) != real, label
        assert ("data/external/tomz-weeks-2013/registration.yml" in given) == real, label
        if exhibit["kind"] == "figure":
            assert {"@id": f"figures/{label}.svg"} in action["result"]
    references = {
        one["@id"] for entity in crate["@graph"] for value in entity.values()
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, dict) and not one["@id"].startswith("https://w3id.org")
    }
    assert references <= graph.keys()
    machine = [str(archived.parent), str(Path.home()) + "/", sys.prefix]
    if len(socket.gethostname()) > 5:  # a shorter name may stand in packed bytes by chance
        machine.append(socket.gethostname() + ".")
    for name, content in text.items():
        assert not [trace for trace in machine if trace.encode() in content], name
