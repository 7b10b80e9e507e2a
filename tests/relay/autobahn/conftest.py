"""An echo, and ways to it: directly, and through relays. They last for a module; each case is a station of its own."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from localctl.config import Csms, Stations, StationsWs
from localctl.values import Address
from tests.relay.autobahn.limits import LIMIT
from tests.relay.conftest import House

# The ways, by whether the echo compresses and whether csms.compression is set; None: no relay is between.
DIRECT: Final = "directly"
WAYS: Final[Mapping[str, tuple[bool, bool | None]]] = {
    DIRECT: (True, None),
    "directly, plain": (False, None),
    "through a relay": (True, False),
    "through a relay that would compress": (True, True),
    "through a relay, plain": (False, False),
    "through a relay that would compress, plain": (False, True),
}
Ways = Mapping[str, int]  # their ports
NUMBERS: Final = itertools.count()


async def _echo(connection: ServerConnection) -> None:
    try:
        while True:
            await connection.send(await connection.recv())
    except ConnectionClosed:
        pass


@asynccontextmanager
async def _echoing(*, compresses: bool) -> AsyncIterator[int]:
    server = await serve(
        _echo,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol("ocpp2.0.1")],
        compression="deflate" if compresses else None,
        max_size=LIMIT,
        ping_interval=None,
    )
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ways() -> AsyncIterator[Ways]:
    """The port of each way."""
    async with AsyncExitStack() as stack:
        echoes = {
            compresses: await stack.enter_async_context(_echoing(compresses=compresses)) for compresses in (True, False)
        }
        ports = {}
        for name, (compresses, relay_compresses) in WAYS.items():
            ports[name] = echoes[compresses]
            if relay_compresses is not None:
                csms = Csms(url=f"ws://127.0.0.1:{ports[name]}", compression=relay_compresses, ping_interval_seconds=0)
                listener = StationsWs(listen=Address("127.0.0.1", 0))
                stations = Stations(ws=listener, max_message_size=LIMIT, ping_interval_seconds=0)
                house = House(stations, csms, None)
                stack.push_async_callback(house.door.stop)
                (address,) = (await house.door.start()).values()
                ports[name] = address.port
        yield ports
