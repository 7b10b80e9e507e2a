"""A station in the middle of its download, over every protocol. Blocking, to be called in threads beside a loop."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from localctl.values import Address
from tests.actors.wire import SecureTalk, Talk, read_all, reset, secured, slow_socket

WAYS: Final = ("http", "https", "ftp", "ftps")
_AT_ONCE: Final = 2**22


def place(uris: Sequence[str], scheme: str) -> tuple[Address, str]:
    """Where the URI of ``scheme`` among ``uris`` leads: the address and the path."""
    parts = next(urlsplit(uri) for uri in uris if uri.startswith(f"{scheme}:"))
    assert parts.hostname
    assert parts.port
    return Address(parts.hostname, parts.port), parts.path


class Download:
    """One download by one of WAYS: begun, some bytes of it read, and no more before it is told.

    ``uris`` are those of a Published notification, ``trust`` is what the station trusts.
    """

    def __init__(self, way: str, uris: Sequence[str], trust: ssl.SSLContext) -> None:
        address, path = place(uris, "ftp" if way == "ftps" else way)
        self._talk: Talk | None = None
        if way.startswith("ftp"):
            self._talk = SecureTalk(address, trust) if way == "ftps" else Talk(address)
            self._data = self._talk.begin(path)
            self._got = self._data.recv(1)
            return
        self._data = secured(slow_socket(address), way, trust)
        self._data.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._data.recv(2**12)
        self._got = head.partition(b"\r\n\r\n")[2]

    def rest(self) -> bytes:
        """Read on to the end; the whole file, and the right last word over FTP."""
        self._data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _AT_ONCE)
        whole = self._got + read_all(self._data)
        self._data.close()
        if self._talk:
            assert self._talk.reply().startswith("226")
            self._talk.close()
        return whole

    def vanish(self) -> None:
        """Be gone, with a reset."""
        reset(self._data)
        if self._talk:
            reset_quietly(self._talk)

    def close(self) -> None:
        """Go, whatever the other side has done by now."""
        with suppress(OSError):
            self._data.close()
        if self._talk:
            self._talk.close()


def reset_quietly(talk: Talk) -> None:
    """End a control connection with a reset."""
    talk.file.close()
    reset(talk.sock)
