"""The admin room's two sockets: the admin listener, and the one for what is done by hand. Edge.

Both are bound at once, so that whoever comes waits. What serves them takes as long to load as all that relays stations,
and is loaded behind it.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from localctl.admin.unix import Place, fits
from localctl.admin.views import Hands, Views
from localctl.config import Admin
from localctl.metrics import Metrics
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import Bind, Bound, own

if TYPE_CHECKING:
    from localctl.admin.api import AdminServer
    from localctl.admin.guard import Guard
    from localctl.admin.hand import HandServer

log = logging.getLogger("localctl.listeners")


class Desk:
    """``bind``, ``serve`` and ``close`` it on the main loop; where ``settings`` name no listener it does nothing."""

    def __init__(self, settings: Admin, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._bound: Bound | None = None
        self._place: Place | None = None
        self._guard: Guard | None = None
        self._servers: list[AdminServer | HandServer] = []

    def bind(self, path: Path, bind: Bind = own) -> Address | None:
        """Have who connects wait, by hand at ``path``; the address bound. Raises ListenError."""
        if not self._settings.listen:
            return None
        self._bound = bind("admin.listen", self._settings.listen, tcp.BACKLOG)
        if fits(path):
            self._place = Place(path)
        else:  # which must not keep the relays from beginning
            log.warning("no publishing by hand: %s is too long a path for a socket; RuntimeDirectory= helps", path)
        return self._bound.address

    @property
    def path(self) -> Path | None:
        """Where the socket is for what is done by hand."""
        return self._place.path if self._place else None

    async def serve(self, views: Views, hands: Hands) -> None:
        """Serve them; what for is loaded by now (``late``)."""
        if not self._bound:
            return
        from localctl.admin.api import AdminServer
        from localctl.admin.guard import Guard
        from localctl.admin.hand import HandServer

        self._guard = Guard(self._settings, self._metrics)
        self._servers.append(AdminServer(self._bound.sock, self._guard, views))
        if self._place:
            self._servers.append(HandServer(self._place.sock, hands))
        for server in self._servers:
            await server.start()

    def reconfigure(self, settings: Admin) -> None:
        """Ask for that password from now on."""
        self._settings = settings
        if self._guard:
            self._guard.reconfigure(settings)

    async def close(self) -> None:
        """End what is being told and what is under way."""
        for server in reversed(self._servers):
            await server.stop()
        if self._place:
            self._place.leave()
        if self._bound:
            self._bound.sock.close()
