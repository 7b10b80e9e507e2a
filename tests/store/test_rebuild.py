"""A start on a database that is damaged or gone."""

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from localctl.errors import DatabaseTooNew, StateError
from localctl.store import rebuild
from localctl.store.database import Database
from localctl.store.files import FirmwareFiles
from localctl.store.rebuild import open_or_rebuild
from localctl.store.schema import MIGRATIONS
from tests.store.samples import BODY, CHECKSUM, NOW, file_record, got, put
from tests.store.stores import started


@pytest.fixture
async def left(tmp_path: Path) -> Path:
    """A state directory in which BODY is published, as a kill left it: with a write-ahead log."""
    async with started(tmp_path / "living") as store:
        await store.published()
        shutil.copytree(tmp_path / "living", tmp_path / "left")
    return tmp_path / "left"


@asynccontextmanager
async def opened(state_dir: Path) -> AsyncIterator[Database]:
    """Start as the daemon does."""
    files = FirmwareFiles(state_dir)
    files.prepare()
    with ThreadPoolExecutor(1) as threads:
        database = await open_or_rebuild(state_dir / "localctl.db", files, threads, lambda: NOW)
        try:
            yield database
        finally:
            await database.close()


def _checkpoint(state_dir: Path) -> Path:
    path = state_dir / "localctl.db"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def _cut(part: float) -> Callable[[Path], None]:
    def cut(state_dir: Path) -> None:
        path = _checkpoint(state_dir)
        put(path, got(path)[: int(len(got(path)) * part)])

    return cut


def _overwrite(page: int) -> Callable[[Path], None]:
    def overwrite(state_dir: Path) -> None:
        path = _checkpoint(state_dir)
        body = bytearray(got(path))
        body[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
        put(path, bytes(body))

    return overwrite


def _no_database(state_dir: Path) -> None:
    put(_checkpoint(state_dir), b"no database" * 1000)


def _garbage_journal(state_dir: Path) -> None:
    put(state_dir / "localctl.db-wal", b"garbage!" * 5000)


def _no_tables(state_dir: Path) -> None:
    """As if the journal that held all of it were lost."""
    (state_dir / "localctl.db").unlink()
    (state_dir / "localctl.db-wal").unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(state_dir / "localctl.db")) as raw:
        raw.execute("PRAGMA journal_mode = WAL")


def _unknown_state(state_dir: Path) -> None:
    with contextlib.closing(sqlite3.connect(_checkpoint(state_dir))) as raw:
        raw.execute("UPDATE publications SET state = 'nonsense', ended = 0")
        raw.commit()


def _lost_table(state_dir: Path) -> None:
    with contextlib.closing(sqlite3.connect(_checkpoint(state_dir))) as raw:
        raw.execute("DROP TABLE outbox")


def _negative_version(state_dir: Path) -> None:
    with contextlib.closing(sqlite3.connect(_checkpoint(state_dir))) as raw:
        raw.execute("PRAGMA user_version = -1")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no database": _no_database,
    "cut to 16 bytes": _cut(0.0005),
    "cut to an eighth": _cut(0.125),
    "cut in half": _cut(0.5),
    "its end cut": _cut(0.75),
    "its first page overwritten": _overwrite(1),
    "its second page overwritten": _overwrite(2),
    "its fourth page overwritten": _overwrite(4),
    "garbage in its journal": _garbage_journal,
    "no tables": _no_tables,
    "a state that is none": _unknown_state,
    "a table lost": _lost_table,
    "a version below 0": _negative_version,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_one_is_made_anew(
    damage: Callable[[Path], None], left: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 8: set aside under a name that says so, said, and what is whole is published again."""
    damage(left)
    before = got(left / "localctl.db")
    async with opened(left) as database:
        (file,) = (await database.load()).files
    assert (file.checksum, file.name, file.size, file.sha256) == (CHECKSUM, "fw.bin", len(BODY), file_record().sha256)
    assert file.location == ""
    (aside,) = (path for path in left.glob("localctl.db.damaged-*") if not path.name.endswith(("-wal", "-shm")))
    assert got(aside) == before or damage is _garbage_journal
    assert [each.levelno for each in caplog.records if "database is damaged" in each.message] == [logging.ERROR]
    async with started(left) as store:
        assert store.is_lent()


async def test_what_is_sound_is_left_alone(left: Path) -> None:
    """A kill leaves a write-ahead log, which is no damage."""
    for _ in range(2):
        async with opened(left) as database:
            snapshot = await database.load()
        assert (snapshot.files, len(snapshot.outbox)) == ((file_record(),), 1)
    assert not list(left.glob("*damaged*"))


@pytest.mark.parametrize("journal", [True, False])
@pytest.mark.parametrize("content", [None, b""])
async def test_one_that_is_gone_is_made_anew(content: bytes | None, journal: bool, left: Path) -> None:  # noqa: FBT001
    """Row 8: as a kill in the middle of setting it aside leaves it; what is published is not swept away, and the old
    journal is not read into the new database.
    """
    (left / "localctl.db").unlink()
    if content is not None:
        put(left / "localctl.db", content)
    if not journal:
        (left / "localctl.db-wal").unlink(missing_ok=True)
    async with opened(left) as database:
        snapshot = await database.load()
    assert [each.checksum for each in snapshot.files] == [CHECKSUM]
    assert snapshot.outbox == ()


async def test_only_what_is_whole_is_published(left: Path) -> None:
    """Row 8, L03.FR.07: by the MD5 in its folder's name; no link, no file of another name."""
    firmware = left / "firmware"
    for folder, name in (("0" * 32, "fw.bin"), ("1" * 32, ".hidden"), ("2" * 32, "b.bin"), ("other", "fw.bin")):
        (firmware / folder).mkdir()
        put(firmware / folder / name, BODY)
    (firmware / ("2" * 32) / "b.bin").unlink()
    (firmware / ("2" * 32) / "b.bin").symlink_to(firmware / CHECKSUM / "fw.bin")
    (firmware / ("3" * 32)).symlink_to(firmware / CHECKSUM)
    _no_database(left)
    async with opened(left) as database:
        assert [each.checksum for each in (await database.load()).files] == [CHECKSUM]


async def test_a_kill_in_mid_work_is_made_up_for(left: Path) -> None:
    """Row 8: set aside, and killed before the new one has its name."""
    _no_database(left)
    killed = patch.object(rebuild, "_write", side_effect=OSError(5, "as good as a kill"))
    with killed, pytest.raises(StateError, match="cannot be made anew"):
        async with opened(left):
            pass
    assert not (left / "localctl.db").exists()
    put(left / "localctl.db.new", b"half")
    put(left / "localctl.db.new-wal", b"half")
    async with opened(left) as database:
        assert [each.checksum for each in (await database.load()).files] == [CHECKSUM]
    assert not (left / "localctl.db.new").exists()


async def test_a_later_version_is_neither_damaged_nor_touched(left: Path) -> None:
    """Row 8: it refuses to start, and says which version wrote it."""
    with contextlib.closing(sqlite3.connect(_checkpoint(left))) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 3}")
    with pytest.raises(DatabaseTooNew, match=f"its schema version is {len(MIGRATIONS) + 3}"):
        async with opened(left):
            pass
    assert not list(left.glob("*damaged*"))


async def test_the_first_start_makes_an_empty_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And says nothing."""
    async with opened(tmp_path / "new") as database:
        assert (await database.load()).files == ()
    assert not caplog.records
