"""Publishing by hand: bytes that somebody sends, or a location that somebody names. Edge.

Nobody tells its MD5 beforehand, unless they want to: it is that of what came. No CSMS asked for it, so none is told.
What is under way is on no record: a kill leaves a partial file that belongs to nothing, and the next start removes it.
Nor does it wait for its turn at its location: whoever looks on would not know for what. Once published it is a file
like any other, and the CSMS may withdraw it. Its number is negative, so that it never is that of a publication.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from typing import Any, Final
from urllib.parse import quote

from localctl.errors import ByHandRefused, FetchError, OriginFailed, OriginRefused, StorageError
from localctl.mirror.admission import redacted, refusal
from localctl.mirror.download import Download
from localctl.mirror.publisher import Publisher
from localctl.mirror.retry import delay
from localctl.mirror.workshop import Workshop
from localctl.store.intake import Digests, Intake
from localctl.store.names import is_checksum, safe_name
from localctl.store.records import FileRecord, Publication, Resume
from localctl.store.unbroken import unbroken

log = logging.getLogger("localctl.mirror")

LOOK_BYTES: Final = 32 * 2**20  # after so many the free space is looked at again
_ANY_CHECKSUM: Final = "0" * 32
Published = tuple[str, tuple[str, ...]]  # checksum and URIs


class ByHand:
    """What people on this machine publish; ``publisher`` makes room for it among what the CSMS publishes."""

    def __init__(self, workshop: Workshop, publisher: Publisher) -> None:
        self.shop = workshop
        self._publisher = publisher
        self._files = workshop.downloading.files
        self._ids = count(-1, -1)

    async def receive(self, blocks: AsyncIterator[bytes], size: int | None, name: str, checksum: str) -> Published:
        """Publish the ``size`` bytes that ``blocks`` brings (None: it is not known how many), as ``name``.

        Raises ByHandRefused or StorageError; then, and where it is cancelled, nothing of it is left.
        """
        self.check(checksum)
        self._check_size(size or 0)
        await self.check_space(size or 0)
        draft = self.draft(_file_name(name), "", checksum)
        try:
            digests = await self._collect(draft, blocks)
            if size not in {None, digests.size}:
                raise ByHandRefused(f"{digests.size} of {size} bytes came")
            return await self.place(draft, digests)
        except StorageError as fault:
            self.shop.failed(fault)
            raise
        finally:
            await self.discard(draft)

    def fetch(self, location: str, name: str, checksum: str) -> "Fetching":
        """A download of ``location``, to be published as ``name``; empty: as it is called there."""
        return Fetching(self, location, _file_name(name) if name else safe_name(location), checksum)

    async def withdraw(self, checksum: str) -> str:
        """Withdraw what is published under ``checksum``; the status of an UnpublishFirmware. Raises StorageError."""
        try:
            verdict = await self._publisher.take_away(checksum.lower())
        except StorageError as fault:
            self.shop.failed(fault)
            raise
        log.info("unpublish %s by hand: %s", checksum.lower(), verdict.value)
        return verdict.value

    async def _collect(self, draft: Publication, blocks: AsyncIterator[bytes]) -> Digests:
        """Raises ByHandRefused or StorageError."""
        intake = await Intake.open(self._files.partial(draft.id), 0, self.shop.downloading.executor)
        looked = 0
        try:
            async for block in blocks:
                await intake.feed(block)
                self._check_size(intake.received)
                if intake.received - looked >= LOOK_BYTES:
                    looked = intake.received
                    await self.check_space(0)
            return await intake.finish()
        finally:
            await intake.close()

    async def place(self, draft: Publication, digests: Digests) -> Published:
        """Put what has come in its place, unless the same is published already. Raises ByHandRefused, StorageError."""
        if digests.size == 0:
            raise ByHandRefused("the file is empty")
        if draft.checksum not in {"", digests.md5}:
            raise ByHandRefused(f"its MD5 is {digests.md5}, not {draft.checksum}")
        async with self._publisher.set_aside(digests.md5):
            known = self.published(digests.md5)
            if known:
                return known
            if not self.shop.uris(digests.md5, draft.name):
                raise ByHandRefused("no listener under [publish] could serve it")
            await unbroken(self._put(replace(draft, checksum=digests.md5), digests), f"publishing {digests.md5}")
        uris = self.shop.uris(digests.md5, draft.name)
        log.info("published by hand: %s", " ".join((digests.md5, *uris)))
        return digests.md5, uris

    async def _put(self, draft: Publication, digests: Digests) -> None:
        what = (draft.checksum, draft.name, digests.size, digests.sha256)
        record = FileRecord(*what, draft.location, self.shop.now())
        try:
            await self.shop.shelf.rename(draft)
            await self.shop.shelf.add(draft, record, ())
        except StorageError:
            await self.shop.shelf.discard(draft)
            raise

    def published(self, checksum: str) -> Published | None:
        """What is told of ``checksum`` (lower case, or empty) where it is published already."""
        file = self.shop.catalogue.find(checksum)
        uris = self.shop.uris(file.checksum, file.name) if file else ()
        return (checksum, uris) if uris else None

    def check(self, checksum: str) -> None:
        """Raises ByHandRefused where an MD5 is given and is none."""
        if checksum and not is_checksum(checksum):
            raise ByHandRefused("an MD5 has 32 hexadecimal digits")

    def _check_size(self, size: int) -> None:
        if size > (limit := self.shop.settings.max_file_size):
            raise ByHandRefused(f"the file has more than firmware.max_file_size = {limit} bytes")

    async def check_space(self, coming: int) -> None:
        """Raises ByHandRefused where ``coming`` bytes would not leave min_free_space, or StorageError."""
        free = await self.shop.downloading.free_space()
        kept = self.shop.settings.min_free_space
        if free - coming < kept:
            raise ByHandRefused(f"the disk is too full: {free} bytes are free, firmware.min_free_space keeps {kept}")

    def draft(self, name: str, location: str, checksum: str) -> Publication:
        """A publication that is on no record."""
        tries, number = self.shop.settings.retries, next(self._ids)
        return Publication(number, 0, location, checksum.lower(), name, tries, None, self.shop.now())

    async def discard(self, draft: Publication) -> None:
        """Throw away what was collected; nothing where it is in its place by now."""
        run, executor = asyncio.get_running_loop().run_in_executor, self.shop.downloading.executor
        try:
            await run(executor, self._files.discard, draft.id)
        except StorageError as fault:
            self.shop.failed(fault)
            log.error("a file that is not needed any more stays on the disk until the next start: %s", fault)


class Fetching:
    """One download for somebody who waits for it; by the configuration's rules, and with its retries."""

    def __init__(self, hand: ByHand, location: str, name: str, checksum: str) -> None:
        self._hand = hand
        self._shop = hand.shop
        self._draft = hand.draft(name, location, checksum)
        self._download: Download | None = None
        self._told: dict[str, Any] = {"state": "waiting"}

    def progress(self) -> dict[str, Any]:
        """``state``: waiting (for one of the slots for downloads), downloading (``received`` and ``total`` bytes),
        paused (for ``seconds``, because of ``reason``), publishing.
        """
        if (download := self._download) is not None:
            return {"state": "downloading", "received": download.received, "total": download.resume.total}
        return self._told

    async def run(self) -> Published:
        """Download and publish. Raises ByHandRefused, FetchError or StorageError; then, and where it is cancelled,
        nothing of it is left.
        """
        self._hand.check(self._draft.checksum)
        wrong = refusal(
            self._draft.location, self._draft.checksum or _ANY_CHECKSUM, self._shop.settings.allowed_origins
        )
        if wrong:
            raise ByHandRefused(wrong[1])
        if known := self._hand.published(self._draft.checksum):
            return known
        await self._hand.check_space(0)
        log.info("download by hand: %s", redacted(self._draft.location))
        try:
            digests = await self._collect()
            self._told = {"state": "publishing"}
            return await self._hand.place(self._draft, digests)
        except StorageError as fault:
            self._shop.failed(fault)
            raise
        finally:
            await self._hand.discard(self._draft)

    async def _collect(self) -> Digests:
        """Raises FetchError or StorageError once all tries are spent."""
        while True:
            try:
                async with self._shop.slots:
                    digests, doubtful = await self._try()
            except OriginFailed as fault:
                await self._pause(fault)
                continue
            wrong = self._draft.checksum not in {"", digests.md5}
            if not wrong or not doubtful or self._draft.restarted:
                return digests
            self._draft = replace(self._draft, restarted=True, resume=Resume())  # put together wrongly: once more

    async def _try(self) -> tuple[Digests, bool]:
        """One try. Raises FetchError or StorageError."""
        parts, result = self._shop.downloading, "cancelled"
        self._download = download = Download(parts, self._draft, _forget)
        try:
            digests = await download.run()
            result = "complete"
        except (FetchError, StorageError) as fault:
            result = "refused" if isinstance(fault, OriginRefused) else "failed"
            raise
        finally:
            parts.metrics.download_attempts.labels(result).inc()
            self._draft = replace(self._draft, resume=download.resume)
            self._download = None
        if not self._draft.checksum and download.doubtful and download.resume.total is None:
            raise OriginRefused("the origin does not say where the file ends, so a part would pass for it: give --md5")
        return digests, download.doubtful

    async def _pause(self, fault: OriginFailed) -> None:
        """Raises ``fault`` where no try is left."""
        failures = self._draft.failures + 1
        self._draft = replace(self._draft, failures=failures)
        if failures > self._draft.retries:
            raise fault
        default = self._shop.settings.retry_interval_seconds
        seconds = delay(failures, None, default, fault.retry_after, self._shop.random())
        log.warning("download by hand: %s; tried again in %.0f s", fault, seconds)
        self._told = {"state": "paused", "seconds": round(seconds), "reason": str(fault)}
        await asyncio.sleep(seconds)
        self._told = {"state": "waiting"}


async def _forget(_: Resume) -> None:
    """How far it has come is not kept: with a kill, who waited for it is gone too."""


def _file_name(text: str) -> str:
    """The published name of what is no URL."""
    return safe_name(quote(text, safe="/", errors="replace"))
