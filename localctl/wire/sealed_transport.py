"""A TLS connection as a transport of asyncio's kind. Edge.

OpenSSL has the socket itself. asyncio's own TLS passes everything through two more buffers, which costs a connection
over half a MiB of memory, and through as many copies; and while a file is sent its socket could not be watched.
"""

import asyncio
import ssl
from contextlib import suppress
from functools import partial
from typing import ClassVar

from localctl.wire.readiness import Readiness
from localctl.wire.transport import SocketTransport


class SealedTransport(SocketTransport):
    """The connection ``sock``, whose handshake is over and which does not block, for ``protocol``."""

    full: ClassVar[tuple[type[OSError], ...]] = (ssl.SSLWantWriteError, ssl.SSLWantReadError)
    plain: ClassVar[bool] = False
    piece: ClassVar[int] = 16 * 1024  # a record

    __slots__ = ("_sealed",)

    def __init__(self, sock: ssl.SSLSocket, protocol: asyncio.Protocol, turn: Readiness | None = None) -> None:
        self._sealed = sock
        super().__init__(sock, protocol, turn, {"ssl_object": sock, "sslcontext": sock.context})

    def resume_reading(self) -> None:
        """Give the protocol what comes; what OpenSSL holds already, no event tells of."""
        super().resume_reading()
        if not self._lost and self._sealed.pending():
            self._loop.call_soon(partial(self._turn.do, self._read) if self._turn else self._read)

    def _read(self) -> None:
        """What comes, and what OpenSSL holds of it then."""
        while self.is_reading():
            super()._read()
            if self._lost or not self._sealed.pending():
                return

    def send_now(self, data: bytes | bytearray | memoryview) -> None:
        """OpenSSL is given one record, or the same bytes again, at a time."""
        if len(data) > self.piece and self.direct:
            self.direct = False
            self._unsent += data
            self._flush()
            self._tell()
        else:
            super().send_now(data)

    def can_write_eof(self) -> bool:
        """Never: TLS knows no half of a connection."""
        return False

    def _say_goodbye(self, fault: OSError | None) -> None:
        if fault is None and not self._unsent:
            with suppress(OSError, ValueError):  # it would wait for the peer's goodbye; ours is on its way by then
                self._sealed.unwrap()
