"""Handshakes in `websockets`' own types: what a station offers, and how it is answered. Edge: it decides nothing."""

import email.utils
import http.client

from websockets.datastructures import Headers
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response

from localctl.relay import policy
from localctl.relay.legs import CsmsLeg
from localctl.relay.policy import Refusal


def offered(request: Request) -> list[str]:
    """The subprotocols of a request that `websockets` has accepted, in the station's order."""
    values = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name for value in values for name in parse_subprotocol(value)]


def accepted(answer: Response, csms: CsmsLeg) -> None:
    """Make ``answer``, a 101 of ours, say what the CSMS has said in its own (Part 4 §6.1)."""
    if csms.subprotocol is not None:
        answer.headers["Sec-WebSocket-Protocol"] = csms.subprotocol
    if csms.response is not None:
        del answer.headers["Date"]
        answer.headers.update(policy.passed_on(csms.response.headers.raw_items()))


def refused(refusal: Refusal) -> Response:
    """The HTTP answer that a refusal asks for; the connection ends with it."""
    headers = Headers(refusal.headers)
    if "Date" not in headers:
        headers["Date"] = email.utils.formatdate(usegmt=True)
    headers["Connection"] = "close"
    headers["Content-Length"] = str(len(refusal.body))
    phrase = refusal.phrase or http.client.responses.get(refusal.status, "")
    return Response(refusal.status, phrase, headers, refusal.body)
