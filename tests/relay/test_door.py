"""Stations come in: what the CSMS sees of them, what they see of the CSMS, and who is turned away."""

import asyncio
import base64
import logging
import socket

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response

from localctl.config import Csms, Stations, StationsWs
from localctl.errors import ListenError
from localctl.relay import door as doors
from localctl.relay import pair as pairs
from localctl.relay.dial import Target
from localctl.relay.legs import Leg, Way
from localctl.traffic import Tally
from localctl.values import Address
from tests.relay.conftest import (
    OWN_IDENTITY,
    PATIENCE,
    House,
    OpenHouse,
    Peer,
    close_of,
    handshake,
    raw_csms,
    raw_station,
    turned_away,
    until,
)

CREDENTIALS = "Basic " + base64.b64encode(b"CS-1:s3cr\xe8t").decode()
TEXT_2 = b"\x81\x83\x00\x00\x00\x00[2]"


@pytest.mark.parametrize("target", ["/ocpp/CS-1", "/x//CS%2F1;v=1?a=b%20c&d", "/CS-1?", "/a/../[b]|CS"])
async def test_the_csms_sees_the_station(peer: Peer, open_house: OpenHouse, target: str) -> None:
    """Part 4 §6.1, §6.2: target, credentials, headers and offer arrive byte for byte, and nothing of ours with them."""
    house = await open_house(peer.url)
    own = [f"Authorization: {CREDENTIALS}", "User-Agent: Wallbox/1 (old)", "X-Serial: 1"]
    async with raw_station(house, handshake(target, *own, subprotocol="ocpp2.0.1,ocpp1.6")) as station:
        await station.head()
        (request,) = peer.requests
        assert request.path == target
        seen = [f"{name}: {value}" for name, value in request.headers.raw_items()]
        assert [line for line in seen if line.split(":")[0] in {"Authorization", "User-Agent", "X-Serial"}] == own
        assert request.headers["Sec-WebSocket-Protocol"] == "ocpp2.0.1,ocpp1.6"
        assert request.headers["Host"] == peer.url.split("/")[2]
        assert not {"via", "forwarded", "x-forwarded-for"} & {name.lower() for name in request.headers}


async def test_no_user_agent_where_the_station_has_none(peer: Peer, open_house: OpenHouse) -> None:
    """Part 4 §6.1: the library's own name is not put in its place, towards neither side."""
    house = await open_house(peer.url)
    async with raw_station(house, handshake("/ocpp/CS-1")) as station:
        head = await station.head()
        assert "User-Agent" not in peer.requests[0].headers
        assert head.count("Server:") == head.count("Date:") == 1  # the CSMS's own


@pytest.mark.parametrize(
    ("offer", "versions", "asked", "chosen"),
    [
        ("ocpp1.6, ocpp2.0.1", ("2.1", "2.0.1", "1.6"), "ocpp1.6, ocpp2.0.1", "ocpp2.0.1"),
        ("ocpp2.1, soap, ocpp1.6", ("2.0.1", "1.6"), "ocpp1.6", "ocpp1.6"),
        ("ocpp2.1, ocpp2.0.1", ("2.0.1", "2.1"), "ocpp2.1, ocpp2.0.1", None),
    ],
)
async def test_the_csms_chooses_the_subprotocol(  # each case is one row
    peer: Peer, open_house: OpenHouse, offer: str, versions: tuple[str, ...], asked: str, chosen: str | None
) -> None:
    """Part 4 §6.1, §6.2: of what is allowed, in the station's order; its choice, or none, is what the station gets."""
    peer.choose = lambda _offer: chosen
    house = await open_house(peer.url, ocpp_versions=versions)
    station = await house.station(subprotocols=offer.split(", "))
    assert peer.requests[0].headers["Sec-WebSocket-Protocol"] == asked
    assert station.subprotocol == chosen
    assert house.door.stations()[0].ocpp_version == (chosen or "").removeprefix("ocpp")
    await station.send("[2]")
    assert await (await peer.accepted()).recv() == "[2]"
    await station.close()


@pytest.mark.parametrize("subprotocol", ["ocpp1.6", "ocpp1.5, chat", None])
async def test_no_common_subprotocol(peer: Peer, open_house: OpenHouse, subprotocol: str | None) -> None:
    """3.2: the handshake completes without one, the socket is closed at once, and the CSMS never hears of it."""
    house = await open_house(peer.url, ocpp_versions=("2.0.1",))
    async with raw_station(house, handshake("/ocpp/CS-1", subprotocol=subprotocol)) as station:
        head = await station.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert "Sec-WebSocket-Protocol" not in head
        assert (await asyncio.wait_for(station.reader.readexactly(4), PATIENCE))[0] == 0x88
    assert not peer.requests
    assert house.value("station_handshakes_total", result="subprotocol") == 1


