"""The kinds of value that a configuration is made of. Rules: text in, a frozen value out, ValueError else.

What is allowed is said here once, in words for an installer, and printed by ``faults`` behind every fault.
"""

import re
from dataclasses import dataclass
from datetime import time
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  hosts that mean every address of this machine
_UNITS: Final = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE: Final = re.compile(r"([0-9]{1,18})\s*([A-Za-z]*)")
_IDENTITY: Final = re.compile(r"[^:/\s\x00-\x1f\x7f]{1,48}")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PORTS: Final = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_WINDOW: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_SERIAL: Final = 64  # of a CN (RFC 5280, ub-common-name)
_HOST: Final = re.compile(  # no label is empty, or above 63 characters: no resolver takes that (RFC 1035, 2.3.4)
    r"(?=[A-Za-z0-9])(?!.{254})[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*(?<=[A-Za-z0-9])"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener binds: ``host`` as given (no brackets), ``port`` 0 for any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Window:
    """A time of each day, local: from ``begin`` up to ``end``, across midnight where that is the earlier one."""

    begin: time
    end: time

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


def parse_address(value: object) -> Address:
    """``HOST:PORT`` or ``[IPV6]:PORT``."""
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise ValueError("is not text in quotes")  # noqa: TRY004  pydantic turns only ValueError into a fault
    host, colon, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed):
        raise ValueError("is not HOST:PORT")
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError("does not end in a port from 0 to 65535")
    if bracketed:
        return Address(_ipv6(host[1:-1]), int(port))
    if not _HOST.fullmatch(host):
        raise ValueError("does not begin with a host name or an IP address (0.0.0.0 for all addresses)")
    return Address(host, int(port))


def _ipv6(host: str) -> str:
    try:
        return str(IPv6Address(host))
    except ValueError:
        raise ValueError("has no IPv6 address in its brackets") from None


def parse_optional_address(value: object) -> Address | None:
    """As parse_address; empty is None."""
    return None if value is None or value == "" else parse_address(value)


def parse_size(value: object) -> int:
    """A number of bytes, or text such as ``2GiB``."""
    if isinstance(value, bool):
        raise ValueError("is not a size")  # noqa: TRY004
    if isinstance(value, int):
        if value < 0:
            raise ValueError("is negative")
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in _UNITS:
        raise ValueError("is not a size")
    return int(match[1]) * _UNITS[match[2]]


def parse_ports(value: object) -> range | None:
    """``FIRST-LAST``; empty is None: any free port."""
    if value is None or isinstance(value, range):
        return value
    if value == "":
        return None
    match = _PORTS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not FIRST-LAST")
    first, last = int(match[1]), int(match[2])
    if not 0 < first <= last <= 65535:
        raise ValueError("is not a range of ports from 1 to 65535, the lower one first")
    return range(first, last + 1)


def parse_window(value: object) -> Window | None:
    """``HH:MM-HH:MM``; empty is None: any time."""
    if value is None or isinstance(value, Window):
        return value
    if value == "":
        return None
    match = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not HH:MM-HH:MM, from 00:00 to 23:59")
    window = Window(time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4])))
    if window.begin == window.end:
        raise ValueError("ends when it begins")
    return window


def check_identity(value: str) -> str:
    """Part 1 §8.3: the controller's own identity."""
    if not _IDENTITY.fullmatch(value):
        raise ValueError("is not an identity")
    return value


