"""Whom a station's certificate names, and what the station may then say it is. Rules: no I/O.

Security profile 3: the commonName of the certificate is the station's serial number (A00.FR.405, FR.511). The handshake
carries an identity instead, so the two must be one, or joined by a table; and the serial number that the station tells
in its BootNotification must be the certificate's (B01.FR.11). Case does not matter: OCPP's identifiers ignore it, and
so do the serial numbers of OCPP 1.6 (CiString).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from localctl.relay.policy import Refusal

Rule = Literal["cn", "any"]  # of stations.wss.certificate_identity

_BOOT: Final = b'"BootNotification"'
_ESCAPE: Final = b"\\"  # by which an action may be written otherwise
_SERIALS_1_6: Final = ("chargePointSerialNumber", "chargeBoxSerialNumber")


def common_name(certificate: Mapping[str, Any] | None) -> str:
    """The subject's commonName, out of what ``SSLObject.getpeercert`` gives; empty where there is none, or several."""
    found = [value for names in (certificate or {}).get("subject", ()) for key, value in names if key == "commonName"]
    return found[0] if len(found) == 1 else ""


def judge(identity: str, name: str, serials: Mapping[str, str], rule: Rule) -> Refusal | None:
    """Whether a station of that identity is turned away, with a certificate of that commonName that we trust.

    ``serials`` tells serial numbers by identity. 403, for another password or a later try will not help (A00.FR.405).
    """
    if rule == "any":
        return None
    if name and (_same(name, identity) or _same(name, _serial(identity, serials))):
        return None
    why = f"its certificate is for {name!r}" if name else "its certificate has no commonName, or several"
    return Refusal(403, "certificate", why)


def contradicts(message: bytes, name: str) -> bool:
    """Whether a message of a station is a BootNotification with a serial number other than the certificate's.

    Then the socket is to be closed (B01.FR.12). ``name`` is the certificate's commonName; empty: nothing contradicts.
    """
    if not name or (message.find(_BOOT) < 0 and message.find(_ESCAPE) < 0):  # nearly all messages end here
        return False
    told = tuple(_told(message))
    return bool(told) and not any(_same(name, serial) for serial in told)


def _told(message: bytes) -> Iterator[str]:
    """The serial numbers in a BootNotification; none in anything else, however malformed."""
    try:
        call = json.loads(message)
    except (ValueError, RecursionError):
        return
    match call:
        case [2, _, "BootNotification", {"chargingStation": {"serialNumber": str(serial)}}, *_] if serial:
            yield serial
        case [2, _, "BootNotification", {"chargingStation": _}, *_]:
            return
        case [2, _, "BootNotification", dict(payload), *_]:
            given = (payload.get(key) for key in _SERIALS_1_6)
            yield from (value for value in given if isinstance(value, str) and value)


def _serial(identity: str, serials: Mapping[str, str]) -> str:
    exact = serials.get(identity)
    return exact or next((serial for key, serial in serials.items() if _same(key, identity)), "")


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
