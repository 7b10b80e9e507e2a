"""Handshakes that go wrong; that the others come to something is proved in ``test_https_body``."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import trustme

from localctl.starvation import Starvation
from localctl.wire import tls_handshake
from localctl.wire.listener import Listener


class Echo(asyncio.Protocol):
    """Says what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@dataclass(frozen=True)
class Shop:
    """A listener, and what its stations trust."""

    listener: Listener
    port: int
    trust: ssl.SSLContext

    def shaking(self) -> bool:
        """Whether a handshake is under way."""
        return self.listener.is_shaking

    async def echoes(self) -> bool:
        """Whether a station is served."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)
        writer.write(b"hello")
        heard = await reader.readexactly(5)
        writer.transport.abort()
        return heard == b"hello"


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """An open listener of an echo."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA).configure_cert(server)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        listener = Listener(sock, server, Echo, Starvation(), "publish.https.listen")
        listener.open()
        yield Shop(listener, sock.getsockname()[1], trust)
        listener.close()


async def connected(shop: Shop) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A station that has not begun its handshake."""
    return await asyncio.open_connection("127.0.0.1", shop.port)


async def test_one_that_says_nothing_is_let_go(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake has its time, and does not keep others from theirs."""
    monkeypatch.setattr(tls_handshake, "HANDSHAKE_SECONDS", 0.5)
    reader, writer = await connected(shop)
    assert await shop.echoes()
    assert await reader.read() == b""
    writer.close()
    assert await shop.echoes()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x00\x05hello", os.urandom(500)])
async def test_what_is_no_handshake(shop: Shop, said: bytes) -> None:
    """It ends the connection, with an alert at the most."""
    reader, writer = await connected(shop)
    writer.write(said)
    writer.write_eof()
    try:
        heard = await reader.read()
    except ConnectionResetError:
        heard = b""
    assert heard[:1] in {b"", b"\x15"}
    writer.close()
    assert await shop.echoes()


async def test_a_station_that_leaves_in_the_middle(shop: Shop) -> None:
    """Whatever it has said by then."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        shop.trust.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
    for part in (b"", outgoing.read()[:50]):
        _, writer = await connected(shop)
        writer.write(part)
        writer.transport.abort()
    assert await shop.echoes()


async def test_closing(shop: Shop) -> None:
    """Handshakes under way end, and nobody is accepted any more."""
    reader, _writer = await connected(shop)
    assert await shop.echoes()  # so the other was accepted
    shop.listener.close()
    assert await reader.read() == b""
    _writer.close()
    waiting, writer = await connected(shop)  # by the kernel alone
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await waiting.read()
    writer.close()


async def test_who_leaves_finishes_what_has_begun(shop: Shop) -> None:
    """After leave() a handshake under way comes to its end, and who comes then waits in the socket, unanswered."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", shop.port)) as early, socket.socket() as late:
        while not shop.shaking():  # noqa: ASYNC110  it accepts in its own time
            await asyncio.sleep(0)
        shop.listener.leave()
        late.setblocking(False)
        await loop.sock_connect(late, ("127.0.0.1", shop.port))
        reader, writer = await asyncio.open_connection(sock=early.dup(), ssl=shop.trust, server_hostname="127.0.0.1")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert not shop.shaking()
        writer.transport.abort()
        with pytest.raises(BlockingIOError):
            late.recv(1)
