"""The one exception that is meant for people."""

import errno
from collections.abc import Callable

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


class LedgerError(Exception):
    """A mistake that a person can mend: where, what was found, what was expected, how to mend it.

    The command line prints it without a traceback and exits with status 1.
    """

    def __init__(self, where: object, *, found: object = "", expected: object = "", mend: str = ""):
        """Keep the four parts apart, so that a report can lay them out."""
        self.where = str(where)
        self.found = str(found)
        self.expected = str(expected)
        self.mend = mend
        super().__init__(str(self))

    def __reduce__(self):
        """Survive the way back from a worker process."""
        return _rebuild, (self.where, self.found, self.expected, self.mend)

    def __str__(self) -> str:
        """One line for each part that says something."""
        parts = [self.where]
        for name in ("found", "expected"):
            if getattr(self, name):
                parts.append(f"  {name + ':':<10}{getattr(self, name)}")
        if self.mend:
            parts.append(f"  {'to mend:':<10}{self.mend}")
        return "\n".join(parts)


def _rebuild(where: str, found: str, expected: str, mend: str) -> LedgerError:
    return LedgerError(where, found=found, expected=expected, mend=mend)


def errors_of(where: object) -> Callable[[str, str, str], LedgerError]:
    """What makes the errors of one module: found, expected, and how to mend it."""
    return lambda found, expected, mend: LedgerError(
        where, found=found, expected=expected, mend=mend
    )


def no_room(error: OSError) -> LedgerError:
    """A full disk or a forbidden folder, for people; any other error of the system as it is."""
    if error.errno not in NO_ROOM:
        raise error
    return LedgerError(
        error.filename or "the disk", found=error.strerror, expected="room to write",
        mend="free space, or change the folder's permissions; what was finished is kept",
    )
