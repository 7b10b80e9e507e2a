"""A TLS connection as a transport of asyncio's kind. Edge.

OpenSSL has the socket itself. asyncio's own TLS passes everything through two more buffers, which costs a connection
over half a MiB of memory, and through as many copies; and while a file is sent its socket could not be watched.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final

_READ: Final = 64 * 1024
_RECORD: Final = 16 * 1024
_HIGH: Final = 64 * 1024
Receiver = asyncio.Protocol | asyncio.BufferedProtocol
_FULL: Final = (ssl.SSLWantWriteError, ssl.SSLWantReadError)


class SealedTransport(asyncio.Transport):
    """The connection ``sock``, whose handshake is over and which does not block, for ``protocol``.

    Whoever has paused reading and sees an empty write buffer may write to ``get_extra_info("socket")`` himself.
    """

    def __init__(self, sock: ssl.SSLSocket, protocol: Receiver) -> None:
        super().__init__(
            {"socket": sock, "ssl_object": sock, "peername": sock.getpeername(), "sslcontext": sock.context}
        )
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._protocol = protocol
        self._unsent = bytearray()
        self._high = _HIGH
        self._is_full = False
        self._reading = True
        self._closing = False
        self._lost = False
        self._protocol.connection_made(self)
        self._watch()

    # What comes in.

    def is_reading(self) -> bool:
        """Whether the protocol is given what comes."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Leave what comes in the kernel."""
        self._reading = False
        if not self._lost:
            self._loop.remove_reader(self._sock)

    def resume_reading(self) -> None:
        """Give the protocol what comes."""
        self._reading = True
        self._watch()
        if not self._lost and self._sock.pending():  # what OpenSSL holds already, no event tells of
            self._loop.call_soon(self._read)

    def _watch(self) -> None:
        if self.is_reading() and not self._lost:
            self._loop.add_reader(self._sock, self._read)

    def _read(self) -> None:
        while self.is_reading():
            try:
                came = self._receive()
            except _FULL:
                return
            except OSError as fault:
                self._lose(fault)
                return
            if not came:
                self._protocol.eof_received()
                self.close()
                return
            if self._lost or not self._sock.pending():
                return

    def _receive(self) -> int:
        """The bytes that the protocol was given; 0 at the end."""
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            size = self._sock.recv_into(self._protocol.get_buffer(-1))
            if size:
                self._protocol.buffer_updated(size)
            return size
        data = self._sock.recv(_READ)
        if data:
            self._protocol.data_received(data)
        return len(data)

    # What goes out.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, now or when the socket takes it."""
        if self._closing or self._lost:
            return
        if self._unsent or len(data) > _RECORD:
            waiting = bool(self._unsent)
            self._unsent += data
            if not waiting:
                self._flush()
        else:
            self._send_at_once(data)
        self._tell()

    def _send_at_once(self, data: bytes | bytearray | memoryview) -> None:
        """One record, which is sent whole or, where the socket is full, the same bytes again later."""
        try:
            self._sock.send(data)
        except _FULL:
            self._unsent += data
            self._loop.add_writer(self._sock, self._flush)
        except OSError as fault:
            self._lose(fault)

    def get_write_buffer_size(self) -> int:
        """Bytes that wait."""
        return len(self._unsent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002
        """The protocol is to pause while more than ``high`` bytes wait; it goes on when none does."""
        self._high = _HIGH if high is None else high
        self._tell()

    def _flush(self) -> None:
        try:
            while self._unsent:
                with memoryview(self._unsent) as unsent, unsent[:_RECORD] as record:
                    sent = self._sock.send(record)
                del self._unsent[:sent]
        except _FULL:
            self._loop.add_writer(self._sock, self._flush)
            return
        except OSError as fault:
            self._lose(fault)
            return
        self._loop.remove_writer(self._sock)
        self._tell()
        if self._closing:
            self._lose(None)

    def _tell(self) -> None:
        """Whether the protocol may go on writing."""
        if not self._is_full and len(self._unsent) > self._high:
            self._is_full = True
            self._protocol.pause_writing()
        elif self._is_full and not self._unsent:
            self._is_full = False
            self._protocol.resume_writing()

    # The end.

    def is_closing(self) -> bool:
        """Whether it is closed, or will be when all is sent."""
        return self._closing

    def close(self) -> None:
        """Close, once what waits is sent."""
        if self._closing:
            return
        self._closing = True
        if not self._lost:
            self._loop.remove_reader(self._sock)
            if not self._unsent:
                self._lose(None)

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._lose(None)

    def _lose(self, fault: OSError | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        if fault is None and not self._unsent:
            with suppress(OSError, ValueError):  # it would wait for the station's goodbye; ours is on its way by then
                self._sock.unwrap()
        self._unsent.clear()
        self._loop.call_soon(self._end, fault)

    def _end(self, fault: OSError | None) -> None:
        try:
            self._protocol.connection_lost(fault)
        finally:
            self._sock.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes to another."""
        assert isinstance(protocol, asyncio.Protocol | asyncio.BufferedProtocol)  # noqa: S101  no others are read for
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is given what comes."""
        return self._protocol

    def can_write_eof(self) -> bool:
        """Never: TLS knows no half of a connection."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``socket``, ``peername``, ``sslcontext``, and ``sockname``."""
        return self._sock.getsockname() if name == "sockname" else super().get_extra_info(name, default)
