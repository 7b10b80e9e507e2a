"""What ``localctl publish`` and ``unpublish`` have the running daemon do, over its Unix socket.

The bytes of a file are sent, not its path: the daemon may be another user and may not see the folder. The daemon tells
where its socket is in ``STATE_DIR/listeners.json``. It imports no room: a command must come quickly.
"""

import json
import select
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlencode

from localctl.config import Config
from localctl.errors import ByHandRefused, NotRunning
from localctl.inquiry import bound
from localctl.systemd import socket_path

BLOCK: Final = 256 * 1024
TIMEOUT_SECONDS: Final = 60.0  # for what the daemon does at once; a publication takes as long as it takes
_SOCKET_ALLOWED: Final = "run this as root, or as a member of the group that owns it (usermod -aG localctl USER)"

Document = dict[str, Any]  # the JSON boundary
Tell = Callable[[Document], None]  # is given {"state", "received", "total"} and the like


class _Connection(HTTPConnection):
    """HTTP over a Unix socket; silence of ``timeout`` seconds is the end, None: never."""

    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("localctl", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def has_answered(self) -> bool:
        """Whether there is something to read."""
        return bool(select.select([self.sock], [], [], 0)[0])


def publish_file(config: Config, path: Path, name: str, checksum: str, tell: Tell) -> Document:
    """Send the file at ``path``; what was published: ``checksum`` and ``uris``. Raises ByHandRefused or NotRunning."""
    try:
        size = _size(path)
        with path.open("rb") as file, closing(_connected(config, None)) as connection:
            query = urlencode({"name": name or path.name, "md5": checksum}, errors="replace")
            connection.putrequest("POST", f"/publish?{query}")
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            _send(connection, _blocks(file, size, path), size, tell)
            return _verdict(connection, tell)
    except OSError as fault:  # the stick was pulled out
        raise ByHandRefused(f"{path} cannot be read: {fault.strerror or fault}") from fault


def publish_url(config: Config, location: str, name: str, checksum: str, tell: Tell) -> Document:
    """Have the daemon download ``location``; the rest as ``publish_file``."""
    with closing(_connected(config, None)) as connection:
        _ask(connection, "/fetch", {"location": location, "name": name, "md5": checksum})
        return _verdict(connection, tell)


def unpublish(config: Config, checksum: str) -> str:
    """Have it withdrawn; the status of an UnpublishFirmware. Raises ByHandRefused or NotRunning."""
    with closing(_connected(config, TIMEOUT_SECONDS)) as connection:
        _ask(connection, "/unpublish", {"checksum": checksum})
        return str(_verdict(connection, lambda _: None)["status"])


def _connected(config: Config, timeout: float | None) -> _Connection:
    path = _socket(config)
    connection = _Connection(path, timeout)
    try:
        connection.connect()
    except PermissionError as fault:
        connection.close()
        raise ByHandRefused(f"{path} may not be used by this user: {_SOCKET_ALLOWED}") from fault
    except OSError as fault:
        connection.close()
        raise NotRunning(path, fault.strerror or str(fault)) from fault
    return connection


def _socket(config: Config) -> str:
    """Where the daemon says that its socket is; where it would be, if it says nothing."""
    if config.admin.listen is None:
        raise NotRunning("any socket", "admin.listen is empty, so nobody can be asked")
    path = Path(config.controller.state_dir) / "listeners.json"
    try:
        return bound(config)["admin.socket"]
    except PermissionError as fault:
        raise ByHandRefused(f"{path} may not be read by this user: {_SOCKET_ALLOWED}") from fault
    except KeyError as fault:
        raise NotRunning(str(path), "it names no admin.socket: the daemon's log says why") from fault
    except (OSError, ValueError):
        return str(socket_path(config.controller.state_dir))


def _size(path: Path) -> int:
    """Bytes of a file that can be published. Raises OSError or ByHandRefused."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise ByHandRefused(f"{path} is a folder: name the file in it")
    if not stat.S_ISREG(found.st_mode):
        raise ByHandRefused(f"{path} is no file")
    if not found.st_size:
        raise ByHandRefused(f"{path} is empty")
    return found.st_size


def _blocks(file: BinaryIO, size: int, path: Path) -> Iterator[bytes]:
    """The first ``size`` bytes. Raises OSError, or ByHandRefused where there are not so many."""
    left = size
    while left:
        block = file.read(min(left, BLOCK))
        if not block:
            raise ByHandRefused(f"{path} became shorter while it was read")
        left -= len(block)
        yield block


def _send(connection: _Connection, blocks: Iterator[bytes], size: int, tell: Tell) -> None:
    """Until all is sent, or the daemon has answered before: then it wants no more of it."""
    sent = 0
    for block in blocks:
        if connection.has_answered():
            return
        try:
            connection.send(block)
        except OSError:  # what it said before it closed is still to be read
            return
        sent += len(block)
        tell({"state": "sending", "received": sent, "total": size})
    tell({"state": "publishing"})


def _ask(connection: _Connection, path: str, wish: Document) -> None:
    connection.request("POST", path, json.dumps(wish), {"Content-Type": "application/json"})


def _verdict(connection: _Connection, tell: Tell) -> Document:
    """The last line of the answer, the others are for ``tell``. Raises ByHandRefused."""
    try:
        for line in _lines(connection.getresponse()):
            if "error" in line:
                raise ByHandRefused(str(line["error"]))
            if "state" not in line:
                return line
            tell(line)
    except (HTTPException, OSError, ValueError) as fault:
        raise ByHandRefused(f"localctl ended, or broke off, before it was done: {fault}") from fault
    raise ByHandRefused("localctl ended, or broke off, before it was done")


def _lines(response: HTTPResponse) -> Iterator[Document]:
    if response.status not in {200, 422}:
        raise HTTPException(f"it answered {response.status} {response.reason}")
    while line := response.readline():
        yield json.loads(line)
