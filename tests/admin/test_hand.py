"""The socket's API, spoken to by a client as the commands do it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from localctl.admin.hand import HandServer
from localctl.admin.unix import Place
from localctl.admin.views import Hands, Published
from localctl.errors import ByHandRefused

DONE: Published = ("a" * 32, ("http://h/a",))


@dataclass
class Work:
    """What stands in for the mirror: it does as the test says."""

    fault: Exception | None = None
    received: list[tuple[bytes, int | None, str, str]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    wishes: list[tuple[str, ...]] = field(default_factory=list)

    async def receive(self, blocks: AsyncIterator[bytes], size: int | None, name: str, checksum: str) -> Published:
        try:
            body = b"".join([block async for block in blocks])
            self.received.append((body, size, name, checksum))
            return self._done()
        finally:
            self.ended.set()

    def fetch(self, *wish: str) -> "Work":
        self.wishes.append(wish)
        return self

    def progress(self) -> dict[str, Any]:
        return {"state": "downloading", "received": 1, "total": 2}

    async def run(self) -> Published:
        try:
            await self.go_on.wait()
            return self._done()
        finally:
            self.ended.set()

    async def withdraw(self, checksum: str) -> str:
        self._done()
        return f"gone {checksum}"

    def _done(self) -> Published:
        if self.fault:
            raise self.fault
        return DONE


@asynccontextmanager
async def asking(folder: Path, work: Work) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running server."""
    place = Place(folder / "s")
    server = HandServer(place.sock, Hands(work.receive, work.fetch, work.withdraw))
    await server.start()
    try:
        async with aiohttp.ClientSession(
            "http://localctl", connector=aiohttp.UnixConnector(str(folder / "s"))
        ) as asker:
            yield asker
    finally:
        await server.stop()
        place.leave()


async def test_publishing(tmp_path: Path) -> None:
    """The body goes in as it is, with its length, name and MD5; checksum and URIs come out."""
    work = Work()
    async with asking(tmp_path, work) as asker:
        async with asker.post("/publish", params={"name": "a b", "md5": "c"}, data=b"body") as answer:
            assert (answer.status, json.loads(await answer.text())) == (200, {"checksum": "a" * 32, "uris": [*DONE[1]]})
        assert work.received == [(b"body", 4, "a b", "c")]


async def test_faults(tmp_path: Path) -> None:
    """A refusal is its sentence; a fault of ours tells nothing of itself but in the log."""
    work = Work(ByHandRefused("the file is empty"))
    async with asking(tmp_path, work) as asker:
        for path, wish in (("/publish", {}), ("/unpublish", {"checksum": "x"})):
            async with asker.post(path, json=wish) as answer:
                assert (answer.status, json.loads(await answer.text())) == (422, {"error": "the file is empty"})
        work.fault = ZeroDivisionError("secret")
        async with asker.post("/publish", data=b"") as answer:
            assert "its log tells more" in await answer.text()
        for wrong in (b"", b"[]", b"{}", b'{"location": 1}'):
            async with asker.post("/fetch", data=wrong) as answer:
                assert answer.status == 400
        async with asker.get("/publish") as answer:
            assert answer.status == 405


async def test_fetching(tmp_path: Path) -> None:
    """What is going on comes line by line, the verdict last."""
    work = Work()
    async with asking(tmp_path, work) as asker, asker.post("/fetch", json={"location": "u", "name": "n"}) as answer:
        assert json.loads(await answer.content.readline()) == work.progress()
        work.go_on.set()
        *_, last = (await answer.text()).splitlines()
        assert json.loads(last)["checksum"] == "a" * 32
        assert work.wishes == [("u", "n", "")]


async def test_who_asked_goes_away(tmp_path: Path) -> None:
    """What was begun for them is ended, download and upload alike."""
    work = Work()
    async with asking(tmp_path, work) as asker:
        async with asker.post("/fetch", json={"location": "u"}) as answer:
            await answer.content.readline()
            answer.close()
        await asyncio.wait_for(work.ended.wait(), 30)
        work.ended.clear()
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"POST /publish HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await asyncio.wait_for(work.ended.wait(), 30)
        assert work.received == []


async def test_withdrawing(tmp_path: Path) -> None:
    """The status as it is."""
    async with (
        asking(tmp_path, Work()) as asker,
        asker.post("/unpublish", json={"checksum": "x"}) as answer,
    ):
        assert await answer.json() == {"status": "gone x"}
