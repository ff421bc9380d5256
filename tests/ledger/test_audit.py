"""Promises that cannot be kept are refused before they are frozen, with id and line."""

import pytest

from claimledger.errors import LedgerError
from claimledger.ledger.audit import dry_run

H3 = '"corrective ~ misalignment + regime + capability + treaty"'
BROKEN = {
    "a level that does not exist": ('{"regime[T.democracy]": 1}', '{"regime[T.dem]": 1}',
                                    "H3a.contrast"),
    "a coefficient that the model does not have": (
        '{"regime[T.democracy]": 1}', '{"regime[T.nondemocracy]": 1}', "H3a.contrast"),
    "no outcome": ("    outcome: corrective\n", "", "hypotheses.H3a"),
    "another outcome on the left": (H3, '"hawk ~ regime"', "H3a.model"),
    "the shares of an outcome that is no share": (
        "    model: " + H3, "    estimator: logit\n    model: " + H3, "H3a.model"),
    "an unknown variable": (H3, '"corrective ~ regme"', "H3a.model"),
    "a formula that cannot be read": (H3, '"corrective ~ (regime"', "H3a.model"),
    "two terms that say the same": (H3, '"corrective ~ regime + C(regime)"', "H3a.model"),
    "a mean over groups": ("mean: [troops, spending", "mean: [sex, spending", "contributions"),
    "an outcome that is a category": ("    outcome: corrective\n", "    outcome: party3\n",
                                      "H3a.outcome"),
    "a set on a level that does not exist": (
        'term: "item[{level}]"', 'term: "item[T.{level}]"', "measures.term")}


@pytest.mark.parametrize("name", BROKEN)
def test_a_promise_that_cannot_be_kept_is_refused(root, tmp_path, name):
    old, new, key = BROKEN[name]
    text = (root / "registration.yml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "registration.yml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LedgerError) as told:
        dry_run(path)
    assert key in told.value.where and "line " in told.value.where


@pytest.mark.parametrize(
    "name", ["registration.yml", "data/external/tomz-weeks-2013/registration.yml"])
def test_what_is_registered_here_can_be_computed(root, name):
    dry_run(root / name)
