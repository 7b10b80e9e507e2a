"""Certificate paths to an SSLContext, and an SSL error to words that an installer can act on.

What is wrong with a file is a ConfigurationError that names its key. What is wrong with a peer is told by ``explain``.
"""

import ssl
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Final

from localctl.certificate import is_rsa
from localctl.errors import ConfigurationError
from localctl.station_sections import StationsWss

Tls = Callable[[], ssl.SSLContext]  # in any thread, and quick but for the first time

SANE_CLOCK: Final = datetime(2025, 1, 1, tzinfo=UTC).timestamp()  # localctl is younger than any clock before this

NOT_YET_VALID: Final = 9  # X509_V_ERR_* of OpenSSL's x509_vfy.h
EXPIRED: Final = 10
UNKNOWN_ISSUERS: Final = (2, 18, 19, 20, 21)
WRONG_NAMES: Final = (62, 64)
_UNKNOWN_ISSUER: Final = "its certificate comes from no root that we trust: ca_file must name that root"
_WRONG_NAME: Final = "its certificate is for another name than the one in the URL"
_VERIFY: Final[Mapping[int, str]] = {
    NOT_YET_VALID: "its certificate is not valid yet",
    EXPIRED: "its certificate has expired",
    **dict.fromkeys(UNKNOWN_ISSUERS, _UNKNOWN_ISSUER),
    **dict.fromkeys(WRONG_NAMES, _WRONG_NAME),
}
_PLAIN: Final = "it does not speak TLS on that port: is the port right, or is the scheme to be the one without s?"
_OLD: Final = "it speaks no version of TLS that we allow (1.2 and later)"
_REFUSED: Final = "it refuses our certificate: cert_file must name one that it accepts"
_REASON: Final[Mapping[str, str]] = {
    "WRONG_VERSION_NUMBER": _PLAIN,
    "HTTP_REQUEST": _PLAIN,
    "PACKET_LENGTH_TOO_LONG": _PLAIN,
    "UNSUPPORTED_PROTOCOL": _OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it found no common way to encrypt, or wants a certificate of ours (cert_file)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours: set cert_file and key_file",
    "TLSV1_ALERT_UNKNOWN_CA": _REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": _REFUSED,
    "TLSV1_UNRECOGNIZED_NAME": "it serves no such name as the one in the URL",
    "UNEXPECTED_EOF_WHILE_READING": "it ended the connection in the middle of the handshake",
}

# What Python offers, and the two suites beside it that OCPP wants of a server with an RSA key (Part 2, A00).
CIPHERS: Final = (
    "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384"
)
# TLS 1.0 and 1.1 sign with SHA-1, which OpenSSL 3 allows at level 0 only; the last two are what OCPP 1.6 security has
# for stations that know nothing else (its A00.FR.318).
_OLD_CIPHERS: Final = (
    "@SECLEVEL=0:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!AESCCM:"
    "AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA:AES256-SHA"
)
OLD: Final = frozenset({"1.0", "1.1"})  # of min_tls: less than OCPP allows (A00.FR.313, FR.416)
_VERSIONS: Final = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_MISMATCHES: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})


