"""Stations that hold their WebSockets, and a CSMS for them, where only the memory of what is between them counts.

Each sends one message and has its answer, so that whatever a relay makes with the first message is there.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBPROTOCOL: Final = Subprotocol("ocpp2.0.1")
_AT_ONCE: Final = 32  # handshakes
_MESSAGE: Final = json.dumps([2, "1", "MeterValues", {"x": "x" * 120}])


def _compression(deflate: bool) -> Literal["deflate"] | None:  # noqa: FBT001
    return "deflate" if deflate else None


@asynccontextmanager
async def office(tls: ssl.SSLContext | None, *, deflate: bool) -> AsyncIterator[int]:
    """A CSMS that answers; its port."""

    async def attend(connection: ServerConnection) -> None:
        try:
            async for data in connection:
                kind, message_id, *call = json.loads(data)
                if kind == 2:
                    await connection.send(json.dumps([3, message_id, _answer(call[0])]))
        except ConnectionClosed:
            pass  # whoever it was has been killed

    async with serve(
        attend,
        "127.0.0.1",
        0,
        subprotocols=[SUBPROTOCOL],
        compression=_compression(deflate),
        ssl=tls,
        ping_interval=None,
        backlog=4096,
    ) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def crowd(url: str, stations: int, tls: ssl.SSLContext | None, *, deflate: bool) -> AsyncIterator[int]:
    """Hold WebSockets to ``url``, to which a station's name is appended; how many have had their answer."""
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, stack: AsyncExitStack) -> ClientConnection:
        async with few:
            connection = await stack.enter_async_context(
                connect(
                    f"{url}/CS-{number:04}",
                    subprotocols=[SUBPROTOCOL],
                    compression=_compression(deflate),
                    ssl=tls,
                    ping_interval=None,
                    proxy=None,
                    open_timeout=60,
                )
            )
            await connection.send(_MESSAGE)
            assert json.loads(await connection.recv())[:2] == [3, "1"]
            return connection

    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as opening:
            tasks = [
                opening.create_task(one(number, stack), name=f"station {number}") for number in range(1, stations + 1)
            ]
        yield sum(task.result().subprotocol == SUBPROTOCOL for task in tasks)


def _answer(action: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    if action == "BootNotification":
        return {"currentTime": now, "interval": 3600, "status": "Accepted"}
    return {"currentTime": now} if action == "Heartbeat" else {}
