"""Sending a file with sendfile(2), whenever the station's socket takes more. Edge.

asyncio's own way registers the socket with epoll anew for each piece; here it stays registered while the file is sent:
by a duplicate, as the loop lets nobody watch a descriptor that a transport has.
"""

import asyncio
import os
from io import FileIO
from typing import Final

from localctl.serve import tcp

_PIECE: Final = 16 * 2**20  # bytes a call, so that one fast station does not keep the loop from the others


async def send_file(sock: tcp.Socket, file: FileIO, start: int, count: int) -> int:
    """Send ``count`` bytes of ``file`` from ``start``; how many there were before it ended.

    Nothing else may be written to ``sock`` meanwhile. Raises OSError, for the socket's failures and for the file's.
    """
    loop = asyncio.get_running_loop()
    with sock.dup() as own:
        sending = _Sending(own.fileno(), file.fileno(), start, start + count, loop.create_future())
        loop.add_writer(own, sending.go_on)
        try:
            return await sending.over
        finally:
            loop.remove_writer(own)


class _Sending:
    """The bytes from ``at`` to ``end`` of the descriptor ``source``, on their way to ``target``; ``over`` gets their
    number.
    """

    def __init__(self, target: int, source: int, at: int, end: int, over: asyncio.Future[int]) -> None:
        self.over = over
        self._target = target
        self._source = source
        self._start = self._at = at
        self._end = end

    def go_on(self) -> None:
        """The socket takes more, or is gone."""
        if self.over.done():
            return
        try:
            sent = os.sendfile(self._target, self._source, self._at, min(self._end - self._at, _PIECE))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as fault:
            self.over.set_exception(fault)
            return
        self._at += sent
        if not sent or self._at == self._end:
            self.over.set_result(self._at - self._start)
