"""Two ledgers, field by field."""

from copy import deepcopy

import pytest

from claimledger.ledger.entries import added, agree, compare
from published_paper import altered, found_here

HERE = found_here()


def outcomes(published: dict, here: dict = HERE) -> dict[str, str]:
    return {claim.id: claim.outcome for claim in compare(published, here)}


def test_the_same_ledger_survives():
    claims = compare(HERE, deepcopy(HERE))
    assert [claim.outcome for claim in claims] == ["same"] * 2
    assert all(claim.survives for claim in claims) and claims[0].difference == 0


@pytest.mark.parametrize(("fields", "outcome", "differs"), [
    ({"value": -0.2112345679}, "same", ()),
    ({"value": -0.2112}, "moved", ("value",)),
    ({"ci": [-0.3112345678, -0.05]}, "moved", ("ci.1",)),
    ({"ci": [-0.3112345678]}, "described", ("ci.1",)),
    ({"p": 0.0121}, "moved", ("p",)),
    ({"n": 1203}, "moved", ("n",)),
    ({"verdict": "refuted"}, "verdict", ("verdict",)),
    ({"verdict": None}, "verdict", ("verdict",)),
    ({"text": {"est": "−0.22", "abs": "0.21", "n": "1,202"}}, "text", ("text.est",)),
    ({"text": {"est": "−0.21", "abs": "0.21"}}, "text", ("text.n",)),
    ({"status": "exploratory"}, "described", ("status",)),
    ({"label": "Another effect"}, "described", ("label",)),
    ({"value": 5.0, "verdict": "refuted"}, "verdict", ("value", "verdict"))])
def test_what_was_altered_is_found_and_named(fields, outcome, differs):
    claim = next(one for one in compare(altered("H1", **fields), HERE) if one.id == "H1")
    assert (claim.outcome, claim.differs) == (outcome, differs)
    assert claim.survives == (outcome == "same")


def test_the_difference_is_recomputed_minus_published():
    claim = compare(altered("H2", value=0.5), HERE)[1]
    assert claim.difference == pytest.approx(-0.1) and claim.published == 0.5


def test_claims_that_are_missing_and_claims_that_are_new():
    less = deepcopy(HERE)
    del less["entries"]["H1"]
    assert outcomes(HERE, less) == {"H1": "missing", "H2": "same"}
    assert added(less, HERE) == ["H1"] and added(HERE, less) == []


def test_what_is_recorded_is_not_re_run_and_still_compared():
    recorded = altered("H1", recorded=True)
    assert outcomes(recorded, recorded)["H1"] == "not re-run"
    assert outcomes(altered("H1", recorded=True, value=1.0), recorded)["H1"] == "moved"
    assert outcomes(HERE, recorded)["H1"] == "not re-run"
    assert outcomes(recorded, HERE)["H1"] == "same"


@pytest.mark.parametrize(("a", "b", "same"), [
    (1.0, 1.0 + 9e-7, True), (1.0, 1.0 + 2e-6, False), (1e-59, 2e-59, True), (0.0, 1e-9, True),
    (0.0, 2e-9, False), (1, 1.0, True), (True, 1, False), ("1", 1, False), (None, 0, False),
    (1.0, float("inf"), False), ("a", "a", True)])
def test_agreement_is_within_the_stated_tolerance(a, b, same):
    assert agree(a, b) is same
