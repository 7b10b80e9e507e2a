"""Which failures mean that the disk is in trouble, and when it is tried again."""

import errno
import os

import pytest

from localctl.errors import StorageError
from localctl.store.trouble import LOOK_SECONDS, pause, trouble


def failed(operation: str, number: int) -> StorageError:
    """A system call that failed."""
    return StorageError(operation, "/state/x", OSError(number, os.strerror(number)))


@pytest.mark.parametrize("operation", ["write", "fsync", "rename", "unlink", "commit"])
def test_a_disk_that_takes_no_writes(operation: str) -> None:
    """Row 6: read-only or failing, with what to do and what it was."""
    for number, words in (
        (errno.EROFS, "the disk has turned read-only: "),
        (errno.EIO, "the disk does not take what "),
    ):
        told = trouble(failed(operation, number))
        assert told.startswith(words)
        assert "check or replace it" in told
        assert "/state/x" in told


def test_what_sqlite_cannot_do() -> None:
    """Row 6: SQLite gives no errno but for want of room."""
    assert trouble(StorageError("commit", "/state/localctl.db", "disk I/O error"))
    assert trouble(StorageError("commit", "/state/localctl.db", "attempt to write a readonly database"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENOMEM])
def test_a_want_is_no_trouble(number: int) -> None:
    """Row 5: of room, of descriptors, of memory: it passes, and relays and other files go on."""
    assert not trouble(failed("write", number))
    assert not trouble(failed("commit", number))


def test_a_read_is_no_trouble() -> None:
    """Row 7: a file that cannot be read is withdrawn and fetched again."""
    assert not trouble(failed("read", errno.EIO))


def test_soon_and_then_seldom() -> None:
    """The first try comes after a second, and no two are further apart than the looks."""
    pauses = [pause(tries) for tries in range(40)]
    assert pauses[0] == 1
    assert pauses == sorted(pauses)
    assert pauses[-1] == LOOK_SECONDS
