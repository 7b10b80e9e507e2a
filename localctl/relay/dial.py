"""The opening handshake with the CSMS in a station's name. Edge: what an answer means is the policy's.

No proxy of the environment is used: the CSMS is where the configuration says, often on the loopback or the LAN, and
`HTTPS_PROXY` of a shell must not send stations' credentials elsewhere. No redirect is followed (policy, 3xx).
"""

import asyncio
import logging
import os
import socket
import ssl
from dataclasses import dataclass, replace
from typing import Final, cast

from aiohappyeyeballs import start_connection
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from localctl.config import Csms
from localctl.relay import policy
from localctl.relay.deflate import Offers
from localctl.relay.handshake import Head, asked, host_field
from localctl.relay.policy import Refusal
from localctl.wire.readiness import Readiness
from localctl.wire.tls_handshake import seal
from localctl.wire.transport import SocketTransport

_EARLY: Final = 64 * 1024  # bytes taken from a CSMS that speaks before its station's leg is there
_HAPPY_EYEBALLS: Final = 0.25  # seconds, RFC 8305 §8
# `websockets` logs handshakes with their credentials, and peers' faults with tracebacks: what matters of both is in
# our own lines.
QUIET: Final = logging.getLogger("localctl.relay.websockets")
QUIET.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Target:
    """The CSMS of all stations. Of its URL scheme, host and port count; times are seconds, sizes bytes.

    ``tls`` None: none is spoken. ``compress``: permessage-deflate is offered even where a station does not offer it.
    """

    uri: WebSocketURI
    tls: ssl.SSLContext | None
    connect_timeout: float
    ping_interval: float
    compress: bool

    @classmethod
    def of(cls, csms: Csms, tls: ssl.SSLContext | None) -> "Target":
        """The CSMS of the configuration; ``tls`` counts where its URL asks for TLS."""
        uri = parse_uri(csms.url)
        secured = (tls or ssl.create_default_context()) if uri.secure else None
        return cls(uri, secured, csms.connect_timeout_seconds, csms.ping_interval_seconds, csms.compression)

    def with_settings(self, csms: Csms) -> "Target":
        """The same CSMS, with those settings."""
        return replace(
            self,
            connect_timeout=csms.connect_timeout_seconds,
            ping_interval=csms.ping_interval_seconds,
            compress=csms.compression,
        )


@dataclass(frozen=True, slots=True)
class Upstream:
    """An open WebSocket to the CSMS; ``take`` gives what came on it since its 101, once its leg is there."""

    transport: SocketTransport
    response: Response
    subprotocol: str | None
    deflate: PerMessageDeflate | None
    opening: "_Opening"

    def early(self) -> bytes:
        """What came since its 101; to be asked for once its leg has taken over."""
        return bytes(self.opening.early)


class _Opening(asyncio.Protocol):
    """A handshake under way; ``answered`` gets the 101."""

    def __init__(self, protocol: ClientProtocol, request: Request) -> None:
        self.answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.early = bytearray()
        self._protocol = protocol
        self._request = request
        self._head = Head()
        self.transport: SocketTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("SocketTransport", transport)
        self._protocol.send_request(self._request)
        self.transport.write(b"".join(self._protocol.data_to_send()))

    def data_received(self, data: bytes) -> None:
        """The answer, and what comes with it."""
        head, rest = self._head.split(data)
        if head:
            self._protocol.receive_data(head)
            self._look()
        if self._protocol.state is State.OPEN:
            self.early += rest
            if len(self.early) > _EARLY:
                self.transport.pause_reading()
        elif rest:  # the body of a refusal
            self._protocol.receive_data(rest)
            self._look()

    def eof_received(self) -> None:
        """Where a body ends with the connection."""
        if not self.answered.done():
            self._protocol.receive_eof()
            self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Without an answer, if none came before."""
        if not self.answered.done():
            self.answered.set_exception(exc if isinstance(exc, OSError) else InvalidMessage("no answer"))

    def _look(self) -> None:
        if self.answered.done():
            return
        if self._protocol.handshake_exc is not None:
            self.answered.set_exception(self._protocol.handshake_exc)
            return
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.answered.set_result(event)


async def dial(
    target: Target, request: Request, offer: tuple[str, ...], offers: Offers, turn: Readiness | None = None
) -> Upstream | Refusal:
    """Open the CSMS's side of a relay for the station that sent ``request``.

    ``offer`` are the subprotocols, ``offers`` the compression that go on. What keeps it from opening is returned as
    what the station is to be answered.
    """
    protocol = ClientProtocol(
        target.uri,
        extensions=offers.factories or None,
        subprotocols=[Subprotocol(name) for name in offer],
        logger=QUIET,
    )
    opening = _Opening(protocol, asked(request, host_field(target.uri), protocol.key, offer, offers.field))
    open_at_last = False
    try:
        async with asyncio.timeout(target.connect_timeout):
            await _connect(target, opening, turn)
            response = await opening.answered
        open_at_last = True
    except InvalidStatus as fault:
        answer = fault.response
        return policy.refused_by_csms(
            answer.status_code, answer.reason_phrase, answer.headers.raw_items(), bytes(answer.body)
        )
    except InvalidHandshake as fault:
        return _misunderstood(fault)
    except (OSError, UnicodeError) as fault:  # UnicodeError: a host name that no resolver takes
        return _unreachable(fault, target.connect_timeout)
    finally:
        if not open_at_last and hasattr(opening, "transport"):
            opening.transport.abort()
    deflate = next((one for one in protocol.extensions if isinstance(one, PerMessageDeflate)), None)
    return Upstream(opening.transport, response, protocol.subprotocol, deflate, opening)


async def _connect(target: Target, opening: _Opening, turn: Readiness | None) -> None:
    loop = asyncio.get_running_loop()
    host, port = target.uri.host, target.uri.port
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    sock = await start_connection(found, happy_eyeballs_delay=_HAPPY_EYEBALLS)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.tls is None:
            SocketTransport(sock, opening, turn)
            return
    except OSError:  # it is gone again
        sock.close()
        raise
    await seal(sock, target.tls, host, opening, turn)


def _misunderstood(fault: InvalidHandshake) -> Refusal:
    if not isinstance(fault, InvalidMessage):
        return policy.nonsense(f"the CSMS's answer is no WebSocket handshake: {_shown(fault)}")
    if fault.__cause__ is None or isinstance(fault.__cause__, EOFError):
        return policy.unreachable("the CSMS ended the connection without an answer")
    return policy.nonsense(f"the CSMS answered no HTTP: {_shown(fault.__cause__)}")


def _shown(fault: BaseException | None) -> str:
    """What the CSMS sent may be in it: one line of it at most."""
    return repr(str(fault)[:200])


def _unreachable(fault: OSError | UnicodeError, seconds: float) -> Refusal:
    if isinstance(fault, ssl.SSLError):
        return policy.nonsense(f"TLS with the CSMS failed: {fault}")
    if isinstance(fault, TimeoutError):
        return policy.unreachable(f"the CSMS did not answer within {seconds:g} s")
    number = getattr(fault, "errno", None) or 0
    words = os.strerror(number) if number > 0 else getattr(fault, "strerror", None) or fault
    return policy.unreachable(f"the CSMS cannot be reached: {words}")  # asyncio's own words are for programmers
