"""Whether the database is sound, and setting aside one that is not. Edge: files and SQLite; it blocks.

A damaged database is never mended in place: SQLite would go on from what it can still read, and what it lost would come
back or vanish. It is renamed, so that somebody can look at it, and a new one is made (``rebuild``).
"""

import sqlite3
import time
from itertools import count
from pathlib import Path
from typing import Final

from localctl.errors import DatabaseDamaged, StateError, StorageError
from localctl.store.files import sync_folder

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")  # the database itself first: a kill after it leaves it missing
_WAL_HEADER: Final = 32
_WAL_MAGIC: Final = frozenset({b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"})


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether SQLite says that the file's content is wrong, rather than the disk or the lock."""
    return (getattr(fault, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def require_journal(path: Path) -> None:
    """Raise DatabaseDamaged where the write-ahead log was overwritten: SQLite would pass over it without a word, and
    with it over what was committed last. Its header is on the disk before anything follows it.
    """
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as journal:
            header = journal.read(_WAL_HEADER + 1)
    except FileNotFoundError:
        return
    if len(header) > _WAL_HEADER and header[:4] not in _WAL_MAGIC:
        raise DatabaseDamaged(str(path), "its write-ahead log was overwritten")


def require_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseDamaged, or sqlite3.Error, unless every page is as SQLite wrote it."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise DatabaseDamaged(str(path), " ".join(said.split()))


def set_aside(path: Path, now: float) -> Path:
    """Rename the database at ``path`` and what belongs to it; its new name tells when, in UTC (``now``: Unix seconds).

    Raises StateError.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    wanted = path.with_name(f"{path.name}.damaged-{stamp}")
    names = (wanted if number == 0 else Path(f"{wanted}.{number}") for number in count())
    aside = next(name for name in names if not any(_beside(name, ending).exists() for ending in _COMPANIONS))
    try:
        for ending in _COMPANIONS:
            if _beside(path, ending).exists():
                _beside(path, ending).rename(_beside(aside, ending))
        sync_folder(path.parent)
    except (OSError, StorageError) as fault:
        raise StateError(str(path), f"is damaged and cannot be set aside: {fault}; move it away") from fault
    return aside


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")
