"""Which networks stations may fetch from (``publish.allowed_networks``), and which host is this machine alone. Rules:
text in, yes or no out.

IPv4 that comes through an IPv6 listener (``::ffff:192.0.2.7``) is IPv4: there is one way to write each network.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainSerializer

Network = IPv4Network | IPv6Network
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def parse_network(value: object) -> Network:
    """``ADDRESS/BITS``, or an address alone: of that one machine. Raises ValueError where it is neither."""
    if isinstance(value, Network):
        return value
    if not isinstance(value, str):
        raise ValueError("is not text in quotes")  # noqa: TRY004  pydantic turns only ValueError into a fault
    address, slash, bits = value.partition("/")
    if "%" in value or (slash and not bits.isdecimal()):
        raise ValueError("is not a network")
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("is not a network") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        meant = IPv4Network((_plain(network.network_address).packed, network.prefixlen - 96))
        raise ValueError(f'is IPv4 in the form of IPv6 (did you mean "{meant}"?)')
    if ip_address(address) != network.network_address:
        raise ValueError(
            f"has address bits behind the first {bits}"
            f' (did you mean "{network}", that whole network, or "{address}", that one address?)'
        )
    return network


def plain_address(peer: str) -> str:
    """The address of a peer as it is counted and told: IPv4 as IPv4, an IPv6 address without its interface."""
    try:
        return str(_plain(ip_address(peer)))
    except ValueError:
        return peer


def is_within(peer: str, networks: Sequence[Network]) -> bool:
    """Whether the address ``peer`` is in one of ``networks``; False for what is no address."""
    try:
        address = ip_address(plain_address(peer))
    except ValueError:
        return False
    return any(address in network for network in networks)


def is_address(host: str) -> bool:
    """Whether it is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine itself can reach that host."""
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(address.packed)  # without the interface of a link-local one


Networks = Annotated[
    tuple[Annotated[Network, BeforeValidator(parse_network), PlainSerializer(str, when_used="json")], ...],
    Field(description='a list of networks, such as ["192.168.1.0/24", "fd00::/8"], or of addresses; empty: any'),
]
