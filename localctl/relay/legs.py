"""The two WebSockets of a relay, and what `websockets` leaves to us about their ends. Edge: it decides nothing.

Three things end a leg for certain, whatever its peer does: a closing handshake whose TCP connection stays open, a
peer that takes nothing more, and our own wish to close it. `websockets` by itself notices the first and the second
only at the next ping, and waits for ever for a ping that it cannot write.
"""

import asyncio
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection

from localctl.relay.roster import Relay

CLOSE_SECONDS: Final = 5.0  # for a closing handshake that we begin
LINGER_SECONDS: Final = 0.5  # for the TCP connection to end after the closing handshake; §6.3: the other leg waits
STALL_SECONDS: Final = 60.0  # for a peer that takes nothing, where pings are off
QUEUE_FRAMES: Final = 4  # read ahead, a leg: with max_message_size it bounds the memory of a relay


class Leg(Connection):
    """One WebSocket of a relay. ``lost`` is done when its TCP connection has ended."""

    lost: asyncio.Future[None]
    _linger: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is open."""
        super().connection_made(transport)
        self.lost = self.loop.create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        """The TCP connection has ended."""
        super().connection_lost(exc)
        for timer in (self._linger, self._stall):
            if timer is not None:
                timer.cancel()
        self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Bytes came. After the last frame that may come the peer has LINGER_SECONDS to end the TCP connection."""
        super().data_received(data)
        ended = self.protocol.close_rcvd is not None or self.protocol.parser_exc is not None
        if ended and self._linger is None:
            self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The peer takes less than we send: from now on it must take something."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The peer has caught up."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _watch(self, before: int) -> None:
        pings = self.ping_interval is not None and self.ping_timeout is not None
        patience = (self.ping_interval or 0) + (self.ping_timeout or 0) if pings else STALL_SECONDS
        self._stall = self.loop.call_later(patience, self._stalled, before)

    def _stalled(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:  # slow, but alive
            self._watch(left)
        else:
            self.transport.abort()

    async def shut(self, code: int, reason: str = "") -> None:
        """Close the leg, in at most CLOSE_SECONDS. On a closed leg: nothing."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close(code, reason)
        except TimeoutError:
            self.transport.abort()
        await self.wait_closed()


class StationLeg(Leg, ServerConnection):
    """The station's WebSocket, to us as its CSMS. ``relay`` is set once the CSMS has accepted the station."""

    present: set["StationLeg"]  # all that have a TCP connection; the door's
    relay: Relay | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The station is here."""
        super().connection_made(transport)
        self.present.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The station has gone."""
        self.present.discard(self)
        super().connection_lost(exc)


class CsmsLeg(Leg, ClientConnection):
    """Our WebSocket to the CSMS in that station's name."""
