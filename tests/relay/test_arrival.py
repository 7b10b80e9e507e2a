"""A station's handshake, on a transport that keeps what is said; time is that of the loop, cut short."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from localctl.relay import arrival as arrivals
from localctl.relay import policy
from localctl.relay.arrival import Arrival
from tests.relay.conftest import handshake, until

REQUEST: Final = handshake("/ocpp/CS-1")


class Wire(asyncio.Transport):
    """What the station is told, and how its connection ends."""

    def __init__(self, *, half: bool = True, **extra: Any) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711), **extra})
        self.said = b""
        self.told: list[str] = []
        self._half = half

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def can_write_eof(self) -> bool:
        return self._half

    def write_eof(self) -> None:
        self.told.append("eof")

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")

    def pause_reading(self) -> None:
        self.told.append("pause")

    def status(self) -> int:
        """Of the answer."""
        return int(self.said.split()[1])


class Desk:
    """Who is greeted, and what becomes of them."""

    def __init__(self, greet: Callable[[Arrival], Awaitable[None]] | None = None, **wire: Any) -> None:
        self.greeted: list[tuple[Request, Response]] = []
        self.told: list[str] = []
        self.wire = Wire(**wire)
        self._greet_so = greet
        self.arrival = Arrival(
            "stations.ws",
            lambda _: self.told.append("came"),
            self._greet,
            lambda _: self.told.append("failed"),
            lambda _: self.told.append("left"),
        )
        assert self.told == []
        self.arrival.connection_made(self.wire)
        assert self.told.pop() == "came"

    async def _greet(self, arrival: Arrival, request: Request, answer: Response) -> None:
        self.greeted.append((request, answer))
        if self._greet_so:
            await self._greet_so(arrival)

    def leave(self) -> None:
        """The TCP connection ends; no timer outlives it."""
        self.arrival.connection_lost(None)
        assert self.arrival._limit is None or self.arrival._limit.cancelled()


@pytest.mark.parametrize("size", [1, 2, 7, 64, len(REQUEST)])
async def test_a_request_in_pieces(size: int) -> None:
    """It is greeted once, with the 101 that it may be given; what it says before that waits."""
    desk = Desk()
    stream = REQUEST + b"early"
    for at in range(0, len(stream), size):
        desk.arrival.data_received(stream[at : at + size])
    await until(lambda: bool(desk.greeted))
    ((request, answer),) = desk.greeted
    assert (request.path, request.headers["Host"], answer.status_code) == ("/ocpp/CS-1", "controller.lan", 101)
    assert answer.headers["Sec-WebSocket-Accept"]
    assert (bytes(desk.arrival.early), desk.wire.said, desk.arrival.peer) == (b"early", b"", "192.0.2.1")
    desk.leave()
    assert desk.told == ["left"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (REQUEST.replace(b"Version: 13", b"Version: 8"), 400),
        (REQUEST.replace(base64.b64encode(bytes(16)), b"short"), 400),
        (REQUEST.replace(b"Upgrade: websocket\r\n", b""), 426),
        (REQUEST.replace(b"GET", b"POST"), 405),
        (REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (REQUEST.replace(b"Host", b"X: " + b"x" * 2**17 + b"\r\nHost"), 431),
    ],
)
async def test_what_is_no_handshake(request_: bytes, status: int) -> None:
    """RFC 6455 §4.2.1: it has its answer, and nobody is asked."""
    desk = Desk()
    desk.arrival.data_received(request_)
    assert (desk.wire.status(), desk.wire.told, desk.told) == (status, ["eof"], ["failed"])
    desk.arrival.data_received(b"and more")
    assert desk.greeted == []
    desk.leave()
    assert desk.told == ["failed", "left"]


@pytest.mark.parametrize("said", [b"rubbish\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n"])
async def test_what_is_no_http(said: bytes) -> None:
    """It has no answer that it could read."""
    desk = Desk()
    desk.arrival.data_received(said)
    assert (desk.wire.said, desk.wire.told, desk.told) == (b"", ["eof"], ["failed"])
    desk.leave()


async def test_one_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor enough: its connection ends."""
    monkeypatch.setattr(arrivals, "REQUEST_SECONDS", 0.01)
    desk = Desk()
    desk.arrival.data_received(REQUEST[:-1])
    await until(lambda: desk.wire.told == ["abort"])
    desk.leave()


