"""Handshakes in `websockets`' types."""

from localctl.relay.answer import offered, refused
from websockets.datastructures import Headers
from websockets.http11 import Request

from localctl.relay import policy
from localctl.relay.policy import Refusal


def test_offer_of_several_headers_is_one_list() -> None:
    """RFC 6455 §11.3.4: the header may come more than once."""
    headers = Headers([("Sec-WebSocket-Protocol", "ocpp2.0.1 , ocpp1.6"), ("sec-websocket-protocol", "ocpp2.1")])
    assert offered(Request("/", headers)) == ["ocpp2.0.1", "ocpp1.6", "ocpp2.1"]


def test_no_offer() -> None:
    """A station need not offer anything."""
    assert offered(Request("/", Headers())) == []


def test_a_refusal_of_ours() -> None:
    """A whole HTTP answer without a body, after which the connection ends."""
    response = refused(policy.NOT_ALLOWED)
    assert (response.status_code, response.reason_phrase, response.body) == (404, "Not Found", b"")
    assert (response.headers["Content-Length"], response.headers["Connection"]) == ("0", "close")
    assert "Date" in response.headers


def test_a_refusal_of_the_csms() -> None:
    """Its headers once each, its words, its body (Part 4 §6.1)."""
    refusal = Refusal(499, "refused_by_csms", "", (("Date", "then"), ("Server", "x")), b"body", "Odd")
    response = refused(refusal)
    assert (response.status_code, response.reason_phrase, response.body) == (499, "Odd", b"body")
    assert (response.headers["Date"], response.headers["Content-Length"]) == ("then", "4")


def test_an_unknown_status_has_no_words() -> None:
    """A status that Python has no name for is passed on all the same."""
    assert refused(Refusal(599, "refused_by_csms", "")).reason_phrase == ""
