"""Whether a write-ahead log still holds all that was committed: logs as SQLite wrote them, damaged and torn."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

import pytest

from localctl.store.journal import HEADER, frame_size, is_damaged

PAGE: Final = 4096
FRAME: Final = PAGE + 24
COMMITS: Final = 6


@pytest.fixture
def log(tmp_path: Path) -> bytes:
    """A log of several commits, some of more than one frame."""
    return written(tmp_path / "x.db", COMMITS)


def written(path: Path, commits: int) -> bytes:
    """The log of a database that was written to so many times, and not closed."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.executescript("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        raw.execute("CREATE TABLE t (x BLOB)")
        for number in range(commits - 1):
            raw.execute("INSERT INTO t VALUES (?)", (bytes([number % 256]) * (3000 + 6000 * (number % 2)),))
        return Path(f"{path}-wal").read_bytes()


def frames(log: bytes) -> list[bytes]:
    """What is behind the header."""
    return [log[at : at + FRAME] for at in range(HEADER, len(log), FRAME)]


def commits(log: bytes) -> list[int]:
    """Which frames end a commit."""
    return [number for number, frame in enumerate(frames(log)) if any(frame[4:8])]


def flipped(log: bytes, at: int) -> bytes:
    """With one bit of it turned."""
    return log[:at] + bytes([log[at] ^ 4]) + log[at + 1 :]


def damaged(log: bytes) -> bool:
    """What is said of it."""
    assert frame_size(log[:HEADER]) == FRAME
    return is_damaged(log[:HEADER], frames(log))


def test_what_sqlite_wrote_is_whole(log: bytes) -> None:
    """A log of several commits is taken as it is; so is one without any."""
    assert len(commits(log)) == COMMITS < len(frames(log))
    assert not damaged(log)
    assert not damaged(log[:HEADER])


@pytest.mark.parametrize("place", [4, 9, 17, 24, FRAME - 1], ids=["size", "salt", "checksum", "page", "end"])
def test_a_frame_that_others_followed(place: int, log: bytes) -> None:
    """Row 8: a bit turned anywhere in a frame is damage if a commit with it, or behind it, was continued."""
    for number in range(commits(log)[-3] + 1):
        assert damaged(flipped(log, HEADER + number * FRAME + place)), number


def test_what_a_power_cut_leaves(log: bytes) -> None:
    """Cut anywhere, or with any frames of the last commit never written: no damage, for nothing relied on them."""
    for length in range(HEADER, len(log), 1900):
        assert not is_damaged(log[:HEADER], frames(log[:length])[:-1])
    first, last = commits(log)[-2] + 1, commits(log)[-1]
    for missing in range(first, last + 1):
        at = HEADER + missing * FRAME
        assert not damaged(log[:at] + bytes(FRAME) + log[at + FRAME :])


def test_what_older_logs_left_behind(tmp_path: Path) -> None:
    """A log is written over from its start, with a new salt: what is left of the old one behind it is no damage."""
    old, new = written(tmp_path / "old.db", 9), written(tmp_path / "new.db", 3)
    assert not damaged(new + old[len(new) :])


def test_what_a_failed_commit_left_behind(log: bytes) -> None:
    """Its frames were written and its fsync failed; the next commit went over some of them."""
    longer = frames(log)[commits(log)[-2] + 1 :]
    assert len(longer) > 1
    kept = log[: HEADER + (commits(log)[1] + 1) * FRAME]
    assert not damaged(kept + b"".join(longer))


def test_a_header_that_is_not_whole(log: bytes) -> None:
    """Row 8: whatever bit of it is turned."""
    assert frame_size(log[:HEADER]) == FRAME
    for at in range(HEADER):
        assert frame_size(flipped(log, at)[:HEADER]) is None
