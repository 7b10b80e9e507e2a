"""Where stations find this machine when nobody says it: its address on the LAN."""

import fcntl
import socket
import struct
from array import array
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from localctl.values import WILDCARDS, Address

_LOOPBACK: Final = "127.0.0.1"
_ELSEWHERE: Final = ("203.0.113.1", 9)  # RFC 5737: nobody's. To connect a UDP socket sends nothing.
_SIOCGIFCONF: Final = 0x8912  # netdevice(7); netlink, which if_nameindex(3) takes, is not for us (systemd's sandbox)
_IFREQ: Final = 16 + max(16, struct.calcsize("LLH6B"))  # struct ifreq: a name, then the union of its largest
_MOST: Final = 64  # addresses


def published_host(configured: str, listen: Address) -> str:
    """The host in a listener's URIs: what ``publish.host`` says, else the one address it listens on, else the LAN's."""
    if configured:
        return configured
    return lan_address() if listen.host in WILDCARDS else listen.host


def lan_address() -> str:
    """This machine's address towards its default route, else that of its first interface, else 127.0.0.1."""
    return _towards_elsewhere() or next(iter(interface_addresses()), _LOOPBACK)


def interface_addresses() -> tuple[str, ...]:
    """The IPv4 address of each interface that a station could reach, in the order of the interfaces."""
    return tuple(str(address) for address in _addresses() if not (address.is_loopback or address.is_link_local))


def _towards_elsewhere() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:  # no route leads there
            return None
        host: str = probe.getsockname()[0]
    return None if IPv4Address(host).is_unspecified else host


def _addresses() -> Iterator[IPv4Address]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        room = array("B", bytes(_MOST * _IFREQ))
        count, _ = struct.unpack(
            "iP", fcntl.ioctl(probe, _SIOCGIFCONF, struct.pack("iP", len(room), room.buffer_info()[0]))
        )
        for at in range(0, count, _IFREQ):
            yield IPv4Address(room[at + 20 : at + 24].tobytes())  # name[16], then sockaddr_in: family, port, address
