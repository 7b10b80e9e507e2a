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
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from localctl.checking.certificates import of_client, of_listener, of_stations
from localctl.checking.listeners import address_free, served
from localctl.checking.passwords import of_file
from localctl.checking.verdict import Check, day, open_to_all, size
from localctl.config import Config
from localctl.errors import ConfigurationError
from localctl.tls import SANE_CLOCK, client_context, explain

__all__ = ["Check", "run_checks"]


def run_checks(config: Config, *, offline: bool, clock: Callable[[], float] = time.time) -> Iterator[Check]:
    """Try what ``config`` names, in the order of its sections; ``offline`` leaves out what needs the network.

    ``clock`` tells Unix seconds.
    """
    yield _clock(clock())
    yield from _state(config)
    yield from _credentials(config)
    csms, stations = config.csms, config.stations
    yield from of_client("csms", clock(), ca_file=csms.ca_file, cert_file=csms.cert_file, key_file=csms.key_file)
    if stations.wss:
        yield from of_stations(stations.wss, clock())
    if stations.password_file:
        yield from of_file(stations.password_file)
    yield from of_client("firmware", clock(), ca_file=config.firmware.ca_file)
    if https := config.publish.https:
        yield from of_listener("publish.https", https.cert_file, https.key_file, clock())
    if (ftp := config.publish.ftp) and ftp.cert_file:
        yield from of_listener("publish.ftp", ftp.cert_file, ftp.key_file, clock())
    for key, address in config.listeners().items():
        yield address_free(key, address)
    yield from served(config)
    if not offline:
        yield from _csms(config, clock)


def _clock(now: float) -> Check:
    if now >= SANE_CLOCK:
        return Check("ok", f"clock: {day(now)}")
    advice = "Set it (timedatectl set-ntp true): with a wrong date every certificate is refused."
    return Check("warn", f"clock: {day(now)} cannot be right", advice)


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
        kept = f"firmware.min_free_space asks for {size(config.firmware.min_free_space)}"
        advice = "Make room on the disk: until then no firmware is fetched; stations are relayed all the same."
        yield Check("FAIL", f"{what}: {size(usage.free)} free, {kept}", advice)
    else:
        yield Check("ok", f"{what}: {size(usage.free)} free, for files of up to {size(room)} together")


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
    yield from open_to_all("csms.basic_auth_password_file", csms.basic_auth_password_file)
    yield from open_to_all("admin.password_file", config.admin.password_file)


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
