"""Sending the bytes of a published file as the body of an HTTPS answer.

There is no sendfile over TLS, and aiohttp's own way round it costs five to ten times as much and spins where stations
vanish. Each piece is read into one buffer that all transfers of a loop share, and is encrypted before anything else
happens there; no piece is read before most of the one before it has left for the kernel.
"""

import asyncio
import os
from typing import Final

from aiohttp.abc import AbstractStreamWriter

from localctl.serve import tcp
from localctl.serve.http_body import FileBody
from localctl.serve.http_headers import Answer
from localctl.serve.sealed import RECORD
from localctl.serve.transfer import FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS, Lending, Transfer
from localctl.store.catalogue import PublishedFile

PIECE: Final = 16 * RECORD  # 256 KiB


class SealedBody(FileBody):
    """An answer over TLS whose body is lent; ``buffer`` has room for a piece."""

    def __init__(self, answer: Answer, file: PublishedFile, lending: Lending, buffer: bytearray) -> None:
        super().__init__(answer, file, lending)
        self._buffer = buffer

    async def _send(
        self, writer: AbstractStreamWriter, transport: asyncio.Transport, transfer: Transfer, limit: asyncio.Timeout
    ) -> None:
        loop = asyncio.get_running_loop()
        with transport.get_extra_info("socket").dup() as sock:  # it tells how far the station is when ours is closed
            buffered = transport.get_write_buffer_size()
            transfer.attach(sock, buffered, lambda: limit.reschedule(loop.time()), sealed=True)
            transport.set_write_buffer_limits(high=1)  # beside what waits in the socket's own transport
            try:
                await self._pieces(writer, transport, transfer, sock)
                await self._settled(transport, transfer, sock)
            finally:
                transfer.note()

    async def _pieces(
        self, writer: AbstractStreamWriter, transport: asyncio.Transport, transfer: Transfer, sock: tcp.Socket
    ) -> None:
        at, end = transfer.start, transfer.start + transfer.count
        while at < end:
            # What is written to a station that has closed its side is thrown away without a word.
            if transport.is_closing() or not tcp.is_open(sock):
                raise ConnectionResetError
            got = self._read(transfer, at, min(end - at, PIECE))
            try:
                with memoryview(self._buffer)[:got] as piece:
                    transport.write(piece)
            except BufferError:  # not all of it was encrypted, and the buffer is another's from here
                transport.abort()
                raise ConnectionResetError from None
            at += got
            await writer.drain()
            await asyncio.sleep(0)  # a station that takes all at once does not keep the loop from the others

    def _read(self, transfer: Transfer, at: int, count: int) -> int:
        with memoryview(self._buffer)[:count] as room:
            try:
                got = os.preadv(transfer.file.fileno(), [room], at)
            except OSError:
                got = 0
        if not got:
            transfer.fell_short()
            raise ConnectionResetError
        return got

    async def _settled(self, transport: asyncio.Transport, transfer: Transfer, sock: tcp.Socket) -> None:
        """Wait until the station has it all. No event tells, so look, at growing intervals.

        The socket's own transport may hold a last part, which it passes on in the loop's next turn: so look twice.
        """
        pause, looks = FIRST_LOOK_SECONDS, 0
        while looks < 2:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)
            if not tcp.is_open(sock):
                if not transfer.is_acknowledged():
                    raise ConnectionResetError
                return
            waiting = transport.is_closing() or transport.get_write_buffer_size() or tcp.unacknowledged(sock)
            looks = looks + 1 if transfer.is_acknowledged() and not waiting else 0
