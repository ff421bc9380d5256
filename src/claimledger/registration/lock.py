"""The frozen promise: a SHA-256 and a date, and what was changed after it, with reasons."""

import datetime
from pathlib import Path

import yaml
from pydantic import ValidationError

from claimledger.errors import LedgerError
from claimledger.project import sha256_file, write_atomic
from claimledger.registration.models import Model


class Amendment(Model):
    """A change of the registration after it was frozen."""

    date: datetime.date
    what: str
    why: str
    sha256: str


class Deviation(Model):
    """A declared difference between what was registered and what is run.

    `aspect` is one of model, vcov, sample; `run` is what is run instead, to the letter.
    """

    analysis: str
    aspect: str
    run: str
    reason: str
    when: str
    impact: str


class Lock(Model):
    """What stands in `registration.lock`."""

    registration: str
    sha256: str
    frozen: datetime.date
    amendments: list[Amendment] = []
    deviations: list[Deviation] = []

    @property
    def current(self) -> str:
        """The SHA-256 that the registration must have now."""
        return self.amendments[-1].sha256 if self.amendments else self.sha256


def lock_path(registration: Path) -> Path:
    """`registration.yml` is locked by `registration.lock` beside it."""
    return Path(registration).with_suffix(".lock")


def read_lock(registration: Path) -> Lock:
    """The lock of a registration; a missing or mistyped one is an error."""
    path = lock_path(registration)
    try:
        return Lock.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise LedgerError(
            path, found="no such file", expected="the lock of a frozen registration",
            mend="freeze it: claimledger freeze",
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise LedgerError(
            f"{path}: {key}", found=problem["input"], expected=problem["msg"]
        ) from None
    except yaml.YAMLError as error:
        raise LedgerError(path, found=" ".join(str(error).split()), expected="YAML") from error


def check_lock(registration: Path) -> Lock:
    """The lock, after making sure that the registration is the one that was frozen."""
    lock = read_lock(registration)
    found = sha256_file(registration)
    if found != lock.current:
        raise LedgerError(
            registration, found=f"SHA-256 {found[:12]}…, changed since it was frozen",
            expected=f"{lock.current[:12]}… as in {lock_path(registration).name}",
            mend='undo the change, or declare it: claimledger amend --what "…" --why "…"',
        )
    return lock


def freeze(registration: Path, today: datetime.date) -> Path:
    """Write the first lock; an existing one is never overwritten."""
    path = lock_path(registration)
    if path.exists():
        raise LedgerError(
            path, found="a lock", expected="none",
            mend='declare a change instead: claimledger amend --what "…" --why "…"',
        )
    registration = Path(registration)
    return _write(path, Lock(
        registration=registration.name, sha256=sha256_file(registration), frozen=today,
    ))


def amend(registration: Path, what: str, why: str, today: datetime.date) -> Path:
    """Add an amendment that makes the registration as it is now the valid one."""
    lock = read_lock(registration)
    found = sha256_file(registration)
    if found == lock.current:
        raise LedgerError(registration, found="no change since the lock", expected="a change")
    if not (what.strip() and why.strip()):
        raise LedgerError("amend", found="an empty text", expected="what was changed, and why")
    amendment = Amendment(date=today, what=what, why=why, sha256=found)
    amended = lock.model_copy(update={"amendments": [*lock.amendments, amendment]})
    return _write(lock_path(registration), amended)


def _write(path: Path, lock: Lock) -> Path:
    head = (
        "# The registration is frozen: a change of registration.yml needs an amendment here,\n"
        "# and a difference between what is registered and what is run needs a deviation.\n"
    )
    content = yaml.safe_dump(lock.model_dump(), sort_keys=False, allow_unicode=True, width=100)
    return write_atomic(path, head + content)
