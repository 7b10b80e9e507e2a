"""Whether a PublishFirmware can be taken on, by what it says. Rules: no I/O.

What only the network can tell (a name that resolves to a refused address, a redirect there) is found by the download.
"""

from typing import Final
from urllib.parse import urlsplit, urlunsplit

from localctl.mirror.hosts import host_allowed
from localctl.store.names import is_checksum

SCHEMES: Final = ("http", "https", "ftp", "ftps")
Refusal = tuple[str, str]  # the reason code of a statusInfo (at most 20 characters), and what is wrong


def refusal(location: str, checksum: str, allowed_origins: tuple[str, ...]) -> Refusal | None:
    """Why the request is Rejected, or None where nothing speaks against it."""
    if not is_checksum(checksum):
        return "InvalidValue", "checksum is not an MD5: 32 hexadecimal digits"
    wrong = _fault_of(location, allowed_origins)
    return ("InvalidURL", wrong) if wrong else None


def redacted(location: str) -> str:
    """The location without user, password and query: fit for a log."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "(not a URL)"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def _fault_of(location: str, allowed_origins: tuple[str, ...]) -> str:
    if not location.isascii() or not location.isprintable() or " " in location:
        return "location has characters that a URL must percent-encode"
    try:
        parts = urlsplit(location)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "location is not a URL"
    if parts.scheme.lower() not in SCHEMES:
        return f"location's scheme is none of {', '.join(SCHEMES)}"
    if not host or port == 0:
        return "location names no host"
    if not host_allowed(host, allowed_origins):
        return "location's host is not among the allowed origins"
    return ""
