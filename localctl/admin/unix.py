"""A listening Unix socket in the file system. Edge.

Mode 0660: who may connect is decided by the socket's owner and group, nobody is asked for a password. A socket that a
killed daemon left behind is replaced; one that somebody answers on, or what is no socket, is left alone.
"""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from localctl.errors import ListenError

MODE: Final = 0o660
LONGEST: Final = 107  # bytes of a path; sun_path (unix(7)) has room for these and a NUL
_KEY: Final = "admin.socket"
_PATIENCE_SECONDS: Final = 1.0


def fits(path: Path) -> bool:
    """Whether ``path`` is short enough for a socket."""
    return len(os.fsencode(path)) <= LONGEST


class Place:
    """A socket that listens at ``path``. Raises ListenError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sock = bind(path)
        try:
            self._inode = path.stat().st_ino
            self.sock.listen()
        except OSError as fault:  # somebody has removed it
            self.sock.close()
            raise ListenError(_KEY, str(path), fault.strerror or str(fault)) from fault

    def leave(self) -> None:
        """Close it, and remove its file unless that is another's by now."""
        self.sock.close()
        with suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()


def bind(path: Path) -> socket.socket:
    """A socket that does not listen yet: nobody gets in before its mode is right. Raises ListenError."""
    if not fits(path):
        raise ListenError(_KEY, str(path), f"the path has more than {LONGEST} bytes, the most that a socket's may have")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        bound.bind(str(path))
        path.chmod(MODE)
    except OSError as fault:
        bound.close()
        raise ListenError(_KEY, str(path), fault.strerror or str(fault)) from fault
    except ListenError:
        bound.close()
        raise
    return bound


def _clear(path: Path) -> None:
    """Remove what a killed daemon left. Raises ListenError where it is something else, and OSError."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(_KEY, str(path), "something that is no socket is there; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_PATIENCE_SECONDS)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except (TimeoutError, BlockingIOError):  # it is there, and its queue is full
            pass
    raise ListenError(_KEY, str(path), "another program answers there")
