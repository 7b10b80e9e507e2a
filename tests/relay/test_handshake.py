"""Handshakes in `websockets`' types."""

from itertools import pairwise

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.uri import parse_uri

from localctl.relay import policy
from localctl.relay.handshake import Head, accepted, asked, host_field, offered, refused
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


ASKED = [
    ("host", "controller.lan:8887"),
    ("Authorization", "Basic eA=="),
    ("Upgrade", "WebSocket"),
    ("Connection", "keep-alive, Upgrade"),
    ("Sec-WebSocket-Key", "theirs"),
    ("sec-websocket-version", "13"),
    ("Keep-Alive", "5"),
    ("Sec-WebSocket-Protocol", "ocpp2.0.1,ocpp1.6"),
    ("X-Serial", "1"),
]


def test_a_request_goes_on_in_its_own_words() -> None:
    """Part 4 §6.1: order, spelling and values are the station's, but for what concerns one connection alone."""
    made = asked(Request("/a?", Headers(ASKED)), "csms:1", "ours", ("ocpp2.0.1", "ocpp1.6"), "permessage-deflate")
    assert made.path == "/a?"
    assert list(made.headers.raw_items()) == [
        ("host", "csms:1"),
        ("Authorization", "Basic eA=="),
        ("Upgrade", "WebSocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "ours"),
        ("sec-websocket-version", "13"),
        ("Sec-WebSocket-Protocol", "ocpp2.0.1,ocpp1.6"),
        ("X-Serial", "1"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ]


def test_an_offer_that_is_cut_is_written_anew() -> None:
    """Part 4 §6.2: what ocpp_versions leaves out does not go on."""
    made = asked(Request("/a", Headers(ASKED)), "csms", "ours", ("ocpp1.6",), "")
    assert made.headers["Sec-WebSocket-Protocol"] == "ocpp1.6"
    assert "Sec-WebSocket-Extensions" not in made.headers


def test_an_answer_goes_on_in_its_own_words() -> None:
    """The CSMS's 101, with the proof for the station's own key."""
    theirs = Headers(
        [("Server", "csms"), ("Sec-WebSocket-Accept", "theirs"), ("upgrade", "websocket"), ("Connection", "upgrade"),
         ("Sec-WebSocket-Protocol", "ocpp1.6"), ("Sec-WebSocket-Extensions", "x"), ("X-Node", "7")]
    )  # fmt: skip
    ours = Response(101, "", Headers([("Sec-WebSocket-Accept", "ours")]))
    made = accepted(ours, Response(101, "Come in", theirs), "ocpp1.6", "")
    assert (made.status_code, made.reason_phrase) == (101, "Come in")
    assert list(made.headers.raw_items()) == [
        ("Server", "csms"), ("Sec-WebSocket-Accept", "ours"), ("upgrade", "websocket"), ("Connection", "upgrade"),
        ("Sec-WebSocket-Protocol", "ocpp1.6"), ("X-Node", "7"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("ws://csms/x", "csms"),
        ("wss://csms:443", "csms"),
        ("ws://csms:443/", "csms:443"),
        ("wss://csms:80/", "csms:80"),
        ("ws://[::1]:80/", "[::1]"),
        ("ws://[::1]:81/", "[::1]:81"),
    ],
)
def test_host(url: str, field: str) -> None:
    """RFC 9110 §7.2: the port where it is not the scheme's own."""
    assert host_field(parse_uri(url)) == field


def test_where_a_head_ends() -> None:
    """In pieces of any size, and whatever looks like its end before and after."""
    said = b"GET / HTTP/1.1\r\nA: \r\r\n\r\nB\r\n\r\n"
    for size in range(1, len(said) + 1):
        head, before, after = Head(), b"", b""
        for start, end in pairwise([*range(0, len(said), size), len(said)]):
            first, second = head.split(said[start:end])
            before, after = before + first, after + second
        assert (before, after, head.over) == (b"GET / HTTP/1.1\r\nA: \r\r\n\r\n", b"B\r\n\r\n", True)