@pytest.mark.parametrize("early", [TEXT_2, TEXT_2 * 40])
async def test_a_station_that_speaks_with_its_handshake(peer: Peer, open_house: OpenHouse, early: bytes) -> None:
    """Part 4 §6.4: what comes in one segment with the handshake, before the CSMS has answered, is not lost."""
    may_answer = asyncio.Event()

    async def answer(_connection: ServerConnection, _request: Request) -> None:
        await may_answer.wait()

    peer.answer = answer
    house = await open_house(peer.url)
    async with raw_station(house, handshake("/ocpp/CS-1") + early) as station:
        await until(lambda: bool(peer.requests))
        station.writer.write(early)  # and again, while the CSMS thinks
        await station.writer.drain()
        may_answer.set()
        csms = await peer.accepted()
        for _ in range(2 * len(early) // len(TEXT_2)):
            assert await asyncio.wait_for(csms.recv(), PATIENCE) == "[2]"


@pytest.mark.parametrize("status", [401, 403, 404, 302, 429, 503])
async def test_the_csms_s_refusal_is_the_station_s(peer: Peer, open_house: OpenHouse, status: int) -> None:
    """Part 4 §6.1: its status, its headers, its body; the station is not relayed."""

    async def refuse(connection: ServerConnection, _request: Request) -> Response:
        response = connection.respond(status, "so it is\n")
        response.headers["WWW-Authenticate"] = 'Basic realm="csms"'
        response.headers["Location"] = "wss://elsewhere.example/"
        return response

    peer.answer = refuse
    house = await open_house(peer.url)
    answer = await turned_away(house)
    assert (answer.status, answer.body) == (status, b"so it is\n")
    assert answer.headers["www-authenticate"] == 'Basic realm="csms"'
    assert answer.headers["location"] == "wss://elsewhere.example/"
    assert len(peer.requests) == 1  # a redirect is the station's to follow
    assert house.value("station_handshakes_total", result="refused_by_csms") == 1
    assert house.door.stations() == ()


async def test_no_csms_no_relay(peer: Peer, open_house: OpenHouse, caplog: pytest.LogCaptureFixture) -> None:
    """503 with Retry-After; the log warns once, and says once when the CSMS is there again."""
    caplog.set_level(logging.INFO, "localctl.relay")
    house = await open_house("ws://127.0.0.1:9/ocpp")
    for _ in range(3):
        answer = await turned_away(house)
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert house.value("station_handshakes_total", result="csms_unreachable") == 3
    house.door._target = Target.of(Csms(url=peer.url), None)
    await (await house.station()).close()
    messages = [record.getMessage() for record in caplog.records]
    assert len([line for line in messages if line.startswith("stations cannot be relayed: ")]) == 1
    assert messages.count("the CSMS answers stations again") == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/ocpp/", 404),
        ("/", 404),
        ("/ocpp/XX-1", 404),
        (f"/ocpp/{OWN_IDENTITY}", 403),
        ("/elsewhere/%4CC-0001?x=1", 403),
        ("/ocpp/lc-0001", 403),
    ],
)
async def test_who_is_not_let_in(
    peer: Peer, open_house: OpenHouse, caplog: pytest.LogCaptureFixture, target: str, status: int
) -> None:
    """3.2: no identity, or none that is allowed: 404 without a body. Part 4 §6.2: our own: 403 and a security event."""
    house = await open_house(peer.url, allowed_identities=("CS-*", "LC-*", "lc-*"))
    answer = await turned_away(house, target)
    assert (answer.status, answer.body) == (status, b"")
    assert not peer.requests
    assert house.value("station_handshakes_total", result="identity") == 1
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == (status == 403)


async def test_a_full_house(peer: Peer, open_house: OpenHouse) -> None:
    """Beyond max_stations 503 with Retry-After; a station that is known comes in again, and a place is given back."""
    house = await open_house(peer.url, max_stations=1)
    first = await house.station()
    answer = await turned_away(house, "/ocpp/CS-2")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert house.value("station_handshakes_total", result="full") == 1
    again = await house.station()
    await asyncio.wait_for(first.wait_closed(), PATIENCE)
    await again.close()
    await house.gone()
    await (await house.station("/ocpp/CS-2")).close()


async def test_a_newcomer_replaces_its_namesake(peer: Peer, open_house: OpenHouse) -> None:
    """Accepted by the CSMS it takes the old one's place; the old one's end leaves it alone."""
    house = await open_house(peer.url)
    old = await house.station()
    old_csms = await peer.accepted()
    newcomer = await house.station()
    csms = await peer.accepted()
    for connection in (old, old_csms):
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)
        assert close_of(connection) == (1001, "")
    await until(lambda: house.value("station_disconnects_total", reason="replaced") == 1)
    assert len(house.door.stations()) == house.value("stations_connected") == 1
    await newcomer.send("[2]")
    assert await csms.recv() == "[2]"
    await newcomer.close()


