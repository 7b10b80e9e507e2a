import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from localctl.demo.patience import DemoFailed
from localctl.demo.peer import Peer, Reply
from localctl.errors import OcppFault
from localctl.ocpp.frames import Call

Answer = Callable[[Call], Reply]


def refuse(call: Call) -> Reply:
    """An answer to nothing."""
    raise OcppFault("NotImplemented", f"no {call.action} here")


@asynccontextmanager
async def opened(answer: Answer = refuse) -> AsyncIterator[tuple[Peer, ClientConnection]]:
    """A Peer that runs, and the bare WebSocket at its other end."""
    met: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()

    async def attend(connection: ServerConnection) -> None:
        peer = Peer("CS-01", "2.0.1", connection, answer)
        met.set_result(peer)
        await peer.run()

    async with serve(attend, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as socket:
            yield await met, socket


async def read(socket: ClientConnection) -> list[Any]:
    """The next frame."""
    frame = json.loads(await socket.recv())
    assert isinstance(frame, list)
    return frame


async def test_a_call_gets_its_answer() -> None:
    """An answer finds the call that it belongs to, also behind one that belongs to nothing."""
    async with opened() as (peer, socket), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(peer.call("Heartbeat", {}))
        kind, message_id, action, payload = await read(socket)
        await socket.send(json.dumps([3, "nobody's", {}]))
        await socket.send(json.dumps([3, message_id, {"currentTime": "now"}]))
        assert (kind, action, payload) == (2, "Heartbeat", {})
        assert await asked == {"currentTime": "now"}


async def test_calls_go_out_one_at_a_time() -> None:
    """The second CALL waits for the answer to the first (Part 4, 4.1.1)."""
    async with opened() as (peer, socket), asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(peer.call("Heartbeat", {"number": number}))
        for number in range(3):
            _, message_id, _, payload = await read(socket)
            pong = await socket.ping()
            await pong  # whatever else had been sent would have come before it
            assert payload == {"number": number}
            assert not socket.messages_waiting if hasattr(socket, "messages_waiting") else True
            await socket.send(json.dumps([3, message_id, {}]))


async def test_a_refusal_fails_the_demo() -> None:
    """A CALLERROR is told with its code and description."""
    async with opened() as (peer, socket), asyncio.TaskGroup() as tasks:

        async def refused() -> None:
            with pytest.raises(DemoFailed, match=r"^CS-01 answered Reset with NotSupported: never$"):
                await peer.call("Reset", {})

        tasks.create_task(refused())
        await socket.send(json.dumps([4, (await read(socket))[1], "NotSupported", "never", {}]))


async def test_a_lost_connection_fails_the_call() -> None:
    """Whoever waits for an answer learns at once that none will come, and so does whoever asks later."""
    async with opened() as (peer, socket):

        async def lost() -> None:
            with pytest.raises(DemoFailed, match=r"^CS-01 ended its connection instead of an answer$"):
                await peer.call("Heartbeat", {})

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lost())
            await read(socket)
            await socket.close()
        with pytest.raises(DemoFailed, match=r"^Heartbeat could not be sent to CS-01"):
            await peer.call("Heartbeat", {})


async def test_a_call_is_answered_before_what_follows() -> None:
    """The answer is on its way when what it leads to begins (F06)."""
    order: list[str] = []

    def answer(call: Call) -> Reply:
        order.append(call.action)
        return Reply({"status": "Accepted"}, lambda: order.append("then"))

    async with opened(answer) as (_, socket):
        await socket.send(json.dumps([2, "1", "UpdateFirmware", {}]))
        assert await read(socket) == [3, "1", {"status": "Accepted"}]
        await (await socket.ping())
    assert order == ["UpdateFirmware", "then"]


@pytest.mark.parametrize(
    ("frame", "message_id", "code"),
    [
        ('[2,"1","Reset",{}]', "1", "NotImplemented"),
        ('[2,"1","Reset"]', "1", "RpcFrameworkError"),
        ("no JSON", "-1", "RpcFrameworkError"),
    ],
)
async def test_what_is_not_understood_gets_a_callerror(frame: str, message_id: str, code: str) -> None:
    """A fault of the other end is answered as OCPP-J 4.3 says, and the connection goes on."""
    async with opened() as (_, socket):
        for _ in range(2):
            await socket.send(frame)
            assert (await read(socket))[:3] == [4, message_id, code]
