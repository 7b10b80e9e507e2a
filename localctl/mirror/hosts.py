"""Which origins may be asked. Rules: no I/O.

``[firmware] allowed_origins`` are globs of host names and addresses. Empty: any host but loopback and link-local ones.
The name is checked before it is resolved, and every address that it resolves to before it is connected to: a name
cannot lead where it must not (a loopback address is reached only where a glob names it, or names localhost). Addresses
are read in their one ordinary spelling; 2130706433, 127.1 or 0x7f.0.0.1, which the operating system would read as well,
are no host at all.
"""

import re
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_NUMBER: Final = re.compile(
    r"[0-9]+|0x[0-9a-f]*"
)  # a last label such as this makes a host an address (WHATWG URL, 3.5)
_Address = IPv4Address | IPv6Address


def host_allowed(host: str, globs: tuple[str, ...]) -> bool:
    """Whether ``host``, a name or an address as a URL has it, may be asked."""
    host = host.lower().rstrip(".")
    address = _parse(host)
    if address is not None:
        return (not globs or _matches(str(address), globs)) and address_allowed(host, globs)
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        return False
    if globs:
        return _matches(host, globs)
    return host != "localhost" and not host.endswith(".localhost")


def address_allowed(text: str, globs: tuple[str, ...]) -> bool:
    """Whether the address ``text`` may be connected to, for a host that is allowed."""
    address = _parse(text)
    if address is None:
        return False
    if not _is_inward(address) or _matches(str(address), globs):
        return True
    return address.is_loopback and _matches("localhost", tuple(glob for glob in globs if "*" not in glob))


def _parse(text: str) -> _Address | None:
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_inward(address: _Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _matches(host: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(host, glob.lower().rstrip(".")) for glob in globs)
