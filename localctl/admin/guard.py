"""Stands before every answer of the admin listener: who may ask, and what browsers may do with it. Edge.

Without a password only this machine itself can ask. Whoever sends a wrong one waits for the answer, and an address that
waits already is not heard.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from localctl.admin.access import OPEN, means_us, proves
from localctl.config import Admin
from localctl.metrics import Metrics
from localctl.networks import is_loopback
from localctl.seldom import Seldom

log = logging.getLogger("localctl.admin")

DELAY_SECONDS: Final = 1.0
MOST_WAITING: Final = 4  # wrong passwords of one address
MOST_ADDRESSES: Final = 64
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="localctl", charset="UTF-8"'}


class Guard:
    """``pause`` lets so many seconds pass."""

    def __init__(
        self, settings: Admin, metrics: Metrics, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._password = settings.password.get_secret_value()
        self._local = settings.listen is None or is_loopback(settings.listen.host)
        self._failures = metrics.auth_failures.labels("admin")
        self._pause = pause
        self._waiting: Counter[str] = Counter()
        self._told = Seldom()

    def reconfigure(self, settings: Admin) -> None:
        """Ask for that password from now on."""
        self._password = settings.password.get_secret_value()

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, or refuse: 421 who means another host, 401 who has no password, 429 who tries too many."""
        if self._local and not means_us(request.headers.get("Host", "")):
            raise web.HTTPMisdirectedRequest(text="Ask for this by an IP address or as localhost.\n")
        if self._password and request.path not in OPEN:
            await self._ask(request)
        return await handler(request)

    async def _ask(self, request: web.Request) -> None:
        """Raise where the password is missing or wrong."""
        sent = request.headers.get("Authorization", "")
        if not sent:  # so every browser begins
            raise web.HTTPUnauthorized(text="A password is needed; the user is admin.\n", headers=_CHALLENGE)
        peer = request.remote or ""
        if self._waiting[peer] >= MOST_WAITING or len(self._waiting) > MOST_ADDRESSES:
            raise web.HTTPTooManyRequests(text="Too many wrong passwords.\n", headers={"Retry-After": "2"})
        if not proves(sent, self._password):
            await self._refuse(peer)

    async def _refuse(self, peer: str) -> None:
        self._failures.inc()
        if self._told.is_due():
            log.warning("%s has sent a wrong user or password to admin.listen", peer)
        self._waiting[peer] += 1
        try:
            await self._pause(DELAY_SECONDS)
        finally:
            self._waiting[peer] -= 1
            if self._waiting[peer] <= 0:
                del self._waiting[peer]
        raise web.HTTPUnauthorized(text="The user is admin; the password is wrong.\n", headers=_CHALLENGE)


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Tell browsers what they may do with any of our answers: as little as the page needs."""
    response.headers.update(HEADERS)