async def test_a_newcomer_that_the_csms_refuses_replaces_nobody(peer: Peer, open_house: OpenHouse) -> None:
    """Whoever only claims to be that station does not get the true one thrown out."""
    house = await open_house(peer.url)
    true = await house.station()
    csms = await peer.accepted()

    async def answer(connection: ServerConnection, _request: Request) -> Response:
        return connection.respond(401, "")

    peer.answer = answer
    assert (await turned_away(house)).status == 401
    await true.send("[2]")
    assert await csms.recv() == "[2]"
    assert len(house.door.stations()) == 1
    await true.close()


async def test_a_station_that_leaves_while_the_csms_thinks(open_house: OpenHouse) -> None:
    """Its dial is given up and its place is free at once."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        left.set()

    async with raw_csms(silent) as url:
        house = await open_house(url, max_stations=1)
        async with raw_station(house, handshake("/ocpp/CS-1")):
            await until(asked.is_set)
        await until(left.is_set)
        await until(lambda: not house.door._roster._expected)
        assert house.value("station_handshakes_total", result="failed") == 1


async def test_one_that_had_gone_before_it_came(peer: Peer, open_house: OpenHouse) -> None:
    """Reset while it waited to be accepted: it leaves nothing behind, and the house can be closed."""
    house = await open_house(peer.url)
    with socket.create_connection((house.address.host, house.address.port)) as gone:
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    station = await house.station()  # so the other was accepted
    assert not house.door._arrivals
    await station.close()
    await house.door.stop()


async def test_refusing_keeps_what_is_there(peer: Peer, open_house: OpenHouse) -> None:
    """Before it stops the controller takes no more stations; those that are relayed go on."""
    house = await open_house(peer.url)
    station = await house.station()
    csms = await peer.accepted()
    house.door.refuse()
    answer = await turned_away(house, "/ocpp/CS-2")
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    await station.send("[2]")
    assert await csms.recv() == "[2]"
    await station.close()


async def test_stopping_closes_everything(peer: Peer, open_house: OpenHouse) -> None:
    """Both legs with 1001; who has not finished, or not begun, its handshake is not waited for."""
    house = await open_house(peer.url)
    ends = [await house.station(), await peer.accepted()]
    async with raw_station(house, b"GET /ocpp/CS-2") as idle, raw_station(house, b"") as mute:
        await until(lambda: len(house.door._arrivals) == 2)
        await asyncio.wait_for(house.door.stop(), PATIENCE)
        assert (await idle.rest(), await mute.rest()) == (b"", b"")
    assert [close_of(end) for end in ends] == [(1001, "")] * 2
    assert house.value("station_disconnects_total", reason="stopping") == 1
    assert not house.door._pairs
    with pytest.raises(ConnectionRefusedError):
        await house.station()
    await house.door.stop()  # twice is once


async def test_stopping_waits_for_nobody(peer: Peer, open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that answers no close frame is dropped."""
    monkeypatch.setattr(doors, "STOP_SECONDS", 0.05)
    house = await open_house(peer.url)
    async with raw_station(house, handshake("/ocpp/CS-1")) as station:
        await station.head()
        await asyncio.wait_for(house.door.stop(), PATIENCE)
        assert (await station.rest())[2:4] == (1001).to_bytes(2, "big")


async def test_a_csms_that_stops_or_dies(peer: Peer, open_house: OpenHouse) -> None:
    """§6.3: the CSMS's end, by close frame or by reset, is the station's, so that it queues as it would have."""
    house = await open_house(peer.url)
    for number in range(2):
        station = await house.station()
        csms = await peer.accepted()
        if number:
            sock: socket.socket = csms.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            csms.transport.abort()
        else:
            await csms.close(1012)
        await asyncio.wait_for(station.wait_closed(), PATIENCE)
        assert close_of(station)[0] == (1012, 1001)[number]
    await house.gone()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 426 "),
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (handshake("/ocpp/CS-1").replace(b"Version: 13", b"Version: 8"), b"HTTP/1.1 400 "),
        (handshake("/" + "x" * 9000), b""),
        (bytes.fromhex("16030100c8010000c40303") + bytes(200) + b"\n", b""),
        (b"\x00\x01\x02\r\n\r\n", b""),
        (b"SSH-2.0-scan\r\n", b""),
        (handshake("/ocpp/CS-1", "Authorization: Basic eA==", "Authorization: Basic eQ=="), b""),
        (handshake("/ocpp/CS-1") + b"\x81\x02hi", b""),
        (handshake("/ocpp/CS-1") + b"\x88\x80\x00\x00\x00\x00", b""),
    ],
)
async def test_strangers_make_no_traceback(
    peer: Peer, open_house: OpenHouse, caplog: pytest.LogCaptureFixture, data: bytes, status: bytes
) -> None:
    """Browsers, scanners and TLS on the plain port get their due, and the log stays clean."""
    caplog.set_level(logging.DEBUG)
    house = await open_house(peer.url)
    async with raw_station(house, data) as stranger:
        if not status:  # whom not every version of `websockets` answers gives up
            stranger.writer.write_eof()
        assert (await stranger.rest()).startswith(status)
    await until(lambda: not house.door._arrivals)
    assert not [record for record in caplog.records if record.exc_info or record.levelno > logging.INFO]
    assert house.door.stations() == ()


