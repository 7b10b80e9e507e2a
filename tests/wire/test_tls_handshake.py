"""Handshakes seen through as a client, against asyncio's own TLS on the other end, over loopback."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trustme

from localctl.wire import tls_handshake
from localctl.wire.sealed_transport import SealedTransport
from localctl.wire.tls_handshake import Handshake, seal

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener(asyncio.Protocol):
    """What it hears."""

    def __init__(self) -> None:
        self.got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.got.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.gone.set()


@dataclass(frozen=True)
class Trust:
    """What a server shows, and a client that trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: str  # as PEM


@pytest.fixture(scope="module")
def trust() -> Trust:
    """For the name ``csms.example`` and the address 127.0.0.1."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("csms.example", "127.0.0.1", key_type=trustme.KeyType.ECDSA).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Trust(server, client, authority.cert_pem.bytes().decode())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it hears."""
    writer.write(await reader.read(100))


async def nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Says nothing, as long as it is listened to."""
    while await reader.read(1000):
        pass


@asynccontextmanager
async def dialled(talk: Talk, tls: ssl.SSLContext | None) -> AsyncIterator[socket.socket]:
    """A socket that is connected to that server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.CancelledError):  # the test may be over sooner
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        sock = socket.socket()
        sock.setblocking(False)
        with sock:
            await asyncio.get_running_loop().sock_connect(sock, server.sockets[0].getsockname())
            yield sock


@pytest.mark.parametrize("host", ["csms.example", "127.0.0.1"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_handshake_that_succeeds(trust: Trust, host: str, version: ssl.TLSVersion) -> None:
    """The protocol has a transport that speaks TLS."""
    client = ssl.create_default_context()
    client.load_verify_locations(cadata=trust.authority)
    client.minimum_version = client.maximum_version = version
    async with dialled(echo, trust.server) as sock:
        listener = Listener()
        transport = await seal(sock, client, host, listener)
        assert isinstance(transport, SealedTransport)
        assert transport.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
        transport.write(b"hello")
        assert await listener.got == b"hello"
        transport.abort()
        await listener.gone.wait()


@pytest.mark.parametrize(("host", "what"), [("other.example", ssl.SSLCertVerificationError), ("", OSError)])
async def test_a_name_that_is_not_the_server_s(trust: Trust, host: str, what: type[OSError]) -> None:
    """It fails, whether the certificate has another or it is none; the socket is closed."""
    async with dialled(echo, trust.server) as sock:
        with pytest.raises(what):
            await seal(sock, trust.client, host, Listener())
        assert sock.fileno() == -1


async def test_a_server_that_is_not_trusted(trust: Trust) -> None:
    """It fails by what OpenSSL says."""
    async with dialled(echo, trust.server) as sock:
        with pytest.raises(ssl.SSLCertVerificationError):
            await seal(sock, ssl.create_default_context(), "csms.example", Listener())
        assert sock.fileno() == -1


async def test_no_tls_behind_it(trust: Trust) -> None:
    """Plain HTTP, and a connection that ends at once."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Close."""

    for talk in (plain, leave):
        async with dialled(talk, None) as sock:
            with pytest.raises(OSError):  # noqa: PT011  of several kinds
                await seal(sock, trust.client, "csms.example", Listener())
            assert sock.fileno() == -1


async def test_a_server_that_says_nothing(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its time."""
    monkeypatch.setattr(tls_handshake, "HANDSHAKE_SECONDS", 0.05)
    async with dialled(nothing, None) as sock:
        with pytest.raises(TimeoutError, match="takes too long"):
            await seal(sock, trust.client, "csms.example", Listener())
        assert sock.fileno() == -1


async def test_one_that_is_given_up(trust: Trust) -> None:
    """Whoever waited no longer does, and the server sees the end of it."""
    seen = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        seen.set()

    async with dialled(wait, None) as sock:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await seal(sock, trust.client, "csms.example", Listener())
        assert sock.fileno() == -1
        await asyncio.wait_for(seen.wait(), 20)


async def test_one_that_is_given_up_as_it_fails(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in one turn of the loop: who gave it up is told that, and of nothing else."""
    made: list[Handshake] = []

    class Kept(Handshake):
        def go_on(self) -> None:
            made.append(self)
            super().go_on()

    monkeypatch.setattr(tls_handshake, "Handshake", Kept)
    async with dialled(nothing, None) as sock, asyncio.TaskGroup() as group:
        task = group.create_task(seal(sock, trust.client, "csms.example", Listener()))
        await asyncio.sleep(0)
        made[0]._fail(TimeoutError())
        task.cancel()
    assert task.cancelled()


async def test_its_end_is_told_once(trust: Trust) -> None:
    """However often it is broken off; and no time is set any more."""
    told: list[OSError | ValueError | None] = []
    async with dialled(nothing, None) as sock:
        sealed = trust.client.wrap_socket(sock, server_hostname="csms.example", do_handshake_on_connect=False)
        handshake = Handshake(sealed, lambda _, fault: told.append(fault), seconds=60)
        handshake.go_on()
        handshake.end()
        handshake.end()
        assert handshake._limit.cancelled()
    (fault,) = told
    assert isinstance(fault, ConnectionAbortedError)


async def test_one_that_leaves_when_all_is_well(trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that has gone before it has a transport is an OSError like any other."""

    def gone(*_: object) -> SealedTransport:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(tls_handshake, "SealedTransport", gone)
    async with dialled(echo, trust.server) as sock:
        with pytest.raises(OSError, match="not connected"):
            await seal(sock, trust.client, "csms.example", Listener())
        assert sock.fileno() == -1
