"""What ``localctl check`` tries against the real machine: one line a thing, and what to do about it.

``ok`` is as it should be, ``warn`` works but not as well as it could, ``FAIL`` keeps localctl from its work. Nothing is
left behind: no folder is made, no address stays bound.
"""

import errno
import os
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from localctl.certificate import Validity, validities
from localctl.config import Config
from localctl.errors import ConfigurationError
from localctl.lan import interface_addresses, published_host
from localctl.networks import Networks, is_within
from localctl.tls import SANE_CLOCK, client_context, explain, read_pem, server_context
from localctl.values import WILDCARDS, Address

_SOON_SECONDS: Final = 30 * 86400
_PRIVILEGED: Final = 1024
_LOW_PORT: Final = (
    "Choose a port above 1023, or let the service have this one: AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit."
)
_PEM_ADVICE: Final = "Put a PEM file there that localctl's user may read."
_TAKEN: Final = (
    "Does localctl run already (systemctl status localctl)? Else stop what listens there (ss -ltnp), "
    "or choose another port."
)
_BIND: Final[Mapping[int | None, tuple[str, str]]] = {
    errno.EADDRINUSE: ("is in use", _TAKEN),
    errno.EACCES: ("needs a right that this user does not have", _LOW_PORT),
    errno.EADDRNOTAVAIL: ("is no address of this machine", "Choose one of its own, or 0.0.0.0 for all (ip address)."),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried; ``advice`` is empty where there is nothing to do."""

    verdict: Literal["ok", "warn", "FAIL"]
    what: str
    advice: str = ""


def run_checks(config: Config, *, offline: bool, clock: Callable[[], float] = time.time) -> Iterator[Check]:
    """Try what ``config`` names, in the order of its sections; ``offline`` leaves out what needs the network.

    ``clock`` tells Unix seconds.
    """
    yield _clock(clock())
    yield from _state(config)
    yield from _credentials(config)
    csms = config.csms
    yield from _certificates("csms", clock(), ca_file=csms.ca_file, cert_file=csms.cert_file, key_file=csms.key_file)
    yield from _certificates("firmware", clock(), ca_file=config.firmware.ca_file)
    if https := config.publish.https:
        yield from _served_with("publish.https", https.cert_file, https.key_file, clock())
    if (ftp := config.publish.ftp) and ftp.cert_file:
        yield from _served_with("publish.ftp", ftp.cert_file, ftp.key_file, clock())
    for key, address in config.listeners().items():
        yield _address(key, address)
    yield from _served(config)
    if not offline:
        yield from _csms(config, clock)


def _clock(now: float) -> Check:
    if now >= SANE_CLOCK:
        return Check("ok", f"clock: {_day(now)}")
    advice = "Set it (timedatectl set-ntp true): with a wrong date every certificate is refused."
    return Check("warn", f"clock: {_day(now)} cannot be right", advice)


def _state(config: Config) -> Iterator[Check]:
    path = Path(config.controller.state_dir)
    what = f"controller.state_dir: {path}"
    try:
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        if nearest == path:
            tempfile.TemporaryFile(dir=path).close()
        elif not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"does not exist, and {nearest} may not be written to")
        usage = shutil.disk_usage(nearest)
    except OSError as fault:
        advice = f"It must be a folder that localctl's user may write to (install -d -o localctl {path})."
        yield Check("FAIL", f"{what}: {fault.strerror}", advice)
        return
    yield Check("ok", f"{what} is writable" if nearest == path else f"{what} can be made")
    room = usage.free - config.firmware.min_free_space
    if room <= 0:
        kept = f"firmware.min_free_space asks for {_size(config.firmware.min_free_space)}"
        advice = "Make room on the disk: until then no firmware is fetched; stations are relayed all the same."
        yield Check("FAIL", f"{what}: {_size(usage.free)} free, {kept}", advice)
    else:
        yield Check("ok", f"{what}: {_size(usage.free)} free, for files of up to {_size(room)} together")


def _credentials(config: Config) -> Iterator[Check]:
    csms = config.csms
    plain = csms.url.startswith("ws:")
    if plain and csms.basic_auth_password.get_secret_value():
        what = "csms.url: the password crosses the network unencrypted"
        yield Check("warn", what, 'Use "wss://" (security profile 2), or a VPN (profile 1).')
    if plain and (csms.ca_file or csms.cert_file):
        yield Check("warn", "csms.url: ws:// uses neither ca_file nor cert_file", 'Did you mean "wss://"?')
    if csms.url.rpartition("/")[2] == config.controller.identity:
        what = "csms.url: ends in controller.identity, and the identity is put behind it once more"
        yield Check("warn", what, "Leave it out of the URL, unless the CSMS really wants it twice.")
    path = Path(csms.basic_auth_password_file)
    if path.is_file() and path.stat().st_mode & 0o007:
        advice = f"Let only localctl's user read it (chmod 0640 {path})."
        yield Check("warn", f"csms.basic_auth_password_file: {path} can be read by everyone", advice)


def _served_with(section: str, cert_file: str, key_file: str, now: float) -> Iterator[Check]:
    """The certificate of a listener."""
    try:
        server_context(section, cert_file, key_file)
    except ConfigurationError as fault:
        yield from (Check("FAIL", line, _PEM_ADVICE) for line in fault.faults)
        return
    key = f"{section}.cert_file"
    yield _validity(f"{key}: {cert_file}", validities(read_pem(key, cert_file)), now, trusted=False)


def _certificates(section: str, now: float, **files: str) -> Iterator[Check]:
    try:
        client_context(section, **files)
    except ConfigurationError as fault:
        yield from (Check("FAIL", line, _PEM_ADVICE) for line in fault.faults)
        return
    for name in ("ca_file", "cert_file"):
        path = files.get(name)
        if path:
            key = f"{section}.{name}"
            found = validities(read_pem(key, path))
            yield _validity(f"{key}: {path}", found, now, trusted=name == "ca_file")


def _validity(what: str, found: tuple[Validity, ...], now: float, *, trusted: bool) -> Check:
    """Of roots one that is valid is enough; a chain is as good as the first that expires."""
    ends = (max if trusted else min)(validity.ends for validity in found)
    begins = (min if trusted else max)(validity.begins for validity in found)
    renew = "Ask whoever issued it for a new one."
    if begins > now:
        return Check("FAIL", f"{what} is not valid before {_day(begins)}", "Is this machine's clock right?")
    if ends <= now:
        return Check("FAIL", f"{what} expired on {_day(ends)}", renew)
    if ends <= now + _SOON_SECONDS:
        return Check("warn", f"{what} expires on {_day(ends)}, in {(ends - now) / 86400:.0f} days", renew)
    return Check("ok", f"{what} is valid until {_day(ends)}")


def _address(key: str, address: Address) -> Check:
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
    if key == "admin.listen" and not _is_loopback(address.host):
        advice = "It asks for no password: listen on 127.0.0.1, or keep others out by a firewall."
        return Check("warn", f"{what} is free, and open to the network", advice)
    return Check("ok", f"{what} is free")


def _served(config: Config) -> Iterator[Check]:
    listeners = {key: address for key, address in config.listeners().items() if key.startswith("publish.")}
    if not listeners:
        advice = "Add [publish.http] or [publish.ftp], or every PublishFirmware ends in PublishFailed."
        yield Check("warn", "publish: no firmware can be served to stations", advice)
    if not config.stations.ws and not config.stations.wss:
        yield Check("warn", "stations: no station can connect", "Add [stations.ws].")
    told = config.publish.host
    hosts = {published_host(told, address): not told and address.host in WILDCARDS for address in listeners.values()}
    yield from (_published(host, guessed=guessed) for host, guessed in hosts.items())
    if config.publish.allowed_networks:
        yield from _networks(config.publish.allowed_networks, hosts, listeners)


def _published(host: str, *, guessed: bool) -> Check:
    what = f"publish.host: stations are told {host}"
    advice = "Set publish.host to the address of this machine that stations can reach."
    if _is_loopback(host):
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
        if _is_address(host) and not is_within(host, allowed)
    ] + [
        f"leaves out all that can reach {key} ({address})"
        for key, address in listeners.items()
        if _is_address(address.host) and address.host != "::" and ip_address(address.host).version not in versions
    ]
    what = f"publish.allowed_networks: {', '.join(str(network) for network in allowed)}"
    advice = "Add the network that stations are in, or leave the list empty."
    yield from (Check("warn", f"{what} {words}", advice) for words in wrong)
    if not wrong:
        yield Check("ok", f"{what} may fetch firmware")


def _csms(config: Config, clock: Callable[[], float]) -> Iterator[Check]:
    parts = urlsplit(config.csms.url)
    encrypted = parts.scheme == "wss"
    host, port = parts.hostname or "", parts.port or (443 if encrypted else 80)
    what = f"csms.url: {host}"
    try:
        found = dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as fault:
        advice = "Is the name right, and does this machine have DNS (resolvectl query NAME)?"
        yield Check("FAIL", f"{what} does not resolve: {fault.strerror}", advice)
        return
    yield Check("ok", f"{what} resolves to {', '.join(found)}")
    what = f"{what} port {port}"
    try:
        with socket.create_connection((host, port), config.csms.connect_timeout_seconds) as plain:
            yield Check("ok", f"{what} answers")
            if encrypted:
                yield from _handshake(config, plain, host, what, clock)
    except OSError as fault:
        advice = "Is the port right, and does a firewall let this machine out?"
        yield Check("FAIL", f"{what} does not answer: {fault.strerror or fault}", advice)


def _handshake(
    config: Config, plain: socket.socket, host: str, what: str, clock: Callable[[], float]
) -> Iterator[Check]:
    csms = config.csms
    try:
        context = client_context("csms", ca_file=csms.ca_file, cert_file=csms.cert_file, key_file=csms.key_file)
        with context.wrap_socket(plain, server_hostname=host) as tls:
            yield Check("ok", f"{what} speaks {tls.version()} with a certificate that we trust")
    except ConfigurationError:
        return  # told already, with the files
    except ssl.SSLError as fault:
        yield Check("FAIL", f"{what}: TLS fails", f"{explain(fault, clock())}.".capitalize())


def _is_loopback(host: str) -> bool:
    return ip_address(host).is_loopback if _is_address(host) else host == "localhost"


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
