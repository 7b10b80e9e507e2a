"""What a publication waits for. Edge: ``retry`` and ``window`` say how long.

Always in this order, so that no two publications ever wait for each other: the lock of its checksum (one at a time
works on a file, and the next finds it published), its turn at its location, the time between two tries, the download
window, and one of the slots for downloads, which is held while bytes flow and never while anything is waited for.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from localctl.mirror.locations import Turn
from localctl.mirror.retry import delay
from localctl.mirror.workshop import Workshop
from localctl.store.records import Publication

log = logging.getLogger("localctl.mirror")


class Waiting:
    """For one publication. ``lock`` is that of its checksum; ``tell`` is awaited as a wait begins (but for the time
    between tries), and knows whether that is news.
    """

    def __init__(self, shop: Workshop, lock: asyncio.Lock, tell: Callable[[], Awaitable[None]]) -> None:
        self._shop = shop
        self._lock = lock
        self._tell = tell

    @asynccontextmanager
    async def file(self) -> AsyncIterator[None]:
        """Until no other publication works on its file."""
        if self._lock.locked():
            await self._tell()
        async with self._lock:
            yield

    @asynccontextmanager
    async def turn(self, publication: Publication) -> AsyncIterator[Turn]:
        """Until no other publication fetches its location, or one that did has given it the file."""
        with self._shop.locations.join(publication) as turn:
            if not turn.called.is_set():
                await self._tell()
                await turn.called.wait()
            yield turn

    async def next_try(self, publication: Publication, retry_after: float | None) -> None:
        """After a failed try, until the next; ``retry_after`` is what the origin asked for, in seconds."""
        default = self._shop.settings.retry_interval_seconds
        seconds = delay(publication.failures, publication.interval, default, retry_after, self._shop.random())
        log.info("publication %d is tried again in %.0f s", publication.request_id, seconds)
        await asyncio.sleep(seconds)

    async def window(self, publication: Publication) -> None:
        """Until files may be fetched."""
        gate = self._shop.gate
        if not gate.is_open:
            await self._tell()
            log.info("publication %d waits for the download window %s", publication.request_id, gate.window)
            await gate.opened()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Until one of ``max_concurrent_downloads`` is free."""
        if self._shop.slots.locked():
            await self._tell()
        async with self._shop.slots:
            yield
