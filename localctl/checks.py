"""What ``localctl check`` tries against the real machine: one line a thing, and what to do about it.

``ok`` is as it should be, ``warn`` works but not as well as it could, ``FAIL`` keeps localctl from its work. Nothing is
left behind: no folder is made, no address stays bound. A daemon that runs is asked, and not disturbed.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from localctl.checking import csms, running
from localctl.checking.access import service_user
from localctl.checking.certificates import of_client, of_listener, of_stations
from localctl.checking.clock import sane
from localctl.checking.credentials import of_unread
from localctl.checking.disk import of_state
from localctl.checking.fetching import reached
from localctl.checking.files import of_files
from localctl.checking.firewall import of_nftables
from localctl.checking.holders import handed_over
from localctl.checking.limits import of_process
from localctl.checking.listeners import address_free
from localctl.checking.passwords import of_file
from localctl.checking.published import resolves, served
from localctl.checking.verdict import Check
from localctl.checking.way import Place
from localctl.config import Config

__all__ = ["Check", "run_checks"]


def run_checks(
    config: Config,
    *,
    offline: bool,
    clock: Callable[[], float] = time.time,
    path: Path | None = None,
    unread: tuple[str, ...] = (),
) -> Iterator[Check]:
    """Try what ``config`` names, in the order of its sections; ``offline`` leaves out what needs the network.

    ``clock`` tells Unix seconds; ``path`` is the configuration's own file, None where it has none yet; ``unread``
    names the secrets that are not in ``config`` though it has them.
    """
    yield sane(clock())
    daemon = running.find(config)
    user = service_user(daemon.pid if daemon else None)
    if daemon:
        yield running.about(daemon, config)
    yield from of_state(config, user)
    yield from of_files(config, path, user)
    yield from of_unread(unread)
    yield from _credentials(config)
    yield from _certificates(config, clock())
    yield from _listeners(config, daemon)
    if not offline:
        yield from reached(config, daemon) if daemon else resolves(config)
        silent = any(key.startswith("csms.") for key in unread)
        yield from csms.tried(config, daemon, clock, os.environ, silent=silent)


def _listeners(config: Config, daemon: running.Running | None) -> Iterator[Check]:
    handed = handed_over()
    for key, address in config.listeners().items():
        yield address_free(key, address, daemon, handed)
    yield from of_nftables(config)
    yield from served(config)
    if daemon and daemon.pid:
        yield from of_process(config, daemon.pid)


def _certificates(config: Config, now: float) -> Iterator[Check]:
    """Whatever is shown and trusted, stations' passwords among it."""
    link, publish = config.csms, config.publish
    yield from of_client("csms", now, ca_file=link.ca_file, cert_file=link.cert_file, key_file=link.key_file)
    if wss := config.stations.wss:
        yield from of_stations(wss, now, Place.of(link.url).host)
    if config.stations.password_file:
        yield from of_file(config.stations.password_file)
    yield from of_client("firmware", now, ca_file=config.firmware.ca_file)
    if https := publish.https:
        yield from of_listener("publish.https", https.cert_file, https.key_file, now)
    if (ftp := publish.ftp) and ftp.cert_file:
        yield from of_listener("publish.ftp", ftp.cert_file, ftp.key_file, now)


def _credentials(config: Config) -> Iterator[Check]:
    link = config.csms
    plain = link.url.startswith("ws:")
    if plain and link.basic_auth_password.get_secret_value():
        what = "csms.url: the password crosses the network unencrypted"
        yield Check("warn", what, 'Use "wss://" (security profile 2), or a VPN (profile 1).')
    if plain and (link.ca_file or link.cert_file):
        yield Check("warn", "csms.url: ws:// uses neither ca_file nor cert_file", 'Did you mean "wss://"?')
    if link.url.rpartition("/")[2] == config.controller.identity:
        what = "csms.url: ends in controller.identity, and the identity is put behind it once more"
        yield Check("warn", what, "Leave it out of the URL, unless the CSMS really wants it twice.")
