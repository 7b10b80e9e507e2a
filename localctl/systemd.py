"""What systemd is told of us: READY, RELOADING, STATUS, WATCHDOG, STOPPING; what it made for us: a folder and sockets.

Silent where systemd did not start us.

The protocol is one datagram a message to the socket that $NOTIFY_SOCKET names (sd_notify(3), sd_watchdog_enabled(3)).
"""

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

_PATIENCE_SECONDS: Final = 0.05  # the main loop waits for no one: systemd reads at once or is told the next time
_FIRST_DESCRIPTOR: Final = 3  # SD_LISTEN_FDS_START
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_WANTED: Final = "localctl takes listening TCP sockets alone; set nothing but ListenStream=PORT in localctl.socket"
_log = logging.getLogger("localctl.systemd")


class Notifier:
    """Speaks to the systemd that ``environ`` tells of.

    ``watchdog_interval`` is how often ``watchdog`` is to be called, in seconds: half of the time after which systemd
    restarts us, or None where it does not watch us.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval = _watchdog_interval(environ) if self._address else None

    def ready(self, status: str) -> None:
        """The start, or a reload, is complete: units that come after us may go on."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read again; ``ready`` ends that."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def status(self, text: str) -> None:
        """What ``systemctl status`` shows of us."""
        self._send(f"STATUS={_line(text)}")

    def watchdog(self) -> None:
        """We are alive."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The stop has begun, and will take its time."""
        self._send("STOPPING=1")

    def _send(self, *fields: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(_PATIENCE_SECONDS)
                sender.sendto("\n".join(fields).encode(), self._address)
        except OSError as fault:  # systemd's trouble must not become ours
            _log.warning("systemd could not be told %s: %s", fields[0], fault.strerror or fault)


def socket_path(state_dir: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the socket for ``localctl publish`` and ``unpublish`` is: in the runtime folder that systemd made
    (RuntimeDirectory=, systemd.exec(5): the first of several), else in the state directory.
    """
    folder = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(folder or state_dir) / "localctl.sock"


def handed_over(environ: MutableMapping[str, str] = os.environ) -> tuple[socket.socket, ...]:
    """The TCP sockets that systemd has bound for us (sd_listen_fds(3)). Whoever we start gets none of them, and finds
    nothing of them in ``environ``.
    """
    pid, count, names = (environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return ()
    named = dict(enumerate(names.split(":"), _FIRST_DESCRIPTOR))
    found = ((each, _listener(each)) for each in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)))
    sockets = []
    for descriptor, sock in found:
        if sock:
            sockets.append(sock)
        else:
            _log.warning("descriptor %d (%s) is of no use: %s", descriptor, named.get(descriptor, "unnamed"), _WANTED)
    return tuple(sockets)


def _listener(descriptor: int) -> socket.socket | None:
    """The TCP socket behind ``descriptor`` if it is bound to a port and connected to nobody."""
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError:  # closed, or no socket
        return None
    if sock.family in _INTERNET and sock.type == socket.SOCK_STREAM and sock.getsockname()[1] and _is_alone(sock):
        return sock
    sock.detach()
    return None


def _is_alone(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return True
    return False


def _address(name: str) -> str | None:
    """A path, or an abstract name ("@" stands for its first byte, NUL); anything else is not for us."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isascii() or not microseconds.isdigit() or int(microseconds) == 0:
        return None
    return int(microseconds) / 2_000_000


def _line(text: str) -> str:
    """A field ends with its line."""
    return " ".join(text.split())
