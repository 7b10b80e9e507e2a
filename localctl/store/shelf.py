"""Putting verified files in their place and taking them away, in the order that survives a kill.

In: rename and fsync, then the database (state, file and notification as one), then the catalogue: what can be lent is
always on record, and what is on record is always on the disk. Out: the catalogue, then the database, then the unlink,
then the answer. Whatever a kill leaves between two of these steps, ``recover`` sets right at the next start; a
cancellation comes between none of them.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from localctl.errors import StorageError
from localctl.metrics import Metrics
from localctl.store.catalogue import Catalogue, PublishedFile, Withdrawal
from localctl.store.database import Database
from localctl.store.files import FirmwareFiles
from localctl.store.intake import Digests, digest_file
from localctl.store.records import FileRecord, Notification, Publication, Snapshot, State
from localctl.store.unbroken import unbroken

log = logging.getLogger("localctl.store")
Result = TypeVar("Result")


class Shelf:
    """The published files: on the disk, in the database, in the catalogue."""

    def __init__(
        self, database: Database, files: FirmwareFiles, catalogue: Catalogue, executor: Executor, metrics: Metrics
    ) -> None:
        self._database = database
        self._files = files
        self._catalogue = catalogue
        self._executor = executor
        self._metrics = metrics

    async def recover(self, snapshot: Snapshot) -> tuple[FileRecord, ...]:
        """After a start: what belongs to nothing goes, what is published can be lent; what of it is not there as it was
        is returned, to be condemned.

        What the disk fails to tell is left for the next start: it must not keep the relays from beginning.
        """
        verified = {each.checksum for each in snapshot.publications if each.state is State.VERIFIED}
        kept = verified | {record.checksum for record in snapshot.files}
        ids = {publication.id for publication in snapshot.publications}
        try:
            strays = await self._run(lambda: self._files.sweep(kept, ids))
        except StorageError as fault:
            self._failed("what a stop in mid-work left behind stays on the disk", fault)
        else:
            if strays:
                log.warning("removed %d files that a stop in mid-work had left behind", strays)
        damaged = []
        for record in snapshot.files:
            try:
                if not await self._restore(record):
                    damaged.append(record)
            except StorageError as fault:
                self._failed("a published file is not served until the next start", fault)
        self._count()
        return tuple(damaged)

    async def rename(self, publication: Publication) -> None:
        """Give a verified partial file its name; done already where a kill came between this and ``add``.

        Raises StorageError.
        """
        await self._run(lambda: self._files.publish(publication.id, publication.checksum, publication.name))

    async def add(
        self, publication: Publication, record: FileRecord, notifications: Sequence[Notification]
    ) -> tuple[Notification, ...]:
        """Keep that ``record`` is published, with what reports it, and lend it from now on. Raises StorageError."""
        steps = self._put_in(publication, record, notifications)
        return await unbroken(steps, f"publishing {record.checksum}")

    async def digest(self, publication: Publication) -> Digests | None:
        """What a file verified before a restart is now, wherever the kill left it; None where it is gone.

        Raises StorageError.
        """
        given_up = threading.Event()

        def work() -> Digests | None:
            named = self._files.published(publication.checksum, publication.name)
            for path in (self._files.partial(publication.id), named):
                try:
                    return digest_file(path, given_up.is_set)
                except FileNotFoundError:
                    continue
            return None

        try:
            return await self._run(work)
        finally:
            given_up.set()  # a stop must not wait for gigabytes to be hashed

    async def hand_over(self, giver: int, heir: int, is_wanted: Callable[[], bool]) -> bool:
        """Make one publication's whole partial file another's; False where the disk fails, or where the heir wants it
        no more by then: it is thrown away then.
        """
        try:
            await self._run(lambda: self._files.hand_over(giver, heir))
            if is_wanted():
                return True
            await self._run(lambda: self._files.discard(heir))
        except StorageError as fault:
            self._failed("what is here already is fetched again", fault)
        return False

    async def discard(self, publication: Publication) -> None:
        """Throw away what was collected for a publication, and what was renamed but never published."""

        def work() -> None:
            self._files.discard(publication.id)
            cancelled = publication.state is State.CANCELLED  # it got no further than its partial file
            if not cancelled and self._catalogue.find(publication.checksum) is None:
                self._files.remove(publication.checksum)

        try:
            await self._run(work)
        except StorageError as fault:
            self._failed("a file that is not needed any more stays on the disk until the next start", fault)

    async def withdraw(self, checksum: str) -> Withdrawal:
        """L04.FR.01, FR.02: once this returns WITHDRAWN the file is unlinked and the change committed.

        Raises StorageError; where the commit failed, the file is published as before.
        """
        verdict, file = self._catalogue.withdraw(checksum)
        if file is not None:
            try:
                await unbroken(self._take_out(file), f"withdrawing {checksum}")
            except StorageError as fault:
                self._metrics.storage_errors.labels(fault.operation).inc()
                raise
        return verdict

    async def condemn(
        self, publication: Publication, notifications: Sequence[Notification]
    ) -> tuple[Publication, tuple[Notification, ...]]:
        """Take a damaged file away, lent or not, and keep the publication that fetches it again and what reports that.

        Raises StorageError; where the commit failed, the file is on record for the next start, and not lent.
        """
        return await unbroken(self._condemn(publication, notifications), f"withdrawing {publication.checksum}")

    async def _condemn(
        self, publication: Publication, notifications: Sequence[Notification]
    ) -> tuple[Publication, tuple[Notification, ...]]:
        self._catalogue.drop(publication.checksum)
        self._count()
        kept = await self._database.condemn(publication, notifications)
        try:
            await self._run(lambda: self._files.remove(publication.checksum))
        except StorageError as fault:
            self._failed("a damaged file stays on the disk until it is fetched again", fault)
        return kept

    async def _put_in(
        self, publication: Publication, record: FileRecord, notifications: Sequence[Notification]
    ) -> tuple[Notification, ...]:
        kept = await self._database.record(publication, notifications, record)
        self._catalogue.add(self._file(record))
        self._count()
        return kept

    async def _take_out(self, file: PublishedFile) -> None:
        try:
            await self._database.withdraw(file.checksum)
        except StorageError:
            self._catalogue.add(file)
            raise
        self._count()
        await self._run(lambda: self._files.remove(file.checksum))

    async def _restore(self, record: FileRecord) -> bool:
        """Lend what is there as it was recorded; whether it is. Raises StorageError."""
        checksum, name = record.checksum, record.name
        if await self._run(lambda: self._files.holds(checksum, name, record.size)):
            self._catalogue.add(self._file(record))
            return True
        self._metrics.firmware_integrity_failures.inc()
        path = self._files.published(checksum, name)
        log.error("%s is missing, cut or a link: it is withdrawn", path)
        return False

    def _failed(self, what: str, fault: StorageError) -> None:
        self._metrics.storage_errors.labels(fault.operation).inc()
        log.error("%s: %s", what, fault)

    def _file(self, record: FileRecord) -> PublishedFile:
        path = self._files.published(record.checksum, record.name)
        return PublishedFile(record.checksum, record.name, path, record.size, record.sha256, record.published_at)

    def _count(self) -> None:
        files = self._catalogue.files()
        self._metrics.firmware_published_files.set(len(files))
        self._metrics.firmware_published_bytes.set(sum(file.size for file in files))

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
