"""Asking the running daemon, and telling what it said. It imports no room: a status must come quickly."""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from localctl.config import SERVICE_CREDENTIALS, Admin, Config, read_secret
from localctl.errors import ConfigurationError, NotRunning, PasswordRefused
from localctl.saying import age, counted, printable, size

TIMEOUT_SECONDS: Final = 5
FIRST: Final = 10  # of more stations than these two together only so many are told
LAST: Final = 5
EVENTS: Final = 5
_WARY: Final = os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_BYTES: Final = 65536  # of a few addresses
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  compared with, not bound to

Document = dict[str, Any]  # the JSON boundary


def ask_status(config: Config) -> Document:
    """The daemon's ``/api/status``. Raises NotRunning."""
    try:
        document = json.loads(_answer(config, "/api/status"))
    except (ValueError, RecursionError) as fault:
        raise NotRunning(_admin_address(config), str(fault)) from fault
    if not isinstance(document, dict) or "ready" not in document:
        raise NotRunning(_admin_address(config), "something else answers there")
    return document


def bound(config: Config) -> dict[str, str]:
    """The addresses that the daemon has bound, by their sections, as its file in the state directory says.

    The folder is that of the daemon's user, and root may ask: no link is followed, and no pipe waited for. Raises
    OSError, and ValueError where no such thing is in it.
    """
    path = Path(config.controller.state_dir) / "listeners.json"
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _WARY)) as file:
        content = file.read(_MOST_BYTES) or b""
    try:
        told = json.loads(content)
    except RecursionError:
        told = None
    if not isinstance(told, dict):
        raise ValueError(f"{path} does not tell addresses")  # noqa: TRY004  it is not the caller's
    return {str(name): str(address) for name, address in told.items()}


def ask_metrics(config: Config) -> str:
    """The daemon's ``/metrics``. Raises NotRunning."""
    return _answer(config, "/metrics").decode(errors="replace")


def _answer(config: Config, path: str) -> bytes:
    address = _admin_address(config)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://{address}{path}", headers=_credentials(config.admin))
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as fault:
        fault.close()
        if fault.code == 401:
            raise PasswordRefused(address) from None
        raise NotRunning(address, str(fault)) from None
    except urllib.error.URLError as fault:
        raise NotRunning(address, _cause(fault.reason)) from fault
    except (OSError, HTTPException) as fault:
        raise NotRunning(address, _cause(fault)) from fault
    return content


def _cause(fault: BaseException | str) -> str:
    """Without the number that only a programmer reads, and what to do."""
    words = (isinstance(fault, OSError) and fault.strerror) or str(fault)
    return f"{words}; whether it runs, and why not, says: systemctl status localctl"


def _credentials(admin: Admin) -> dict[str, str]:
    """What proves to the daemon that we may ask. Raises ConfigurationError where the password cannot be read."""
    password = admin.password.get_secret_value()
    if admin.password_file:
        environ = {"CREDENTIALS_DIRECTORY": SERVICE_CREDENTIALS, **os.environ}
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
    try:
        return bound(config)["admin"]
    except (OSError, ValueError, KeyError) as fault:
        where = f"{config.controller.state_dir}/listeners.json"
        raise NotRunning(str(listen), f"{where} does not tell its port") from fault


def tell(status: Document, now: float, *, everyone: bool = True) -> Iterator[str]:
    """The status in lines for a person; ``now`` is Unix seconds. Without ``everyone`` only some of many stations."""
    return (printable(line) for line in _lines(status, now, everyone=everyone))


def _lines(status: Document, now: float, *, everyone: bool) -> Iterator[str]:
    yield f"{status['identity']}: localctl {status['version']}, {'ready' if status['ready'] else 'NOT ready'}"
    yield from (f"  {reason}" for reason in status["reasons"])
    if fault := status.get("configuration", {}).get("reload_error"):
        yield f"  the configuration was not taken anew: {fault}"
    yield f"CSMS      {status['uplink']['url']}: {link(status['uplink'], now)}"
    if queue := status["uplink"]["queue"]:
        yield f"          {counted(queue, 'notification waits', 'notifications wait')}"
    yield from (f"listener  {name} on {address}" for name, address in status["listeners"].items())
    yield f"stations  {len(status['stations'])}"
    head, left_out, tail = some(status["stations"], everyone=everyone)
    yield from (_station(station, now) for station in head)
    if left_out:
        yield f"  … {left_out} more (--all tells of each)"
        yield from (_station(station, now) for station in tail)
    yield from _files(status)
    yield f"disk      {size(status['disk']['free'])} free of {size(status['disk']['size'])}"
    for shown in status.get("certificates", ()):
        yield f"shown     {shown.get('role', '?')}: {until(shown.get('expires_at'), now)}"
    yield from (f"event     {event(told)}" for told in status.get("events", ())[-EVENTS:])


def _files(status: Document) -> Iterator[str]:
    yield f"firmware  {len(status['firmware'])}"
    for file in status["firmware"]:
        yield f"  {file['checksum']}  {file['name']}  {file['state']}  {amount(file)}"
        yield from (f"    {uri}" for uri in file.get("uris", ()))
    yield f"transfers {len(status['transfers'])}"
    for transfer in status["transfers"]:
        done = f"{size(transfer['sent'])} of {size(transfer['size'])}"
        yield f"  {transfer['protocol']}  {transfer['peer']}  {transfer['name']}  {done}"


def link(uplink: Document, now: float) -> str:
    """How the controller's own connection is."""
    if not uplink["connected"]:
        return f"not connected: {uplink.get('last_error') or 'still connecting'}"
    return f"connected for {age(uplink['since'], now)}, OCPP {uplink['ocpp_version']}, {uplink['registration']}"


def some(stations: Sequence[Document], *, everyone: bool) -> tuple[Sequence[Document], int, Sequence[Document]]:
    """The first of them, how many are left out, and the last."""
    if everyone or len(stations) <= FIRST + LAST:
        return stations, 0, ()
    return stations[:FIRST], len(stations) - FIRST - LAST, stations[-LAST:]


def last_message(station: Document, now: float) -> str:
    """When a station spoke last."""
    spoke = station["last_message_at"]
    return f"last message {age(spoke, now)} ago" if spoke else "no message yet"


def amount(file: Document) -> str:
    """How much of a firmware is there."""
    if "size" in file:
        return size(file["size"])
    total = file["total"]
    return f"{size(file['received'])} of {size(total) if total else 'unknown'}"


def until(moment: float | None, now: float) -> str:
    """How long a certificate is good for."""
    if moment is None:
        return "?"
    day = time.strftime("%Y-%m-%d", time.gmtime(moment))
    return f"expired on {day}" if moment <= now else f"until {day}, {(moment - now) / 86400:.0f} days"


def event(told: Document) -> str:
    """One of the daemon's, with its local time."""
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(told.get("at", 0)))
    return f"{moment} {told.get('level', '')} {told.get('text', '')}"


def _station(station: Document, now: float) -> str:
    version = station["ocpp_version"] or "?"
    return f"  {station['identity']}  OCPP {version}  {station['peer']}  {last_message(station, now)}"