async def test_one_that_has_asked_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is answered no time is set."""
    monkeypatch.setattr(arrivals, "REQUEST_SECONDS", 0.01)
    desk = Desk()
    desk.arrival.data_received(REQUEST)
    assert desk.arrival._limit is not None
    assert desk.arrival._limit.cancelled()
    desk.leave()


async def test_one_that_does_not_take_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor hang up: its connection ends all the same."""
    monkeypatch.setattr(arrivals, "FAREWELL_SECONDS", 0.01)
    desk = Desk()
    desk.arrival.data_received(b"rubbish\r\n\r\n")
    await until(lambda: desk.wire.told == ["eof", "abort"])
    desk.leave()


async def test_over_tls_it_is_closed() -> None:
    """TLS knows no half of a connection."""
    desk = Desk(half=False)
    desk.arrival.data_received(b"rubbish\r\n\r\n")
    assert desk.wire.told == ["close"]
    desk.leave()


async def test_a_refusal() -> None:
    """The whole answer, then the end."""

    async def refuse(arrival: Arrival) -> None:
        arrival.refuse(Response(403, "Forbidden", Headers({"X-Why": "because"})))

    desk = Desk(refuse)
    desk.arrival.data_received(REQUEST)
    await until(lambda: desk.wire.told == ["eof"])
    assert desk.wire.said == b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n\r\n"
    desk.leave()


async def test_a_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the station has a 500."""

    async def fail(_arrival: Arrival) -> None:
        raise RuntimeError("broken")

    desk = Desk(fail)
    desk.arrival.data_received(REQUEST)
    await until(lambda: desk.wire.told == ["eof"])
    assert desk.wire.status() == policy.BROKEN.status
    assert "the handshake of the station at 192.0.2.1 failed" in caplog.text
    desk.leave()


async def test_one_that_leaves_while_it_is_greeted() -> None:
    """What is done for it ends."""
    ended: list[str] = []

    async def wait(_arrival: Arrival) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    desk = Desk(wait)
    desk.arrival.data_received(REQUEST)
    await until(lambda: bool(desk.greeted))
    desk.leave()
    await until(lambda: ended == ["ended"])
    assert (desk.told, desk.wire.said) == (["left"], b"")


async def test_what_is_said_early_is_bounded() -> None:
    """Who goes on and on before it is answered is read from no more."""
    desk = Desk()
    desk.arrival.data_received(REQUEST)
    for _ in range(64):
        desk.arrival.data_received(bytes(1024))
    assert desk.wire.told == []
    desk.arrival.data_received(b"x")
    assert desk.wire.told == ["pause"]
    assert len(desk.arrival.early) == 64 * 1024 + 1
    desk.leave()


class Shown:
    """The TLS of a connection."""

    def __init__(self, certificate: dict[str, Any] | None) -> None:
        self._certificate = certificate
        self.over = False

    def getpeercert(self) -> dict[str, Any] | None:
        assert not self.over, "as ssl.SSLSocket fails once both have said goodbye"
        return self._certificate


async def test_certificates() -> None:
    """One that was shown; none, with TLS and without."""
    shown = {"subject": ((("commonName", "SN-1"),),)}
    for tls, seen in ((Shown(shown), shown), (Shown({}), None), (None, None)):
        desk = Desk(ssl_object=tls)
        if tls:
            tls.over = True
        assert desk.arrival.certificate == seen
        desk.leave()


async def test_ipv4_through_an_ipv6_listener() -> None:
    """A socket of localctl.socket speaks both; the station's address is told as people write it."""
    assert Desk(peername=("::ffff:192.0.2.1", 4711, 0, 0)).arrival.peer == "192.0.2.1"


async def test_a_peer_without_an_address() -> None:
    """It is gone already."""
    desk = Desk(peername=None)
    assert desk.arrival.peer == "an address unknown"
    desk.leave()
