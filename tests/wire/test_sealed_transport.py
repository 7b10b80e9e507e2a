"""A TLS transport against the standard library's TLS on the other end, in a thread, over loopback."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest
import trustme

from localctl.wire import transport as below
from localctl.wire.sealed_transport import SealedTransport

LARGE = os.urandom(9 * 2**20)


@dataclass
class Recorder(asyncio.Protocol):
    """What it is told."""

    transport: SealedTransport = field(init=False)
    got: bytearray = field(default_factory=bytearray)
    told: list[str] = field(default_factory=list)
    fault: Exception | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SealedTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.news.set()

    def eof_received(self) -> None:
        self._tell("eof")

    def pause_writing(self) -> None:
        self._tell("pause")

    def resume_writing(self) -> None:
        self._tell("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.fault = exc
        self._tell("lost")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` holds."""
        while not condition():
            self.news.clear()
            await self.news.wait()


@dataclass
class Pair:
    """Our end, and the station's, which is used in a thread of its own."""

    ours: Recorder
    station: ssl.SSLSocket
    thread: ThreadPoolExecutor

    async def station_does(self, work: Callable[[], object]) -> object:
        """Do ``work`` in the station's thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """A connection whose handshake is over."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    client.minimum_version = client.maximum_version = request.param
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        plain = socket.create_connection(listener.getsockname(), 30)
        dialling = asyncio.get_running_loop().run_in_executor(
            thread, lambda: client.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        )
        link, _ = listener.accept()
        sealed = await asyncio.to_thread(server.wrap_socket, link, server_side=True)
        sealed.setblocking(False)
        station = await dialling
        recorder = Recorder()
        SealedTransport(sealed, recorder)
        with station:
            yield Pair(recorder, station, thread)
            recorder.transport.abort()
            await recorder.until(lambda: "lost" in recorder.told)
        assert sealed.fileno() == -1, "it is closed in the end"


async def test_bytes_both_ways(pair: Pair) -> None:
    """What the station sends arrives, and what is written reaches it, in order and whole."""
    await pair.station_does(lambda: pair.station.sendall(LARGE[:300_000]))
    await pair.ours.until(lambda: len(pair.ours.got) == 300_000)
    assert bytes(pair.ours.got) == LARGE[:300_000]
    pair.ours.transport.write(b"hello")
    assert pair.ours.transport.get_write_buffer_size() == 0
    assert await pair.station_does(lambda: pair.station.recv(100)) == b"hello"


async def test_a_station_that_takes_its_time(pair: Pair) -> None:
    """What it does not take waits, the protocol is told to pause and, when all is gone, to go on."""
    transport = pair.ours.transport
    transport.write(LARGE)
    transport.write(b"and more")
    assert pair.ours.told == ["pause"]
    assert transport.get_write_buffer_size() > 0
    got = await pair.station_does(lambda: _exactly(pair.station, len(LARGE) + 8))
    assert got == LARGE + b"and more"
    await pair.ours.until(lambda: pair.ours.told == ["pause", "resume"])
    assert transport.get_write_buffer_size() == 0


async def test_the_limit_of_what_waits(pair: Pair) -> None:
    """With a limit of 0 the protocol pauses as soon as anything waits; below the limit it does not."""
    transport = pair.ours.transport
    transport.set_write_buffer_limits(high=2 * len(LARGE))
    transport.write(LARGE)
    assert pair.ours.told == []
    transport.set_write_buffer_limits(high=0)
    assert pair.ours.told == ["pause"]


async def test_paused_reading(pair: Pair) -> None:
    """While reading is paused nothing comes, and afterwards all of it does."""
    transport = pair.ours.transport
    transport.pause_reading()
    assert not transport.is_reading()
    await pair.station_does(lambda: pair.station.sendall(b"x" * 40_000))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not pair.ours.got
    transport.resume_reading()
    assert transport.is_reading()
    await pair.ours.until(lambda: len(pair.ours.got) == 40_000)


class Bowl(asyncio.Protocol):
    """Takes what comes in helpings, and pauses after each where it is told to."""

    def __init__(self, transport: SealedTransport, *, pauses: bool = False) -> None:
        self.got = bytearray()
        self.helpings: list[int] = []
        self.gone = asyncio.Event()
        self._transport = transport
        self._pauses = pauses

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.helpings.append(len(data))
        if self._pauses:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.gone.set()


