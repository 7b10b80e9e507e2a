"""Listeners: whether their addresses are free, or held by whom they should be."""

import errno
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from localctl.checking.holders import SOCKET_UNIT, Handed, processes_on
from localctl.checking.running import Running
from localctl.checking.verdict import Check
from localctl.networks import is_loopback
from localctl.values import Address

_PRIVILEGED: Final = 1024
_HANDED: Final = (
    f"Have systemd hand it over (systemctl enable --now {SOCKET_UNIT} has 21, 80, 443 and 8887; for another port add "
    f"ListenStream= to it, systemctl edit {SOCKET_UNIT}), give the service AmbientCapabilities=CAP_NET_BIND_SERVICE, "
    "or choose a port above 1023."
)
_NONE: Final = Handed()
_TAKEN: Final = "Stop what listens there (ss -ltnp shows it to root), or choose another port."
_BIND: Final[Mapping[int | None, tuple[str, str]]] = {
    errno.EACCES: ("needs a right that this user does not have", _HANDED),
    errno.EADDRNOTAVAIL: ("is no address of this machine", "Choose one of its own, or 0.0.0.0 for all (ip address)."),
}


def address_free(key: str, address: Address, running: Running | None = None, handed: Handed = _NONE) -> Check:
    """Whether the listener under ``key`` has the address, or could be bound there. ``running`` is the daemon;
    ``handed`` are the ports that systemd has for it.
    """
    what = f"{key}: {address}"
    bound = running.listeners.get(key.removesuffix(".listen"), "") if running else ""
    if bound and address.port in {0, int(bound.rpartition(":")[2])}:
        return _open_to_network(key, address) or Check("ok", f"{what} is in use by localctl, which is running")
    try:
        _bind(address)
    except socket.gaierror as fault:
        return Check("FAIL", f"{what} has no known host: {fault.strerror}", "Write an IP address instead.")
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            return _in_use(what, address.port, handed.ports if handed.held else _NONE.ports)
        words, advice = _BIND.get(fault.errno, (f"cannot be bound: {fault.strerror}", "Choose another address."))
        return Check("FAIL", f"{what} {words}", advice)
    if 0 < address.port < _first_for_all() and os.geteuid() == 0:
        return _for_root_alone(what, address.port, handed.ports)
    return _open_to_network(key, address) or Check("ok", f"{what} is free")


def _for_root_alone(what: str, port: int, handed: frozenset[int]) -> Check:
    if port in handed:
        return Check("ok", f"{what} is free; systemd ({SOCKET_UNIT}) hands it over when localctl starts")
    return Check("warn", f"{what} is free for root; localctl's own user may not use it", _HANDED)


def _bind(address: Address) -> None:
    """Bind there and let go. Raises OSError."""
    for family, kind, _, _, target in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listeners do
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(target)


def _in_use(what: str, port: int, handed: frozenset[int]) -> Check:
    if port in handed:
        return Check("ok", f"{what} is held by systemd ({SOCKET_UNIT}), which hands it over to localctl")
    by = processes_on(port)
    return Check("FAIL", f"{what} is in use" + (f" by {', '.join(by)}" if by else ""), _TAKEN)


def _open_to_network(key: str, address: Address) -> Check | None:
    if key != "admin.listen" or is_loopback(address.host):
        return None
    advice = "Its password crosses the network unencrypted: 127.0.0.1 and an SSH tunnel are the better way."
    return Check("warn", f"{key}: {address} is open to the network", advice)


def _first_for_all() -> int:
    """The first port that needs no right (ip-sysctl)."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return _PRIVILEGED
