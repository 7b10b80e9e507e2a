"""One publication under way. Edge: it performs what ``publication`` says, and decides nothing.

A job is driven by its publication's state alone, so a restart goes on from what the database holds. What it waits for
on its way is ``waiting``'s.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from localctl.errors import FetchError, OriginFailed, OriginRefused, StorageError
from localctl.mirror.download import Download
from localctl.mirror.publication import (
    AlreadyPublished,
    Awaited,
    Begun,
    Broken,
    Cancelled,
    Damaged,
    Discard,
    Event,
    Fetched,
    FetchFailed,
    FileStored,
    Notify,
    StoringFailed,
    step,
    unreported,
)
from localctl.mirror.repair import reported
from localctl.mirror.waiting import Waiting
from localctl.mirror.workshop import Workshop
from localctl.store.intake import Digests
from localctl.store.records import ENDED, FLOWING, FileRecord, Notification, Publication, Resume, State

Keep = Callable[[Publication, Sequence[Notification]], Awaitable[Sequence[Notification]]]

log = logging.getLogger("localctl.mirror")


class Job:
    """``lock`` is that of the publication's checksum; ``busy`` is held while a step is being recorded: whoever holds it
    keeps the publication where it is.
    """

    def __init__(self, workshop: Workshop, publication: Publication, lock: asyncio.Lock) -> None:
        self.publication = publication
        self.download: Download | None = None
        self.busy = asyncio.Lock()
        self._shop = workshop
        self._metrics = workshop.downloading.metrics
        self._waiting = Waiting(workshop, lock, self._waits)
        self._digests: Digests | None = None
        self._retry_after: float | None = None
        self._failed = publication.state is State.PAUSED and publication.failures > 0  # a wait is due
        self._task: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin, or go on after a restart or a halt; nothing where it is at work."""
        if self._task is not None and not self._task.done():
            return
        self._task = tasks.create_task(self.run(), name=f"publication {self.publication.request_id}")

    @property
    def is_flowing(self) -> bool:
        """Whether bytes of it are flowing to us, or are being put in their place (L04.FR.04)."""
        return self.publication.state in FLOWING

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.publication.state in ENDED

    async def run(self) -> None:
        """Carry the publication to its end. A fault of ours ends this publication, and neither another nor a relay."""
        try:
            await self._carry()
        except Exception:  # whatever it is
            log.exception("publication %d failed by a fault of localctl", self.publication.request_id)
            await self._give_up()

    async def halt(self) -> None:
        """End the work on what is scheduled or paused. The caller holds ``busy``: no step is half taken."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def cancel(self) -> None:
        """L04.FR.04: what was halted is cancelled, for good. The caller holds ``busy``.

        Raises StorageError; then it is as it was.
        """
        await self._step(Cancelled(), self._shop.database.record)

    async def _carry(self) -> None:
        async with self._waiting.file():
            if self._is_published():
                await self._apply(AlreadyPublished())
            while not self.is_over:
                if self.publication.state is not State.VERIFIED:
                    await self._obtain()
                if self.publication.state is State.VERIFIED:
                    await self._place()

    def _is_published(self) -> bool:
        """Whether its file is there already, and a URI of it can be told (L03.FR.04)."""
        file = self._shop.catalogue.find(self.publication.checksum)
        return file is not None and bool(self._shop.uris(file.checksum, file.name))

    async def _give_up(self) -> None:
        try:
            if not self.is_over:
                await self._apply(Broken())
        except Exception:  # the second fault in a row
            log.exception("publication %d is left as it is until the next start", self.publication.request_id)

    async def _waits(self) -> None:
        """It has to wait: that is reported where it has not been."""
        if self.publication.state in {State.ACCEPTED, State.DOWNLOADING}:
            await self._apply(Awaited())

    async def _obtain(self) -> None:
        """Have the whole file here: given by who fetched its location before, or else by tries of its own."""
        async with self._waiting.turn(self.publication) as turn:
            if turn.digests is not None:
                await self._take_over(turn.digests)
            while not self.is_over and self.publication.state is not State.VERIFIED:
                if self._failed:
                    await self._waiting.next_try(self.publication, self._retry_after)
                    self._failed = False
                await self._waiting.window(self.publication)
                await self._fetch()

    async def _take_over(self, digests: Digests) -> None:
        log.info("publication %d takes over what was fetched from its location", self.publication.request_id)
        self._digests = digests
        await self._apply(Begun())
        await self._apply(Fetched(digests.md5, doubtful=False))

    async def _fetch(self) -> None:
        async with self._waiting.slot():
            if not self._shop.gate.is_open:
                return  # it has closed while others had the slots
            if self.publication.state is not State.DOWNLOADING:
                await self._apply(Begun())
            event = await self._shop.gate.during(self._try()) or Awaited()
        self._failed = isinstance(event, FetchFailed)
        await self._apply(event)

    async def _try(self) -> Event:
        """One try, and what it came to."""
        monotonic = self._shop.downloading.monotonic
        self.download = download = Download(self._shop.downloading, self.publication, self._keep)
        began, result, self._retry_after = monotonic(), "cancelled", None
        try:
            self._digests = await download.run()
        except (FetchError, StorageError) as fault:
            result = "refused" if isinstance(fault, OriginRefused) else "failed"
            self._retry_after = fault.retry_after if isinstance(fault, OriginFailed) else None
            self._count(fault)
            log.warning("publication %d: %s", self.publication.request_id, fault)
            return FetchFailed(final=not isinstance(fault, OriginFailed))
        else:
            result = "complete"
            self._metrics.download_duration.observe(monotonic() - began)
            return Fetched(self._digests.md5, download.doubtful)
        finally:
            self._metrics.download_attempts.labels(result).inc()
            self.publication = replace(self.publication, resume=download.resume)
            self.download = None

    async def _keep(self, resume: Resume) -> None:
        self.publication = replace(self.publication, resume=resume)
        await self._record(self.publication, ())

    async def _place(self) -> None:
        """L03.FR.08, FR.09: put the verified file in its place, or say that it cannot be."""
        publication = self.publication
        try:
            digests = self._digests or await self._shop.shelf.digest(publication)
            if digests is None or digests.md5 != publication.checksum:
                await self._apply(Damaged())
            elif not self._shop.uris(publication.checksum, publication.name):
                log.error("publication %d: no listener under [publish] could serve it", publication.request_id)
                await self._apply(StoringFailed())
            else:
                await self._shop.shelf.rename(publication)
                record = self._file(digests)
                await self._apply(FileStored(), lambda changed, due: self._shop.shelf.add(changed, record, due))
        except StorageError as fault:
            self._count(fault)
            log.error("publication %d cannot be published: %s", publication.request_id, fault)
            await self._apply(StoringFailed())

    async def _apply(self, event: Event, keep: Keep | None = None) -> None:
        async with self.busy:
            await self._step(event, keep or self._record)

    async def _step(self, event: Event, keep: Keep) -> None:
        """One step: it is kept together with its notifications, then they may go out, then what is not needed goes."""
        changed, effects = step(self.publication, event)
        effects = reported(changed, effects)
        due = [self._notification(changed, effect) for effect in effects if isinstance(effect, Notify)]
        kept = await keep(changed, due)
        self.publication = changed
        self._shop.notify(kept)
        self._report(due)
        if Discard() in effects:
            self.publication = replace(changed, resume=Resume())
            await self._hand_over()
            await self._shop.shelf.discard(changed)

    async def _hand_over(self) -> None:
        """What is to be thrown away may be what another publication waits for at the same location."""
        digests, self._digests = self._digests, None
        heir = self._shop.locations.heir(self.publication.location, digests.md5) if digests else None
        if digests and heir and await self._shop.shelf.hand_over(self.publication.id, heir.publication.id, heir.waits):
            heir.give(digests)

    async def _record(self, changed: Publication, due: Sequence[Notification]) -> Sequence[Notification]:
        """Keep a step. A disk that refuses it must not silence us: it is reported all the same."""
        try:
            return await self._shop.database.record(changed, due)
        except StorageError as fault:
            self._count(fault)
            log.error("publication %d: its state cannot be kept: %s", changed.request_id, fault)
            return due

    def _notification(self, changed: Publication, effect: Notify) -> Notification:
        location: tuple[str, ...] = ()
        if effect.status == "Published":  # L03.FR.04, with the name first given
            file = self._shop.catalogue.find(changed.checksum)
            location = self._shop.uris(changed.checksum, file.name if file else changed.name)
        return Notification(0, changed.request_id, effect.status, location, self._shop.now())

    def _file(self, digests: Digests) -> FileRecord:
        of, now = self.publication, self._shop.now()
        return FileRecord(of.checksum, of.name, digests.size, digests.sha256, of.location, now, of.request_id)

    def _count(self, fault: Exception) -> None:
        if isinstance(fault, StorageError):
            self._metrics.storage_errors.labels(fault.operation).inc()

    def _report(self, due: Sequence[Notification]) -> None:
        for each in due:
            log.info("publication %d: %s", each.request_id, " ".join((each.status, *each.location)))
        if self.is_over:
            self._metrics.publish_results.labels(due[-1].status if due else unreported(self.publication.state)).inc()
