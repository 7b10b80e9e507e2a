"""The opening handshake with the CSMS in a station's name. Edge: what an answer means is the policy's.

No proxy of the environment is used: the CSMS is where the configuration says, often on the loopback or the LAN, and
`HTTPS_PROXY` of a shell must not send stations' credentials elsewhere. No redirect is followed (policy, 3xx).
"""

import asyncio
import dataclasses
import functools
import logging
import ssl
from typing import Any, Final, Literal, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from localctl.config import Csms
from localctl.relay import policy
from localctl.relay.legs import CLOSE_SECONDS, QUEUE_FRAMES, CsmsLeg
from localctl.relay.policy import Headers, Refusal

# `websockets` logs handshakes with their credentials, and peers' faults with tracebacks: what matters of both is in
# our own lines.
QUIET: Final = logging.getLogger("localctl.relay.websockets")
QUIET.setLevel(logging.CRITICAL + 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The CSMS of all stations. ``url`` gives scheme, host and port only; times are seconds, sizes bytes.

    ``tls`` True stands for the system's roots, None for no TLS.
    """

    url: str
    tls: ssl.SSLContext | Literal[True] | None
    connect_timeout: float
    ping_interval: float
    max_size: int

    @classmethod
    def of(cls, csms: Csms, tls: ssl.SSLContext | None, max_size: int) -> "Target":
        """The CSMS of the configuration; ``tls`` counts where its URL asks for TLS."""
        secure = parse_uri(csms.url).secure
        return cls(
            csms.url,
            (tls or True) if secure else None,
            csms.connect_timeout_seconds,
            csms.ping_interval_seconds,
            max_size,
        )


def _leg(path: str, protocol: ClientProtocol, **settings: Any) -> CsmsLeg:
    # A parsed and rebuilt URL loses `;params` and an empty query (§6.2: byte for byte).
    protocol.uri = dataclasses.replace(protocol.uri, path=path, query="")
    return CsmsLeg(protocol, **settings)


class _Connect(connect):
    """`connect`, to a request target that no parser has touched, and without redirects."""

    def __init__(self, target: Target, path: str, offer: tuple[str, ...], headers: Headers) -> None:
        ping = target.ping_interval or None
        super().__init__(
            target.url,
            # A wrapper will do, says `websockets`; its annotation knows types only.
            create_connection=cast("type[ClientConnection]", functools.partial(_leg, path)),
            subprotocols=[Subprotocol(name) for name in offer],
            additional_headers=headers,
            user_agent_header=None,  # the station's own is among the headers, if it sent one
            proxy=None,
            open_timeout=target.connect_timeout,
            ping_interval=ping,
            ping_timeout=ping,
            close_timeout=CLOSE_SECONDS,
            max_size=target.max_size,
            max_queue=QUEUE_FRAMES,
            logger=QUIET,
            ssl=target.tls,
        )

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Never."""
        return exc


async def dial(target: Target, path: str, offer: tuple[str, ...], headers: Headers) -> CsmsLeg | Refusal:
    """Open the CSMS's side of a relay: ``path`` is the station's request target, ``headers`` its own.

    What keeps it from opening is returned as what the station is to be answered.
    """
    try:
        return cast("CsmsLeg", await _Connect(target, path, offer, headers))
    except InvalidStatus as fault:
        answer = fault.response
        return policy.refused_by_csms(
            answer.status_code, answer.reason_phrase, answer.headers.raw_items(), bytes(answer.body)
        )
    except InvalidHandshake as fault:
        return _misunderstood(fault)
    except (OSError, UnicodeError) as fault:  # UnicodeError: a host name that no resolver takes
        return _unreachable(fault, target.connect_timeout)


def _misunderstood(fault: InvalidHandshake) -> Refusal:
    if not isinstance(fault, InvalidMessage):
        return policy.nonsense(f"the CSMS's answer is no WebSocket handshake: {_shown(fault)}")
    if isinstance(fault.__cause__, EOFError):
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
    return policy.unreachable(f"the CSMS cannot be reached: {fault}")


async def dial_while(
    waiting: asyncio.Future[None], target: Target, path: str, offer: tuple[str, ...], headers: Headers
) -> CsmsLeg | Refusal | None:
    """As ``dial``, given up at once when ``waiting`` is done first: then None."""
    async with asyncio.TaskGroup() as group:
        dialling = group.create_task(dial(target, path, offer, headers), name="relay: dial the CSMS")
        either: set[asyncio.Future[CsmsLeg | Refusal] | asyncio.Future[None]] = {dialling, waiting}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        dialling.cancel()
    return None if dialling.cancelled() else dialling.result()
