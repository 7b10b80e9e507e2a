"""Waiting for what an actor will see: for events, never for time.

``timeout`` (seconds) is only how long a test may hang before it fails.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

TIMEOUT: Final = 30.0


class News:
    """What an actor tells of, and its tests wait for. ``record`` says what it has seen, for a wait in vain."""

    def __init__(self, record: Callable[[], str]) -> None:
        self._record = record
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something has happened."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], T], what: str, timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking whenever something has happened; its value."""
        try:
            async with asyncio.timeout(timeout):
                while not (value := condition()):
                    await self._event.wait()
        except TimeoutError:
            raise AssertionError(f"{what} did not come in {timeout:g} s; {self._record()}") from None
        return value

    async def next(self, seconds: float) -> None:
        """Wait until something happens, but no longer than ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
