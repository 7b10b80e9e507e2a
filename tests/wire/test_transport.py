"""A TCP transport against a plain socket on the other end, over loopback."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import pytest

from localctl.wire.readiness import READ, Readiness
from localctl.wire.transport import SocketTransport

LARGE = os.urandom(9 * 2**20)


@dataclass
class Recorder(asyncio.Protocol):
    """What it is told."""

    transport: SocketTransport = field(init=False)
    got: bytearray = field(default_factory=bytearray)
    helpings: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    fault: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SocketTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        self.helpings.append(len(data))

    def eof_received(self) -> None:
        self.told.append("eof")

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.fault = exc
        self.told.append("lost")


@dataclass(frozen=True)
class Pair:
    """Our end, and the peer's socket, which does not block."""

    ours: Recorder
    peer: socket.socket

    async def send(self, data: bytes) -> None:
        """The peer does."""
        await asyncio.get_running_loop().sock_sendall(self.peer, data)

    async def receive(self, count: int) -> bytes:
        """What the peer gets, until it has so many bytes or all."""
        got = bytearray()
        async with asyncio.timeout(20):
            while len(got) < count and (piece := await asyncio.get_running_loop().sock_recv(self.peer, 2**18)):
                got += piece
        return bytes(got)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition()`` holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.001)


