"""Places for downloads, ``firmware.max_concurrent_downloads`` of them, which may become more or fewer. Edge.

First come, first served. Where there are fewer than are taken nobody is put out: those that end are not followed.
"""

import asyncio
from collections import deque
from types import TracebackType


class Slots:
    """``size`` of them, each held for as long as an ``async with`` lasts."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._taken = 0
        self._line: deque[asyncio.Event] = deque()

    def reconfigure(self, size: int) -> None:
        """So many from now on."""
        self._size = size
        self._call()

    def locked(self) -> bool:
        """Whether who comes now has to wait."""
        return bool(self._line) or self._taken >= self._size

    async def __aenter__(self) -> None:
        called = asyncio.Event()
        self._line.append(called)
        self._call()
        try:
            await called.wait()
        except asyncio.CancelledError:
            if called.is_set():  # in the same moment
                self._leave()
            else:
                self._line.remove(called)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._taken -= 1
        self._call()

    def _call(self) -> None:
        while self._line and self._taken < self._size:
            self._taken += 1
            self._line.popleft().set()
