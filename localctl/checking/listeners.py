"""Listeners: whether their addresses are free, and whether stations find what is served there."""

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from localctl.checking.verdict import Check
from localctl.config import Config
from localctl.lan import interface_addresses, published_host
from localctl.networks import Networks, is_address, is_loopback, is_within
from localctl.values import WILDCARDS, Address

_PRIVILEGED: Final = 1024
_LOW_PORT: Final = (
    "Choose a port above 1023, or let the service have this one: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit."
)
_TAKEN: Final = (
    "Does localctl run already (systemctl status localctl)? Else stop what listens there (ss -ltnp), "
    "or choose another port."
)
_BIND: Final[Mapping[int | None, tuple[str, str]]] = {
    errno.EADDRINUSE: ("is in use", _TAKEN),
    errno.EACCES: ("needs a right that this user does not have", _LOW_PORT),
    errno.EADDRNOTAVAIL: ("is no address of this machine", "Choose one of its own, or 0.0.0.0 for all (ip address)."),
}


def address_free(key: str, address: Address) -> Check:
    """Whether the listener under ``key`` could be bound there."""
    what = f"{key}: {address}"
    try:
        for family, kind, _, _, target in socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listeners do
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(target)
    except socket.gaierror as fault:
        return Check("FAIL", f"{what} has no known host: {fault.strerror}", "Write an IP address instead.")
    except OSError as fault:
        words, advice = _BIND.get(fault.errno, (f"cannot be bound: {fault.strerror}", "Choose another address."))
        return Check("FAIL", f"{what} {words}", advice)
    if 0 < address.port < _PRIVILEGED and os.geteuid() == 0:
        return Check("warn", f"{what} is free for root; localctl's own user may not use it", _LOW_PORT)
    if key == "admin.listen" and not is_loopback(address.host):
        advice = "Its password crosses the network unencrypted: 127.0.0.1 and an SSH tunnel are the better way."
        return Check("warn", f"{what} is free, and open to the network", advice)
    return Check("ok", f"{what} is free")


def served(config: Config) -> Iterator[Check]:
    """Whether stations can connect and fetch, and by which address."""
    listeners = {key: address for key, address in config.listeners().items() if key.startswith("publish.")}
    if not listeners:
        advice = "Add [publish.http] or [publish.ftp], or every PublishFirmware ends in PublishFailed."
        yield Check("warn", "publish: no firmware can be served to stations", advice)
    if not config.stations.ws and not config.stations.wss:
        yield Check("warn", "stations: no station can connect", "Add [stations.ws] or [stations.wss].")
    told = config.publish.host
    hosts = {published_host(told, address): not told and address.host in WILDCARDS for address in listeners.values()}
    yield from (_published(host, guessed=guessed) for host, guessed in hosts.items())
    if config.publish.allowed_networks:
        yield from _networks(config.publish.allowed_networks, hosts, listeners)


def _published(host: str, *, guessed: bool) -> Check:
    what = f"publish.host: stations are told {host}"
    advice = "Set publish.host to the address of this machine that stations can reach."
    if is_loopback(host):
        return Check("warn", f"{what}, where only this machine itself finds us", advice)
    others = [address for address in interface_addresses() if address != host]
    if guessed and others:
        return Check("warn", f"{what}, but this machine has other addresses too: {', '.join(others)}", advice)
    return Check("ok", what)


def _networks(allowed: Networks, hosts: Iterable[str], listeners: Mapping[str, Address]) -> Iterator[Check]:
    """What leaves out more than was meant: as a rule stations are in the network of the address that they are told."""
    versions = {network.version for network in allowed}
    wrong = [
        f"does not hold {host}, the address that stations are told"
        for host in hosts
        if is_address(host) and not is_within(host, allowed)
    ] + [
        f"leaves out all that can reach {key} ({address})"
        for key, address in listeners.items()
        if is_address(address.host) and address.host != "::" and ip_address(address.host).version not in versions
    ]
    what = f"publish.allowed_networks: {', '.join(str(network) for network in allowed)}"
    advice = "Add the network that stations are in, or leave the list empty."
    yield from (Check("warn", f"{what} {words}", advice) for words in wrong)
    if not wrong:
        yield Check("ok", f"{what} may fetch firmware")
