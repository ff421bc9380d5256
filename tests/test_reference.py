"""The reference in `docs/` is what the code says."""

import re

from claimledger.cli import app
from claimledger.ledger.entries import texts
from claimledger.start.reference import refresh


def test_the_reference_is_not_stale(root):
    stale = [path.name for path, text in refresh(root / "docs", app.registered_commands).items()
             if text != path.read_text("utf-8")]
    assert stale == [], "run `claimledger docs`"


def test_every_key_of_the_registration_is_explained(root):
    text = (root / "docs" / "registration.md").read_text("utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert [row[0] for row in rows if not row[3].strip()] == []


def test_links_of_the_reference_lead_somewhere(root):
    for path in (root / "docs").glob("*.md"):
        text = path.read_text("utf-8")
        for name, anchor in re.findall(r"\]\(([\w.]*)#?([\w-]*)\)", text):
            target = (path.parent / name if name else path).read_text("utf-8")
            assert not anchor or re.search(rf"^## {anchor}$", target, re.M | re.I), (path, anchor)


def test_every_field_of_num_is_listed(root):
    listed = (root / "docs" / "tokens.md").read_text("utf-8")
    made = texts(1.0, se=1.0, ci=[0, 1], p=0.1, p_adjusted=0.1, n=3, df=2, statistic=1, bound=1,
                 sd=1)
    assert [name for name in made if f"`{name}`" not in listed] == []
