"""The shape of the database, and opening it."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from localctl.errors import DatabaseTooNew, StateError
from localctl.store.database import Database
from localctl.store.intake import digest_file
from localctl.store.records import NOBODY
from localctl.store.schema import MIGRATIONS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "state.db"


async def test_a_later_version_wrote_it(path: Path) -> None:
    """Row 8: refused, with both versions, and left as it was."""
    await (await Database.open(path)).close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = digest_file(path)
    with pytest.raises(DatabaseTooNew) as caught:
        await Database.open(path)
    assert (caught.value.found, caught.value.known) == (len(MIGRATIONS) + 1, len(MIGRATIONS))
    assert digest_file(path) == before


async def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    """It is one transaction: the next start finds the version and the tables that were there before."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE outbox (x)")
    with pytest.raises(StateError, match="table outbox already exists"):
        await Database.open(path)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("outbox",)]
        assert raw.execute("PRAGMA user_version").fetchone() == (0,)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _below_a_file(path: Path) -> Path:
    path.touch()
    return path / "state.db"


def _garbage(path: Path) -> Path:
    path.write_bytes(b"no database" * 1000)
    return path


def _unwritable(path: Path) -> Path:
    """Nobody may make a file in there, root included."""
    return Path("/sys") / path.name


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (_folder, "it is a folder; move it away"),
        (_below_a_file, "Not a directory; localctl must be able to write it and its folder"),
        (_garbage, "damaged: file is not a database"),
        (_unwritable, "Permission denied; localctl must be able to write it and its folder"),
        (lambda path: path / "none" / "state.db", "No such file or directory; localctl must be able to write it"),
    ],
)
async def test_what_cannot_be_opened_is_said_with_advice(make: Callable[[Path], Path], advice: str, path: Path) -> None:
    """A StateError that names the path and what to do."""
    bad = make(path)
    with pytest.raises(StateError, match="the database ") as caught:
        await Database.open(bad)
    assert str(caught.value).startswith(f"{bad}: ")
    assert advice in str(caught.value)


async def test_what_the_first_version_kept_goes_on(path: Path) -> None:
    """A file that it published is of the request that it was published for, if that is still known."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1")
        raw.execute(
            "INSERT INTO publications (request_id, location, checksum, name, retries, created_at, state, ended)"
            " VALUES (7, '', 'a', 'fw.bin', 3, 1.0, 'published', 1)"
        )
        for checksum in ("a", "b"):
            raw.execute("INSERT INTO files VALUES (?, 'fw.bin', 1, 'c', 'http://example.com/fw.bin', 1.0)", checksum)
        raw.commit()
    database = await Database.open(path)
    assert {each.checksum: each.request_id for each in (await database.load()).files} == {"a": 7, "b": NOBODY}
    await database.close()
