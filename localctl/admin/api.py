"""Health, readiness, metrics and status over HTTP, for whoever watches (``interface.md``, Admin endpoints). Edge.

Read-only: every answer is made from callables given by the daemon, on the main loop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import Bind, own


@dataclass(frozen=True, slots=True)
class Views:
    """What the daemon shows. ``unhealthy`` and ``unready`` are reasons, empty where there is none."""

    unhealthy: Callable[[], tuple[str, ...]]
    unready: Callable[[], tuple[str, ...]]
    status: Callable[[], dict[str, Any]]
    refresh: Callable[[], None]
    registry: CollectorRegistry


class AdminServer:
    """The admin listener. ``start`` and ``stop`` it on the main loop."""

    def __init__(self, listen: Address, views: Views) -> None:
        self._listen = listen
        self._views = views
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/api/status", self._status)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self, bind: Bind = own) -> Address:
        """Bind; the address that was bound. Raises ListenError."""
        bound = bind("admin.listen", self._listen, tcp.BACKLOG)
        await self._runner.setup()
        await web.SockSite(self._runner, bound.sock).start()
        return bound.address

    async def stop(self) -> None:
        """Close."""
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return _verdict(self._views.unhealthy())

    async def _readiness(self, _: web.Request) -> web.Response:
        return _verdict(self._views.unready())

    async def _metrics(self, request: web.Request) -> web.Response:
        self._views.refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._views.registry), headers={"Content-Type": content_type})

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._views.status())


def _verdict(reasons: tuple[str, ...]) -> web.Response:
    return web.json_response({"ok": not reasons, "reasons": reasons}, status=503 if reasons else 200)
