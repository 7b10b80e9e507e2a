"""Waiting for the download window. Edge: it reads the clock and sleeps; ``window`` decides."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, time
from typing import Any, TypeVar

from localctl.mirror.window import LOOK_SECONDS, is_open, look_in
from localctl.values import Window

Result = TypeVar("Result")


class Gate:
    """Open while files may be fetched. ``now`` is Unix seconds; the time zone is this process's.

    Whoever waits sees another ``window`` after LOOK_SECONDS at the latest; what began without one goes on to its end.
    """

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

    async def during(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        """What ``work`` comes to; None where the window was over before that: then it was cancelled, and has ended."""
        if self.window is None:
            return await work
        async with asyncio.TaskGroup() as tasks:
            working = tasks.create_task(work, name="download")
            closing = tasks.create_task(self._until(is_open=False), name="download window")
            await asyncio.wait([working, closing], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            closing.cancel()
        return None if working.cancelled() else working.result()

    async def _until(self, *, is_open: bool) -> None:
        while self.is_open is not is_open:
            await self._sleep(look_in(self.window, self._time()) if self.window else LOOK_SECONDS)

    def _time(self) -> time:
        return datetime.fromtimestamp(self._now(), UTC).astimezone().time()