@pytest.fixture(params=["loop", "turns"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    """A connection, watched by the loop itself or in turns."""
    turn = Readiness() if request.param == "turns" else None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        link, _ = listener.accept()
    for sock in (peer, link):
        sock.setblocking(False)
    recorder = Recorder()
    SocketTransport(link, recorder, turn)
    with peer:
        yield Pair(recorder, peer)
        recorder.transport.abort()
        await until(lambda: "lost" in recorder.told)
    if turn:
        turn.close()
    assert recorder.told.count("lost") == 1
    assert link.fileno() == -1, "it is closed in the end"


async def test_bytes_both_ways(pair: Pair) -> None:
    """In order and whole; what the socket takes is sent at once."""
    sending = asyncio.gather(pair.send(LARGE))
    await until(lambda: len(pair.ours.got) == len(LARGE))
    await sending
    assert pair.ours.got == LARGE
    assert max(pair.ours.helpings) <= READ
    pair.ours.transport.write(b"hello")
    assert pair.peer.recv(100) == b"hello"


@pytest.mark.parametrize("size", [1, READ - 1, READ, READ + 1, 3 * READ])
async def test_the_end_at_once(pair: Pair, size: int) -> None:
    """What came before it is heard whole, and then the end, though the kernel may tell of both only once."""
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**18)
    assert pair.peer.send(LARGE[:size]) == size
    pair.peer.close()
    await until(lambda: "lost" in pair.ours.told)
    assert pair.ours.got == LARGE[:size]
    assert pair.ours.told == ["eof", "lost"]


@pytest.mark.parametrize("size", [READ - 1, READ, 3 * READ, 3 * READ + 1])
async def test_more_than_a_helping(pair: Pair, size: int) -> None:
    """It is heard whole, though nothing follows; and so is what follows."""
    for end in (size, 2 * size):
        await pair.send(LARGE[end - size : end])
        await until(partial(lambda end: len(pair.ours.got) == end, end))
    assert pair.ours.got == LARGE[: 2 * size]


async def test_urgent_data_holds_nothing_back(pair: Pair) -> None:
    """What stands behind it is heard, though a read ends at it, and what follows."""
    pair.peer.send(b"hello")
    pair.peer.send(b"!", socket.MSG_OOB)
    pair.peer.send(b"world")
    await until(partial(pair.ours.got.endswith, b"world"))
    await pair.send(b", again")
    await until(partial(pair.ours.got.endswith, b"again"))


async def test_hearing_while_what_is_said_waits(pair: Pair) -> None:
    """A peer that takes nothing is heard, and when it has taken all as well."""
    pair.ours.transport.write(LARGE)
    for said in (b"one", b"two"):
        await pair.send(said)
        await until(partial(pair.ours.got.endswith, said))
    assert await pair.receive(len(LARGE)) == LARGE
    await pair.send(b"three")
    await until(lambda: pair.ours.got == b"onetwothree")


async def test_what_does_not_fit_waits(pair: Pair) -> None:
    """In order, whatever is written behind it; the protocol pauses above 64 KiB and goes on when all is sent."""
    transport = pair.ours.transport
    transport.write(LARGE)
    left = transport.get_write_buffer_size()
    assert 0 < left < len(LARGE)
    for piece in (b"a", bytearray(b"bc"), memoryview(b"def")):
        transport.write(piece)
    assert transport.get_write_buffer_size() == left + 6
    assert pair.ours.told == ["pause"]
    assert await pair.receive(len(LARGE) + 6) == LARGE + b"abcdef"
    await until(lambda: pair.ours.told == ["pause", "resume"])
    assert transport.get_write_buffer_size() == 0
    transport.write(b"and on")
    assert await pair.receive(6) == b"and on"


async def test_limits(pair: Pair) -> None:
    """They can be set; what waits already counts."""
    transport = pair.ours.transport
    transport.set_write_buffer_limits(high=2 * len(LARGE))
    transport.write(LARGE)
    assert pair.ours.told == []
    transport.set_write_buffer_limits(high=0)
    assert pair.ours.told == ["pause"]


async def test_paused_reading(pair: Pair) -> None:
    """While it is paused nothing comes, and afterwards all of it; twice is once."""
    transport = pair.ours.transport
    for _ in range(2):
        transport.pause_reading()
    assert not transport.is_reading()
    await pair.send(b"x" * 40_000)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not pair.ours.got
    for _ in range(2):
        transport.resume_reading()
    assert transport.is_reading()
    await until(lambda: len(pair.ours.got) == 40_000)


async def test_close_sends_what_waits(pair: Pair) -> None:
    """The peer gets everything and then the end; what is written behind close() is not sent, nor what comes heard."""
    transport = pair.ours.transport
    transport.write(LARGE)
    for _ in range(2):
        transport.close()
    transport.write(b"too late")
    transport.write_eof()
    assert transport.is_closing()
    assert not transport.is_reading()
    assert "lost" not in pair.ours.told
    assert await pair.receive(len(LARGE) + 1) == LARGE
    await until(lambda: "lost" in pair.ours.told)
    assert pair.ours.fault is None


async def test_half_an_end(pair: Pair) -> None:
    """After write_eof() the peer sees the end behind what waits, and may still speak."""
    transport = pair.ours.transport
    transport.write(LARGE)
    for _ in range(2):
        transport.write_eof()
    transport.write(b"too late")
    assert transport.can_write_eof()
    assert await pair.receive(len(LARGE) + 1) == LARGE
    await pair.send(b"goodbye")
    await until(lambda: pair.ours.got == b"goodbye")
    assert not transport.is_closing()
    pair.peer.shutdown(socket.SHUT_WR)
    await until(lambda: pair.ours.told[-2:] == ["eof", "lost"])
    assert pair.ours.fault is None


async def test_half_an_end_at_once(pair: Pair) -> None:
    """Where nothing waits."""
    pair.ours.transport.write_eof()
    assert await pair.receive(1) == b""


async def test_abort_sends_nothing_more(pair: Pair) -> None:
    """It is over in the loop's next turn, whatever waits."""
    pair.ours.transport.write(LARGE)
    pair.ours.transport.abort()
    await asyncio.sleep(0)
    assert pair.ours.told[-1] == "lost"
    assert pair.ours.transport.get_write_buffer_size() == 0
    pair.ours.transport.write(b"too late")
    pair.ours.transport.resume_reading()


@pytest.mark.parametrize("how", ["while it is read from", "while it is written to", "while what waits is sent"])
async def test_the_peer_vanishes(pair: Pair, how: str) -> None:
    """A reset ends it, and is told as what it is."""
    transport = pair.ours.transport
    if how != "while it is read from":
        transport.pause_reading()
    if how == "while what waits is sent":
        transport.write(LARGE)
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pair.peer.close()
    if how == "while it is written to":
        transport.write(b"hello")
        assert transport.is_closing()
    await until(lambda: "lost" in pair.ours.told)
    assert isinstance(pair.ours.fault, OSError)


async def test_one_that_was_gone_before_it_began() -> None:
    """There is no transport: OSError."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as peer:
        link, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with link:
            with suppress(ConnectionError):
                link.recv(1)
            with pytest.raises(OSError, match="not connected"):
                SocketTransport(link, Recorder())


async def test_another_protocol_takes_over(pair: Pair) -> None:
    """What comes is given to it."""
    other = Recorder()
    pair.ours.transport.set_protocol(other)
    assert pair.ours.transport.get_protocol() is other
    await pair.send(b"hello")
    await until(lambda: other.got == b"hello")
    pair.ours.transport.set_protocol(pair.ours)


async def test_what_it_tells(pair: Pair) -> None:
    """Addresses and the socket; nothing of TLS."""
    transport = pair.ours.transport
    assert transport.get_extra_info("peername") == pair.peer.getsockname()
    assert transport.get_extra_info("sockname") == pair.peer.getpeername()
    assert isinstance(transport.get_extra_info("socket"), socket.socket)
    assert transport.get_extra_info("ssl_object") is None
