"""What must last, in one SQLite file: publications, published files, notifications that wait for the CSMS.

WAL and synchronous=FULL: what a method has returned from survives a power cut. One worker thread owns the connection
and runs one transaction at a time; the main loop only waits. A change of state and the notification that reports it
are one transaction (``design.md``, State that lasts), so that neither is ever without the other.
"""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from localctl.errors import StateError, StorageError
from localctl.store.backlog import MOST, merged
from localctl.store.records import (
    ENDED,
    NOBODY,
    FileRecord,
    LastSent,
    Notification,
    Publication,
    Resume,
    Snapshot,
    State,
)
from localctl.store.schema import open_file
from localctl.store.soundness import is_damage, set_aside
from localctl.store.unbroken import see_out

log = logging.getLogger("localctl.store")
Result = TypeVar("Result")
REMEMBERED: Final = 1000  # requestIds, for DuplicateRequestId
REMEMBERED_SECONDS: Final = 90 * 86400.0


class Database:
    """The file; ``open`` makes one, ``close`` ends its thread. ``damaged`` is set when it turns out to be no more what
    was written: it is set aside then, each transaction fails, and only a new start helps.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._path = path
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._spoilt = False
        self.damaged = asyncio.Event()

    @classmethod
    async def open(cls, path: Path, *, used: bool = False) -> "Database":
        """Open or make the file and bring it up to date; ``used`` says that it cannot be a new one.

        Raises DatabaseTooNew, DatabaseDamaged or another StateError.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        opening = asyncio.get_running_loop().run_in_executor(thread, open_file, path, _load, used)
        try:
            await see_out(opening)
            return cls(opening.result(), path, thread)
        except BaseException:
            if opening.exception() is None:
                thread.submit(opening.result().close)
            thread.shutdown(wait=False)
            raise

    async def close(self) -> None:
        """Wait for what is being written, then close. What is asked afterwards raises StorageError."""
        with suppress(RuntimeError):  # it is closed already
            self._thread.submit(self._connection.close)
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, work: Callable[[sqlite3.Cursor], Result]) -> Result:
        """One transaction on the thread, even where nobody waits for it any more. Raises StorageError, and then nothing
        of it is kept.
        """

        def transact() -> Result:
            if self._spoilt:
                raise StorageError("commit", str(self._path), "it is damaged")
            try:
                with self._connection:
                    self._connection.execute("BEGIN IMMEDIATE")
                    return work(self._connection.cursor())
            except sqlite3.Error as fault:
                if is_damage(fault):
                    self._spoil()
                raise StorageError("commit", str(self._path), str(fault)) from fault

        try:
            transaction = asyncio.get_running_loop().run_in_executor(self._thread, transact)
        except RuntimeError:  # its thread has ended
            raise StorageError("commit", str(self._path), "the database is closed") from None
        return await asyncio.shield(transaction)

    def _spoil(self) -> None:
        """On the thread: the next start must not go on with it, whatever it can read of it by then."""
        if not self._spoilt:
            self._spoilt = True
            try:
                log.error("%s is damaged; it was set aside as %s", self._path, set_aside(self._path, time.time()))
            except StateError as fault:
                log.error("%s", fault)
            self._loop.call_soon_threadsafe(self.damaged.set)

    async def load(self) -> Snapshot:
        """All that is kept and not ended."""
        return await self._run(_load)

    async def knows_request(self, request_id: int, now: float) -> bool:
        """Whether ``request_id`` is among the last REMEMBERED, not older than REMEMBERED_SECONDS at ``now``."""
        query = "SELECT 1 FROM publications WHERE request_id = ? AND created_at > ? LIMIT 1"
        values = (request_id, now - REMEMBERED_SECONDS)
        return await self._run(lambda cursor: cursor.execute(query, values).fetchone() is not None)

    async def add_publication(self, new: Publication) -> Publication:
        """Keep a new publication, forget what is too old to matter; the publication with its id."""

        def work(cursor: sqlite3.Cursor) -> Publication:
            kept = _insert_publication(cursor, new)
            cursor.execute("DELETE FROM publications WHERE ended AND id <= ?", (kept.id - REMEMBERED,))
            return kept

        return await self._run(work)

    async def condemn(
        self, new: Publication, notifications: Iterable[Notification]
    ) -> tuple[Publication, tuple[Notification, ...]]:
        """Forget a published file in favour of the publication that replaces it, and keep what reports it, as one.

        Returns both with their ids.
        """

        def work(cursor: sqlite3.Cursor) -> tuple[Publication, tuple[Notification, ...]]:
            cursor.execute("DELETE FROM files WHERE checksum = ?", (new.checksum,))
            kept = _insert_publication(cursor, new)
            return kept, _report(cursor, notifications)

        return await self._run(work)

    async def file(self, checksum: str) -> FileRecord | None:
        """What is on record under ``checksum``."""

        def work(cursor: sqlite3.Cursor) -> FileRecord | None:
            row = cursor.execute("SELECT * FROM files WHERE checksum = ?", (checksum,)).fetchone()
            return FileRecord(*row) if row else None

        return await self._run(work)

    async def record(
        self, changed: Publication, notifications: Iterable[Notification] = (), file: FileRecord | None = None
    ) -> tuple[Notification, ...]:
        """Keep a publication's new state, what reports it, and the file that it published, as one. A file that had been
        published for nobody is that publication's from now on: its origin can be asked, and the CSMS be told.

        Returns the notifications with their ids.
        """

        def work(cursor: sqlite3.Cursor) -> tuple[Notification, ...]:
            ended, resume = changed.state in ENDED, changed.resume
            cursor.execute(
                "UPDATE publications SET state = ?, failures = ?, restarted = ?, resume_offset = ?, resume_total = ?,"
                " resume_validator = ?, ended = ?, location = ? WHERE id = ?",
                (changed.state.value, changed.failures, changed.restarted, resume.offset, resume.total,
                 resume.validator, ended, "" if ended else changed.location, changed.id),
            )  # fmt: skip
            if file is not None:
                _insert_file(cursor, file)
            elif changed.state is State.PUBLISHED:
                _adopt_file(cursor, changed)
            return _report(cursor, notifications)

        return await self._run(work)

    async def add_files(self, files: Iterable[FileRecord]) -> None:
        """Keep that these are published, all of them or none."""

        def work(cursor: sqlite3.Cursor) -> None:
            for file in files:
                _insert_file(cursor, file)

        await self._run(work)

    async def withdraw(self, checksum: str) -> None:
        """Forget a published file."""

        def work(cursor: sqlite3.Cursor) -> None:
            cursor.execute("DELETE FROM files WHERE checksum = ?", (checksum,))

        await self._run(work)

    async def settle(self, answered: Notification) -> None:
        """The CSMS has answered a notification: it waits no longer, and was the last one sent.

        Nor do those before it of the same publication, had their own settling failed: a status that is sent again
        must not come after a later one.
        """

        def work(cursor: sqlite3.Cursor) -> None:
            passed = (answered.id, answered.request_id)
            cursor.execute("DELETE FROM outbox WHERE id <= ? AND request_id = ?", passed)
            values = (answered.request_id, answered.status)
            cursor.execute("INSERT OR REPLACE INTO last_sent VALUES (0, ?, ?)", values)

        await self._run(work)


