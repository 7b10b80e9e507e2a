"""What the relay's tests stand on: a CSMS that takes anything, a door to it, and stations made of raw sockets."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from prometheus_client import CollectorRegistry
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from localctl.config import Csms, Stations, StationsWs
from localctl.metrics import Metrics
from localctl.relay.door import Door, Security
from localctl.values import Address

PATIENCE: Final = 20.0  # seconds after which what a test waits for is taken as never coming
OWN_IDENTITY: Final = "LC-0001"


async def until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; other tasks run meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  what is waited for is somebody else's and has no event
            await asyncio.sleep(0.005)


@dataclass
class Peer:
    """A CSMS that accepts every station, keeps what it saw and leaves the conversation to the test.

    ``choose`` picks the subprotocol from an offer, ``answer`` may refuse a handshake.
    """

    requests: list[Request] = field(default_factory=list)
    connections: asyncio.Queue[ServerConnection] = field(default_factory=asyncio.Queue)
    choose: Callable[[Sequence[str]], str | None] = lambda offer: offer[0]
    answer: Callable[[ServerConnection, Request], Awaitable[Response | None]] | None = None
    url: str = ""

    async def accepted(self) -> ServerConnection:
        """The next station's connection."""
        return await asyncio.wait_for(self.connections.get(), PATIENCE)

    async def relay(self, connection: ServerConnection) -> None:
        """Keep the connection open for the test."""
        self.connections.put_nowait(connection)
        await connection.wait_closed()

    async def note(self, connection: ServerConnection, request: Request) -> Response | None:
        """Keep the request."""
        self.requests.append(request)
        return None if self.answer is None else await self.answer(connection, request)

    def select(self, _connection: ServerConnection, offer: Sequence[Subprotocol]) -> Subprotocol | None:
        """Choose as the test says."""
        chosen = self.choose(offer)
        return None if chosen is None else Subprotocol(chosen)


@asynccontextmanager
async def csms_peer(tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Peer]:
    """A Peer on the loopback."""
    peer = Peer()
    server = await serve(
        peer.relay, "127.0.0.1", 0, process_request=peer.note, select_subprotocol=peer.select, ssl=tls, **options
    )
    async with server:
        scheme = "ws" if tls is None else "wss"
        peer.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        yield peer


@asynccontextmanager
async def raw_csms(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """The URL of a CSMS that is one function on raw sockets."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"


class House:
    """A door that is open, and what stations and tests want of it."""

    def __init__(self, stations: Stations, csms: Csms, tls: ssl.SSLContext | None) -> None:
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.door = Door(stations, csms, OWN_IDENTITY, Security(tls), self.metrics)
        self.address = Address("", 0)

    def url(self, target: str = "/ocpp/CS-1") -> str:
        """Where a station connects to."""
        return f"ws://{self.address}{target}"

    def value(self, name: str, **labels: str) -> float:
        """The value of a series; without its prefix."""
        value = self.metrics.registry.get_sample_value(f"localctl_{name}", labels)
        assert value is not None, f"no series {name} {labels}"
        return value

    async def station(self, target: str = "/ocpp/CS-1", **options: Any) -> ClientConnection:
        """A station that is relayed."""
        options.setdefault("subprotocols", ["ocpp2.0.1"])
        return await connect(self.url(target), proxy=None, **options)

    async def gone(self) -> None:
        """Return when no station is relayed any longer."""
        await until(lambda: not self.door.stations() and self.value("stations_connected") == 0)


OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house() -> AsyncIterator[OpenHouse]:
    """Opens doors to a CSMS's URL; keyword arguments are keys of [stations], or of [csms] after ``csms_``."""
    async with AsyncExitStack() as stack:

        async def opened(url: str, tls: ssl.SSLContext | None = None, **keys: Any) -> House:
            csms = Csms(url=url, **{key[5:]: value for key, value in keys.items() if key.startswith("csms_")})
            rest = {key: value for key, value in keys.items() if not key.startswith("csms_")}
            house = House(Stations(ws=StationsWs(listen=Address("127.0.0.1", 0)), **rest), csms, tls)
            stack.push_async_callback(house.door.stop)
            (house.address,) = (await house.door.start()).values()
            return house

        yield opened


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A CSMS that accepts everything."""
    async with csms_peer() as made:
        yield made


@dataclass
class RawStation:
    """A station made of a TCP connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> str:
        """The head of the next HTTP answer."""
        return (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode()

    async def rest(self) -> bytes:
        """All that comes until the end of the connection, however that ends."""
        got = b""
        try:
            while piece := await asyncio.wait_for(self.reader.read(65536), PATIENCE):
                got += piece
        except ConnectionResetError:
            pass
        return got


@asynccontextmanager
async def raw_station(house: House, data: bytes) -> AsyncIterator[RawStation]:
    """A TCP connection to the door on which ``data`` is sent at once."""
    reader, writer = await asyncio.open_connection(house.address.host, house.address.port)
    try:
        writer.write(data)
        await writer.drain()
        yield RawStation(reader, writer)
    finally:
        writer.close()


def handshake(target: str, *headers: str, subprotocol: str | None = "ocpp2.0.1") -> bytes:
    """The bytes of a station's handshake."""
    lines = [
        f"GET {target} HTTP/1.1",
        "Host: controller.lan",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def turned_away(house: House, target: str = "/ocpp/CS-1") -> Answer:
    """The answer to a station whose handshake is refused."""
    async with raw_station(house, handshake(target)) as station:
        head, _, body = (await station.rest()).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


def close_of(connection: Connection) -> tuple[int, str]:
    """The code and reason of the close frame that a peer has received; 1006 where it received none."""
    received = connection.protocol.close_rcvd
    return (CloseCode.ABNORMAL_CLOSURE, "") if received is None else (int(received.code), received.reason)
