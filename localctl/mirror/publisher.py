"""What the CSMS asks of the mirror: PublishFirmware, UnpublishFirmware. Edge: it asks the rules and starts the jobs."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from localctl.errors import StorageError
from localctl.metrics import PUBLICATION_STATES
from localctl.mirror.admission import Refusal, redacted, refusal
from localctl.mirror.job import Job
from localctl.mirror.publication import Notify
from localctl.mirror.repair import repairing
from localctl.mirror.workshop import Workshop
from localctl.ocpp.frames import Payload
from localctl.ocpp.messages import PublishFirmwareRequest, answer
from localctl.store.catalogue import Withdrawal
from localctl.store.names import safe_name
from localctl.store.records import ENDED, FileRecord, Notification, Publication, State
from localctl.store.unbroken import unbroken

log = logging.getLogger("localctl.mirror")


class Publisher:
    """All publications. ``tasks`` is where their jobs run."""

    def __init__(self, workshop: Workshop, tasks: asyncio.TaskGroup) -> None:
        self._shop = workshop
        self._metrics = workshop.downloading.metrics
        self._tasks = tasks
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._jobs: dict[int, Job] = {}
        self._accepting = asyncio.Lock()

    def jobs(self) -> tuple[Job, ...]:
        """The publications under way, oldest first."""
        self._jobs = {id_: job for id_, job in self._jobs.items() if not job.is_over}
        return tuple(self._jobs.values())

    def count(self) -> None:
        """Bring the gauge of publications up to date."""
        states = Counter(job.publication.state.value for job in self.jobs())
        states["scheduled"] += states["accepted"]
        for state in PUBLICATION_STATES:
            self._metrics.publications.labels(state).set(states[state])

    def go_on(self, publications: Iterable[Publication]) -> None:
        """After a start: carry on with what had not ended."""
        for publication in publications:
            log.info("publication %d goes on: %s", publication.request_id, publication.state.value)
            self._start(publication)

    async def accept(self, request: PublishFirmwareRequest) -> tuple[Payload, Callable[[], None] | None]:
        """L03.FR.05: the answer, and what begins once the answer is on its way. Raises StorageError."""
        wrong = refusal(request.location, request.checksum, self._shop.settings.allowed_origins)
        async with self._accepting:  # of two with one requestId the second is to find the first on record
            wrong = wrong or await self._fault_here(request)
            if wrong:
                self._metrics.publish_requests.labels("Rejected").inc()
                log.warning("publication %d is rejected: %s: %s", request.requestId, *wrong)
                return answer("Rejected", *wrong), None
            publication = await self._shop.database.add_publication(self._new(request))
        self._metrics.publish_requests.labels("Accepted").inc()
        log.info("publication %d accepted: %s", publication.request_id, redacted(publication.location))
        return answer("Accepted"), lambda: self._start(publication)

    async def withdraw(self, checksum: str) -> Withdrawal:
        """L04: withdraw a published file, or cancel what waits to become one. Raises StorageError."""
        checksum = checksum.lower()
        verdict = await self.take_away(checksum)
        self._metrics.unpublish_requests.labels(verdict.value).inc()
        log.info("unpublish %s: %s", checksum, verdict.value)
        return verdict

    async def repair(self, checksum: str) -> None:
        """A published file was found damaged: take it away and fetch it again, if its origin is known."""
        try:
            async with self._lock(checksum):  # whoever holds it may be publishing it afresh
                record = await self._shop.database.file(checksum)
                if record is not None and self._shop.catalogue.find(checksum) is None:
                    await self._replace(record)
        except StorageError as fault:
            self._shop.failed(fault)
            log.error("%s was damaged, and is not fetched again before the next start: %s", checksum, fault)

    async def _replace(self, record: FileRecord) -> None:
        now = self._shop.now()
        fetching, effects = repairing(record, self._shop.settings.retries, now)
        due = [Notification(0, record.request_id, each.status, (), now) for each in effects if isinstance(each, Notify)]
        kept, told = await self._shop.shelf.condemn(fetching, due)
        self._shop.notify(told)
        if kept.state in ENDED:
            log.error("%s was damaged and cannot be fetched again: publish it again", record.checksum)
            self._metrics.publish_results.labels("PublishFailed").inc()
        else:
            log.warning("%s was damaged, and is fetched again from %s", record.checksum, redacted(record.location))
            self._start(kept)

    async def take_away(self, checksum: str) -> Withdrawal:
        """The same for whoever asks; ``checksum`` is lower case. Raises StorageError."""
        alike = self._of(checksum)
        async with AsyncExitStack() as held:
            for job in alike:  # none of them moves on until all is decided: either all are cancelled, or none
                await held.enter_async_context(job.busy)
            if any(job.is_flowing for job in alike):
                return Withdrawal.LENT  # L04.FR.04: its bytes are flowing to us
            waiting = [job for job in alike if not job.is_over]
            await unbroken(self._cancel(waiting), f"cancelling {checksum}")  # who asked may go away meanwhile
        if self._of(checksum):
            return Withdrawal.LENT  # a request that came in meanwhile is at work on it
        async with self._lock(checksum):  # held at most by one that has ended and tidies up, or begins a repair
            if self._of(checksum):
                return Withdrawal.LENT
            verdict = await self._shop.shelf.withdraw(checksum)
        return Withdrawal.WITHDRAWN if verdict is Withdrawal.ABSENT and waiting else verdict

    @asynccontextmanager
    async def set_aside(self, checksum: str) -> AsyncIterator[None]:
        """While its file is put in place by hand, what is under way for ``checksum`` (lower case) stands still; then it
        goes on, and finds the file published. What is verified is being put in its place itself: that comes first.
        """
        halted: list[Job] = []
        try:
            await unbroken(self._halt(self._of(checksum), halted), f"halting {checksum}")
            async with self._lock(checksum):
                yield
        finally:
            for job in halted:
                if not job.is_over:
                    job.start(self._tasks)

    async def _halt(self, alike: list[Job], halted: list[Job]) -> None:
        """Those of ``alike`` that can stand still do so now, and are in ``halted``."""
        async with AsyncExitStack() as held:
            for job in alike:
                await held.enter_async_context(job.busy)
            for job in alike:
                if not job.is_over and job.publication.state is not State.VERIFIED:
                    await job.halt()
                    halted.append(job)

    def _of(self, checksum: str) -> list[Job]:
        return [job for job in self.jobs() if job.publication.checksum == checksum]

    async def _cancel(self, jobs: Iterable[Job]) -> None:
        """Cancel what waits, newest first, as the oldest has what the others wait for. Raises StorageError."""
        order = list(jobs)[::-1]
        for job in order:
            await job.halt()
        try:
            for job in order:
                await job.cancel()
                log.info("publication %d is cancelled", job.publication.request_id)
        except StorageError:
            for job in reversed(order):  # the oldest first: it goes on, and the others wait for it
                if not job.is_over:
                    job.start(self._tasks)
            raise

    async def _fault_here(self, request: PublishFirmwareRequest) -> Refusal | None:
        if await self._shop.database.knows_request(request.requestId, self._shop.now()):
            return "DuplicateRequestId", "this requestId was used before"
        if self._shop.catalogue.find(request.checksum.lower()):
            return None  # nothing of it need be fetched
        try:
            free = await self._shop.downloading.free_space()
        except StorageError as fault:
            return "OutOfStorage", str(fault)
        if free < self._shop.settings.min_free_space:
            return "OutOfStorage", f"{free} bytes are free, {self._shop.settings.min_free_space} are kept free"
        return None

    def _new(self, request: PublishFirmwareRequest) -> Publication:
        return Publication(
            id=0,
            request_id=request.requestId,
            location=request.location,
            checksum=request.checksum.lower(),
            name=safe_name(request.location),
            retries=self._shop.settings.retries if request.retries is None else max(0, request.retries),
            interval=request.retryInterval,
            created_at=self._shop.now(),
        )

    def _start(self, publication: Publication) -> None:
        job = self._jobs[publication.id] = Job(self._shop, publication, self._lock(publication.checksum))
        job.start(self._tasks)

    def _lock(self, checksum: str) -> asyncio.Lock:
        """One lock a checksum, for as long as anybody holds on to it."""
        return self._locks.setdefault(checksum, asyncio.Lock())
