"""Sending a file piece by piece, whenever the station's socket takes more. Edge.

asyncio's own sendfile takes the socket out of epoll and puts it in again for every piece, and what it does over TLS
spins where stations vanish. Here the socket stays registered while the file is sent.
"""

import asyncio
from collections.abc import Callable

from localctl.wire import tcp

Push = Callable[[int, int], int]


async def send(sock: tcp.Socket, push: Push, start: int, count: int) -> int:
    """Send ``count`` bytes of a file from ``start``; how many there were before it ended.

    ``push(at, end)`` sends some of the bytes between the two to ``sock`` and tells how many; 0: the file has no more.
    It raises BlockingIOError where the socket takes none. Nothing else may be written to ``sock`` meanwhile, and no
    transport of the loop may have it. Raises OSError, for the socket's failures and for the file's.
    """
    loop = asyncio.get_running_loop()
    sending = _Sending(push, start, start + count, loop.create_future())
    loop.add_writer(sock, sending.go_on)
    try:
        return await sending.over
    finally:
        loop.remove_writer(sock)


class _Sending:
    """What is sent of the bytes from ``at`` to ``end``; ``over`` gets the number of those that were."""

    def __init__(self, push: Push, at: int, end: int, over: asyncio.Future[int]) -> None:
        self.over = over
        self._push = push
        self._start = self._at = at
        self._end = end

    def go_on(self) -> None:
        """The socket takes more, or is gone."""
        if self.over.done():
            return
        try:
            sent = self._push(self._at, self._end)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as fault:
            self.over.set_exception(fault)
            return
        self._at += sent
        if not sent or self._at == self._end:
            self.over.set_result(self._at - self._start)
