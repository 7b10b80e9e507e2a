"""What a look at a stored file came to."""

import errno
import os
from pathlib import PurePath

import pytest

from localctl.store.catalogue import PublishedFile
from localctl.store.inspection import damage, pause, unreadable

FILE = PublishedFile("a" * 32, "fw.bin", PurePath("/x"), 10, "b" * 64, 0.0)


def test_what_is_damaged() -> None:
    """Row 7: another length, or other bytes."""
    assert damage(FILE, 10, "b" * 64) is None
    assert damage(FILE, 9, "b" * 64) == "has 9 bytes instead of 10"
    assert damage(FILE, 10, "c" * 64) == "has other bytes than were verified"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOENT, "is missing"),
        (errno.ENOTDIR, "is missing"),
        (errno.ELOOP, "is a link"),
        (errno.EIO, "cannot be read: Input/output error"),
        (errno.EMFILE, None),
        (errno.ENOMEM, None),
    ],
)
def test_what_cannot_be_read(number: int, said: str | None) -> None:
    """Row 7: a bad part of the disk is damage; that we are short of descriptors or memory is none."""
    assert unreadable(OSError(number, os.strerror(number))) == said


def test_the_rate_is_kept() -> None:
    """Never faster than the rate, and no slower where the disk is."""
    assert pause(1000, since=5.0, now=5.0, rate=500) == 2.0
    assert pause(1000, since=5.0, now=6.5, rate=500) == 0.5
    assert pause(1000, since=5.0, now=60.0, rate=500) == 0.0
