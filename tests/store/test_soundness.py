"""Whether a database is sound, and setting it aside."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from localctl.errors import DatabaseDamaged, StateError
from localctl.store.soundness import is_damage, require_journal, require_pages, set_aside
from tests.store.samples import NOW, got, put


def test_what_sqlite_calls_damage(tmp_path: Path) -> None:
    """Row 8: a file that is no database is damaged; a statement that is wrong says nothing about the file."""
    put(tmp_path / "x.db", b"no database" * 1000)
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as raw, pytest.raises(sqlite3.Error) as caught:
        raw.execute("PRAGMA user_version")
    assert is_damage(caught.value)
    with contextlib.closing(sqlite3.connect(":memory:")) as raw, pytest.raises(sqlite3.Error) as caught:
        raw.execute("SELECT * FROM nothing")
    assert not is_damage(caught.value)


@pytest.mark.parametrize(
    ("journal", "damaged"),
    [
        (None, False),
        (b"", False),
        (b"x" * 32, False),
        (b"x" * 33, True),
        (b"\x37\x7f\x06\x82" + b"x" * 100, False),
        (b"\x37\x7f\x06\x83" + b"x" * 100, False),
    ],
)
def test_a_journal_that_was_overwritten(journal: bytes | None, damaged: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Row 8: frames without a header were committed, and SQLite would not see them."""
    if journal is not None:
        put(tmp_path / "x.db-wal", journal)
    expected = pytest.raises(DatabaseDamaged, match="write-ahead log") if damaged else contextlib.nullcontext()
    with expected:
        require_journal(tmp_path / "x.db")


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


def test_what_cannot_be_set_aside_is_said(tmp_path: Path) -> None:
    """A StateError, rather than a start on what is damaged."""
    path = Path("/proc/self/status")
    with pytest.raises(StateError, match="cannot be set aside: "):
        set_aside(path, NOW)
    assert tmp_path.exists()
