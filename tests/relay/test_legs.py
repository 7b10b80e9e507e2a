"""A leg ends for certain, whatever its peer does. Each peer here is a raw socket that does the wrong thing."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import CollectorRegistry
from websockets.exceptions import ConnectionClosed

from localctl.relay import legs
from localctl.relay.legs import Leg, Manner
from localctl.relay.pair import End, Pair
from localctl.relay.roster import Relay
from localctl.traffic import Traffic
from localctl.wire.readiness import Readiness
from localctl.wire.transport import SocketTransport
from tests.relay.conftest import PATIENCE, House, OpenHouse, Peer, RawStation, csms_peer, handshake, raw_station, until
from tests.relay.raw import frame

CLOSE_1000 = bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8])


@asynccontextmanager
async def silent_station(house: House) -> AsyncIterator[tuple[RawStation, Leg]]:
    """A station that is relayed and then does nothing by itself, not even read; and its leg."""
    async with raw_station(house, handshake("/ocpp/CS-1")) as station:
        await station.head()
        transport = station.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        (pair,) = house.door._pairs.values()
        yield station, pair._station


async def test_a_closing_handshake_ends_the_tcp_connection_too(
    peer: Peer, open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station that closes its WebSocket and keeps its TCP connection does not hold its relay open (Part 4 §6.3)."""
    monkeypatch.setattr(legs, "LINGER_SECONDS", 0.05)
    house = await open_house(peer.url, ping_interval_seconds=0)
    async with silent_station(house) as (station, leg):
        csms = await peer.accepted()
        station.writer.write(CLOSE_1000)
        await asyncio.wait_for(csms.wait_closed(), PATIENCE)
        assert csms.close_code == 1000
        await house.gone()
        assert leg.transport.is_closing()


async def test_a_peer_that_takes_nothing_is_dropped(open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen station whose buffers are full cannot even be pinged: it is given up all the same."""
    monkeypatch.setattr(legs, "STALL_SECONDS", 0.2)
    async with csms_peer(compression=None) as peer:
        house = await open_house(peer.url, ping_interval_seconds=0)
        async with silent_station(house) as (_, leg):
            csms = await peer.accepted()
            with suppress(ConnectionClosed):
                async with asyncio.timeout(PATIENCE):
                    while True:
                        await csms.send("x" * 500_000)
            await house.gone()
            assert leg.transport.is_closing()


async def test_a_peer_that_takes_nothing_does_not_keep_the_other(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads for it any more, so the CSMS's answer to our close frame is read at once (RFC 6455 §7.1.1)."""
    monkeypatch.setattr(legs, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(legs, "CLOSE_SECONDS", 10 * PATIENCE)
    async with csms_peer(compression=None) as peer:
        house = await open_house(peer.url, ping_interval_seconds=0)
        async with silent_station(house):
            csms = await peer.accepted()
            with suppress(ConnectionClosed):
                async with asyncio.timeout(PATIENCE):
                    while True:
                        await csms.send("x" * 500_000)
            assert csms.close_code == 1001
            await house.gone()


async def test_a_slow_peer_is_not_dropped(peer: Peer, open_house: OpenHouse) -> None:
    """Who takes something, however little, is alive."""
    house = await open_house(peer.url, ping_interval_seconds=0)
    async with silent_station(house) as (_, leg):
        await peer.accepted()
        leg.transport.write(bytes(8_000_000))
        await until(lambda: leg.is_full)
        leg._stalled(leg.transport.get_write_buffer_size() + 1)
        assert not leg.transport.is_closing()
        leg._stalled(leg.transport.get_write_buffer_size())
        assert leg.transport.is_closing()


async def test_shutting_waits_for_nobody(peer: Peer, open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A close frame that cannot be written is not waited for longer than CLOSE_SECONDS."""
    monkeypatch.setattr(legs, "CLOSE_SECONDS", 0.05)
    house = await open_house(peer.url, ping_interval_seconds=0)
    async with silent_station(house) as (_, leg):
        await peer.accepted()
        leg.transport.write(bytes(8_000_000))
        await until(lambda: leg.is_full)
        for _ in range(2):  # twice is once
            leg.close(1001, "")
        await house.gone()


async def test_a_half_open_station_is_noticed(
    peer: Peer, open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station that answers no ping is gone after ping + timeout + close, and the CSMS learns it (5.2, §6.3)."""
    monkeypatch.setattr(legs, "LINGER_SECONDS", 0.2)
    house = await open_house(peer.url, ping_interval_seconds=0.2)
    async with silent_station(house) as (_, leg):
        csms = await peer.accepted()
        await asyncio.wait_for(csms.wait_closed(), PATIENCE)
        assert csms.close_code == 1001
        await house.gone()
        assert leg.transport.is_closing()
        await until(lambda: house.value("station_disconnects_total", reason="timeout") == 1)


async def test_a_reset_ends_the_other_side_at_once(peer: Peer, open_house: OpenHouse) -> None:
    """A station that is unplugged and plugged in again resets its old connection: 1006 reaches the CSMS as 1001."""
    house = await open_house(peer.url)
    async with raw_station(house, handshake("/ocpp/CS-1")) as station:
        await station.head()
        csms = await peer.accepted()
        sock = station.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
        station.writer.transport.abort()
        await asyncio.wait_for(csms.wait_closed(), PATIENCE)
    assert csms.close_code == 1001
    await house.gone()


@asynccontextmanager
async def narrow(early: bytes = b"") -> AsyncIterator[tuple[Leg, Leg, socket.socket, socket.socket]]:
    """Two legs, station and CSMS, and their peers; to the station little goes at once. ``early``: from the CSMS."""
    turn, over = Readiness(), asyncio.Event()
    sockets = *socket.socketpair(), *socket.socketpair()
    for sock in sockets:
        sock.setblocking(False)
    ours, station, csms_s, csms = sockets
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    pair = Pair(Relay("CS-1", "192.0.2.1"), Traffic(CollectorRegistry()), turn, lambda _: over.set())
    ends = [SocketTransport(sock, asyncio.Protocol(), turn) for sock in (ours, csms_s)]
    pair.begin(End(ends[0], Manner("station", 60, 2**20), b""), End(ends[1], Manner("csms", 60, 2**20), early))
    with station, csms:
        yield pair._station, pair._csms, station, csms
        pair.abort()
        await asyncio.wait_for(over.wait(), PATIENCE)
    turn.close()


async def drained(sock: socket.socket, leg: Leg) -> None:
    """Take what comes, until the leg has nothing more to send."""
    while leg.transport.get_write_buffer_size():
        await asyncio.get_running_loop().sock_recv(sock, 2**18)
    await until(lambda: not leg.is_full)


async def test_what_came_with_the_handshake_may_be_too_much() -> None:
    """A CSMS that has said more by then than its station takes is not read from, until that has caught up."""
    async with narrow(frame(1, b"x" * 100_000, masked=False)) as (station, csms, sock, _):
        assert station.is_full
        assert not csms.transport.is_reading()
        await drained(sock, station)
        assert csms.transport.is_reading()


async def test_who_is_not_read_from_owes_no_answer() -> None:
    """A CSMS whose station takes its time may have answered our ping: nobody has looked. Afterwards it counts again."""
    async with narrow() as (station, csms, sock, _):
        csms._ping()
        station.transport.write(bytes(100_000))
        assert not csms.transport.is_reading()
        for _ in range(3):
            csms._ping()
            station._ping()
        assert csms.is_open
        assert station.is_open
        await drained(sock, station)
        csms._ping()
        assert csms.is_open
        csms._ping()
        assert not csms.is_open
