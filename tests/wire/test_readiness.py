"""Turns: what is ready is read in one go, and what is written meanwhile is sent at its end."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from localctl.wire.readiness import EACH, MOST, READ, Readiness
from localctl.wire.transport import SocketTransport


@dataclass
class Echo(asyncio.Protocol):
    """Says back what it hears, to ``to``, which is itself where nobody else is named; ``fault`` is raised instead."""

    transport: SocketTransport = field(init=False)
    to: "Echo | None" = None
    fault: Exception | None = None
    heard: list[bytes] = field(default_factory=list)
    in_turn: list[bool] = field(default_factory=list)
    turn: Readiness | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, SocketTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.fault:
            raise self.fault
        self.heard.append(data)
        self.in_turn.append(bool(self.turn and self.turn.in_turn))
        (self.to or self).transport.write(data)


@pytest.fixture
def sockets() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Makes connections that do not block."""
    with ExitStack() as stack:

        def made() -> tuple[socket.socket, socket.socket]:
            pair = socket.socketpair()
            for sock in pair:
                stack.enter_context(sock)
                sock.setblocking(False)
            return pair

        yield made


Sockets = Callable[[], tuple[socket.socket, socket.socket]]


async def heard(sock: socket.socket, size: int) -> bytes:
    """So many bytes of what comes."""
    got = b""
    async with asyncio.timeout(20):
        while len(got) < size:
            got += await asyncio.get_running_loop().sock_recv(sock, size - len(got))
    return got


async def test_what_is_written_in_a_turn_is_sent_together(sockets: Sockets) -> None:
    """Two that come at once for the same receiver leave in one piece, in their order; nothing leaves sooner."""
    turn = Readiness()
    (one, peer_one), (other, peer_other), (sink, peer_sink) = sockets(), sockets(), sockets()
    end = Echo(turn=turn)
    SocketTransport(sink, end, turn)
    sent: list[bytes] = []

    def send(data: bytes) -> int:
        sent.append(data)
        return len(data)

    end.transport.send = send  # type: ignore[assignment]  # to see the pieces
    echoes = [Echo(to=end, turn=turn), Echo(to=end, turn=turn)]
    for sock, echo in zip((one, other), echoes, strict=True):
        SocketTransport(sock, echo, turn)
    peer_one.send(b"[1]")
    peer_other.send(b"[2]")
    async with asyncio.timeout(20):
        while not sent:  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0)
    assert sent == [b"[1][2]"]
    assert [echo.in_turn for echo in echoes] == [[True], [True]]
    assert not turn.in_turn
    assert not turn.queue
    for each in (*echoes, end):
        each.transport.abort()
    await asyncio.sleep(0)
    turn.close()
    peer_sink.close()


async def test_what_a_round_holds_is_sent_before_more_is_read(sockets: Sockets) -> None:
    """Of more senders than a round holds, what the first have said has left before the others are read."""
    turn, more = Readiness(), 5
    sink, _peer = sockets()
    end, sent = Echo(turn=turn), list[int]()
    SocketTransport(sink, end, turn)

    def send(data: bytes) -> int:
        sent.append(len(data))
        return len(data)

    end.transport.send = send  # type: ignore[assignment]  # to see the pieces
    for _ in range(EACH + more):
        sock, peer = sockets()
        SocketTransport(sock, Echo(to=end, turn=turn), turn)
        peer.send(b"x")
    while sum(sent) < EACH + more:  # noqa: ASYNC110  the turns of the loop are what is tested
        await asyncio.sleep(0)
    assert sent == [EACH, more]
    turn.close()


async def test_outside_a_turn_it_is_sent_at_once(sockets: Sockets) -> None:
    """A ping, say."""
    turn = Readiness()
    sock, peer = sockets()
    echo = Echo()
    SocketTransport(sock, echo, turn)
    echo.transport.write(b"now")
    assert peer.recv(10) == b"now"
    echo.transport.abort()
    await asyncio.sleep(0)
    turn.close()


async def test_one_that_fails_ends_no_other(sockets: Sockets) -> None:
    """A fault of ours is told to the loop's handler, and the turn goes on."""
    turn, told = Readiness(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    (bad, peer_bad), (good, peer_good) = sockets(), sockets()
    fault = ZeroDivisionError()
    wrong, right = Echo(fault=fault), Echo()
    SocketTransport(bad, wrong, turn)
    SocketTransport(good, right, turn)
    peer_bad.send(b"x")
    peer_good.send(b"y")
    assert await heard(peer_good, 1) == b"y"
    assert told == [fault]
    for each in (wrong, right):
        each.transport.abort()
    await asyncio.sleep(0)
    turn.close()


async def test_one_that_fails_is_told_what_is_left(sockets: Sockets) -> None:
    """Of more than a helping the rest comes all the same."""
    turn, told = Readiness(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    sock, peer = sockets()
    echo = Echo(fault=ZeroDivisionError())
    SocketTransport(sock, echo, turn)
    peer.send(bytes(READ + 1))
    async with asyncio.timeout(20):
        while len(told) < 2:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.001)
    echo.transport.abort()
    await asyncio.sleep(0)
    turn.close()


async def test_more_than_a_turn_holds(sockets: Sockets) -> None:
    """All of them are heard all the same."""
    turn, pairs = Readiness(), [sockets() for _ in range(MOST + 20)]
    echoes = [Echo() for _ in pairs]
    for (sock, peer), echo in zip(pairs, echoes, strict=True):
        SocketTransport(sock, echo, turn)
        peer.send(b"[2]")
    for _, peer in pairs:
        assert await heard(peer, 3) == b"[2]"
    for echo in echoes:
        echo.transport.abort()
    await asyncio.sleep(0)
    turn.close()
    turn.close()  # twice is once


async def test_a_turn_of_its_own(sockets: Sockets) -> None:
    """For what OpenSSL held back; what it writes is sent, though it fails."""
    turn = Readiness()
    sock, peer = sockets()
    echo = Echo()
    SocketTransport(sock, echo, turn)

    def work() -> None:
        echo.transport.write(b"said")
        with pytest.raises(BlockingIOError):
            peer.recv(4)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        turn.do(work)
    assert peer.recv(4) == b"said"
    echo.transport.abort()
    await asyncio.sleep(0)
    turn.close()


async def test_one_that_cannot_be_sent_to_keeps_no_other_waiting(sockets: Sockets) -> None:
    """Nor does its fault pass unseen."""
    turn, told = Readiness(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    (bad, peer_bad), (good, peer_good) = sockets(), sockets()
    fault = ZeroDivisionError()

    def send(_: bytes) -> int:
        raise fault

    wrong, right = Echo(), Echo()
    SocketTransport(bad, wrong, turn)
    SocketTransport(good, right, turn)
    wrong.transport.send = send  # type: ignore[assignment]
    peer_bad.send(b"x")
    peer_good.send(b"y")
    assert await heard(peer_good, 1) == b"y"
    assert told == [fault]
    assert not turn.queue
    for each in (wrong, right):
        each.transport.abort()
    await asyncio.sleep(0)
    turn.close()
