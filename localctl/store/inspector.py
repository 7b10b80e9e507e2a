"""Reading what is published again and again, slowly. Edge: ``inspection`` says what a look came to.

The first pass begins with the start and delays nothing; then there is one an interval. Reading never exceeds its rate,
and what was read leaves the page cache again, so that a pass neither slows stations down nor takes their memory.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

from localctl.config import Firmware
from localctl.metrics import Metrics
from localctl.store.catalogue import Catalogue, PublishedFile
from localctl.store.inspection import damage, pause, unreadable

log = logging.getLogger("localctl.store")
Result = TypeVar("Result")

BLOCK: Final = 256 * 1024
_NO_TRAPS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Inspector:
    """``condemn`` is told the checksum of each file that was found damaged, and is not lent any more by then."""

    def __init__(
        self,
        settings: Firmware,
        catalogue: Catalogue,
        executor: Executor,
        metrics: Metrics,
        condemn: Callable[[str], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._executor = executor
        self._metrics = metrics
        self._condemn = condemn
        self._monotonic = monotonic
        self._changed = asyncio.Event()

    def reconfigure(self, settings: Firmware) -> None:
        """By these from now on; the file that is being read is read to its end."""
        self._settings = settings
        self._changed.set()

    async def run(self) -> None:
        """One pass an interval, until cancelled."""
        while True:
            for file in self._catalogue.files():
                await self.inspect(file)
            await self._rest()

    async def _rest(self) -> None:
        """For the interval, also where that becomes another meanwhile."""
        began = self._monotonic()
        while (left := began + self._settings.integrity_interval_seconds - self._monotonic()) > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    async def inspect(self, file: PublishedFile) -> None:
        """Look at one file; a damaged one is withdrawn at once, though it is being downloaded."""
        try:
            reason = await self._look(file)
        except OSError as fault:
            reason = unreadable(fault)
            if reason is None:
                log.warning("%s was not looked at: %s", file.path, fault)
        if reason is not None and self._is_published(file):
            self._catalogue.drop(file.checksum)
            self._metrics.firmware_integrity_failures.inc()
            log.error("%s %s: it is withdrawn", file.path, reason)
            await self._condemn(file.checksum)

    def _is_published(self, file: PublishedFile) -> bool:
        """Whether it is still this one: meanwhile it may have been withdrawn, or published anew."""
        return self._catalogue.find(file.checksum) is file

    async def _look(self, file: PublishedFile) -> str | None:
        """What is wrong with it, in words. Raises OSError."""
        reading = _Reading(file, min(BLOCK, self._settings.integrity_rate))
        began = self._monotonic()
        try:
            await self._run(reading.open)
            while await self._run(reading.block):
                seconds = pause(reading.size, began, self._monotonic(), self._settings.integrity_rate)
                await asyncio.sleep(seconds)
                if not self._is_published(file):
                    return None
                if not any(loan.file is file for loan in self._catalogue.loans()):
                    await self._run(reading.forget)
        finally:
            await self._run(reading.close)
        return damage(file, reading.size, reading.sha256.hexdigest())

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


class _Reading:
    """One file being read, on the worker's threads, one call at a time."""

    def __init__(self, file: PublishedFile, block: int) -> None:
        self.size = 0  # bytes read so far
        self.sha256 = hashlib.sha256()
        self._path = file.path
        self._block = block
        self._descriptor = -1

    def open(self) -> None:
        """Neither the file nor its folder may be a link. Raises OSError."""
        folder = os.open(self._path.parent, _NO_TRAPS | os.O_DIRECTORY)
        try:
            self._descriptor = os.open(self._path.name, _NO_TRAPS, dir_fd=folder)
        finally:
            os.close(folder)

    def block(self) -> bool:
        """Hash the next block; whether there was one. Raises OSError."""
        data = os.read(self._descriptor, self._block)
        self.sha256.update(data)
        self.size += len(data)
        return bool(data)

    def forget(self) -> None:
        """Let the page cache go of what was read."""
        with suppress(OSError):  # advice only
            os.posix_fadvise(self._descriptor, 0, self.size, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Always safe."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
