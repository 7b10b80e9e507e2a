"""This machine's address on the LAN, on this machine and on ones that a network namespace makes up."""

import subprocess
import sys
from ipaddress import IPv4Address

import pytest

from localctl.lan import interface_addresses, lan_address, published_host
from localctl.values import Address

ASK = "from localctl.lan import interface_addresses, lan_address; print(lan_address(), *interface_addresses())"


def on_a_machine(setting_up: str) -> str:
    """What is found on a machine whose network is made by the commands ``setting_up``."""
    script = f'set -e; ip link set lo up; {setting_up} exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", script, sys.executable, ASK],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_machine_without_a_network_has_loopback() -> None:
    """The daemon starts without a network; what it publishes meanwhile is for itself alone."""
    assert on_a_machine("") == "127.0.0.1"


def test_machine_without_a_default_route_has_its_interface() -> None:
    """A LAN without a way out is still the LAN; loopback and link-local addresses are no choice."""
    interfaces = (
        "ip link add lan0 type bridge; ip addr add 169.254.7.7/16 dev lan0; ip link set lan0 up;"
        "ip link add lan1 type bridge; ip addr add 10.1.2.3/24 dev lan1; ip link set lan1 up;"
    )
    assert on_a_machine(interfaces) == "10.1.2.3 10.1.2.3"


def test_default_route_decides_between_interfaces() -> None:
    """Of several interfaces the one towards the default route is taken."""
    interfaces = (
        "ip link add lan0 type bridge; ip addr add 10.1.2.3/24 dev lan0; ip link set lan0 up;"
        "ip link add lan1 type bridge; ip addr add 10.9.8.7/24 dev lan1; ip link set lan1 up;"
        "ip route add default via 10.9.8.1;"
    )
    assert on_a_machine(interfaces) == "10.9.8.7 10.1.2.3 10.9.8.7"


def test_this_machine_has_an_address() -> None:
    """Wherever the tests run, an address is found, and those of the interfaces can be bound by others."""
    assert not IPv4Address(lan_address()).is_unspecified
    assert not [host for host in interface_addresses() if IPv4Address(host).is_loopback]


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:8080", "gateway:8080"])
def test_configured_host_is_published(listen: str) -> None:
    """publish.host goes before everything."""
    assert published_host("10.0.0.1", address(listen)) == "10.0.0.1"


@pytest.mark.parametrize(
    ("listen", "host"), [("127.0.0.1:8080", "127.0.0.1"), ("[::1]:80", "::1"), ("gateway:80", "gateway")]
)
def test_listener_of_one_address_publishes_it(listen: str, host: str) -> None:
    """No other address of this machine would answer."""
    assert published_host("", address(listen)) == host


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080"])
def test_listener_of_every_address_publishes_the_lan_address(listen: str) -> None:
    """The wildcard is no address that a station could ask."""
    assert published_host("", address(listen)) == lan_address()


def address(text: str) -> Address:
    """The address that a file would say as ``text``."""
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))
