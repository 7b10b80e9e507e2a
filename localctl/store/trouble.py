"""Whether a failure means that the disk is in trouble, and when to try it again. Rules: no I/O, no clock.

In trouble is a disk that takes no writes and that a person must see to: a file system that turned read-only, a card
that fails to write (row 6 of the faults). One that is merely full is not: what is published is served on, and what does
not fit is refused in good order. Nor is one that a file cannot be read from: that file is withdrawn and fetched again.
"""

import errno
from typing import Final

from localctl.errors import StorageError

LOOK_SECONDS: Final = 30.0
_WANT: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN}
)


def trouble(fault: StorageError) -> str:
    """What is wrong with the disk and what to do, in words; empty where ``fault`` says nothing against it."""
    if fault.operation == "read" or fault.errno in _WANT:
        return ""
    if fault.errno == errno.EROFS:
        return f"the disk has turned read-only: see the kernel's log, check or replace it ({fault})"
    return f"the disk does not take what is written: see the kernel's log, check or replace it ({fault})"


def pause(tries: int) -> float:
    """Seconds until a disk in trouble is tried again, after so many ``tries``: soon, then as seldom as it is looked
    at.
    """
    return min(2.0**tries, LOOK_SECONDS)
