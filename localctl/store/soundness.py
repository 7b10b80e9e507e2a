"""Whether the database is sound, and setting aside one that is not. Edge: files and SQLite; it blocks.

A damaged database is never mended in place: SQLite would go on from what it can still read, and what it lost would come
back or vanish. It is renamed, so that somebody can look at it, and a new one is made (``rebuild``).
"""

import errno
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from localctl.errors import DatabaseDamaged, StateError, StorageError
from localctl.store.files import sync_folder
from localctl.store.journal import HEADER, frame_size, is_damaged

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")  # the database itself first: a kill after it leaves it missing
KEPT: Final = 3  # of those set aside: an SD card is small


def is_damage(fault: sqlite3.Error) -> bool:
    """Whether SQLite says that the file's content is wrong, rather than the disk or the lock."""
    return (getattr(fault, "sqlite_errorcode", 0) & 0xFF) in _DAMAGE


def cause(fault: sqlite3.Error) -> OSError | str:
    """What SQLite says, for a StorageError: want of room has its errno, as it has where others find it."""
    full = getattr(fault, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return OSError(errno.ENOSPC, str(fault)) if full else str(fault)


def require_journal(path: Path) -> None:
    """Raise DatabaseDamaged where the write-ahead log was overwritten: SQLite would pass over it without a word, and
    with it over what was committed last. Its header is on the disk before anything follows it.
    """
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as log:
            header = log.read(HEADER)
            if len(header) < HEADER or not log.read(1):
                return
            log.seek(HEADER)
            size = frame_size(header)
            if size is None or is_damaged(header, _frames(log, size)):
                raise DatabaseDamaged(str(path), "its write-ahead log was overwritten")
    except FileNotFoundError:
        return


def _frames(log: BinaryIO, size: int) -> Iterator[bytes]:
    """Those that are there to their end."""
    while len(frame := log.read(size)) == size:
        yield frame


def require_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DatabaseDamaged, or sqlite3.Error, unless every page is as SQLite wrote it."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise DatabaseDamaged(str(path), " ".join(said.split()))


def set_aside(path: Path, now: float) -> Path:
    """Rename the database at ``path`` and what belongs to it; its new name tells when, in UTC (``now``: Unix seconds).
    The newest KEPT of them are kept.

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
    _forget_the_oldest(path, aside)
    return aside


def _forget_the_oldest(path: Path, newest: Path) -> None:
    """By the times in their names, but never ``newest``: the clock may have jumped."""
    found = {_without_ending(each) for each in path.parent.glob(f"{path.name}.damaged-*")}
    older = sorted(found - {newest})
    for aside in older[: max(0, len(older) - (KEPT - 1))]:
        for ending in _COMPANIONS:
            with suppress(OSError):  # it only takes room
                _beside(aside, ending).unlink(missing_ok=True)


def _without_ending(path: Path) -> Path:
    name = path.name
    for ending in _COMPANIONS:
        name = name.removesuffix(ending)
    return path.with_name(name)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")
