"""The certificate of a listener: shown to new connections as it is on disk, without a restart.

Whoever renews a certificate replaces two files one after the other, so a change is looked at once both have been left
alone for a while. A pair that does not load is told once, and the one before it stays in use.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from localctl import tls
from localctl.errors import ConfigurationError

LOOK_SECONDS: Final = 5.0
_log = logging.getLogger("localctl.serve")


class Files:
    """The two files of a certificate, watched; ``section`` is where their keys stand ("publish.https")."""

    def __init__(self, section: str, cert_file: str, key_file: str) -> None:
        self.section = section
        self.cert_file = cert_file
        self.key_file = key_file
        self._used = self._seen = self._signature()

    def have_changed(self) -> bool:
        """Whether they are others than before, and the same as at the last look; True once for each change."""
        seen, self._seen = self._seen, self._signature()
        if self._seen in (self._used, None) or self._seen != seen:
            return False
        self._used = self._seen
        return True

    def renew(self, load: Callable[[], None]) -> None:
        """If they have changed, load them; ``load`` raises ConfigurationError where they are of no use."""
        if not self.have_changed():
            return
        try:
            load()
        except ConfigurationError as fault:
            _log.warning("The new certificate is of no use, and the old one stays: %s", "; ".join(fault.faults))
        else:
            _log.info("New connections are shown the new certificate of %s", self.section)

    def _signature(self) -> object:
        try:
            found = [Path(path).stat() for path in (self.cert_file, self.key_file)]
        except OSError:
            return None
        return [(each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns) for each in found]


class Certificate:
    """A certificate in a context that a listener uses. Raises ConfigurationError where it does not load."""

    def __init__(self, section: str, cert_file: str, key_file: str) -> None:
        self._files = Files(section, cert_file, key_file)
        self.context = self._fresh()

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._files.renew(self._load)

    def _load(self) -> None:
        self._fresh()  # what fails in here leaves the context in use alone
        tls.load_chain(self.context, self._files.section, self._files.cert_file, self._files.key_file)

    def _fresh(self) -> ssl.SSLContext:
        return tls.server_context(self._files.section, self._files.cert_file, self._files.key_file)
