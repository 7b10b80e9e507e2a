"""A station on its way in: from its TCP connection to the answer to its opening handshake. Edge: it decides nothing."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from localctl.networks import plain_address
from localctl.relay import policy
from localctl.relay.dial import QUIET
from localctl.relay.handshake import Head, refused
from localctl.wire.transport import SocketTransport

REQUEST_SECONDS: Final = 10.0  # for a station to send its request
FAREWELL_SECONDS: Final = 5.0  # for a station to take the answer that refuses it
_EARLY: Final = 64 * 1024  # bytes taken from a station that speaks before it is answered
_LOG: Final = logging.getLogger("localctl.relay")

Greet = Callable[["Arrival", Request, Response], Awaitable[None]]


class Arrival(asyncio.Protocol):
    """One station's handshake, at that listener.

    ``came`` is called when the station is here; one that was reset before never is. ``greet`` gets its request and the
    101 that `websockets` would answer; ``left`` is called when the TCP connection ends before a leg has taken over.

    What is no WebSocket handshake gets `websockets`' own answer (400, 405, 426, 431, 505), and ``failed`` is told.
    """

    def __init__(
        self,
        listener: str,
        came: Callable[["Arrival"], None],
        greet: Greet,
        failed: Callable[["Arrival"], None],
        left: Callable[["Arrival"], None],
    ) -> None:
        self.listener = listener
        self.early = bytearray()
        self.transport: SocketTransport
        self.peer = "an address unknown"
        self.certificate: dict[str, Any] | None = None  # what the station has shown, and was verified
        self._came = came
        self._greet = greet
        self._failed = failed
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._head = Head()
        self._protocol: ServerProtocol | None = ServerProtocol(logger=QUIET)
        self._limit: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The station is here."""
        self.transport = cast("SocketTransport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = plain_address(str(peer[0])) if peer else self.peer
        self._limit = self._loop.call_later(REQUEST_SECONDS, self.transport.abort)
        tls = transport.get_extra_info("ssl_object")
        self.certificate = (tls.getpeercert() or None) if tls else None  # it cannot be asked once the peer has left
        self._came(self)

    def data_received(self, data: bytes) -> None:
        """Its request, and what it says before it is answered."""
        head, rest = self._head.split(data)
        if head and self._protocol:
            self._protocol.receive_data(head)
            self._look(self._protocol)
        self.early += rest
        if len(self.early) > _EARLY:
            self.transport.pause_reading()

    def _look(self, protocol: ServerProtocol) -> None:
        if protocol.handshake_exc is not None:
            self._protocol = None
            self._failed(self)
            self.say_goodbye(b"".join(protocol.data_to_send()))
            return
        for event in protocol.events_received():
            if isinstance(event, Request):
                self._protocol = None
                self._ask(event, protocol.accept(event))

    def _ask(self, request: Request, answer: Response) -> None:
        if self._limit:
            self._limit.cancel()
        if answer.status_code != 101:
            self._failed(self)
            self.refuse(answer)
            return
        self._task = self._loop.create_task(self._greeted(request, answer), name=f"relay: a handshake of {self.peer}")

    async def _greeted(self, request: Request, answer: Response) -> None:
        try:
            await self._greet(self, request, answer)
        except Exception:  # noqa: BLE001  a fault of ours in one handshake ends no other
            _LOG.exception("the handshake of the station at %s failed", self.peer)
            self.refuse(refused(policy.BROKEN))

    def refuse(self, response: Response) -> None:
        """Answer so, and end the connection."""
        self.say_goodbye(response.serialize())

    def say_goodbye(self, data: bytes) -> None:
        """Say that, and end the connection."""
        if self._limit:
            self._limit.cancel()
        self._limit = self._loop.call_later(FAREWELL_SECONDS, self.transport.abort)
        self.transport.write(data)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it ended
        """The station has gone."""
        if self._limit:
            self._limit.cancel()
        if self._task:
            self._task.cancel()
        self._left(self)