def client_context(section: str, *, ca_file: str = "", cert_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """What a client of ours trusts and shows: TLS 1.2 or later, the host's name checked.

    ``section`` is where the three keys stand ("csms"). Empty ``ca_file``: the system's roots; empty ``cert_file``: no
    certificate is shown. Raises ConfigurationError whose faults name the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # A00.FR.313
    _bear_own_authorities(context)
    if ca_file:
        trust(context, f"{section}.ca_file", ca_file)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if cert_file:
        load_chain(context, section, cert_file, key_file)
    return context


def origins_context(ca_file: str) -> Tls:
    """What gives the context for origins of firmware, the same each time.

    A ``ca_file`` is read at once, so that what is wrong with it shows; the system's roots, many, when the first origin
    is asked: a start must be quick. Raises ConfigurationError whose faults name the key.
    """
    make = cache(partial(client_context, "firmware", ca_file=ca_file))
    if ca_file:
        make()
    return make


def server_context(section: str, cert_file: str, key_file: str) -> ssl.SSLContext:
    """What a listener of ours shows: TLS 1.2 or later, OCPP's cipher suites, nothing asked of the client.

    ``section`` is where the two keys stand ("publish.https"). ``load_chain`` gives the context another certificate,
    for the connections that come then. Raises ConfigurationError whose faults name the key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A client cannot make us write what we hold back in the middle of a transfer, nor compute for nothing.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    load_chain(context, section, cert_file, key_file)
    return context


def station_context(wss: StationsWss) -> ssl.SSLContext:
    """What stations are shown, and whose certificates they must show (A00.FR.318, FR.403, FR.421).

    With two pairs OpenSSL takes the one that the station can use. ``load_chain`` and ``trust`` give the context in use
    others. Raises ConfigurationError whose faults name the key.
    """
    context = server_context("stations.wss", wss.cert_file, wss.key_file)
    if wss.rsa_cert_file:
        load_chain(context, "stations.wss", wss.rsa_cert_file, wss.rsa_key_file, "rsa_")
        if rsa_of(wss.rsa_cert_file) is False:
            raise _fault("stations.wss.rsa_cert_file", wss.rsa_cert_file, "is no RSA certificate; allowed: one")
        if rsa_of(wss.cert_file):  # the second would have taken the place of the first
            raise _fault("stations.wss.cert_file", wss.cert_file, "is RSA too; allowed: EC beside rsa_cert_file")
    with warnings.catch_warnings():  # Python warns of old versions; we do so ourselves (renewal)
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[wss.min_tls]
    if wss.min_tls in OLD:
        context.set_ciphers(_OLD_CIPHERS)
    if wss.client_ca_file:
        _bear_own_authorities(context)
        trust(context, "stations.wss.client_ca_file", wss.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED  # A00.FR.407
    return context


def load_chain(context: ssl.SSLContext, section: str, cert_file: str, key_file: str, kind: str = "") -> None:
    """Show this certificate from now on; on a context in use too. Raises ConfigurationError whose faults name the key.

    ``kind`` begins the names of its keys ("rsa_"). A pair that does not load may leave the context without one: try it
    on another context first.
    """
    cert_key, key_key = f"{section}.{kind}cert_file", f"{section}.{kind}key_file"
    read_pem(cert_key, cert_file)
    read_pem(key_key, key_file, kind=b"PRIVATE KEY-----")
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except _Encrypted:
        raise _fault(key_key, key_file, "is encrypted; allowed: a key without a passphrase") from None
    except ssl.SSLError as fault:  # both files were readable a moment ago
        if fault.reason in _MISMATCHES:
            line = f"is not the key of {cert_key}; allowed: the key that the certificate was made with"
            raise _fault(key_key, key_file, line) from None
        raise _fault(cert_key, cert_file, f"or {key_file} is damaged ({fault.reason})") from None


def trust(context: ssl.SSLContext, key: str, path: str) -> None:
    """Trust the certificates of this file too, from now on; raises ConfigurationError whose fault names ``key``."""
    read_pem(key, path)
    try:
        context.load_verify_locations(path)
    except OSError:
        raise _fault(key, path, "holds a damaged certificate") from None


def rsa_of(cert_file: str) -> bool | None:
    """Whether a certificate that has loaded is RSA; None where only OpenSSL understands it."""
    try:
        return is_rsa(Path(cert_file).read_bytes())
    except (OSError, ValueError):
        return None


def read_pem(key: str, path: str, kind: bytes = b"CERTIFICATE-----") -> bytes:
    """The PEM file that ``key`` names; raises ConfigurationError where it cannot be read or holds no ``kind``."""
    try:
        content = Path(path).read_bytes()
    except OSError as fault:
        raise _fault(key, path, f"cannot be read: {fault.strerror}") from None
    if kind not in content:
        what = "certificate" if kind.startswith(b"CERT") else "private key"
        raise _fault(key, path, f"holds no {what} in PEM form")
    return content


def explain(error: ssl.SSLError, now: float) -> str:
    """Why the handshake with a peer failed, for the log; ``now`` is this machine's clock in Unix seconds."""
    plain = " ".join(str(part) for part in error.args)  # an error that OpenSSL did not raise has no other fields
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = getattr(error, "reason", None) or plain
        return _REASON.get(reason, f"TLS failed: {reason}")
    code = getattr(error, "verify_code", 0)
    words = _VERIFY.get(code, f"its certificate cannot be verified: {getattr(error, 'verify_message', plain)}")
    if code in {NOT_YET_VALID, EXPIRED} or now < SANE_CLOCK:
        clock = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M")
        words += f"; is this machine's clock right? it says {clock} UTC"
    return words


def _bear_own_authorities(context: ssl.SSLContext) -> None:
    """A site's own authority seldom has all the extensions of RFC 5280; what a file names is trusted, root or not."""
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


class _Encrypted(Exception):
    """The key file asks for a passphrase."""


def _no_passphrase() -> str:
    """Asked only for an encrypted key: OpenSSL would ask on the terminal, where a daemon has none."""
    raise _Encrypted


def _fault(key: str, path: str, what: str) -> ConfigurationError:
    return ConfigurationError((f'{key}: "{path}" {what}',))
