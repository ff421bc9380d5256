"""A paper that was really built, tampered with, and verified."""

import json
import re

import pytest
from engine import command

pytestmark = [pytest.mark.build, pytest.mark.xdist_group("clone")]


@pytest.fixture(scope="module")
def tampered(clone, tmp_path_factory):
    """A copy of the paper: one number of its ledger and one verdict of its text are others."""
    html = (clone / "_manuscript/index.html").read_text("utf-8")
    ledger = json.loads((clone / "results/ledger.json").read_text("utf-8"))
    value = ledger["entries"]["H1a"]["value"]
    assert html.count(f'"value": {value}') == 1
    html = html.replace(f'"value": {value}', f'"value": {value + 0.5}')
    phrase = re.search(r'(href="#claim-H2b" class="claim says" data-verdict=")(\w+)', html)
    assert phrase[2] != "undecided"
    html = html.replace(phrase[0], phrase[1] + "undecided", 1)
    path = tmp_path_factory.mktemp("published") / "tampered.html"
    path.write_text(html, encoding="utf-8")
    return path


def test_a_tampered_paper_is_found_out_and_the_rest_survives(clone, tampered):
    record = {path: path.read_bytes() for path in [
        clone / "results/ledger.json", clone / "_manuscript/index.html", *clone.glob("data/raw/*")]}
    done = command(clone, "verify", str(tampered))
    assert done.returncode == 1, done.stderr
    said = json.loads((clone / "build/verify/report.json").read_text("utf-8"))
    fallen = {claim["id"]: claim["outcome"] for claim in said["claims"] if not claim["survives"]}
    assert fallen == {"H1a": "moved", "H2b": "page"} and len(said["claims"]) > 200
    assert said["claims"][[c["id"] for c in said["claims"]].index("H1a")]["difference"] == (
        pytest.approx(-0.5))
    assert any("H2b" in one["ids"] for one in said["sentences"])
    assert "tampered.html: 2 of" in done.stdout and "should read:" in done.stdout
    for name in ("report.html", "report.txt", "report.json"):
        assert str(clone) not in (clone / "build/verify" / name).read_text("utf-8")
    assert {path: path.read_bytes() for path in record} == record
    assert not list((clone / "build/runs").iterdir())
