"""The disk below the state directory: its space, and whether it takes what is written. Edge: it looks and tries.

Every failure of the disk is told here once, where it is dealt with: it is counted, and ``trouble`` says what it means.
A disk that is well is looked at and never written to: an SD card wears. One in trouble is tried, with a small file,
until that lasts; until then we are not ready.
"""

import asyncio
import logging
from contextlib import suppress

from localctl.errors import StorageError
from localctl.metrics import Metrics
from localctl.store.files import FirmwareFiles
from localctl.store.trouble import LOOK_SECONDS, pause, trouble

log = logging.getLogger("localctl.store")


class Disk:
    """``space`` is ``free`` and ``size`` in bytes, as last seen. To be used on the main loop."""

    def __init__(self, files: FirmwareFiles, metrics: Metrics) -> None:
        self.space = {"free": 0, "size": 0}
        self._files = files
        self._metrics = metrics
        self._trouble = ""
        self._told = asyncio.Event()

    def troubles(self) -> tuple[str, ...]:
        """What is wrong with it, in words; empty where nothing is."""
        return (self._trouble,) if self._trouble else ()

    def failed(self, fault: StorageError) -> None:
        """An operation failed, and nobody else is told of it."""
        self._metrics.storage_errors.labels(fault.operation).inc()
        if words := trouble(fault):
            if not self._trouble:
                self._trouble = words
                log.error("not ready: %s", words)
            self._told.set()

    async def watch(self) -> None:
        """Look every LOOK_SECONDS; while it is in trouble also try it, soon and then as seldom. Until cancelled."""
        tries = 0
        while True:
            self._told.clear()
            lasts = await self._look() and (tries == 0 or await self._try())
            if tries and lasts and not self._told.is_set():
                self._trouble = ""
                log.warning("the disk takes again what is written")
            if self._trouble:
                await asyncio.sleep(pause(tries))
                tries += 1
            else:
                tries = 0
                await self._wait()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._told.wait()

    async def _look(self) -> bool:
        """Note its space; whether it can be written to, as far as that shows without writing."""
        try:
            free, size = await asyncio.to_thread(self._files.space)
            self.space.update(free=free, size=size)
            self._metrics.storage_free.set(free)
            self._metrics.storage_size.set(size)
            await asyncio.to_thread(self._files.require_writable)
        except StorageError as fault:
            return self._judge(fault)
        return True

    async def _try(self) -> bool:
        """Whether a small file can be written and made to last; want of room is no hindrance."""
        try:
            await asyncio.to_thread(self._files.probe)
        except StorageError as fault:
            return self._judge(fault)
        return True

    def _judge(self, fault: StorageError) -> bool:
        """Whether the disk is well for all that; if not, this knows better what is wrong than whoever met it first."""
        self.failed(fault)
        self._trouble = trouble(fault) or self._trouble
        return not trouble(fault)
