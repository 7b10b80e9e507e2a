"""One conversation with an FTP server, by ftplib. Edge: it blocks, so it runs in a thread; nothing here decides.

``end`` may be called from another thread: it shuts the sockets down, and whatever waits for them ends.
"""

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass
from ftplib import FTP_TLS, error_perm, error_proto, error_reply
from typing import Final

from localctl.config import Firmware
from localctl.mirror.throttle import new_socket

_MOST_LINES: Final = 1000  # of a server's answers in one session
_MODIFIED: Final = re.compile(r"213 (\d{14}(?:\.\d{1,9})?)\s*", re.ASCII)
_SIZE: Final = re.compile(r"213 (\d{1,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Known:
    """What a server says of a file: its size in bytes, and what proves later that it is the same; empty for nothing."""

    total: int | None
    validator: str


class Session(FTP_TLS):
    """A session on ``control``, a socket that is connected to ``host``. Its methods raise what ftplib raises."""

    def __init__(self, control: socket.socket, host: str, tls: ssl.SSLContext, settings: Firmware) -> None:
        super().__init__(context=tls, timeout=settings.idle_timeout_seconds, encoding="latin-1")
        control.settimeout(settings.idle_timeout_seconds)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # it is silent while a file comes
        self.host = host
        self.sock = control
        self.af = control.family
        self._settings = settings
        self._data: socket.socket | None = None
        self._ends = [control.dup()]  # TLS takes the sockets themselves away while it shakes hands
        self._lines = 0
        self._ended = False

    def enter(self, user: str, password: str, *, tls: bool) -> None:
        """Greet, turn to TLS if ``tls``, and log in; an empty ``user`` is anonymous."""
        self.file = self._control().makefile("r", encoding=self.encoding)
        self.getresp()
        if tls:
            self.auth()  # what came behind its answer in the clear was read into a buffer that is gone now
        self.login(user, password, secure=False)
        if tls:
            self.prot_p()
        self.voidcmd("TYPE I")

    def ask(self, path: str) -> Known:
        """SIZE and MDTM (RFC 3659), which old servers lack."""
        size = _SIZE.fullmatch(self._extension(f"SIZE {path}"))
        modified = _MODIFIED.fullmatch(self._extension(f"MDTM {path}"))
        return Known(int(size[1]) if size else None, f"MDTM {modified[1]}" if size and modified else "")

    def retrieve(self, path: str, offset: int) -> int:
        """Have the file sent from ``offset`` on, or from 0 where the server cannot; from where it comes."""
        place = self._passive()
        data = self._data = new_socket(self._control().family, socket.SOCK_STREAM, 0, self._settings.max_rate)
        self._ends.append(data.dup())
        if self._ended:
            raise EOFError
        data.settimeout(self._settings.connect_timeout_seconds)
        data.connect(place)
        data.settimeout(self._settings.idle_timeout_seconds)
        begin = offset if offset and self._can_restart(offset) else 0
        answer = self.sendcmd(f"RETR {path}")
        if answer.startswith("2"):  # some say 200 first
            answer = self.getresp()
        if not answer.startswith("1"):
            raise error_reply(answer)  # noqa: S321  this is what FTP is for
        control = self._control()
        if isinstance(control, ssl.SSLSocket):
            self._data = self.context.wrap_socket(data, server_hostname=self.host, session=control.session)
        return begin

    def read(self, most: int) -> bytes:
        """The next bytes of the file; empty at its end."""
        assert self._data is not None, "retrieve makes it"  # noqa: S101
        return self._data.recv(most)

    def end(self) -> None:
        """End whatever waits, now and later. From any thread."""
        self._ended = True
        for each in self._ends:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close both connections."""
        super().close()
        for each in (*self._ends, *([self._data] if self._data else [])):
            each.close()

    def getline(self) -> str:
        """A line of an answer; too many are no answers of an FTP server."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            raise error_proto("too many lines")  # noqa: S321
        return super().getline()

    def _passive(self) -> tuple[str, int]:
        """Where to open the data connection: the host is the control connection's, whatever the server says."""
        try:
            host, port = self.makepasv()
        except ValueError:
            port = 0
        if not 0 < port < 65536:
            raise error_proto("no port")  # noqa: S321
        return host, port

    def _extension(self, command: str) -> str:
        """The answer to a command that the server may lack; empty where it refuses it."""
        try:
            return self.sendcmd(command)
        except error_perm:
            return ""

    def _can_restart(self, offset: int) -> bool:
        return self._extension(f"REST {offset}").startswith("3")

    def _control(self) -> socket.socket:
        assert self.sock is not None, "it is set from the beginning"  # noqa: S101
        return self.sock
