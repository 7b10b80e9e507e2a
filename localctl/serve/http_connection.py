"""The connections of one HTTP listener, as aiohttp keeps them, and who among them has not been heard yet. Edge."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from localctl.serve.http_body import without_body

KEEPALIVE_SECONDS: Final = 30  # for a request to be there whole, from the connection or from the last answer
_LINGERING_SECONDS: Final = 5  # for the rest of a body that nobody wants
_log = logging.getLogger("localctl.serve.http")


class Connections(web.Server):
    """Makes a connection for each that is accepted; ``handler`` answers."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(self._heard)
        self._handler = handler
        self._news = asyncio.Event()
        self._unheard: set[asyncio.BaseProtocol] = set()

    def __call__(self) -> web.RequestHandler:
        """One more."""
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=_LINGERING_SECONDS,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to have none
            logger=_log,
        )

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """One was accepted."""
        super().connection_made(handler, transport)
        self._unheard.add(handler)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """One has ended."""
        super().connection_lost(handler, exc)
        self._strike(handler)

    async def all_heard(self) -> None:
        """Return once each has asked something, or has gone."""
        while self._unheard:
            self._news.clear()
            await self._news.wait()

    async def _heard(self, request: web.BaseRequest) -> web.StreamResponse:
        self._strike(request.protocol)
        return await self._handler(request)

    def _strike(self, handler: Any) -> None:
        self._unheard.discard(handler)
        self._news.set()


class _Connection(web.RequestHandler):
    """One station's connection."""

    __slots__ = ()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks for a bool; aiohttp has no use for it
        """A client may shut its sending side once it has asked, and still gets its answer; TLS knows no such thing."""
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return False
        if self._waiter is not None and not self._waiter.done():  # it asks nothing
            return False
        self.close()  # after the answers under way
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is the client's mistake: no traceback, no body."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        _log.debug("The client at %s does not speak HTTP: %s", request.remote, message)
        response = without_body(status)
        response.force_close()
        return response
