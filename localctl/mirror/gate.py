"""Waiting for the download window. Edge: it reads the clock and sleeps; ``window`` decides."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time

from localctl.mirror.window import is_open, look_in
from localctl.values import Window


class Closed(Exception):
    """The download window is over: no error, but how a download is told to stop."""


class Gate:
    """Open while files may be fetched. ``now`` is Unix seconds; the time zone is this process's."""

    def __init__(
        self,
        window: Window | None,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.window = window
        self._now = now
        self._sleep = sleep

    @property
    def is_open(self) -> bool:
        """Whether files may be fetched now."""
        return is_open(self.window, self._time())

    async def opened(self) -> None:
        """Return once files may be fetched."""
        await self._until(is_open=True)

    async def watch(self) -> None:
        """Raise Closed once files may not be fetched any more."""
        await self._until(is_open=False)
        raise Closed

    async def _until(self, *, is_open: bool) -> None:
        while self.is_open is not is_open:
            if self.window is None:
                await asyncio.Event().wait()  # it never closes
            else:
                await self._sleep(look_in(self.window, self._time()))

    def _time(self) -> time:
        return datetime.fromtimestamp(self._now(), UTC).astimezone().time()
