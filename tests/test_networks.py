"""The networks that stations may be in: what is read, what is refused, and who is within."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.networks import is_address, is_loopback, is_within, parse_network, plain_address


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.168.1.0/24", "192.168.1.0/24"),
        ("192.168.1.5", "192.168.1.5/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("FD00::/8", "fd00::/8"),
        ("fd00::5", "fd00::5/128"),
        ("::/0", "::/0"),
    ],
)
def test_networks_and_single_addresses_are_read(text: str, network: str) -> None:
    """Of both families; an address alone is a network of one."""
    assert parse_network(text) == ip_network(network)
    assert parse_network(ip_network(network)) == ip_network(network)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("", "is not a network"),
        ("the LAN", "is not a network"),
        ("10/8", "is not a network"),
        ("10.0.0.0/", "is not a network"),
        ("10.0.0.0/33", "is not a network"),
        ("10.0.0.0/255.0.0.0", "is not a network"),
        ("10.0.0.0/0.255.255.255", "is not a network"),
        ("fe80::1%eth0", "is not a network"),
        (" 10.0.0.1", "is not a network"),
        (10, "is not text in quotes"),
        (None, "is not text in quotes"),
        ("192.168.1.5/24", 'did you mean "192.168.1.0/24", that whole network, or "192.168.1.5", that one address'),
        ("fd00::5/64", 'did you mean "fd00::/64", that whole network, or "fd00::5", that one address'),
        ("::ffff:10.0.0.0/104", 'did you mean "10.0.0.0/8"'),
        ("::ffff:10.0.0.1", 'did you mean "10.0.0.1/32"'),
    ],
)
def test_anything_else_is_refused_with_what_was_meant(value: object, what: str) -> None:
    """A list that says who is served must not be guessed at."""
    with pytest.raises(ValueError, match=what):
        parse_network(value)


def test_who_is_within() -> None:
    """IPv4 is IPv4 also through an IPv6 listener, and a link-local address is one on any interface."""
    networks = [parse_network(text) for text in ("192.168.1.0/24", "10.0.0.1", "fd00::/8", "fe80::/16")]
    inside = ("192.168.1.7", "::ffff:192.168.1.7", "10.0.0.1", "fd00::1", "fe80::1%eth0")
    outside = ("192.168.2.7", "::ffff:192.168.2.7", "10.0.0.2", "fe81::1", "::1", "", "unix:")
    assert [peer for peer in (*inside, *outside) if is_within(peer, networks)] == [*inside]
    assert not any(is_within(peer, []) for peer in inside)


def test_an_address_is_told_in_one_form() -> None:
    """So that one machine is one address, whatever it came through."""
    assert plain_address("::ffff:10.0.0.1") == "10.0.0.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("FD00::1") == "fd00::1"
    assert plain_address("nobody") == "nobody"


@given(number=st.integers(0, 2**32 - 1), bits=st.integers(0, 32))
def test_every_address_is_in_its_own_networks(number: int, bits: int) -> None:
    """Whatever its length, a network holds the addresses that begin as it does."""
    address = str(ip_address(number))
    network = ip_network((number, bits), strict=False)
    assert is_within(address, [parse_network(str(network))])
    assert is_within(f"::ffff:{address}", [parse_network(str(network))])


@pytest.mark.parametrize(
    ("host", "address", "loopback"),
    [("127.0.0.2", True, True), ("::1", True, True), ("10.0.0.1", True, False), ("localhost", False, True),
     ("gateway.lan", False, False), ("0.0.0.0", True, False)],
)  # fmt: skip
def test_hosts(host: str, address: bool, loopback: bool) -> None:  # noqa: FBT001  a parameter of the test
    """Addresses and names, this machine's own and others."""
    assert (is_address(host), is_loopback(host)) == (address, loopback)