def check_csms_url(value: str) -> str:
    """A WebSocket URL without user, query or fragment; its scheme in lower case, without a slash at its end."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as fault:
        raise ValueError("is not a URL") from fault
    if parts.username is not None or parts.password is not None:
        raise ValueError("carries a user or password (the password belongs in basic_auth_password)")
    if parts.scheme not in {"ws", "wss"} or not parts.hostname or port == 0:
        raise ValueError("is not a WebSocket URL")
    if parts.query or parts.fragment or not value.isprintable() or " " in value:
        raise ValueError("carries a query, a fragment or a space")
    return f"{parts.scheme}{value[len(parts.scheme) :]}".rstrip("/")


def check_published_host(value: str) -> str:
    """A host that stations can reach: a name or an address, without port or brackets; empty is allowed."""
    try:
        unspecified = ip_address(value).is_unspecified
    except ValueError:
        if value and not _HOST.fullmatch(value):
            raise ValueError("is not a host alone (no scheme, port, path or brackets)") from None
        return value
    if unspecified:
        raise ValueError("is no address that a station can reach")
    return value


def check_path(value: str) -> str:
    """The path of a file, or empty."""
    if not value.isprintable():
        raise ValueError("is not a path")
    return value


def check_versions(value: tuple[str, ...]) -> tuple[str, ...]:
    """Versions of OCPP, each once: they become one header of the handshake (RFC 6455, 4.1)."""
    if len(set(value)) < len(value):
        raise ValueError("names a version twice")
    return value


def check_serials(value: dict[str, str]) -> dict[str, str]:
    """Serial numbers by identity; OCPP's identities ignore case."""
    if len({identity.casefold() for identity in value}) < len(value):
        raise ValueError("names an identity twice")
    if not all(identity and 0 < len(serial) <= _SERIAL for identity, serial in value.items()):
        raise ValueError("has an identity or a serial number that is empty or too long")
    return value


def _as_written(value: Address | Window | range | None) -> str:
    if isinstance(value, range):
        return f"{value.start}-{value.stop - 1}"
    return "" if value is None else str(value)


_AS_WRITTEN: Final = PlainSerializer(_as_written, when_used="json")
OcppVersion = Literal["2.1", "2.0.1", "1.6"]
Versions = Annotated[tuple[OcppVersion, ...], Field(min_length=1), AfterValidator(check_versions)]
Serials = Annotated[
    dict[str, str],
    AfterValidator(check_serials),
    Field(description='a table of serial numbers by identity: { "CS-1" = "SN-42" }, each 1 to 64 characters'),
]
Identity = Annotated[str, AfterValidator(check_identity), Field(description='1 to 48 characters, no ":", "/" or space')]
CsmsUrl = Annotated[str, AfterValidator(check_csms_url), Field(description='"ws://HOST[:PORT][/PATH]" or "wss://…"')]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False, description="a number of seconds, 0 or more")]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a number of seconds above 0")]
Count = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]
PositiveCount = Annotated[int, Field(ge=1, description="a whole number, 1 or more")]
Size = Annotated[
    int, BeforeValidator(parse_size), Field(description='bytes, or text such as "512KiB", "256MiB", "2GiB"')
]
PositiveSize = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=1, description='bytes above 0, or text such as "512KiB", "256MiB", "2GiB"'),
]
Listen = Annotated[
    Address,
    BeforeValidator(parse_address),
    _AS_WRITTEN,
    Field(description='"HOST:PORT", such as "0.0.0.0:8080" or "[::]:8080"; port 0 for any free one'),
]
OptionalListen = Annotated[
    Address | None,
    BeforeValidator(parse_optional_address),
    _AS_WRITTEN,
    Field(description='"HOST:PORT", such as "127.0.0.1:9188"; empty for none'),
]
Ports = Annotated[
    range | None,
    BeforeValidator(parse_ports),
    _AS_WRITTEN,
    Field(description='"FIRST-LAST", such as "50000-50199"; empty for any free port'),
]
DownloadWindow = Annotated[
    Window | None,
    BeforeValidator(parse_window),
    _AS_WRITTEN,
    Field(description='"HH:MM-HH:MM", local time, such as "01:00-05:00" or "22:00-04:30"; empty for any time'),
]
PublishedHost = Annotated[
    str, AfterValidator(check_published_host), Field(description="a host name or an IP address, or empty")
]
FilePath = Annotated[str, AfterValidator(check_path), Field(description="the path of a readable file, or empty")]
RequiredPath = Annotated[
    str, AfterValidator(check_path), Field(min_length=1, description="the path of a readable file")
]
