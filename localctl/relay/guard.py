"""Whether a station is who it says, where the site must see to that itself, and what failing costs it. Edge.

Security profiles 1 to 3 on the stations' leg (A00): a certificate's commonName, or a password of the site's own file.
Whoever fails, here or at the CSMS, is counted, and waits for its answer.
"""

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from websockets.frames import CloseCode

from localctl.metrics import Metrics
from localctl.relay import subject
from localctl.relay.frames import Fault
from localctl.relay.passwords import Passwords
from localctl.relay.policy import Refusal
from localctl.relay.setbacks import Setbacks
from localctl.station_sections import Stations

MOST_WAITING: Final = 256  # answers held back at once; who fails beyond them gets none
_UNAUTHORIZED: Final = (401, 403)
_EVENTS: Final = {
    "password": "FailedToAuthenticateAtCsms",
    "refused_by_csms": "FailedToAuthenticateAtCsms",
    "certificate": "InvalidChargingStationCertificate",
    "identity": "OwnIdentityClaimed",
}
# Of the reasons that OpenSSL has for a handshake that failed those that a station's configuration must mend.
_TLS_EVENTS: Final = {
    "UNSUPPORTED_PROTOCOL": "InvalidTLSVersion",
    "VERSION_TOO_LOW": "InvalidTLSVersion",
    "NO_SHARED_CIPHER": "InvalidTLSCipherSuite",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "InvalidChargingStationCertificate",
    "CERTIFICATE_VERIFY_FAILED": "InvalidChargingStationCertificate",
}


class Guard:
    """``passwords`` is there with stations.authentication = "local"."""

    def __init__(self, stations: Stations, passwords: Passwords | None, metrics: Metrics) -> None:
        self._wss = stations.wss
        self._passwords = passwords
        self._metrics = metrics
        self._setbacks = Setbacks()
        self._waiting = 0

    def reconfigure(self, stations: Stations, passwords: Passwords | None) -> None:
        """For those that come from now on; failures are not forgotten."""
        self._wss, self._passwords = stations.wss, passwords

    def inspector(self, certificate: dict[str, Any] | None) -> Callable[[bytes], None] | None:
        """What is to see each message of a station that has shown that; None: nothing (B01.FR.11)."""
        if not certificate or self._wss is None or self._wss.certificate_identity != "cn":
            return None
        return partial(self._inspect, subject.common_name(certificate))

    async def judge(
        self, identity: str, certificate: dict[str, Any] | None, authorization: str | None
    ) -> Refusal | None:
        """Whether a station of that identity is turned away; who shows a certificate needs no password."""
        if certificate and self._wss:
            name = subject.common_name(certificate)
            return subject.judge(identity, name, self._wss.serials, self._wss.certificate_identity)
        if self._passwords:
            return await self._passwords.judge(identity, authorization)
        return None

    def passed(self, peer: str) -> None:
        """A station at that address was let in."""
        self._setbacks.succeeded(peer)

    async def hold_back(self, refusal: Refusal, listener: str, peer: str) -> bool:
        """Count a refusal and wait as long as its answer must; False where it is to get none."""
        if refusal.result not in _EVENTS or (refusal.status not in _UNAUTHORIZED):
            return True
        self._count(listener, _EVENTS[refusal.result])
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(self._setbacks.failed(peer, asyncio.get_running_loop().time()))
        finally:
            self._waiting -= 1
        return True

    def tls_failed(self, fault: OSError | ValueError) -> None:
        """A station's TLS handshake came to nothing."""
        event = _TLS_EVENTS.get(fault.reason or "") if isinstance(fault, ssl.SSLError) else None
        if event:
            self._count("stations.wss", event)

    def _inspect(self, name: str, message: bytes) -> None:
        """Raise Fault where a station boots with another serial number than its certificate has (B01.FR.12)."""
        if subject.contradicts(message, name):
            self._count("stations.wss", _EVENTS["certificate"])
            raise Fault(CloseCode.POLICY_VIOLATION, "the serial number is not the certificate's")

    def _count(self, listener: str, event: str) -> None:
        self._metrics.auth_failures.labels(listener).inc()
        self._metrics.security_events.labels(event).inc()
