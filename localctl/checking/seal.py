"""TLS with the CSMS: which, whose certificate, until when; and where it fails, why, with what the CSMS shows. Edge.

A certificate is fetched without being verified only to be described: nothing is sent on such a connection.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from localctl.certificate import validities
from localctl.checking.certificates import SOON_SECONDS
from localctl.checking.names import Shown, shown
from localctl.checking.patience import within
from localctl.checking.verdict import Check, day
from localctl.checking.way import Place
from localctl.config import Config
from localctl.errors import ConfigurationError
from localctl.tls import EXPIRED, NOT_YET_VALID, UNKNOWN_ISSUERS, WRONG_NAMES, client_context, explain

_SECONDS: Final = 4
_ENDED: Final = "it ends the connection as soon as TLS is there, as one does that wants a certificate, or another one"
_RENEW: Final = "Ask the CSMS's operator to renew it: without it neither localctl nor a station connects."
_ELSE: Final = "Show this line to the CSMS's operator."


def of_csms(config: Config, place: Place, now: float) -> Iterator[Check]:
    """What is found of its TLS; ``now`` is Unix seconds. Nothing where our own files do not load: that is told."""
    csms = config.csms
    try:
        context = client_context("csms", ca_file=csms.ca_file, cert_file=csms.cert_file, key_file=csms.key_file)
    except ConfigurationError:
        return
    try:
        version, der = within(_SECONDS, lambda: _met(context, place))
    except ssl.SSLError as fault:
        yield _failure(config, place, fault, now)
        return
    except OSError as fault:
        cause = f"nothing came within {_SECONDS} s" if isinstance(fault, TimeoutError) else fault.strerror or str(fault)
        yield Check("FAIL", f"{place}: TLS fails: {cause}", "Does something between here and the CSMS cut TLS off?")
        return
    pem = ssl.DER_cert_to_PEM_cert(der).encode()
    yield Check("ok", f"{place} speaks {version} with a certificate that we trust")
    yield lasting(f"{place}: its certificate", shown(pem), validities(pem)[0].ends, now)


def lasting(what: str, whose: Shown | None, ends: float, now: float) -> Check:
    """How long the CSMS's certificate, a valid one, is good for."""
    words = f"{what}{_described(whose)}"
    if ends <= now + SOON_SECONDS:
        return Check("warn", f"{words}, expires on {day(ends)}, in {(ends - now) / 86400:.0f} days", _RENEW)
    return Check("ok", f"{words}, is valid until {day(ends)}")


def advice(code: int, host: str, whose: Shown | None, ca_file: str) -> str:
    """What to do where verifying failed with OpenSSL's ``code``."""
    if code == EXPIRED:
        return f"If the clock here is right: {_RENEW[0].lower()}{_RENEW[1:]}"
    if code == NOT_YET_VALID:
        return "Set this machine's clock (timedatectl set-ntp true)."
    if code in WRONG_NAMES:
        named = f"It is for {whose.whose}: write" if whose else "Write"
        return f"{named} a name that it has into csms.url instead of {host}, if that leads to the CSMS too."
    if code in UNKNOWN_ISSUERS:
        issuer = f' above "{whose.issuer}"' if whose else ""
        instead = f"{ca_file} holds others" if ca_file else "without csms.ca_file only the system's roots are trusted"
        return f"Name the root certificate{issuer} in csms.ca_file (PEM, from the CSMS's operator): {instead}."
    return _ELSE


def _met(context: ssl.SSLContext, place: Place) -> tuple[str, bytes]:
    """The version of TLS, and the certificate. Raises OSError."""
    with (
        socket.create_connection((place.host, place.port), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=place.host) as tls,
    ):
        return tls.version() or "TLS", tls.getpeercert(binary_form=True) or b""


def afterthought(context: ssl.SSLContext, place: Place, now: float) -> str:
    """Why a CSMS ends TLS once the handshake is over; empty where it does not. With TLS 1.3 it refuses our certificate,
    or the want of one, only then.
    """
    try:
        spoke = within(_SECONDS, lambda: _listened(context, place))
    except ssl.SSLError as fault:
        return explain(fault, now)
    except TimeoutError:  # it waits for us to speak
        return ""
    except OSError:
        return _ENDED
    return "" if spoke else _ENDED


def _listened(context: ssl.SSLContext, place: Place) -> bytes:
    with (
        socket.create_connection((place.host, place.port), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=place.host) as tls,
    ):
        return tls.recv(1)


def _failure(config: Config, place: Place, fault: ssl.SSLError, now: float) -> Check:
    what = f"{place}: TLS fails: {explain(fault, now)}"
    if not isinstance(fault, ssl.SSLCertVerificationError):
        return Check("FAIL", what, _ELSE)
    whose, validity = None, ""
    try:
        pem = ssl.DER_cert_to_PEM_cert(within(_SECONDS, lambda: _met(_unverified(), place))[1]).encode()
        whose, found = shown(pem), validities(pem)[0]
        validity = f"{_described(whose)}, is valid from {day(found.begins)} to {day(found.ends)}"
    except (OSError, ValueError):  # it is only described
        pass
    told = f". Its certificate{validity}" if validity else ""
    return Check("FAIL", what + told, advice(fault.verify_code, place.host, whose, config.csms.ca_file))


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _described(whose: Shown | None) -> str:
    return f', for {whose.whose}, by "{whose.issuer}"' if whose else ""
