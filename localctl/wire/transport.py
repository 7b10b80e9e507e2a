"""A TCP connection as a transport of asyncio's kind. Edge.

asyncio's own has more layers than a short message needs, and makes room for 256 KiB each time it reads; uvloop's sends
at the end of a turn what could go at once. This one is the shortest way on either loop.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from localctl.wire.readiness import READ, Readiness

_HIGH: Final = 64 * 1024


class SocketTransport(asyncio.Transport):
    """The connection ``sock``, which does not block, for ``protocol``; ``turn`` watches it, or the loop does.

    Whoever has paused reading and sees an empty write buffer may write to ``get_extra_info("socket")`` himself.
    """

    full: ClassVar[tuple[type[OSError], ...]] = (BlockingIOError, InterruptedError)
    plain: ClassVar[bool] = True  # one recv for one event will do
    piece: ClassVar[int] = 256 * 1024  # bytes given to the kernel at once

    __slots__ = (
        "_closing",
        "_eof",
        "_high",
        "_is_full",
        "_loop",
        "_lost",
        "_protocol",
        "_reading",
        "_sock",
        "_turn",
        "_unsent",
        "_watcher",
        "_watching",
        "direct",
        "most",
        "queued",
        "receive",
        "recv",
        "send",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        protocol: asyncio.Protocol,
        turn: Readiness | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__({"socket": sock, "peername": sock.getpeername(), **(extra or {})})
        self._loop = asyncio.get_running_loop()
        self._turn = turn
        self._watcher = turn or self._loop
        self.queued = b""  # written in this turn
        self._sock = sock
        self.send = sock.send
        self.most = self.piece
        self.recv = sock.recv
        self._unsent = bytearray()
        self._high = _HIGH
        self._is_full = False
        self._reading = True
        self._watching = False
        self._closing = False
        self.direct = True  # what is written goes to the socket at once
        self._eof = False
        self._lost = False
        self._protocol: asyncio.Protocol
        self.set_protocol(protocol)
        protocol.connection_made(self)
        self._watch()

    # What comes in.

    def is_reading(self) -> bool:
        """Whether the protocol is given what comes."""
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        """Leave what comes in the kernel."""
        self._reading = False
        self._unwatch()

    def resume_reading(self) -> None:
        """Give the protocol what comes."""
        self._reading = True
        self._watch()

    def _watch(self) -> None:
        if self.is_reading() and not self._lost and not self._watching:
            self._watching = True
            if self._turn and self.plain:
                self._turn.add_link(self._sock, self._read, self)
            else:
                self._watcher.add_reader(self._sock, self._read)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._watcher.remove_reader(self._sock)

    def _read(self) -> None:
        """What comes in one system call; there is an event for what is left."""
        recv = self.recv
        try:
            data = recv(READ)
        except self.full:
            return
        except OSError as fault:
            self.lose(fault)
            return
        if data:
            self.receive(data)
        else:
            self.end_of_stream()

    def end_of_stream(self) -> None:
        """The peer sends no more."""
        self._protocol.eof_received()
        self.close()

    # What goes out.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, now, at the end of a turn, or when the socket takes it."""
        turn = self._turn
        if turn is None or not turn.in_turn:
            self.send_now(data)
        elif self.queued:
            self.queued += data
        else:
            self.queued = bytes(data)
            turn.queue.append(self)

    def send_queued(self) -> None:
        """Send what was written in this turn, before it ends."""
        data, self.queued = self.queued, b""
        if data:
            self.send_now(data)

    def send_now(self, data: bytes | bytearray | memoryview) -> None:
        """Send, now or when the socket takes it."""
        if not self.direct:
            self._write_later(data)
            return
        try:
            sent = self.send(data)
        except self.full:
            sent = 0
        except OSError as fault:
            self.lose(fault)
            return
        if sent < len(data):
            self.keep(data, sent)

    def keep(self, data: bytes | bytearray | memoryview, sent: int) -> None:
        """Of ``data`` only so many bytes could be sent: the others when the socket takes them."""
        self.direct = False
        self._unsent += memoryview(data)[sent:]
        self._watcher.add_writer(self._sock, self._flush)
        self._tell()

    def _write_later(self, data: bytes | bytearray | memoryview) -> None:
        """Behind what waits; what is written after the end goes nowhere."""
        if not self._closing and not self._eof:
            self._unsent += data
            self._tell()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait."""
        return len(self._unsent) + len(self.queued)

    def set_write_buffer_limits(
        self,
        high: int | None = None,
        low: int | None = None,  # noqa: ARG002  asyncio has it; ours is always 0
    ) -> None:
        """The protocol is to pause while more than ``high`` bytes wait; it goes on when none does."""
        self._high = _HIGH if high is None else high
        self._tell()

    def _flush(self) -> None:
        try:
            while self._unsent:
                with memoryview(self._unsent) as unsent, unsent[: self.piece] as piece:
                    sent = self.send(piece)
                del self._unsent[:sent]
        except self.full:
            self._watcher.add_writer(self._sock, self._flush)
            return
        except OSError as fault:
            self.lose(fault)
            return
        self._watcher.remove_writer(self._sock)
        self.direct = not self._closing and not self._eof
        self._tell()
        if self._closing:
            self.lose(None)
        elif self._eof:
            self._shut()

    def _tell(self) -> None:
        """Whether the protocol may go on writing."""
        if not self._is_full and len(self._unsent) > self._high:
            self._is_full = True
            self._protocol.pause_writing()
        elif self._is_full and not self._unsent:
            self._is_full = False
            self._protocol.resume_writing()

    # The end.

    def can_write_eof(self) -> bool:
        """TCP can."""
        return True

    def write_eof(self) -> None:
        """Say, once what waits is sent, that nothing more comes."""
        if not self._eof and not self._closing:
            self.send_queued()
            self._eof = True
            self.direct = False
            if not self._unsent:
                self._shut()

    def _shut(self) -> None:
        with suppress(OSError):  # it is gone already, and its end is on its way
            self._sock.shutdown(socket.SHUT_WR)

    def is_closing(self) -> bool:
        """Whether it is closed, or will be when all is sent."""
        return self._closing

    def close(self) -> None:
        """Close, once what waits is sent."""
        if self._closing:
            return
        self.send_queued()
        self._closing = True
        self.direct = False
        self._unwatch()
        if not self._lost and not self._unsent:
            self.lose(None)

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self.lose(None)

    def lose(self, fault: OSError | None) -> None:
        """The connection has ended, by that or as it was to."""
        if self._lost:
            return
        self._lost = self._closing = True
        self.direct = False
        self._unwatch()
        self._watcher.remove_writer(self._sock)
        self._say_goodbye(fault)
        self._unsent.clear()
        self.queued = b""
        self._loop.call_soon(self._end, fault)

    def _say_goodbye(self, fault: OSError | None) -> None:
        """TCP has none."""

    def _end(self, fault: OSError | None) -> None:
        try:
            self._protocol.connection_lost(fault)
        finally:
            self._sock.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes to another."""
        assert isinstance(protocol, asyncio.Protocol)  # noqa: S101  no others are read for
        self._protocol = protocol
        self.receive: Callable[[bytes], None] = protocol.data_received

    def receive_by(self, receive: Callable[[bytes], None]) -> None:
        """Give what comes to that, in place of the protocol's data_received."""
        self.receive = receive

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is given what comes."""
        return self._protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``socket``, ``peername``, ``sockname``; over TLS ``ssl_object`` and ``sslcontext``."""
        return self._sock.getsockname() if name == "sockname" else super().get_extra_info(name, default)
