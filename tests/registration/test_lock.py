import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimledger.errors import LedgerError
from claimledger.registration.lock import (
    amend,
    check_lock,
    deviate,
    difference,
    freeze,
    lock_path,
    read_lock,
    undo,
)

DAY = datetime.date(2026, 1, 2)


@pytest.fixture
def registration(tmp_path):
    path = tmp_path / "registration.yml"
    path.write_text("schema: 1\n")
    freeze(path, DAY)
    return path


def test_a_change_fails_until_it_is_declared(registration):
    lock = check_lock(registration)
    assert (lock.frozen, lock.registration) == (DAY, "registration.yml")
    registration.write_text("schema: 1\n# moved\n")
    with pytest.raises(LedgerError, match="changed since it was frozen"):
        check_lock(registration)
    amend(registration, "a comment", "to explain", DAY)
    lock = check_lock(registration)
    assert [a.what for a in lock.amendments] == ["a comment"]
    registration.write_text("schema: 1\n")
    with pytest.raises(LedgerError, match="changed since"):
        check_lock(registration)


def test_a_lock_is_never_overwritten(registration):
    before = lock_path(registration).read_bytes()
    with pytest.raises(LedgerError, match="claimledger amend"):
        freeze(registration, DAY)
    assert lock_path(registration).read_bytes() == before


def test_amendments_need_a_change_and_reasons(registration):
    with pytest.raises(LedgerError, match="no change"):
        amend(registration, "a", "b", DAY)
    registration.write_text("other")
    with pytest.raises(LedgerError, match="empty"):
        amend(registration, "a", " ", DAY)


def test_a_missing_or_mistyped_lock_is_an_error(registration):
    path = lock_path(registration)
    path.write_text(path.read_text() + "frosen: 2026-01-01\n")  # an unknown key
    with pytest.raises(LedgerError, match="frosen"):
        read_lock(registration)
    path.unlink()
    with pytest.raises(LedgerError, match="claimledger freeze"):
        read_lock(registration)


def change(registration, text, day=DAY):
    registration.write_text(text)
    amend(registration, "what", "why", day)
    return read_lock(registration)


def test_every_earlier_text_can_be_restored(registration):
    first, second = registration.read_text(), "schema: 1\nstudy: x\n"
    change(registration, second)
    lock = change(registration, "study: y\nschema: 1")
    assert "+study: x" in lock.amendments[0].diff
    assert undo(lock.text, lock.amendments[1].diff) == second
    assert undo(second, lock.amendments[0].diff) == first
    header = lock.header()
    assert header["first_sha256"] != header["sha256"] == lock.current
    assert [one["number"] for one in header["amendments"]] == [1, 2]


@given(st.lists(st.sampled_from("ab+-@ ")), st.lists(st.sampled_from("ab+-@ ")))
def test_undo_is_the_way_back_of_difference(before, after):
    before, after = "\n".join(["x", *before]), "\n".join(["x", *after])
    if before != after:
        assert undo(after, difference(before, after)) == before


@pytest.mark.parametrize(("old", "new"), [
    ("why: why", "why: better"), ("frozen: 2026-01-02", "frozen: 2026-01-01"),
    ("seal: ", "seal: 0"), ("what: what", "what: ''"), ("touched: []", "touched: [H1]")])
def test_a_lock_edited_by_hand_is_refused(registration, old, new):
    change(registration, "schema: 2\n")
    path = lock_path(registration)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(LedgerError, match="to mend: *restore"):
        read_lock(registration)


def test_clocks_that_run_backwards_are_refused(registration):
    with pytest.raises(LedgerError, match="2026-01-02 or later"):
        change(registration, "schema: 2\n", datetime.date(2026, 1, 1))
    with pytest.raises(LedgerError, match="changed since"):
        check_lock(registration)  # nothing was written


def test_an_amendment_names_the_analyses_it_touches(root, tmp_path):
    path = tmp_path / "registration.yml"
    text = (root / "registration.yml").read_text()
    path.write_text(text)
    freeze(path, DAY)

    def after(old, new):
        assert old in text
        return change(path, text.replace(old, new)).amendments[-1].touched

    assert after("label: Militant assertiveness", "label: Militance") == []
    assert after('1: "Decrease a lot"', '1: "Decrease much"') == []
    last = read_lock(path)
    assert {"H2b"} <= set(last.effects[-1][1]) and last.amended("H2b") == []
    assert after("They prefer coercive measures to words.", "Words are not enough.") == []
    assert read_lock(path).effects[-1] == ([], ["H1b", "H2b", "H2b.kind"])  # and back
    assert after('{"treaty[T.signed]": 1}', '{"treaty[T.signed]": 2}') == ["H3c"]
    both = after("and contributions, correction: holm", "and contributions, correction: none")
    assert {"H2a", "H2b", "H3c"} == set(both)  # the change before was undone, too
    assert "H1a" in after("below: 120", "below: 60")


GIVEN = {"analysis": "H1", "aspect": "vcov", "run": "HC3", "reason": "r", "when": "w",
         "impact": "i"}


def test_a_deviation_is_declared_once_and_whole(registration):
    deviate(registration, GIVEN, ["H1"])
    assert read_lock(registration).deviations[0].run == "HC3"
    for wrong, said in (({}, "the same"), ({"analysis": "H9"}, "H1"), ({"aspect": "vcvo"}, "vcov"),
                        ({"reason": " "}, "--reason")):
        with pytest.raises(LedgerError, match=said):
            deviate(registration, GIVEN | wrong, ["H1"])
    assert len(read_lock(registration).deviations) == 1