async def turns(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition()`` holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("size", [100, 16_384, 2**18])
async def test_one_protocol_follows_another(pair: Pair, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Everything comes, in order, to who has taken over, whatever is read at once."""
    monkeypatch.setattr(below, "READ", size)
    transport = pair.ours.transport
    await pair.station_does(lambda: pair.station.sendall(b"first"))
    await pair.ours.until(lambda: pair.ours.got == b"first")
    bowl = Bowl(transport)
    transport.set_protocol(bowl)
    assert transport.get_protocol() is bowl
    await pair.station_does(lambda: pair.station.sendall(LARGE[:300_000]))
    await turns(lambda: len(bowl.got) == 300_000)
    assert bowl.got == LARGE[:300_000]
    assert max(bowl.helpings) <= size
    transport.set_protocol(pair.ours)


async def test_a_pause_in_the_middle_of_a_record(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenSSL has decrypted already, and of which no event tells, comes when reading is resumed: each time."""
    monkeypatch.setattr(below, "READ", 100)
    transport = pair.ours.transport
    bowl = Bowl(transport, pauses=True)
    transport.set_protocol(bowl)
    await pair.station_does(lambda: pair.station.sendall(LARGE[:1000]))  # one record
    for number in range(1, 11):
        await turns(partial(_has, bowl, number))
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(bowl.helpings) == number, "it is paused"
        assert not transport.is_reading()
        assert transport.get_extra_info("ssl_object").pending() == 1000 - 100 * number
        transport.resume_reading()
    assert bowl.got == LARGE[:1000]
    transport.set_protocol(pair.ours)


def _has(bowl: Bowl, number: int) -> bool:
    return len(bowl.helpings) == number


async def test_what_is_held_does_not_come_to_who_has_left(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed and paused again, or aborted, before the loop has turned."""
    monkeypatch.setattr(below, "READ", 100)
    transport = pair.ours.transport
    bowl = Bowl(transport, pauses=True)
    transport.set_protocol(bowl)
    await pair.station_does(lambda: pair.station.sendall(LARGE[:1000]))
    await turns(partial(_has, bowl, 1))
    transport.resume_reading()
    transport.pause_reading()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(bowl.helpings) == 1
    transport.resume_reading()
    transport.abort()
    await asyncio.wait_for(bowl.gone.wait(), 20)
    assert len(bowl.helpings) == 1
    pair.ours.told.append("lost")


async def test_small_writes_to_a_full_socket(pair: Pair) -> None:
    """What the socket does not take is kept and grows, and is sent once, in order, when it does (``send`` again)."""
    transport = pair.ours.transport
    transport.pause_reading()
    sent = bytearray()
    number = 0
    while not transport.get_write_buffer_size():
        message = b"[%d]" % number * 300
        transport.write(message)
        sent += message
        number += 1
    assert transport.get_write_buffer_size() == len(message), "the one that did not fit, whole"
    for size in (1, 100, 16_384, 16_385, 100_000):
        before = transport.get_write_buffer_size()
        transport.write(LARGE[:size])
        sent += LARGE[:size]
        assert transport.get_write_buffer_size() == before + size
    assert pair.ours.told == ["pause"]
    assert await pair.station_does(lambda: _exactly(pair.station, len(sent))) == sent
    await pair.ours.until(lambda: pair.ours.told == ["pause", "resume"])
    transport.write(b"and on")
    assert await pair.station_does(lambda: _exactly(pair.station, 6)) == b"and on"


async def test_close_sends_what_waits_and_says_goodbye(pair: Pair) -> None:
    """The station gets everything and then a proper end; what is written behind close() is not sent."""
    transport = pair.ours.transport
    transport.write(LARGE)
    transport.close()
    transport.write(b"too late")
    assert transport.is_closing()
    assert "lost" not in pair.ours.told
    assert await pair.station_does(lambda: _exactly(pair.station, len(LARGE))) == LARGE
    assert await pair.station_does(lambda: pair.station.recv(1)) == b""
    await pair.ours.until(lambda: "lost" in pair.ours.told)
    assert pair.ours.fault is None


async def test_abort_sends_nothing_more(pair: Pair) -> None:
    """It is over in the loop's next turn, whatever waits."""
    pair.ours.transport.write(LARGE)
    pair.ours.transport.abort()
    await asyncio.sleep(0)
    assert pair.ours.told[-1] == "lost"
    assert pair.ours.transport.get_write_buffer_size() == 0


async def test_the_station_says_goodbye(pair: Pair) -> None:
    """The protocol hears of the end of what comes, and then of the end."""
    station = pair.station
    station.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):  # it would wait for our goodbye
        station.unwrap()
    await pair.ours.until(lambda: "lost" in pair.ours.told)
    assert (pair.ours.told, pair.ours.fault) == (["eof", "lost"], None)


@pytest.mark.parametrize("how", ["while it is read from", "while it is written to"])
async def test_the_station_vanishes(pair: Pair, how: str) -> None:
    """A reset ends it; it is a failure where it cost something."""
    if how == "while it is written to":
        pair.ours.transport.pause_reading()
        pair.ours.transport.write(LARGE)
    pair.station.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pair.station.close()
    await pair.ours.until(lambda: "lost" in pair.ours.told)
    assert isinstance(pair.ours.fault, OSError) or how == "while it is read from"


async def test_garbage(pair: Pair) -> None:
    """What is no TLS ends it."""
    with socket.socket(fileno=os.dup(pair.station.fileno())) as below:
        below.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
    await pair.ours.until(lambda: "lost" in pair.ours.told)
    assert isinstance(pair.ours.fault, ssl.SSLError)


async def test_what_it_tells(pair: Pair) -> None:
    """What aiohttp asks for."""
    transport = pair.ours.transport
    assert transport.get_extra_info("peername") == pair.station.getsockname()
    assert transport.get_extra_info("sockname") == pair.station.getpeername()
    assert isinstance(transport.get_extra_info("sslcontext"), ssl.SSLContext)
    assert isinstance(transport.get_extra_info("socket"), ssl.SSLSocket)
    assert transport.get_extra_info("cipher", "none") == "none"
    assert transport.get_protocol() is pair.ours
    assert not transport.can_write_eof()


def _exactly(station: ssl.SSLSocket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        got += station.recv(2**16)
    return bytes(got)
