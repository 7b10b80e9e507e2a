"""The way to the CSMS: its name, each of its addresses, and proxies that are not taken. Edge.

No proxy of the environment is used by the daemon (``relay/dial``), so none is used here.
"""

import errno
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from localctl.checking.patience import together, within
from localctl.checking.verdict import Check
from localctl.networks import is_address

RESOLVE_SECONDS: Final = 4
CONNECT_SECONDS: Final = 4
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy")
_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_REFUSED: Final = "The machine is there and nothing listens on that port: is the port right, and the CSMS running?"
_UNROUTED: Final = "No route leads there: has this machine a gateway (ip route), and is the WAN up?"
_SILENT: Final = "Is the port right, and does a firewall let this machine out?"


@dataclass(frozen=True, slots=True)
class Place:
    """Where ``csms.url`` leads."""

    host: str
    port: int
    encrypted: bool

    @classmethod
    def of(cls, url: str) -> "Place":
        """The place of a URL that the configuration has checked."""
        parts = urlsplit(url)
        encrypted = parts.scheme == "wss"
        return cls(parts.hostname or "", parts.port or (443 if encrypted else 80), encrypted)

    def __str__(self) -> str:
        return f"csms.url: {self.host} port {self.port}"


def proxies(environ: Mapping[str, str]) -> Iterator[Check]:
    """A warning where the environment names a proxy; its value may hold a password, and is not told."""
    found = sorted({name for name in environ if name.lower() in _PROXIES and environ[name]})
    if found:
        what = f"environment: {', '.join(found)} is set, and localctl takes no proxy"
        yield Check("warn", what, "Nothing, where this machine reaches the CSMS directly; else let it out (firewall).")


def addresses(place: Place) -> list[str]:
    """Those of the CSMS, in the order of the resolver. Raises OSError, or TimeoutError (one of it)."""

    def resolve() -> list[str]:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(info[4][0]) for info in found))

    return within(RESOLVE_SECONDS, resolve)


def resolved(place: Place, found: Sequence[str] | OSError | UnicodeError) -> Iterator[Check]:
    """What the name leads to; nothing where an address stands in the URL."""
    what = f"csms.url: {place.host}"
    match found:
        case TimeoutError():
            advice = "Does the DNS server answer (resolvectl status; cat /etc/resolv.conf), and is the WAN up?"
            yield Check("FAIL", f"{what} is not resolved within {RESOLVE_SECONDS} s", advice)
        case OSError() | UnicodeError():
            words = getattr(found, "strerror", None) or "it is no name that could exist"
            advice = "Is the name right, and does this machine have DNS (resolvectl query NAME)?"
            yield Check("FAIL", f"{what} does not resolve: {words}", advice)
        case _ if not is_address(place.host):
            yield Check("ok", f"{what} resolves to {', '.join(found)}")


def reach(place: Place, found: Sequence[str]) -> list[float | Exception]:
    """How long each address took to answer, in seconds, or why it did not."""
    return together(CONNECT_SECONDS, (partial(_connect, host, place.port) for host in found))


def _connect(host: str, port: int) -> float:
    began = time.monotonic()
    socket.create_connection((host, port), CONNECT_SECONDS).close()
    return time.monotonic() - began


def reached(place: Place, found: Sequence[str], outcomes: Sequence[float | Exception]) -> Iterator[Check]:
    """What became of each address. One that answers is enough; an IPv6 one without a route to it is none."""
    works = any(isinstance(outcome, float) for outcome in outcomes)
    for host, outcome in zip(found, outcomes, strict=True):
        what = str(place) if [host] == [place.host] else f"{place} at {host}"
        if isinstance(outcome, float):
            yield Check("ok", f"{what} answers, after {outcome * 1000:.0f} ms")
        elif works and ":" in host and getattr(outcome, "errno", None) in _NO_ROUTE:
            yield Check("ok", f"{what} is not reached: this machine has no IPv6 way out, and needs none")
        else:
            cause, advice = _why(outcome)
            yield Check("warn" if works else "FAIL", f"{what} does not answer: {cause}", advice)


def _why(fault: Exception) -> tuple[str, str]:
    if isinstance(fault, TimeoutError):
        return f"nothing came within {CONNECT_SECONDS} s", _SILENT
    number = getattr(fault, "errno", None)
    advice = _REFUSED if number == errno.ECONNREFUSED else _UNROUTED if number in _NO_ROUTE else _SILENT
    return getattr(fault, "strerror", None) or str(fault), advice
