"""The shape of the database, and opening it: migrations, in order; what it is when it cannot be used. Edge; it blocks.

WAL and synchronous=FULL. The lock is exclusive, so that SQLite keeps the WAL's index in memory: a mapped file of it
could not be made on a full disk, and would kill us on a failing one. The version is in ``user_version``; one that is
later than ours is refused, and what is not sound is said to be damaged before anything is written to it.
"""

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from localctl.errors import DatabaseDamaged, DatabaseTooNew, StateError
from localctl.store.soundness import is_damage, require_journal, require_pages

_LOCKED_SECONDS: Final = 1.0  # who else could hold the lock would hold it long

MIGRATIONS: Final = (
    """
    CREATE TABLE publications (
        id INTEGER PRIMARY KEY AUTOINCREMENT, request_id INTEGER NOT NULL, location TEXT NOT NULL,
        checksum TEXT NOT NULL, name TEXT NOT NULL, retries INTEGER NOT NULL, interval REAL, created_at REAL NOT NULL,
        state TEXT NOT NULL, failures INTEGER NOT NULL DEFAULT 0, restarted INTEGER NOT NULL DEFAULT 0,
        resume_offset INTEGER NOT NULL DEFAULT 0, resume_total INTEGER, resume_validator TEXT NOT NULL DEFAULT '',
        ended INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX publications_by_request ON publications (request_id);
    CREATE TABLE files (
        checksum TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
        location TEXT NOT NULL, published_at REAL NOT NULL);
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, request_id INTEGER NOT NULL, status TEXT NOT NULL,
        location TEXT NOT NULL, created_at REAL NOT NULL);
    CREATE TABLE last_sent (
        only INTEGER PRIMARY KEY CHECK (only = 0), request_id INTEGER NOT NULL, status TEXT NOT NULL);
    """,
    """
    ALTER TABLE files ADD COLUMN request_id INTEGER NOT NULL DEFAULT -4611686018427387904;
    UPDATE files SET request_id = publications.request_id FROM publications
        WHERE publications.checksum = files.checksum AND publications.state = 'published';
    ALTER TABLE publications ADD COLUMN repair INTEGER NOT NULL DEFAULT 0;
    """,
)

_WRITABLE: Final = "localctl must be able to write it and its folder"
_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "another program is using it; end that first",
    sqlite3.SQLITE_FULL: "make room on the disk",
}


def open_file(path: Path, trial: Callable[[sqlite3.Cursor], object], used: bool) -> sqlite3.Connection:  # noqa: FBT001  for an executor
    """Open or make the database and bring it up to date; ``trial`` reads what will be read of it, ``used`` says
    that it was written before.

    Raises DatabaseTooNew, DatabaseDamaged or another StateError.
    """
    try:
        _make(path)
        require_journal(path)
        connection = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _migrate(connection, path, used=used)
            trial(connection.cursor())
        except BaseException:
            connection.close()
            raise
    except OSError as fault:
        raise StateError(str(path), f"the database cannot be used: {fault.strerror}; {_WRITABLE}") from fault
    except sqlite3.Error as fault:
        code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
        if is_damage(fault) or code == sqlite3.SQLITE_ERROR:  # the latter: a table or a column is not as we made it
            raise DatabaseDamaged(str(path), str(fault)) from fault
        advice = _ADVICE.get(code, _WRITABLE)
        raise StateError(str(path), f"the database cannot be used: {fault}; {advice}") from fault
    except (ValueError, TypeError) as fault:
        raise DatabaseDamaged(str(path), "it holds what localctl never wrote") from fault
    return connection


def _make(path: Path) -> None:
    if path.is_dir():
        raise StateError(str(path), "the database cannot be used: it is a folder; move it away")
    path.touch(mode=0o600)
    if stat.S_IMODE(path.stat().st_mode) != 0o600:  # locations may carry credentials
        path.chmod(0o600)


def _migrate(connection: sqlite3.Connection, path: Path, *, used: bool) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # before the first look at the WAL
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    require_pages(connection, path)
    if found < used:
        raise DatabaseDamaged(str(path), f"its schema version is {found}")
    if found > len(MIGRATIONS):
        raise DatabaseTooNew(str(path), found, len(MIGRATIONS))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for version, script in enumerate(MIGRATIONS[found:], found + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {version}; COMMIT;")
