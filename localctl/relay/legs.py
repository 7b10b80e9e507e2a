"""One WebSocket of a relay, from its opening handshake's end to its TCP connection's. Edge: the rules are frames' and
policy's.

Four things end a leg for certain, whatever its peer does: a closing handshake whose TCP connection stays open, a peer
that is silent, one that takes nothing more, and our own wish to close it. Nothing here waits: a leg has timers and no
tasks, as there may be two thousand of them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from websockets.frames import Close, CloseCode, Frame, Opcode

from localctl.relay.frames import Fault, Passed, Turn, Walker, receiver
from localctl.relay.policy import Side
from localctl.traffic import BYTES, Tally
from localctl.wire.transport import SocketTransport

CLOSE_SECONDS: Final = 5.0  # for a closing handshake that we begin
LINGER_SECONDS: Final = 0.5  # for the TCP connection to end after the closing handshake; §6.3: the other leg waits
STALL_SECONDS: Final = 60.0  # for a peer that takes nothing, where pings are off
_REASON: Final = 123  # bytes of a close frame's reason (RFC 6455 §5.5)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a leg behaves; ``ping`` is the seconds between two pings, and for their answer; 0: none. ``limit``: bytes of
    a message.
    """

    side: Side
    ping: float
    limit: int
    deflate: bool = False

    @property
    def is_client(self) -> bool:
        """Whether we are: so is a station to its CSMS."""
        return self.side == "csms"


@dataclass(frozen=True, slots=True)
class Way:
    """Where a leg's data frames go: ``passed`` takes runs of them; ``quick``: ``sink`` takes single ones, counted."""

    passed: Passed
    sink: SocketTransport
    tally: Tally
    turn: Turn
    quick: bool


class Watcher(Protocol):
    """Who is told of a leg's end."""

    def ended(self, leg: "Leg", received: tuple[int, str] | None, failed: int | None) -> None:
        """It has, or is about to: with that close frame, or as we failed it with that code, or without a word."""

    def broken(self, fault: Exception) -> None:
        """Passing on what came has failed by a fault of ours."""

    def lost(self, leg: "Leg") -> None:
        """Its TCP connection has ended."""


