"""An origin that misbehaves on purpose: just enough HTTP/1.1 on a raw socket to do each thing wrong that servers do.

What it does for a path is a list of ``Reply``: one for each request, the last one for all that follow. Every request
is on record, with what was sent for it.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from tests.actors.news import TIMEOUT, News
from tests.actors.ports import HeldPort

T = TypeVar("T")

_PIECE: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request is answered with.

    - ``etag`` and ``modified`` are sent as ETag and Last-Modified where they are not empty; ``headers`` come on top.
    - ``framing``: with Content-Length, chunked, or neither, the body then ends with the connection.
    - ``length``: a Content-Length to claim instead of the true one.
    - ``ranges``: a Range is obeyed. ``if_range``: but not if an If-Range names neither ``etag`` nor ``modified``.
    - ``cut_after``, ``stall_after``: after so many bytes of the body, end the connection, or wait for ``release``.
      ``reset``: a cut is a reset, as of a router that has lost its state; what was on its way may be lost as well.
    - ``drip``: send one byte at a time, with so many seconds between two; 0: all at once.
    - ``silent``: wait for ``release`` before anything is sent.
    """

    body: bytes | memoryview = field(default=b"", repr=False)
    status: int = 200
    etag: str = '"1"'
    modified: str = ""
    headers: Sequence[tuple[str, str]] = ()
    framing: Literal["length", "chunked", "close"] = "length"
    length: int | None = None
    ranges: bool = True
    if_range: bool = True
    cut_after: int | None = None
    stall_after: int | None = None
    reset: bool = False
    drip: float = 0
    silent: bool = False


@dataclass(slots=True)
class Request:
    """One request; header names are in lower case, ``sent`` counts bytes of the body, ``over`` says that it ended.

    ``at`` is when it came, in seconds of the steady clock of this machine.
    """

    method: str
    target: str
    headers: dict[str, str]
    sent: int = 0
    over: bool = field(default=False, compare=False)
    at: float = field(default_factory=time.monotonic, compare=False)


class Origin:
    """An origin on 127.0.0.1, for as long as its ``async with`` lasts; a path without replies is 404."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.news = News(lambda: f"the origin has had {self.requests[-10:]}")
        self._replies: dict[str, list[Reply]] = {}
        self._released = asyncio.Event()
        self._closing = asyncio.Event()
        self._port = HeldPort()
        self._server: asyncio.Server
        self._serving: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        """Its port."""
        return self._port.number

    @property
    def url(self) -> str:
        """What a path with its slash is appended to."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, path: str, *replies: Reply) -> str:
        """From now on the next requests of ``path`` get ``replies``, the last one again and again; its URL."""
        self._replies[path] = list(replies)
        return self.url + path

    def release(self) -> None:
        """Let all go on that stalls or is silent, from now on and for good."""
        self._released.set()

    async def until(self, condition: Callable[[], T], what: str = "a request", timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking at the start and the end of each request, and as it stalls."""
        return await self.news.until(condition, what, timeout)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._attend, sock=self._port.listening())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._closing.set()
        self.release()
        for writer in self._serving:
            writer.transport.abort()
        await self.until(lambda: not self._serving, "the end of its connections")
        await self._server.wait_closed()
        self._port.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._serving.discard(writer)
            self.news.tell()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may follow on the connection."""
        request = _parsed(await reader.readuntil(b"\r\n\r\n"))
        self.requests.append(request)
        self.news.tell()
        reply = self._next(request.target.partition("?")[0])
        try:
            if reply.silent:
                await self._released.wait()
            await self._answer(request, reply, writer)
        finally:
            request.over = True
            self.news.tell()
        return reply.framing != "close" and reply.cut_after is None and reply.length is None

    def _next(self, path: str) -> Reply:
        replies = self._replies.get(path) or [Reply(status=404, etag="")]
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def _answer(self, request: Request, reply: Reply, writer: asyncio.StreamWriter) -> None:
        status, body, headers = _part(request, reply)
        lines = [f"{name}: {value}" for name, value in [*headers, *_headers(reply, len(body))]]
        lines.insert(0, f"HTTP/1.1 {status} Scripted")
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await writer.drain()
        if request.method != "HEAD":
            await self._send(request, reply, body, writer)

    async def _send(
        self, request: Request, reply: Reply, body: bytes | memoryview, writer: asyncio.StreamWriter
    ) -> None:
        """The body in pieces that end where the reply cuts or stalls."""
        end = len(body) if reply.cut_after is None else min(len(body), reply.cut_after)
        while request.sent < end:
            if request.sent == reply.stall_after:
                self.news.tell()
                await self._released.wait()
            stop = min(end, request.sent + (1 if reply.drip else _PIECE))
            if reply.stall_after is not None and request.sent < reply.stall_after:
                stop = min(stop, reply.stall_after)
            piece = body[request.sent : stop]
            writer.write(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")) if reply.framing == "chunked" else piece)
            await writer.drain()
            request.sent = stop
            await self._pause(reply.drip)
        if reply.framing == "chunked" and reply.cut_after is None:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        if reply.reset:
            writer.transport.abort()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._closing.wait()


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _version = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Request(method, target, {name.strip().lower(): value.strip() for name, _colon, value in pairs})


def _part(request: Request, reply: Reply) -> tuple[int, bytes | memoryview, list[tuple[str, str]]]:
    """Status, body and headers, with the Range obeyed where the reply obeys any."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    unchanged = request.headers.get("if-range", reply.etag) in {reply.etag, reply.modified}
    if match is None or not reply.ranges or reply.status != 200 or (reply.if_range and not unchanged):
        return reply.status, reply.body, []
    start, size = int(match[1]), len(reply.body)
    if start >= size:
        return 416, b"", [("Content-Range", f"bytes */{size}")]
    end = min(int(match[2]) + 1, size) if match[2] else size
    return 206, reply.body[start:end], [("Content-Range", f"bytes {start}-{end - 1}/{size}")]


def _headers(reply: Reply, length: int) -> list[tuple[str, str]]:
    framing = {
        "length": ("Content-Length", str(length if reply.length is None else reply.length)),
        "chunked": ("Transfer-Encoding", "chunked"),
        "close": ("Connection", "close"),
    }
    validators = [("ETag", reply.etag), ("Last-Modified", reply.modified)]
    return [framing[reply.framing], *((name, value) for name, value in validators if value), *reply.headers]
