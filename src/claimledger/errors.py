"""The one exception that is meant for people."""

import errno
from collections.abc import Callable
from functools import partial

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
        parts = {"found": self.found, "expected": self.expected, "mend": self.mend}
        return partial(LedgerError, self.where, **parts), ()

    def __str__(self) -> str:
        """One line for each part that says something."""
        parts = {"found:": self.found, "expected:": self.expected, "to mend:": self.mend}
        return "\n".join([self.where, *(f"  {name:<10}{said}" for name, said in parts.items()
                                        if said)])


def errors_of(where: object) -> Callable[[str, str, str], LedgerError]:
    """What makes the errors of one module: found, expected, and how to mend it."""
    return lambda found, expected, mend: LedgerError(
        where, found=found, expected=expected, mend=mend)


def no_room(error: OSError) -> LedgerError:
    """A full disk or a forbidden folder, for people; any other error of the system as it is."""
    if error.errno not in NO_ROOM:
        raise error
    return LedgerError(
        error.filename or "the disk", found=error.strerror, expected="room to write",
        mend="free space, or change the folder's permissions; what was finished is kept")
