"""Health, readiness, metrics, status and the status page over HTTP (``interface.md``, Admin endpoints). Edge.

Read-only: every answer is made from callables given by the daemon, on the main loop.
"""

import asyncio
import socket
import time
from functools import cache
from pathlib import Path
from string import Template
from typing import Final

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from localctl.admin.broadcast import Broadcast
from localctl.admin.feed import Feed
from localctl.admin.fragments import HTML
from localctl.admin.guard import Guard, protect
from localctl.admin.markup import moment
from localctl.admin.stream import JSON, STATIONS
from localctl.admin.views import Views
from localctl.wire import tcp

MOST_CONNECTIONS: Final = 128  # whoever is on the network can open them, and each takes a descriptor of the relays'
_KEEPALIVE_SECONDS: Final = 75  # without a request; Prometheus asks every minute
_PAGE: Final = Path(__file__).with_name("page")
_ASSETS: Final = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class AdminServer:
    """The admin listener. ``start`` and ``stop`` it on the main loop."""

    def __init__(self, sock: socket.socket, guard: Guard, views: Views) -> None:
        self._sock = sock
        self._views = views
        self._page = Feed(HTML, views.summary, views.stations)
        self._broadcast = Broadcast({"json": Feed(JSON, views.summary, views.stations), "html": self._page})
        app = web.Application(middlewares=[guard.admit])
        app.on_response_prepare.append(protect)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/api/status", self._status)
        app.router.add_get("/api/events", self._broadcast.stream, allow_head=False)  # it has no end
        app.router.add_get("/", self._show)
        for name in _ASSETS:
            app.router.add_get(f"/{name}", self._asset)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=1, handler_cancellation=True, keepalive_timeout=_KEEPALIVE_SECONDS
        )
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Serve who comes to the socket, and who waits there."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=self._sock, backlog=tcp.BACKLOG)

    async def stop(self) -> None:
        """Close, and end what is being told."""
        self._broadcast.stop()
        if self._server:
            self._server.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        """One more; where there are many, none that is listened to."""
        serving = self._runner.server
        few = serving is not None and len(serving.connections) < MOST_CONNECTIONS
        return serving() if serving and few else _TurnedAway()

    async def _health(self, _: web.Request) -> web.Response:
        return _verdict(self._views.unhealthy())

    async def _readiness(self, _: web.Request) -> web.Response:
        return _verdict(self._views.unready())

    async def _metrics(self, request: web.Request) -> web.Response:
        self._views.refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.Response(body=encode(self._views.registry), headers={"Content-Type": content_type})
        response.enable_compression()  # for whom takes it: a seventh of the bytes, every minute, over LTE
        return response

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._views.summary() | {STATIONS: list(self._views.stations())})

    async def _show(self, _: web.Request) -> web.Response:
        parts = {name: part.text for name, part in (await self._page.current()).items()}
        now = time.time()
        page = Template(_read("index.html")).substitute(parts, now=f"{now:.3f}", moment=moment(now))
        return web.Response(body=page.encode("utf-8", "replace"), content_type="text/html", charset="utf-8")

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        return web.Response(text=_read(name), content_type=_ASSETS[name], charset="utf-8")


class _TurnedAway(asyncio.Protocol):
    """A connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say nothing."""
        transport.close()


@cache
def _read(name: str) -> str:
    """A file of the page; they are small."""
    return (_PAGE / name).read_text(encoding="utf-8")


def _verdict(reasons: tuple[str, ...]) -> web.Response:
    return web.json_response({"ok": not reasons, "reasons": reasons}, status=503 if reasons else 200)