async def test_no_secret_in_the_log(peer: Peer, open_house: OpenHouse, caplog: pytest.LogCaptureFixture) -> None:
    """Not even at the lowest level does a station's password appear."""
    caplog.set_level(logging.DEBUG)
    house = await open_house(peer.url)
    station = await house.station(additional_headers={"Authorization": CREDENTIALS})
    await station.close()
    await house.gone()
    assert CREDENTIALS[6:] not in "".join(record.getMessage() for record in caplog.records if "localctl" in record.name)


async def test_a_fault_of_ours_is_logged(
    peer: Peer, open_house: OpenHouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The station gets 500, or loses its connection once it is relayed; the log has the traceback."""

    def broken(pair: pairs.Pair, sink: Leg, tally: Tally, _: object) -> Way:
        return Way(lambda *_: 1 / 0, sink.transport, tally, pair._turn, quick=False)  # type: ignore[arg-type]  # raises

    house = await open_house(peer.url)
    monkeypatch.setattr(pairs.Pair, "_way", broken)
    station = await house.station()
    await station.send("[2]")
    await asyncio.wait_for(station.wait_closed(), PATIENCE)
    await house.gone()
    assert house.value("station_disconnects_total", reason="failed") == 1
    monkeypatch.setattr(doors, "offered", None)
    assert (await turned_away(house)).status == 500
    assert len([record for record in caplog.records if record.exc_info]) == 2
    caplog.clear()


async def test_a_fault_of_ours_keeps_no_csms(
    peer: Peer, open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CSMS has accepted a station that gets 500: its connection ends too."""
    house = await open_house(peer.url)
    monkeypatch.setattr(doors, "accepted", None)
    assert (await turned_away(house)).status == 500
    csms = await peer.accepted()
    await asyncio.wait_for(csms.wait_closed(), PATIENCE)


async def test_an_address_that_cannot_be_bound(peer: Peer, open_house: OpenHouse) -> None:
    """The error names the key and the address."""
    house = await open_house(peer.url)
    taken = Stations(ws=StationsWs(listen=house.address))
    for stations in (taken, Stations(ws=StationsWs(listen=Address("host.invalid", 1)))):
        with pytest.raises(ListenError, match=r"^stations\.ws\.listen: "):
            await House(stations, Csms(url=peer.url), None).door.start()


async def test_ipv6(peer: Peer) -> None:
    """An address in brackets is as good as any."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    house = House(Stations(ws=StationsWs(listen=Address("::1", 0))), Csms(url=peer.url), None)
    (house.address,) = (await house.door.start()).values()
    async with connect(house.url(), subprotocols=["ocpp1.6"], proxy=None):  # type: ignore[list-item]  # a NewType of str
        assert house.door.stations()[0].peer == "::1"
    await house.door.stop()


async def test_other_settings_count_for_who_comes(peer: Peer, open_house: OpenHouse) -> None:
    """Row 35: who is relayed stays, with the largest message that it came under; who comes is under the new rules; the
    CSMS is the same whatever its URL is said to be now.
    """
    house = await open_house(peer.url)
    first = await house.station()
    first_csms = await peer.accepted()
    stations = Stations(allowed_identities=("CS-*",), max_stations=2, max_message_size=100, ocpp_versions=("1.6",))
    csms = Csms(url="ws://csms.example.com", compression=False, ping_interval_seconds=0, max_dials_per_second=50)
    house.door.reconfigure(stations, csms, None)
    assert (await turned_away(house, "/ocpp/XX-1")).status == 404
    second = await house.station("/ocpp/CS-2", subprotocols=["ocpp2.0.1", "ocpp1.6"], compression=None)
    assert second.subprotocol == "ocpp1.6"
    assert (await turned_away(house, "/ocpp/CS-3")).status == 101  # OCPP 2.0.1 is not spoken any more
    with pytest.raises(InvalidStatus) as full:
        await house.station("/ocpp/CS-3", subprotocols=["ocpp1.6"])
    assert full.value.response.status_code == 503
    await first.send("x" * 1000)
    assert await first_csms.recv() == "x" * 1000
    await second.send("x" * 1000)
    await asyncio.wait_for(second.wait_closed(), PATIENCE)
    assert second.close_code == 1009
