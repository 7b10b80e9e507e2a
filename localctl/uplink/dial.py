"""Opening the controller's own connection. Edge: one dial, and a name for whatever went wrong."""

import asyncio
import base64
import logging
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.datastructures import HeadersLike
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from localctl.config import Csms
from localctl.errors import LinkFailed
from localctl.ocpp import frames
from localctl.ocpp.actions import SUBPROTOCOLS, Version
from localctl.ocpp.ledger import Ledger
from localctl.tls import explain

PING_TIMEOUT_SECONDS: Final = 20
CLOSE_TIMEOUT_SECONDS: Final = 5
MAX_MESSAGE: Final = 2**20

_library_log = logging.getLogger("localctl.uplink.websockets")
_library_log.setLevel(logging.WARNING)  # at DEBUG it tells every frame and header, the password among them

_SILENCE: Final = (
    "the CSMS ended the connection without a word, as servers do that refuse our certificate (csms.cert_file)"
)

Answer = asyncio.Future[frames.CallResult | frames.CallError]


@dataclass(slots=True)
class Link:
    """One open connection, since ``since`` (Unix seconds)."""

    socket: ClientConnection
    version: Version
    since: float
    ledger: Ledger[Answer] = field(default_factory=Ledger)


class _Dial(connect):
    """A redirect of the CSMS is a refusal: our credentials go nowhere but to the URL that the installer gave."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse."""
        return exc


class _Connection(ClientConnection):
    """With TLS 1.3 a server refuses our certificate when we are through with the handshake: `websockets` would say only
    that no answer came.
    """

    lost: Exception | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """What ended it is kept."""
        self.lost = exc
        super().connection_lost(exc)

    async def handshake(
        self, additional_headers: HeadersLike | None = None, user_agent_header: str | None = None
    ) -> None:
        """Ask, and raise what TLS says of it where that is why no answer came."""
        try:
            await super().handshake(additional_headers, user_agent_header)
        except InvalidHandshake:
            if isinstance(self.lost, ssl.SSLError):
                raise self.lost from None
            raise


@dataclass(frozen=True, slots=True)
class Dialler:
    """Who dials whom. ``software`` is our User-Agent; ``now`` Unix seconds."""

    identity: str
    settings: Csms
    tls: ssl.SSLContext | None
    software: str
    now: Callable[[], float]

    async def dial(self) -> Link:
        """Open the connection. Raises LinkFailed."""
        settings = self.settings
        try:
            opened = await _Dial(
                f"{settings.url}/{quote(self.identity, safe='')}",
                subprotocols=[Subprotocol(f"ocpp{version}") for version in settings.ocpp_versions],
                additional_headers=self._credentials(),
                user_agent_header=self.software,
                ssl=self.tls,
                proxy=None,  # the gateway is the way out; an environment variable must not reroute credentials
                open_timeout=settings.connect_timeout_seconds,
                ping_interval=settings.ping_interval_seconds or None,
                ping_timeout=PING_TIMEOUT_SECONDS,
                close_timeout=CLOSE_TIMEOUT_SECONDS,
                max_size=MAX_MESSAGE,
                create_connection=_Connection,
                logger=_library_log,
            )
        except (InvalidHandshake, OSError, EOFError, UnicodeError) as fault:
            if settings.cert_file and _is_silence(fault):
                raise LinkFailed("tls", _SILENCE) from fault
            raise LinkFailed(*_failure(fault, self.now())) from fault
        version = SUBPROTOCOLS.get(opened.subprotocol or "")
        if version is None:
            await opened.close(1002)
            raise LinkFailed("protocol", f"the CSMS chose none of OCPP {', '.join(settings.ocpp_versions)}")
        return Link(opened, version, self.now())

    def _credentials(self) -> dict[str, str]:
        """A00.FR.204: basic authentication, the user name is the identity."""
        password = self.settings.basic_auth_password.get_secret_value()
        if not password:
            return {}
        token = base64.b64encode(f"{self.identity}:{password}".encode()).decode()
        return {"Authorization": f"Basic {token}"}


def _is_silence(fault: Exception) -> bool:
    """Whether the CSMS has ended the connection, in the handshake of TLS or behind it, and has not said why."""
    if isinstance(fault, InvalidMessage):
        return isinstance(fault.__cause__, EOFError)
    return isinstance(fault, ConnectionResetError)


def _failure(fault: Exception, now: float) -> tuple[str, str]:
    """The reason, one of csms_connection_failures_total's, and words for the log."""
    match fault:
        case InvalidStatus() if fault.response.status_code in {401, 403}:
            named = "auth", f"the CSMS refused our identity or password: HTTP {fault.response.status_code}"
        case InvalidStatus():
            named = "protocol", f"the CSMS answered HTTP {fault.response.status_code}"
        case InvalidHandshake() | EOFError():
            named = "protocol", f"the CSMS does not speak WebSocket there: {fault}"
        case ssl.SSLError():
            named = "tls", explain(fault, now)
        case socket.gaierror():
            named = "dns", f"the CSMS's name cannot be resolved: {fault.strerror}"
        case UnicodeError():  # an empty label, or one above 63 characters
            named = "dns", "csms.url does not name a host that could exist"
        case TimeoutError():
            named = "timeout", "the CSMS did not answer in time"
        case ConnectionResetError(errno=None):  # asyncio's, for an end within the handshake of TLS
            named = "tls", "the CSMS ended the connection in the middle of the TLS handshake"
        case OSError(errno=int(number)):  # asyncio's own words are for programmers
            named = "refused", f"the CSMS cannot be reached: {os.strerror(number)}"
        case _:
            named = "refused", f"the CSMS cannot be reached: {fault}"
    return named
