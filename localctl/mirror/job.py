"""One publication under way. Edge: it performs what ``publication`` says, and decides nothing.

A job is driven by its publication's state alone, so a restart goes on from what the database holds. It waits for three
things: its file's lock (one publication at a time works on a checksum; the next one finds it published), the download
window, and one of the slots for downloads.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from localctl.errors import FetchError, OriginFailed, OriginRefused, StorageError
from localctl.mirror.download import Download, Downloading
from localctl.mirror.gate import Closed, Gate
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
    WindowClosed,
    step,
)
from localctl.mirror.repair import reported
from localctl.mirror.retry import delay
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.intake import Digests
from localctl.store.records import ENDED, FLOWING, FileRecord, Notification, Publication, Resume, State
from localctl.store.shelf import Shelf

Keep = Callable[[Publication, Sequence[Notification]], Awaitable[Sequence[Notification]]]

log = logging.getLogger("localctl.mirror")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every job works with.

    ``uris`` turns a checksum and a name into one URI a listener (L03.FR.04); ``notify`` hands notifications that are
    kept to the uplink; ``now`` is Unix seconds, ``random`` between 0 and 1; ``failed`` is told what the disk failed.
    """

    database: Database
    shelf: Shelf
    catalogue: Catalogue
    downloading: Downloading
    slots: asyncio.Semaphore
    gate: Gate
    uris: Callable[[str, str], tuple[str, ...]]
    notify: Callable[[Iterable[Notification]], None]
    now: Callable[[], float]
    random: Callable[[], float]
    failed: Callable[[StorageError], None]


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
        self._lock = lock
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
        if self._lock.locked() and self.publication.state is State.ACCEPTED:
            await self._apply(Awaited())
        async with self._lock:
            if self._is_published():
                await self._apply(AlreadyPublished())
            await self._drive()

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

    async def _drive(self) -> None:
        while not self.is_over:
            if self.publication.state is State.VERIFIED:
                await self._place()
                continue
            if self._failed:
                await self._wait()
            await self._pass_the_gate()
            await self._fetch()

    async def _wait(self) -> None:
        failures, interval = self.publication.failures, self.publication.interval
        default = self._shop.downloading.settings.retry_interval_seconds
        seconds = delay(failures, interval, default, self._retry_after, self._shop.random())
        log.info("publication %d is tried again in %.0f s", self.publication.request_id, seconds)
        await asyncio.sleep(seconds)
        self._failed = False

    async def _pass_the_gate(self) -> None:
        gate = self._shop.gate
        if gate.is_open:
            return
        if self.publication.state is State.ACCEPTED:
            await self._apply(Awaited())
        elif self.publication.state is State.DOWNLOADING:  # before a restart
            await self._apply(WindowClosed())
        log.info("publication %d waits for the download window %s", self.publication.request_id, gate.window)
        await gate.opened()

    async def _fetch(self) -> None:
        if self._shop.slots.locked() and self.publication.state is State.ACCEPTED:
            await self._apply(Awaited())
        async with self._shop.slots:
            if not self._shop.gate.is_open:
                return  # it has closed while others had the slots
            if self.publication.state is not State.DOWNLOADING:
                await self._apply(Begun())
            event = await self._try_in_time()
        self._failed = isinstance(event, FetchFailed)
        await self._apply(event)

    async def _try_in_time(self) -> Event:
        """One try, stopped where the download window closes before its end."""
        event: Event | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._shop.gate.watch(), name="download window")
                event = await self._try()
                watch.cancel()
        except* Closed:
            pass
        return event or WindowClosed()

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
            self._digests = None
            self.publication = replace(changed, resume=Resume())
            await self._shop.shelf.discard(changed)

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
        of = self.publication
        return FileRecord(
            of.checksum, of.name, digests.size, digests.sha256, of.location, self._shop.now(), of.request_id
        )

    def _count(self, fault: Exception) -> None:
        if isinstance(fault, StorageError):
            self._shop.failed(fault)

    def _report(self, due: Sequence[Notification]) -> None:
        for each in due:
            log.info("publication %d: %s", each.request_id, " ".join((each.status, *each.location)))
        if self.is_over:
            self._metrics.publish_results.labels(due[-1].status if due else self._unreported()).inc()

    def _unreported(self) -> str:
        """How it ended, where the CSMS is not told: cancelled, or a repair."""
        match self.publication.state:
            case State.PUBLISHED:
                return "Published"
            case State.CANCELLED:
                return "cancelled"
            case _:
                return "PublishFailed"
