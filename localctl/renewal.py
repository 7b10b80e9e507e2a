"""Our certificates, used as they are on disk: new connections show a new one without a restart.

Whoever renews a certificate replaces two files one after the other, so a change is looked at once both have been left
alone for a while. A pair that does not load is told once, and the one before it stays in use. The metric tells when the
one in use ends, whatever lies on the disk.
"""

import asyncio
import logging
import math
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from localctl import tls
from localctl.certificate import validities
from localctl.errors import ConfigurationError
from localctl.metrics import Metrics

T = TypeVar("T")

LOOK_SECONDS: Final = 5.0
_log = logging.getLogger("localctl.renewal")


class Files:
    """The two files of a certificate, watched; ``section`` is where their keys stand ("publish.https")."""

    def __init__(self, section: str, cert_file: str, key_file: str, metrics: Metrics) -> None:
        self.section = section
        self.cert_file = cert_file
        self.key_file = key_file
        self._expiry = metrics.tls_certificate_expiry.labels(section)
        self._used = self._seen = self._signature()

    def use(self, load: Callable[[], T]) -> T:
        """What ``load`` makes of them, which is in use from now on.

        Raises ConfigurationError where they cannot be read, and what ``load`` raises.
        """
        expiry = _expiry(tls.read_pem(f"{self.section}.cert_file", self.cert_file))
        loaded = load()
        self._expiry.set(expiry)
        return loaded

    def have_changed(self) -> bool:
        """Whether they are others than before, and the same as at the last look; True once for each change."""
        seen, self._seen = self._seen, self._signature()
        if self._seen in (self._used, None) or self._seen != seen:
            return False
        self._used = self._seen
        return True

    def renew(self, load: Callable[[], object]) -> None:
        """If they have changed, use them; ``load`` raises ConfigurationError where they are of no use."""
        if not self.have_changed():
            return
        try:
            self.use(load)
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
    """A certificate in a context that connections are made with, as ``make`` makes it of its files.

    Raises ConfigurationError where it does not load.
    """

    def __init__(self, files: Files, make: Callable[[], ssl.SSLContext]) -> None:
        self._files = files
        self._make = make
        self.context = files.use(make)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._files.renew(self._load)

    def _load(self) -> None:
        self._make()  # what fails in here leaves the context in use alone
        tls.load_chain(self.context, self._files.section, self._files.cert_file, self._files.key_file)


def _expiry(pem: bytes) -> float:
    """A chain is as good as the first of it that ends. What OpenSSL understands and we do not is used all the same."""
    try:
        return min(validity.ends for validity in validities(pem))
    except ValueError:
        return math.nan
