"""What stations are told: that they can connect and fetch, and by which address. Edge."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from localctl.checking.names import covers, shown
from localctl.checking.patience import within
from localctl.checking.verdict import Check
from localctl.config import Config
from localctl.lan import interface_addresses, published_host
from localctl.networks import Networks, is_address, is_loopback, is_within
from localctl.values import WILDCARDS, Address

_RESOLVE_SECONDS: Final = 3
_HOST_ADVICE: Final = "Set publish.host to the address of this machine that stations can reach."


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
    yield from _covered(config)
    if config.publish.allowed_networks:
        yield from _networks(config.publish.allowed_networks, hosts, listeners)


def _published(host: str, *, guessed: bool) -> Check:
    what = f"publish.host: stations are told {host}"
    if is_loopback(host):
        return Check("warn", f"{what}, where only this machine itself finds us", _HOST_ADVICE)
    others = [address for address in interface_addresses() if address != host]
    if guessed and others:
        return Check("warn", f"{what}, but this machine has other addresses too: {', '.join(others)}", _HOST_ADVICE)
    if is_address(host) and not _is_ours(host):
        return Check("warn", f"{what}, which is no address of this machine", _HOST_ADVICE)
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


def _is_ours(host: str) -> bool:
    """Whether that address is one of this machine's."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _covered(config: Config) -> Iterator[Check]:
    """Whether the certificate of [publish.https] is for the host that its URIs carry."""
    if https := config.publish.https:
        host = published_host(config.publish.host, https.listen)
        try:
            whose = shown(Path(https.cert_file).read_bytes())
        except OSError:  # told already
            return
        if whose and not covers(whose.names, host):
            what = f"publish.https.cert_file: it is for {whose.whose}, and stations are told {host}"
            yield Check("warn", what, "Have one issued for that host, or set publish.host to a name that it has.")


def resolves(config: Config) -> Iterator[Check]:
    """Whether a name in ``publish.host`` leads to this machine, as far as this machine knows."""
    host = config.publish.host
    if not host or is_address(host):
        return
    what = f"publish.host: stations are told {host}"
    try:
        found = within(_RESOLVE_SECONDS, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        advice = "Do stations have a DNS that does? Many have none: an IP address always works."
        yield Check("warn", f"{what}, which does not resolve here", advice)
        return
    elsewhere = [str(info[4][0]) for info in found if not _is_ours(str(info[4][0]))]
    if elsewhere:
        yield Check("warn", f"{what}, which leads to {', '.join(elsewhere)}, not to this machine", _HOST_ADVICE)
