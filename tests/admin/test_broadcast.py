"""Listening to /api/events, as browsers do and as a client does that takes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from localctl.admin import broadcast as module
from localctl.admin.broadcast import Broadcast
from localctl.admin.feed import Feed
from localctl.admin.fragments import HTML
from localctl.admin.stream import JSON
from tests.admin.samples import document, station


class Told:
    """A server that tells ``summary`` and ``stations``, which a test may change."""

    def __init__(self) -> None:
        self.summary = document()
        self.stations = [station()]
        self.broadcast = Broadcast({"json": self._feed(JSON), "html": self._feed(HTML)})
        self.url = ""

    def _feed(self, form: Any) -> Feed:
        return Feed(form, lambda: dict(self.summary), self._each)

    def _each(self) -> Iterator[dict[str, Any]]:
        return iter(self.stations)


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    """It runs, and its seconds are short."""
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.02)
    monkeypatch.setattr("localctl.admin.feed.INTERVAL_SECONDS", 0.02)
    teller = Told()
    app = web.Application()
    app.router.add_get("/api/events", teller.broadcast.stream)
    async with TestServer(app, handler_cancellation=True) as server:
        teller.url = f"http://127.0.0.1:{server.port}/api/events"
        yield teller
        teller.broadcast.stop()


class Listener:
    """A browser's end of the stream, event by event."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def block(self) -> list[str]:
        """The lines of the next block, also where it is no event."""
        async with asyncio.timeout(20):
            return (await self._answer.content.readuntil(b"\n\n")).decode().splitlines()[:-1]

    async def event(self) -> tuple[str, str]:
        """The next event: its name and its data."""
        while not (lines := await self.block())[0].startswith("event: "):
            pass
        return lines[0].removeprefix("event: "), "\n".join(line.removeprefix("data: ") for line in lines[1:])


@pytest.fixture
async def listen(told: Told) -> AsyncIterator[Any]:
    """A function that begins to listen, to JSON or to another form."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(read_bufsize=2**20))

        async def listening(form: str = "json") -> Listener:
            answer = await stack.enter_async_context(session.get(f"{told.url}?as={form}"))
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            return Listener(answer)

        yield listening


async def test_the_whole_and_then_what_changes(told: Told, listen: Any) -> None:
    """The document first; then, of its keys, those that have changed."""
    listener = await listen()
    assert await listener.block() == ["retry: 3000"]
    name, text = await listener.event()
    assert (name, json.loads(text)) == ("status", document() | {"stations": [station()]})
    told.summary["disk"] = {"free": 1, "size": 2}
    assert await listener.event() == ("change", '{"disk":{"free": 1, "size": 2}}')
    told.stations = []
    assert await listener.event() == ("change", '{"stations":[]}')


async def test_the_page_is_told_its_sections(told: Told, listen: Any) -> None:
    """The same as HTML: each section once, then those that have changed."""
    listener = await listen("html")
    first = {(await listener.event())[0] for _ in range(11)}
    assert first >= {"state", "uplink", "firmware", "transfers", "stations", "events", "version", "title"}
    told.summary["transfers"] = []
    name, text = await listener.event()
    assert name == "transfers"
    assert "No station downloads" in text


async def test_another_form_is_refused(told: Told) -> None:
    """400, with those that there are."""
    async with aiohttp.request("GET", f"{told.url}?as=xml") as answer:
        assert (answer.status, await answer.text()) == (400, "as is one of json, html\n")


async def test_only_so_many_may_listen(told: Told, listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond them 503; who goes leaves the place to another."""
    monkeypatch.setattr(module, "MOST_LISTENERS", 2)
    await listen()
    async with aiohttp.ClientSession() as session, session.get(told.url) as second:
        assert second.status == 200
        async with session.get(told.url) as third:
            assert (third.status, third.headers["Retry-After"]) == (503, "10")
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            async with session.get(told.url) as again:
                if again.status == 200:
                    return


async def test_silence_is_told_too(listen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing changes a comment comes now and then, so that nobody on the way ends the connection."""
    monkeypatch.setattr(module, "ALIVE_SECONDS", 0.0)
    listener = await listen()
    await listener.event()
    assert await listener.block() == [": still here"]


async def test_who_takes_nothing_is_dropped(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose buffers are full for long loses its connection, and the others wait for nothing."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    told.summary["events"] = "x" * 30_000_000
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(told.url).port, limit=1)
    writer.write(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    got = b""
    async with asyncio.timeout(20):
        while told.broadcast._listeners == 0:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
        while told.broadcast._listeners:  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
        with suppress(ConnectionError):
            while piece := await reader.read(2**20):
                got += piece
    writer.close()
    assert len(got) < len(told.summary["events"])


async def test_a_stop_ends_all(told: Told, listen: Any) -> None:
    """Streams end, and none begins."""
    listener = await listen()
    await listener.event()
    told.broadcast.stop()
    async with asyncio.timeout(20):
        await listener._answer.content.read()
    async with aiohttp.request("GET", told.url) as answer:
        assert answer.status == 503