def _load(cursor: sqlite3.Cursor) -> Snapshot:
    publications = cursor.execute(
        "SELECT id, request_id, location, checksum, name, retries, interval, created_at, state, failures, restarted,"
        " resume_offset, resume_total, resume_validator, repair FROM publications WHERE NOT ended ORDER BY id"
    ).fetchall()
    files = cursor.execute("SELECT * FROM files ORDER BY published_at").fetchall()
    last = cursor.execute("SELECT request_id, status FROM last_sent").fetchone()
    return Snapshot(
        tuple(_publication(*row) for row in publications),
        tuple(FileRecord(*row) for row in files),
        _outbox(cursor),
        LastSent(*last) if last else None,
    )


def _publication(*row: Any) -> Publication:
    values = (*row[:8], State(row[8]), row[9], bool(row[10]), Resume(*row[11:14]), bool(row[14]))
    return Publication(*values)


def _insert_file(cursor: sqlite3.Cursor, file: FileRecord) -> None:
    cursor.execute(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
        (file.checksum, file.name, file.size, file.sha256, file.location, file.published_at, file.request_id),
    )


def _adopt_file(cursor: sqlite3.Cursor, publication: Publication) -> None:
    cursor.execute(
        "UPDATE files SET request_id = ?, location = CASE location WHEN '' THEN ? ELSE location END"
        " WHERE checksum = ? AND request_id = ?",
        (publication.request_id, publication.location, publication.checksum, NOBODY),
    )


def _insert_publication(cursor: sqlite3.Cursor, new: Publication) -> Publication:
    cursor.execute(
        "INSERT INTO publications (request_id, location, checksum, name, retries, interval, created_at, state, repair,"
        " ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (new.request_id, new.location, new.checksum, new.name, new.retries, new.interval, new.created_at,
         new.state.value, new.repair, new.state in ENDED),
    )  # fmt: skip
    return replace(new, id=cursor.lastrowid or 0)


def _outbox(cursor: sqlite3.Cursor) -> tuple[Notification, ...]:
    rows = cursor.execute("SELECT * FROM outbox ORDER BY id").fetchall()
    return tuple(Notification(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4]) for row in rows)


def _report(cursor: sqlite3.Cursor, notifications: Iterable[Notification]) -> tuple[Notification, ...]:
    """Keep that these wait for the CSMS, and no more than may."""
    new = tuple(_insert(cursor, notification) for notification in notifications)
    if new and cursor.execute("SELECT COUNT(*) FROM outbox").fetchone()[0] > MOST:
        waiting = _outbox(cursor)
        left_out = {each.id for each in waiting} - {each.id for each in merged(waiting)}
        cursor.executemany("DELETE FROM outbox WHERE id = ?", [(id_,) for id_ in left_out])
    return new


def _insert(cursor: sqlite3.Cursor, new: Notification) -> Notification:
    cursor.execute(
        "INSERT INTO outbox (request_id, status, location, created_at) VALUES (?, ?, ?, ?)",
        (new.request_id, new.status, json.dumps(new.location), new.created_at),
    )
    return replace(new, id=cursor.lastrowid or 0)
