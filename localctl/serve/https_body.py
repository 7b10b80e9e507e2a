"""Sending the bytes of a published file as the body of an HTTPS answer.

There is no sendfile over TLS, and aiohttp's own way round it costs five to ten times as much and spins where stations
vanish. Each piece is read into one buffer that all transfers of a loop share, and given to OpenSSL whole. Where the
socket takes only a part of it, it is read and given again when there is room: OpenSSL knows how far it was.
"""

import os
import ssl
from typing import ClassVar, Final

from localctl.serve.http_body import FileBody
from localctl.serve.http_headers import Answer
from localctl.serve.sealed import RECORD
from localctl.serve.sending import send
from localctl.serve.transfer import Lending, Transfer
from localctl.store.catalogue import PublishedFile
from localctl.wire import tcp

PIECE: Final = 16 * RECORD  # 256 KiB


class SealedBody(FileBody):
    """An answer over TLS whose body is lent; ``buffer`` has room for a piece."""

    sealed: ClassVar[bool] = True

    def __init__(self, answer: Answer, file: PublishedFile, lending: Lending, buffer: memoryview) -> None:
        super().__init__(answer, file, lending)
        self._buffer = buffer

    async def _push(self, sock: tcp.Socket, transfer: Transfer) -> int:
        """Send the bytes; how many there were. Raises OSError."""
        assert isinstance(sock, ssl.SSLSocket)  # noqa: S101  what a SealedTransport has
        source, buffer, write = transfer.file.fileno(), self._buffer, sock.send

        def push(at: int, end: int) -> int:
            piece = buffer[: os.preadv(source, [buffer[: min(end - at, PIECE)]], at)]
            try:
                return write(piece) if piece else 0
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):  # it has begun, and goes on with the same bytes
                raise BlockingIOError from None

        return await send(sock, push, transfer.start, transfer.count)

    def _has_all(self, sock: tcp.Socket, transfer: Transfer) -> bool:
        """How much TLS adds is known only as a bound; that the kernel holds nothing back is exact."""
        return not tcp.unacknowledged(sock) and transfer.is_acknowledged()
