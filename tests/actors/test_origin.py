import asyncio
import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import pytest

from tests.actors.origin import Origin, Reply

IMAGE = bytes(range(256)) * 1000
DRIP = Reply(IMAGE, drip=1000)


@dataclass(frozen=True)
class Got:
    """A response, read to its end and nothing decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def fetch(url: str, **headers: str) -> Got:
    """The response to a GET; an underscore in a header's name stands for a hyphen."""
    async with aiohttp.request(
        "GET",
        url,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        allow_redirects=False,
        auto_decompress=False,
    ) as response:
        return Got(response.status, response.headers, await response.read())


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_a_body_is_framed_as_told(framing: str) -> None:
    """The body arrives whole with a length, in chunks, and up to the end of the connection."""
    async with Origin() as origin:
        url = origin.script("/f", Reply(IMAGE, framing=framing))  # type: ignore[arg-type]  # one of the three
        response = await fetch(url, X_Test="1")
        assert response.body == IMAGE
        assert ("Content-Length" in response.headers) == (framing == "length")
        assert origin.requests[0].headers["x-test"] == "1"
        assert (origin.requests[0].method, origin.requests[0].target) == ("GET", "/f")
        assert origin.requests[0].sent == len(IMAGE)
        assert (await fetch(origin.url + "/other")).status == 404


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_is_cut(framing: str) -> None:
    """After the bytes that the reply names, the connection ends."""
    async with Origin() as origin:
        url = origin.script("/f", Reply(IMAGE, framing=framing, cut_after=1000))  # type: ignore[arg-type]
        with pytest.raises(aiohttp.ClientPayloadError):
            await fetch(url)
        assert origin.requests[0].sent == 1000


async def test_a_cut_can_be_a_reset() -> None:
    """Not even the end of the connection is told, and what is sent next finds nobody."""
    async with Origin() as origin:
        url = origin.script("/f", Reply(memoryview(IMAGE), cut_after=1000, reset=True))
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await fetch(url)
        assert origin.requests[0].sent == 1000


@pytest.mark.parametrize("length", [len(IMAGE) - 1, len(IMAGE) + 1])
async def test_a_length_can_lie(length: int) -> None:
    """The Content-Length is the one that the reply claims."""
    async with Origin() as origin:
        url = origin.script("/f", Reply(IMAGE, length=length))
        async with aiohttp.request("HEAD", url) as response:
            assert response.headers["Content-Length"] == str(length)


@pytest.mark.parametrize(
    ("reply", "headers", "status", "part"),
    [
        (Reply(IMAGE), {"Range": "bytes=100-"}, 206, slice(100, None)),
        (Reply(IMAGE), {"Range": "bytes=100-199"}, 206, slice(100, 200)),
        (Reply(IMAGE), {"Range": "bytes=100-", "If_Range": '"1"'}, 206, slice(100, None)),
        (Reply(IMAGE, etag='"2"'), {"Range": "bytes=100-", "If_Range": '"1"'}, 200, slice(None)),
        (Reply(IMAGE, etag='"2"', if_range=False), {"Range": "bytes=100-", "If_Range": '"1"'}, 206, slice(100, None)),
        (Reply(IMAGE, ranges=False), {"Range": "bytes=100-"}, 200, slice(None)),
        (Reply(IMAGE), {"Range": f"bytes={len(IMAGE)}-"}, 416, slice(0, 0)),
        (Reply(b"x", 206, headers=[("Content-Range", "bytes 7-7/8")]), {"Range": "bytes=5-"}, 206, slice(None)),
    ],
)
async def test_ranges_are_obeyed_or_not(reply: Reply, headers: dict[str, str], status: int, part: slice) -> None:
    """A Range is obeyed where the reply says so, and If-Range too."""
    async with Origin() as origin:
        response = await fetch(origin.script("/f", reply), **headers)
        assert (response.status, response.body) == (status, reply.body[part])
        assert response.headers.get("ETag") == reply.etag
        assert ("Content-Range" in response.headers) == (status in {206, 416})


async def test_replies_follow_each_other() -> None:
    """Each request gets the next reply, and the last reply stays: an ETag that changes, a redirect for ever."""
    async with Origin() as origin:
        url = origin.script("/f", Reply(status=500), Reply(etag='"a"'), Reply(status=302, headers=[("Location", "/f")]))
        got = [await fetch(url) for _ in range(4)]
        assert [response.status for response in got] == [500, 200, 302, 302]


async def test_a_body_stalls_until_it_is_released() -> None:
    """The bytes before the stall arrive, those after it only after the release."""
    async with Origin() as origin:
        url = origin.script("/f", Reply(IMAGE, stall_after=1000))
        async with aiohttp.request("GET", url) as response:
            assert await response.content.readexactly(1000) == IMAGE[:1000]
            await origin.until(lambda: origin.requests[0].sent == 1000)
            assert not origin.requests[0].over
            origin.release()
            assert await response.content.read() == IMAGE[1000:]


async def test_what_hangs_does_not_outlive_the_test() -> None:
    """An origin that is left ends what is silent, what stalls and what drips."""
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks, Origin() as origin:
        for path, reply in {"/a": Reply(silent=True), "/b": Reply(IMAGE, stall_after=1), "/c": DRIP}.items():
            tasks.create_task(_vain(session, origin.script(path, reply)), name=path)
        await origin.until(lambda: len(origin.requests) == 3)


async def _vain(session: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(aiohttp.ClientError):
        await (await session.get(url)).read()


async def test_gzip_comes_as_it_is() -> None:
    """A body that was compressed says so, for a client that must not unpack it."""
    async with Origin() as origin:
        packed = gzip.compress(IMAGE)
        url = origin.script("/f", Reply(packed, headers=[("Content-Encoding", "gzip")]))
        assert (await fetch(url)).body == packed
