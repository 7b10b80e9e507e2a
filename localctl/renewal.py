"""Our certificates, used as they are on disk: new connections show a new one without a restart.

Whoever renews a certificate replaces two files one after the other, so a change is looked at once both have been left
alone for a while. A pair that does not load is told once, and the one before it stays in use. The metric tells when the
one in use ends, whatever lies on the disk.
"""

import asyncio
import logging
import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from localctl import tls
from localctl.certificate import name_of, validities
from localctl.errors import ConfigurationError
from localctl.metrics import Metrics
from localctl.sections import Csms
from localctl.station_sections import StationsWss

T = TypeVar("T")

LOOK_SECONDS: Final = 5.0
_WSS: Final = "stations.wss"
_log = logging.getLogger("localctl.renewal")


@dataclass(frozen=True, slots=True)
class InUse:
    """What is shown to peers as ``role``: a certificate for ``name`` that ends at ``expires_at`` (Unix seconds, None
    where that cannot be read), together with the first of its chain to end.
    """

    role: str
    path: str
    name: str
    expires_at: float | None


class Watched:
    """Files that somebody may replace."""

    def __init__(self, *paths: str) -> None:
        self._paths = paths
        self._used = self._seen = self._signature()

    def have_changed(self) -> bool:
        """Whether they are others than before, and the same as at the last look; True once for each change."""
        seen, self._seen = self._seen, self._signature()
        if self._seen in (self._used, None) or self._seen != seen:
            return False
        self._used = self._seen
        return True

    def _signature(self) -> object:
        try:
            found = [Path(path).stat() for path in self._paths]
        except OSError:
            return None
        return [(each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns) for each in found]


class Files(Watched):
    """The two files of a certificate, watched; ``section`` is where their keys stand ("publish.https"), ``kind`` begins
    the keys' names ("rsa_").
    """

    def __init__(
        self,
        section: str,
        cert_file: str,
        key_file: str,
        metrics: Metrics,
        kind: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(cert_file, key_file)
        self.section = section
        self.cert_file = cert_file
        self.key_file = key_file
        self.kind = kind
        self._role = f"{section}.{kind}".rstrip("._")
        self._expiry = metrics.tls_certificate_expiry.labels(self._role)
        self._ends = math.nan
        self._now = now
        self.in_use: InUse | None = None

    def use(self, load: Callable[[], T]) -> T:
        """What ``load`` makes of them, which is in use from now on.

        Raises ConfigurationError where they cannot be read, and what ``load`` raises.
        """
        pem = tls.read_pem(f"{self.section}.{self.kind}cert_file", self.cert_file)
        loaded = load()
        expiry = _expiry(pem)
        self._expiry.set(expiry)
        self._ends = expiry
        self._warn()
        self.in_use = InUse(self._role, self.cert_file, _name(pem), None if math.isnan(expiry) else expiry)
        return loaded

    def renew(self, load: Callable[[], object]) -> None:
        """If they have changed, use them; ``load`` raises ConfigurationError where they are of no use."""
        self._warn()
        if not self.have_changed():
            return
        try:
            self.use(load)
        except ConfigurationError as fault:
            _log.warning("The new certificate is of no use, and the old one stays: %s", "; ".join(fault.faults))
        else:
            _log.info("New connections are shown the new certificate of %s", self._role)

    def _warn(self) -> None:
        """Once it has ended, and once only: it is shown all the same, as old stations do not look."""
        if self._now() >= self._ends:  # never, where its end is not known
            end = datetime.fromtimestamp(self._ends, UTC).strftime("%Y-%m-%d %H:%M")
            self._ends = math.nan
            words = "The certificate of %s ended on %s UTC, and is shown until another stands in the place of %s"
            _log.warning(words, self._role, end, self.cert_file)


class Certificate:
    """A certificate in a context that connections are made with, as ``make`` makes it of its files.

    Raises ConfigurationError where it does not load.
    """

    def __init__(self, files: Files, make: Callable[[], ssl.SSLContext]) -> None:
        self.files = files
        self._make = make
        self.context = files.use(make)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.files.renew(self._load)

    def _load(self) -> None:
        self._make()  # what fails in here leaves the context in use alone
        tls.load_chain(self.context, self.files.section, self.files.cert_file, self.files.key_file)


class StationCertificates:
    """What the stations' TLS listener shows, one certificate or an EC and an RSA one, and whom it trusts: ``context``,
    with which connections are made, is the same one for ever.

    Raises ConfigurationError where one of the files does not load.
    """

    def __init__(self, wss: StationsWss, metrics: Metrics) -> None:
        self.files = [Files(_WSS, wss.cert_file, wss.key_file, metrics)]
        if wss.rsa_cert_file:
            self.files.append(Files(_WSS, wss.rsa_cert_file, wss.rsa_key_file, metrics, "rsa_"))
        self._roots = Watched(wss.client_ca_file) if wss.client_ca_file else None
        self._wss = wss
        self.context = tls.station_context(wss)
        self._rsa = {files: tls.rsa_of(files.cert_file) for files in self.files}
        for files in self.files:
            files.use(lambda: None)  # station_context has loaded them
        if wss.min_tls in tls.OLD:
            _log.warning(
                "stations.wss.min_tls: stations may use TLS %s and weak encryption, which OCPP forbids (A00.FR.313); "
                'set it to "1.2" once no station needs less',
                wss.min_tls,
            )

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Use what has changed on the disk."""
        for files in self.files:
            files.renew(partial(self._load, files))
        if self._roots and self._roots.have_changed():
            self._trust()

    def _load(self, files: Files) -> None:
        parts = (files.section, files.cert_file, files.key_file, files.kind)
        tls.load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *parts)
        if tls.rsa_of(files.cert_file) is not self._rsa[files]:  # the one in use would be shown beside it
            key = f"{files.section}.{files.kind}cert_file"
            raise ConfigurationError((f"{key}: is of another kind (RSA, EC) than before, which takes a restart",))
        tls.load_chain(self.context, *parts)

    def _trust(self) -> None:
        key, path = f"{_WSS}.client_ca_file", self._wss.client_ca_file
        try:
            tls.trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), key, path)
            tls.trust(self.context, key, path)
        except ConfigurationError as fault:
            _log.warning("The new roots are of no use, and the old ones stay: %s", "; ".join(fault.faults))
        else:
            _log.info("Stations' certificates of the new %s are accepted; of those taken out, until a restart", key)


def csms_context(csms: Csms, metrics: Metrics) -> tuple[ssl.SSLContext | None, Certificate | None]:
    """What connections to the CSMS are made with, and the certificate in it; neither where its URL is no ``wss:``.

    Raises ConfigurationError where a file does not load.
    """
    if not csms.url.startswith("wss:"):
        return None, None
    make = partial(tls.client_context, "csms", ca_file=csms.ca_file, cert_file=csms.cert_file, key_file=csms.key_file)
    if not csms.cert_file:
        return make(), None
    certificate = Certificate(Files("csms", csms.cert_file, csms.key_file, metrics), make)
    return certificate.context, certificate


def _expiry(pem: bytes) -> float:
    """A chain is as good as the first of it that ends. What OpenSSL understands and we do not is used all the same."""
    try:
        return min(validity.ends for validity in validities(pem))
    except ValueError:
        return math.nan


def _name(pem: bytes) -> str:
    try:
        return name_of(pem)
    except ValueError:
        return ""
