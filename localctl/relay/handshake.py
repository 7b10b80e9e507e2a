"""Opening handshakes in `websockets`' own types: where their head ends, and what each side is told. Rules.

Neither side is to notice us (Part 4 §6.1): a request and its answer go on in the order and the words in which they
came, but for what belongs to one connection alone.
"""

import email.utils
import http.client
from typing import Final

from websockets.datastructures import Headers
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.uri import WebSocketURI

from localctl.relay import policy
from localctl.relay.policy import Refusal

EXTENSIONS: Final = "Sec-WebSocket-Extensions"
_END: Final = b"\r\n\r\n"


class Head:
    """Finds where an HTTP head ends in what comes piece by piece."""

    __slots__ = ("_last", "over")

    def __init__(self) -> None:
        self.over = False
        self._last = b""

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """What of ``data`` belongs to the head, and what follows it."""
        if self.over:
            return b"", data
        seen = self._last + data
        at = seen.find(_END)
        if at < 0:
            self._last = seen[-len(_END) + 1 :]
            return data, b""
        self.over = True
        at += len(_END) - len(self._last)
        return data[:at], data[at:]


def offered(request: Request) -> list[str]:
    """The subprotocols of a request that `websockets` has accepted, in the station's order."""
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name for value in values for name in parse_subprotocol(value)]


def host_field(uri: WebSocketURI) -> str:
    """What a request to there has as its Host (RFC 9110 §7.2)."""
    name = f"[{uri.host}]" if ":" in uri.host else uri.host
    return name if uri.port == (443 if uri.secure else 80) else f"{name}:{uri.port}"


def asked(request: Request, host: str, key: str, offer: tuple[str, ...], extensions: str) -> Request:
    """The station's request as the CSMS at ``host`` gets it; ``extensions`` empty: none are offered."""
    spoken = request.headers.get_all("Sec-WebSocket-Protocol")
    own = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": ", ".join(spoken if offered(request) == list(offer) else offer),
        EXTENSIONS: extensions or None,
    }
    return Request(request.path, Headers(policy.rewritten(request.headers.raw_items(), own)))


def accepted(answer: Response, csms: Response, subprotocol: str | None, extensions: str) -> Response:
    """The CSMS's 101 as the station gets it; ``answer`` is a 101 of ours to the same request."""
    own = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": answer.headers["Sec-WebSocket-Accept"],
        "Sec-WebSocket-Protocol": subprotocol,
        EXTENSIONS: extensions or None,
    }
    return Response(101, csms.reason_phrase, Headers(policy.rewritten(csms.headers.raw_items(), own)))


def refused(refusal: Refusal) -> Response:
    """The HTTP answer that a refusal asks for; the connection ends with it."""
    headers = Headers(refusal.headers)
    if "Date" not in headers:
        headers["Date"] = email.utils.formatdate(usegmt=True)
    headers["Connection"] = "close"
    headers["Content-Length"] = str(len(refusal.body))
    phrase = refusal.phrase or http.client.responses.get(refusal.status, "")
    return Response(refusal.status, phrase, headers, refusal.body)
