"""Which client fetches which location. Edge: by the location's scheme."""

from urllib.parse import urlsplit

from localctl.config import Firmware
from localctl.mirror.origins.ftp import FtpOrigin
from localctl.mirror.origins.http import HttpOrigin, Sink
from localctl.store.records import Resume
from localctl.tls import Tls


class Origins:
    """A client for every scheme of ``admission.SCHEMES``. ``close`` ends it."""

    def __init__(self, settings: Firmware, tls: Tls, user_agent: str) -> None:
        self._http = HttpOrigin(settings, tls, user_agent)
        self._ftp = FtpOrigin(settings, tls)

    def reconfigure(self, settings: Firmware, tls: Tls) -> None:
        """By these from now on, and what is connected to then is spoken to with ``tls``."""
        self._http.reconfigure(settings, tls)
        self._ftp.reconfigure(settings, tls)

    async def close(self) -> None:
        """End every connection."""
        await self._http.close()
        await self._ftp.close()

    async def fetch(self, location: str, resume: Resume, sink: Sink) -> None:
        """Fetch ``location`` into ``sink``. Raises OriginRefused, OriginFailed, and whatever the sink raises."""
        is_ftp = urlsplit(location).scheme.lower() in {"ftp", "ftps"}
        await (self._ftp if is_ftp else self._http).fetch(location, resume, sink)
