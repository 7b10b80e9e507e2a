"""Whether a database is sound, and setting it aside."""

import contextlib
import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from localctl.errors import DatabaseDamaged, StateError
from localctl.store.journal import HEADER
from localctl.store.soundness import KEPT, cause, is_damage, require_journal, require_pages, set_aside
from tests.store.samples import NOW, got, put
from tests.store.test_journal import flipped, written


def test_what_sqlite_calls_damage(tmp_path: Path) -> None:
    """Row 8: a file that is no database is damaged; a statement that is wrong says nothing about the file."""
    put(tmp_path / "x.db", b"no database" * 1000)
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as raw, pytest.raises(sqlite3.Error) as caught:
        raw.execute("PRAGMA user_version")
    assert is_damage(caught.value)
    with contextlib.closing(sqlite3.connect(":memory:")) as raw, pytest.raises(sqlite3.Error) as caught:
        raw.execute("SELECT * FROM nothing")
    assert not is_damage(caught.value)


def test_want_of_room_has_its_errno() -> None:
    """Row 5: so that nobody takes a full disk for a broken one."""
    with contextlib.closing(sqlite3.connect(":memory:")) as raw, pytest.raises(sqlite3.Error) as caught:
        raw.executescript("PRAGMA max_page_count = 1; CREATE TABLE t (x); CREATE TABLE u (x)")
    told = cause(caught.value)
    assert isinstance(told, OSError)
    assert (told.errno, told.strerror) == (errno.ENOSPC, "database or disk is full")
    assert cause(sqlite3.OperationalError("disk I/O error")) == "disk I/O error"


JOURNALS: dict[str, tuple[Callable[[bytes], bytes | None], bool]] = {
    "none": (lambda _: None, False),
    "empty": (lambda _: b"", False),
    "as SQLite left it": (lambda log: log, False),
    "a header and no more": (lambda log: flipped(log, 0)[:HEADER], False),
    "frames behind an overwritten header": (lambda log: flipped(log, 0), True),
    "cut in mid-frame": (lambda log: log[:-100], False),
    "a frame in the middle": (lambda log: flipped(log, len(log) // 2), True),
}


@pytest.mark.parametrize(("change", "damaged"), JOURNALS.values(), ids=JOURNALS)
def test_a_journal_that_was_overwritten(
    change: Callable[[bytes], bytes | None],
    damaged: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Row 8: what was committed, and SQLite would pass over."""
    journal = change(written(tmp_path / "x.db", 6))
    if journal is not None:
        put(tmp_path / "y.db-wal", journal)
    expected = pytest.raises(DatabaseDamaged, match="write-ahead log") if damaged else contextlib.nullcontext()
    with expected:
        require_journal(tmp_path / "y.db")


def test_pages_are_looked_at(tmp_path: Path) -> None:
    """Row 8: a page that was overwritten is found, although nobody asked for it."""
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript("CREATE TABLE t (x); CREATE TABLE u (x);")
        require_pages(raw, path)
    put(path, got(path)[:-4096] + b"\xff" * 4096)
    with contextlib.closing(sqlite3.connect(path)) as raw, pytest.raises((DatabaseDamaged, sqlite3.DatabaseError)):
        require_pages(raw, path)


def test_setting_aside(tmp_path: Path) -> None:
    """Row 8: under a name that says so and when, with its journal, and never over what was set aside before."""
    for turn, ending in enumerate(("", ".1")):
        put(tmp_path / "x.db", b"%d" % turn)
        put(tmp_path / "x.db-wal", b"wal")
        aside = set_aside(tmp_path / "x.db", NOW)
        assert aside.name == f"x.db.damaged-20300317T174640Z{ending}"
        assert got(aside) == b"%d" % turn
        assert got(aside.with_name(f"{aside.name}-wal")) == b"wal"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("jump", [60.0, -60.0], ids=["steady", "back"])
def test_the_newest_are_kept(jump: float, tmp_path: Path) -> None:
    """An SD card is small: of what was set aside the newest few stay, and the last one though the clock went back."""
    for turn in range(KEPT + 2):
        put(tmp_path / "x.db", b"%d" % turn)
        put(tmp_path / "x.db-wal", b"wal")
        aside = set_aside(tmp_path / "x.db", NOW + turn * jump)
        assert got(aside) == b"%d" % turn
    assert len(list(tmp_path.iterdir())) == 2 * KEPT


def test_what_cannot_be_set_aside_is_said(tmp_path: Path) -> None:
    """A StateError, rather than a start on what is damaged."""
    path = Path("/proc/self/status")
    with pytest.raises(StateError, match="cannot be set aside: "):
        set_aside(path, NOW)
    assert tmp_path.exists()
