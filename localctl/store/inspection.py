"""What a look at a stored file came to, and how fast one may look. Rules: no I/O, no clock.

A file that is not what was verified is damaged (L03.FR.02, FR.07): other bytes, another length, gone, a link, or on a
part of the disk that cannot be read. What only says that we are short of something says nothing about the file.
"""

import errno
from typing import Final

from localctl.store.catalogue import PublishedFile

_OUR_OWN_WANT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
_WORDS: Final = {
    errno.ENOENT: "is missing",
    errno.ENOTDIR: "is missing",
    errno.ELOOP: "is a link",
}


def damage(file: PublishedFile, size: int, sha256: str) -> str | None:
    """How ``size`` bytes with that digest differ from what was verified, in words; None where they do not."""
    if size != file.size:
        return f"has {size} bytes instead of {file.size}"
    return None if sha256 == file.sha256 else "has other bytes than were verified"


def unreadable(fault: OSError) -> str | None:
    """What a failed read says of the file, in words; None where it says nothing of it."""
    if fault.errno is None or fault.errno in _OUR_OWN_WANT:
        return None
    return _WORDS.get(fault.errno, f"cannot be read: {fault.strerror}")


def pause(read: int, since: float, now: float, rate: int) -> float:
    """Seconds to wait at ``now`` so that ``read`` bytes since ``since`` are no more than ``rate`` a second."""
    return max(0.0, since + read / rate - now)
