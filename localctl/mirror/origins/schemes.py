"""Which client fetches which location. Edge: by the location's scheme."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from localctl.config import Firmware
from localctl.errors import OriginFailed
from localctl.mirror.origins.ftp import FtpOrigin
from localctl.mirror.origins.sink import Sink
from localctl.store.records import Resume
from localctl.tls import Tls

if TYPE_CHECKING:
    from localctl.mirror.origins.http import HttpOrigin


class Origins:
    """A client for every scheme of ``admission.SCHEMES``. ``close`` ends it.

    That for HTTP is loaded behind READY (``late``), or here, where a download that a restart broke off goes on before.
    """

    def __init__(self, settings: Firmware, tls: Tls, user_agent: str) -> None:
        self._settings = settings
        self._tls = tls
        self._user_agent = user_agent
        self._http: HttpOrigin | None = None
        self._ftp = FtpOrigin(settings, tls)

    def reconfigure(self, settings: Firmware, tls: Tls) -> None:
        """By these from now on, and what is connected to then is spoken to with ``tls``."""
        self._settings, self._tls = settings, tls
        if self._http:
            self._http.reconfigure(settings, tls)
        self._ftp.reconfigure(settings, tls)

    async def close(self) -> None:
        """End every connection."""
        if self._http:
            await self._http.close()
        await self._ftp.close()

    async def fetch(self, location: str, resume: Resume, sink: Sink) -> None:
        """Fetch ``location`` into ``sink``. Raises OriginRefused, OriginFailed, and whatever the sink raises."""
        is_ftp = urlsplit(location).scheme.lower() in {"ftp", "ftps"}
        await (self._ftp if is_ftp else await self._over_http()).fetch(location, resume, sink)

    async def _over_http(self) -> "HttpOrigin":
        try:
            await asyncio.to_thread(import_module, "localctl.mirror.origins.http")
        except OSError as fault:
            raise OriginFailed(f"what fetches over HTTP cannot be loaded: {fault.strerror}") from fault
        from localctl.mirror.origins.http import HttpOrigin

        if self._http is None:
            self._http = HttpOrigin(self._settings, self._tls, self._user_agent)
        return self._http