class Leg(asyncio.Protocol):
    """The WebSocket on ``transport``. ``other`` is set by whoever pairs it."""

    __slots__ = (
        "_linger",
        "_loop",
        "_manner",
        "_pong",
        "_seen",
        "_signs",
        "_stall",
        "_tally",
        "_tick",
        "_walker",
        "_watcher",
        "is_full",
        "is_open",
        "other",
        "transport",
        "write",
    )

    other: "Leg"

    def __init__(self, transport: SocketTransport, manner: Manner, watcher: Watcher) -> None:
        self.transport = transport
        self.write: Callable[[bytes], None] = transport.write
        self.is_open = True  # data may be written
        self.is_full = False  # its peer takes less than we send
        self._signs = 0  # of life, beside what the tally counts
        self._seen = -1.0  # of both, at the last ping
        self._pong: bytes | None = None
        self._manner = manner
        self._watcher = watcher
        self._loop = asyncio.get_running_loop()
        self._tick = self._loop.call_later(manner.ping, self._ping) if manner.ping else None
        self._linger: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        transport.set_protocol(self)

    def begin(self, way: Way, early: bytes) -> None:
        """Read on, after ``early``, which came with the handshake; data frames go that way."""
        manner = self._manner
        self._walker = Walker(
            way.passed, self._control, manner.limit, masked=not manner.is_client, deflate=manner.deflate
        )
        self._tally = way.tally
        if early:
            self.data_received(early)
        if way.quick and self.other.is_open:
            receive = receiver(self._walker, way.sink, self.data_received, way.tally, way.turn)
            self.transport.receive_by(receive)
        if not (self.other.is_full and self.other.is_open):  # ``early`` may have been more than it takes
            self.transport.resume_reading()

    # What comes in.

    def data_received(self, data: bytes) -> None:
        """Bytes came that are not passed on at once."""
        self._signs += 1
        try:
            self._walker.feed(data)
        except Fault as fault:
            self.fail(fault)
        except Exception as fault:  # noqa: BLE001  one of ours, in one relay, ends no other
            self._watcher.broken(fault)

    def eof_received(self) -> None:
        """The peer sends no more: the transport closes when what waits is sent."""
        self._end(None, None)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.PING:
            if self.is_full:
                self._pong = payload  # the last one is enough (RFC 6455 §5.5.3)
            elif self.is_open:
                self._send(Opcode.PONG, payload)
        elif opcode == Opcode.CLOSE:
            if self.is_open:
                self._send(Opcode.CLOSE, payload)
            close = Close.parse(payload)
            self._end((int(close.code), close.reason), None)
            self._hang_up()

    # What goes out.

    def _send(self, opcode: Opcode, payload: bytes) -> None:
        self.write(Frame(opcode, payload).serialize(mask=self._manner.is_client))

    def _ping(self) -> None:
        self._tick = self._loop.call_later(self._manner.ping, self._ping)
        signs = self._signs + self._tally[BYTES]
        if self.is_full or not self.transport.is_reading():  # whoever takes too little is watched: _stalled
            self._seen = -1.0
        elif signs == self._seen:
            self.fail(Fault(CloseCode.INTERNAL_ERROR, "no answer to a ping"))
        elif self.is_open:
            self._seen = signs
            self._send(Opcode.PING, b"")

    def pause_writing(self) -> None:
        """The peer takes less than we send: from now on it must take something, and its other side wait."""
        self.is_full = True
        if self.is_open:
            self.other.transport.pause_reading()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self.is_full = False
        self.other.transport.resume_reading()
        if self._stall:
            self._stall.cancel()
        if self._pong is not None and self.is_open:
            self._send(Opcode.PONG, self._pong)
        self._pong = None

    def _watch(self, before: int) -> None:
        patience = 2 * self._manner.ping or STALL_SECONDS
        self._stall = self._loop.call_later(patience, self._stalled, before)

    def _stalled(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:  # slow, but alive
            self._watch(left)
        else:
            self.transport.abort()

    # The end.

    def stop_passing(self) -> None:
        """The other leg takes nothing more: what comes still is looked into, and goes nowhere."""
        self.transport.receive_by(self.data_received)

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; over in CLOSE_SECONDS at most. On a leg that is closing: nothing."""
        if self.is_open:
            self._send(Opcode.CLOSE, Close(code, reason).serialize())
            self._end(None, None)

    def fail(self, fault: Fault) -> None:
        """End the leg for what its peer did."""
        if self.is_open:
            reason = str(fault).encode()[:_REASON].decode(errors="ignore")
            self._send(Opcode.CLOSE, Close(fault.code, reason).serialize())
        self._end(None, int(fault.code))
        self._hang_up()

    def _end(self, received: tuple[int, str] | None, failed: int | None) -> None:
        self.is_open = False
        self.other.stop_passing()
        if self.is_full:  # what the other side sends has nowhere to go, but its close frame must be read
            self.other.transport.resume_reading()
        if self._tick:
            self._tick.cancel()
        self._linger = self._linger or self._loop.call_later(CLOSE_SECONDS, self.transport.abort)
        self._watcher.ended(self, received, failed)

    def _hang_up(self) -> None:
        """The closing handshake is over: the server ends the TCP connection, the client waits (RFC 6455 §7.1.1)."""
        if self._linger:
            self._linger.cancel()
        self._linger = self._loop.call_later(LINGER_SECONDS, self.transport.abort)
        if self._manner.is_client or self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        """The TCP connection has ended."""
        self._end(None, None)
        for timer in (self._tick, self._linger, self._stall):
            if timer:
                timer.cancel()
        self._watcher.lost(self)
