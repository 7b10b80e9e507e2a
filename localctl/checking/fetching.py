"""Whether firmware is served where stations are sent to fetch it: each listener is asked where its URIs lead. Edge.

This machine's firewall lets itself in: what it keeps from stations shows on the LAN only.
"""

import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from ftplib import FTP, Error
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from localctl.checking.patience import together
from localctl.checking.running import Running
from localctl.checking.verdict import Check
from localctl.config import Config
from localctl.lan import published_host

_SECONDS: Final = 4
_PORTS: Final = {"http": 80, "https": 443, "ftp": 21}
_NONE: Final = f"/firmware/{'0' * 32}/none"
_AS_IT_SHOULD: Final = frozenset({200, 404, 503})  # served, nothing there, as many transfers as are allowed
_NOT_THERE: Final = (
    "Set publish.host to the address of this machine that stations can reach. Or a firewall of its own is in the way."
)


@dataclass(frozen=True, slots=True)
class Uri:
    """Where a station would ask; ``path`` is a published file's, or one where nothing is."""

    scheme: str
    host: str
    port: int
    path: str = _NONE

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def reached(config: Config, running: Running) -> Iterator[Check]:
    """Each listener of firmware that the daemon has."""
    uris = list(_uris(config, running))
    outcomes = together(_SECONDS, (partial(_asked, config, uri) for uri in uris))
    return (met(uri, outcome) for uri, outcome in zip(uris, outcomes, strict=True))


def _uris(config: Config, running: Running) -> Iterator[Uri]:
    """One a listener: a published file's where there is one."""
    told = [urlsplit(uri) for file in running.status.get("firmware", ()) for uri in file.get("uris", ())]
    for key, address in config.listeners().items():
        room, _, scheme = key.removesuffix(".listen").partition(".")
        bound = running.listeners.get(f"{room}.{scheme}")
        if room != "publish" or not bound:
            continue
        if uri := next((uri for uri in told if uri.scheme == scheme), None):
            yield Uri(scheme, uri.hostname or "", uri.port or _PORTS[scheme], uri.path)
        else:
            yield Uri(scheme, published_host(config.publish.host, address), int(bound.rpartition(":")[2]))


def _asked(config: Config, uri: Uri) -> int:
    """The status of HTTP; 200 of FTP where it greets. Raises OSError, HTTPException or ftplib's Error."""
    if uri.scheme == "ftp":
        with FTP(timeout=_SECONDS) as greeted:  # noqa: S321  what old stations speak
            greeted.connect(uri.host, uri.port)
            return 200
    connection: HTTPConnection
    if uri.scheme == "https" and config.publish.https:
        context = _trusting(config.publish.https.cert_file)
        connection = HTTPSConnection(uri.host, uri.port, timeout=_SECONDS, context=context)
    else:
        connection = HTTPConnection(uri.host, uri.port, timeout=_SECONDS)
    with closing(connection):
        connection.request("HEAD", uri.path)
        return connection.getresponse().status


def _trusting(cert_file: str) -> ssl.SSLContext:
    """A client's to which the certificate in that file, and no other, is its own root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cert_file)
    return context


def met(uri: Uri, outcome: int | Exception) -> Check:
    """What came of asking: a status of HTTP, or what went wrong."""
    what = f"publish.{uri.scheme}: {uri}"
    if not isinstance(outcome, int):
        return _missed(what, outcome)
    if outcome == 403:
        return Check("ok", f"{what} answers; it serves stations alone, as publish.allowed_networks asks")
    if outcome in _AS_IT_SHOULD:
        return Check("ok", f"{what} answers" + (" with a published file" if uri.path != _NONE else ""))
    return Check("FAIL", f"{what} answers HTTP {outcome}", "Something else than localctl is there (ss -ltnp).")


def _missed(what: str, fault: Exception) -> Check:
    match fault:
        case ssl.SSLCertVerificationError():
            advice = "Is it newer than the daemon, or for another host than publish.host? (systemctl restart localctl)"
            return Check("FAIL", f"{what}: stations refuse its certificate: {fault.verify_message}", advice)
        case Error() if str(fault).startswith(("421", "530")):
            return Check("ok", f"{what} answers; it serves stations alone, or is busy")
        case TimeoutError():
            return Check("FAIL", f"{what} does not answer: nothing came within {_SECONDS} s", _NOT_THERE)
    words = getattr(fault, "strerror", None) or str(fault)
    return Check("FAIL", f"{what} does not answer: {words}", _NOT_THERE)
