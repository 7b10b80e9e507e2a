"""``/api/events``: the status as it changes, to whoever listens. Edge: one task a listener, a bounded number of them.

Each listener is sent what has changed since it was last sent anything, so a slow one skips what lies between; one that
takes nothing for long is dropped, and so is one whose machine has vanished.
"""

import asyncio
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from aiohttp import web

from localctl.admin.feed import INTERVAL_SECONDS, Feed
from localctl.admin.stream import ALIVE, RETRY

MOST_LISTENERS: Final = 8
PATIENCE_SECONDS: Final = 20.0  # for a listener that takes nothing
ALIVE_SECONDS: Final = 15.0
_HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}  # the latter for nginx before us


class Broadcast:
    """``feeds`` by the word behind ``?as=``; the first is told where there is none."""

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds = feeds
        self._listeners = 0
        self._over = asyncio.Event()

    def stop(self) -> None:
        """End every stream, and begin no other."""
        self._over.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell until the listener goes, or we do. 400 another form, 503 where too many listen."""
        feed = self._feeds.get(request.query.get("as", next(iter(self._feeds))))
        if feed is None:
            raise web.HTTPBadRequest(text=f"as is one of {', '.join(self._feeds)}\n")
        if self._listeners >= MOST_LISTENERS or self._over.is_set():
            raise web.HTTPServiceUnavailable(text="Too many are listening.\n", headers={"Retry-After": "10"})
        self._listeners += 1
        try:
            response = web.StreamResponse(headers=_HEADERS)
            _notice_silence(request)
            await response.prepare(request)
            with suppress(ConnectionError):
                await self._tell(feed, response)
        except TimeoutError:
            if request.transport:
                request.transport.abort()
        finally:
            self._listeners -= 1
        return response

    async def _tell(self, feed: Feed, response: web.StreamResponse) -> None:
        """Raises TimeoutError where nothing is taken, ConnectionError where nobody is there."""
        await _send(response, RETRY)
        seen, sent_at = 0, time.monotonic()
        while not self._over.is_set():
            parts = await feed.current()
            news = {name: part.text for name, part in parts.items() if part.version > seen}
            if news or time.monotonic() - sent_at >= ALIVE_SECONDS:
                await _send(response, feed.form.message(news, seen == 0) if news else ALIVE)
                seen, sent_at = max(part.version for part in parts.values()), time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SECONDS):
                    await self._over.wait()


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await response.write(data)


def _notice_silence(request: web.Request) -> None:
    """Have the kernel end the connection of a machine that acknowledges nothing any more."""
    sock = request.transport and request.transport.get_extra_info("socket")
    if sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(PATIENCE_SECONDS * 1000))
