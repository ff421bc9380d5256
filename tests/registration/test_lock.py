import datetime

import pytest

from claimledger.errors import LedgerError
from claimledger.registration.lock import amend, check_lock, freeze, lock_path, read_lock

DAY = datetime.date(2026, 1, 2)


@pytest.fixture
def registration(tmp_path):
    path = tmp_path / "registration.yml"
    path.write_text("schema: 1\n")
    freeze(path, DAY)
    return path


def test_a_frozen_registration_passes(registration):
    lock = check_lock(registration)
    assert lock.frozen == DAY
    assert lock.registration == "registration.yml"


def test_a_change_fails_until_it_is_declared(registration):
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
    path.write_text(path.read_text() + "frosen: 2026-01-01\n")
    with pytest.raises(LedgerError, match="frosen"):
        read_lock(registration)
    path.unlink()
    with pytest.raises(LedgerError, match="claimledger freeze"):
        read_lock(registration)


def test_the_shipped_registration_is_frozen(root):
    assert check_lock(root / "registration.yml").frozen.year >= 2026
