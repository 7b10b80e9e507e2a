"""Keeping to ``firmware.max_rate``. Edge: it waits as long as the bucket says.

Whoever waits here reads nothing meanwhile: the buffers between fill up, and TCP slows the origin down.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from localctl.mirror.bucket import Bucket

READ_MOST: Final = 256 * 1024
_READ_LEAST: Final = 4 * 1024


class Throttle:
    """One for all downloads. ``rate`` is in bytes a second, 0 for no limit; ``monotonic`` tells steady seconds."""

    def __init__(
        self,
        rate: int,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bucket = Bucket(rate)
        self._monotonic = monotonic
        self._sleep = sleep

    def reconfigure(self, rate: int) -> None:
        """Bytes a second from now on."""
        self._bucket.rate = rate

    async def pay(self, count: int) -> float:
        """Wait until ``count`` bytes that were read are paid for; how many seconds that was."""
        wait = self._bucket.take(count, self._monotonic())
        if wait:
            await self._sleep(wait)
        return wait


def new_socket(family: int, kind: int, protocol: int, rate: int) -> socket.socket:
    """A socket for a download. At a low rate the kernel takes in no more ahead of us than we read at once; where the
    rate is high or there is none it chooses for itself, for long paths.
    """
    made = socket.socket(family, kind, protocol)
    if (size := read_size(rate)) < READ_MOST:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return made


def read_size(rate: int) -> int:
    """How many bytes to read at once, so that a low rate is kept to in small steps: a quarter of a second's worth."""
    return min(READ_MOST, max(_READ_LEAST, rate // 4)) if rate else READ_MOST
