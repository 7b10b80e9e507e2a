"""Who has not been heard yet, told by connections that say nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from localctl.serve.http_connection import Connections

ASKING = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def _answer(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="heard")


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    """Those of a server that answers everything."""
    made = Connections(_answer)
    yield made
    made.pre_shutdown()
    await made.shutdown(0.1)


@pytest.mark.parametrize("says", [ASKING, b""])
async def test_all_are_heard_once_each_has_asked_or_gone(connections: Connections, says: bytes) -> None:
    """A connection counts from its acceptance to its first request, or to its end."""
    await connections.all_heard()
    server = await asyncio.get_running_loop().create_server(connections, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with server:
        while not connections.connections:  # noqa: ASYNC110  the server accepts in its own time
            await asyncio.sleep(0)
        heard = asyncio.get_running_loop().create_task(connections.all_heard())
        await asyncio.sleep(0)
        assert not heard.done()
        if says:
            writer.write(says)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        else:
            writer.transport.abort()
        await asyncio.wait_for(heard, 30)
        writer.transport.abort()
