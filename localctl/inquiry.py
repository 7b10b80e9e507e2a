"""Asking the running daemon, and telling what it said. It imports no room: a status must come quickly."""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from localctl.config import Admin, Config, read_secret
from localctl.errors import ConfigurationError, NotRunning, PasswordRefused

TIMEOUT_SECONDS: Final = 5
_CREDENTIALS: Final = "/run/credentials/localctl.service"  # where systemd keeps those of the service (systemd.exec(5))
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared with, not bound to

Document = dict[str, Any]  # the JSON boundary


def ask_status(config: Config) -> Document:
    """The daemon's ``/api/status``. Raises NotRunning."""
    address = _admin_address(config)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://{address}/api/status", headers=_credentials(config.admin))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            document: Document = json.load(answer)
    except urllib.error.HTTPError as fault:
        fault.close()
        if fault.code == 401:
            raise PasswordRefused(address) from None
        raise NotRunning(address, str(fault)) from None
    except urllib.error.URLError as fault:
        raise NotRunning(address, str(fault.reason)) from fault
    except (OSError, ValueError) as fault:
        raise NotRunning(address, str(fault)) from fault
    return document


def _credentials(admin: Admin) -> dict[str, str]:
    """What proves to the daemon that we may ask. Raises ConfigurationError where the password cannot be read."""
    password = admin.password.get_secret_value()
    if admin.password_file:
        environ = {"CREDENTIALS_DIRECTORY": _CREDENTIALS, **os.environ}
        try:
            password = read_secret(admin.password_file, environ)
        except ValueError as fault:
            line = f"admin.password_file: {fault}; allowed: a file that whoever asks may read (try it as root)"
            raise ConfigurationError((line,)) from None
    if not password:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"}


def _admin_address(config: Config) -> str:
    listen = config.admin.listen
    if listen is None:
        raise NotRunning("any address", "admin.listen is empty, so nobody can be asked")
    if listen.port:
        host = _WILDCARDS.get(listen.host)
        return f"{host}:{listen.port}" if host else str(listen)
    path = Path(config.controller.state_dir) / "listeners.json"
    try:
        return str(json.loads(path.read_text())["admin"])
    except (OSError, ValueError, KeyError) as fault:
        raise NotRunning(str(listen), f"{path} does not tell its port") from fault


def tell(status: Document, now: float) -> Iterator[str]:
    """The status in lines for a person; ``now`` is Unix seconds."""
    uplink = status["uplink"]
    yield f"{status['identity']}: localctl {status['version']}, {'ready' if status['ready'] else 'NOT ready'}"
    yield from (f"  {reason}" for reason in status["reasons"])
    link = f"connected for {_age(uplink['since'], now)}, OCPP {uplink['ocpp_version']}, {uplink['registration']}"
    yield f"CSMS      {uplink['url']}: {link if uplink['connected'] else 'not connected'}"
    if uplink["queue"]:
        yield f"          {uplink['queue']} notifications wait"
    for name, address in status["listeners"].items():
        yield f"listener  {name} on {address}"
    yield f"stations  {len(status['stations'])}"
    for station in status["stations"]:
        spoke = station["last_message_at"]
        last = f"last message {_age(spoke, now)} ago" if spoke else "no message yet"
        yield f"  {station['identity']}  OCPP {station['ocpp_version'] or '?'}  {station['peer']}  {last}"
    yield f"firmware  {len(status['firmware'])}"
    for file in status["firmware"]:
        yield f"  {file['checksum']}  {file['name']}  {file['state']}  {_amount(file)}"
        yield from (f"    {uri}" for uri in file.get("uris", ()))
    yield f"transfers {len(status['transfers'])}"
    for transfer in status["transfers"]:
        done = f"{_size(transfer['sent'])} of {_size(transfer['size'])}"
        yield f"  {transfer['protocol']}  {transfer['peer']}  {transfer['name']}  {done}"
    yield f"disk      {_size(status['disk']['free'])} free of {_size(status['disk']['size'])}"


def _amount(file: Document) -> str:
    if "size" in file:
        return _size(file["size"])
    total = file["total"]
    return f"{_size(file['received'])} of {_size(total) if total else 'unknown'}"


def _size(count: float) -> str:
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def _age(since: float | None, now: float) -> str:
    if since is None:
        return "?"
    span = time.gmtime(max(0, now - since))
    days = int(max(0, now - since)) // 86400
    return f"{days} d {span.tm_hour} h" if days else f"{span.tm_hour:02}:{span.tm_min:02}:{span.tm_sec:02}"
