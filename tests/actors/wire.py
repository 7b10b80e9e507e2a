"""What stations do on raw sockets, and no client library would: blocking, to be called in threads beside a loop."""

import re
import socket
import ssl
import struct
from typing import Final

from localctl.values import Address

PATIENCE_SECONDS: Final = 60.0  # how long a test may hang before it fails


def fast_socket(address: Address, source: str = "") -> socket.socket:
    """A connection as any, from the address ``source`` of this machine."""
    return socket.create_connection((address.host, address.port), PATIENCE_SECONDS, (source, 0))


def slow_socket(address: Address) -> socket.socket:
    """A connection that takes little ahead of its reader."""
    sock = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(PATIENCE_SECONDS)
    sock.connect((address.host, address.port))
    return sock


def secured(sock: socket.socket, scheme: str, trust: ssl.SSLContext) -> socket.socket:
    """``sock`` as the scheme wants it: under TLS for "https"."""
    if scheme != "https":
        return sock
    return trust.wrap_socket(sock, server_hostname="127.0.0.1", suppress_ragged_eofs=True)


def reset(sock: socket.socket) -> None:
    """Close it with a reset, as a station does whose power fails and comes back."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock: socket.socket) -> bytes:
    """Everything until the peer closes."""
    pieces = []
    try:
        while piece := sock.recv(2**16):
            pieces.append(piece)
    except ssl.SSLEOFError:  # a close without a goodbye
        pass
    return b"".join(pieces)


def ask(sock: socket.socket, request: str) -> tuple[str, dict[str, str], bytes]:
    """Send an HTTP request as it is, read until the server closes: status line, headers, the rest."""
    sock.sendall(request.replace("\n", "\r\n").encode("latin-1"))
    first, _, rest = read_all(sock).partition(b"\r\n\r\n")
    status, *lines = first.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in lines), rest


class Talk:
    """An FTP control connection that sends lines as they are and reads whole replies."""

    def __init__(self, address: Address, *, login: bool = True) -> None:
        self.sock = fast_socket(address)
        self.file = self.sock.makefile("rb")
        self.greeting = self.reply()
        if login:
            self("USER anonymous")
            self("PASS me@")

    def __call__(self, line: str) -> str:
        self.sock.sendall(line.encode() + b"\r\n")
        return self.reply()

    def reply(self) -> str:
        """The next reply, all its lines; empty where the server has closed."""
        text = line = self.file.readline().decode()
        while line and not re.match(r"\d{3} ", line):
            line = self.file.readline().decode()
            text += line
        return text.rstrip("\r\n")

    def port(self) -> int:
        """The port of a data connection, by EPSV."""
        return int(self("EPSV").split("|")[3])

    def data(self, *, slow: bool = False) -> socket.socket:
        """A data connection, by EPSV; a slow one takes little ahead of its reader."""
        address = Address(self.sock.getpeername()[0], self.port())
        return slow_socket(address) if slow else fast_socket(address)

    def begin(self, path: str) -> socket.socket:
        """A data connection whose client has read nothing of the file at ``path`` yet; the loan lives."""
        data = self.data(slow=True)
        assert self(f"RETR {path}").startswith("1")
        assert data.recv(1, socket.MSG_PEEK)
        return data

    def close(self) -> None:
        """Go."""
        self.file.close()
        self.sock.close()


class SecureTalk(Talk):
    """A session under TLS, logged in, with PROT P."""

    def __init__(self, address: Address, context: ssl.SSLContext) -> None:
        super().__init__(address, login=False)
        assert self("AUTH TLS").startswith("234")
        self.context = context
        self.sock = self.secured(self.sock)
        self.file = self.sock.makefile("rb")
        for line in ("PBSZ 0", "PROT P", "USER anonymous", "PASS x"):
            assert self(line)[0] in "23", line

    def secured(self, sock: socket.socket) -> ssl.SSLSocket:
        """``sock`` under TLS from here."""
        return self.context.wrap_socket(sock, server_hostname="127.0.0.1", suppress_ragged_eofs=True)

    def begin(self, path: str) -> ssl.SSLSocket:
        """A data connection under TLS whose client has read nothing of the file at ``path`` yet; the loan lives."""
        data = self.data(slow=True)
        assert self(f"RETR {path}").startswith("1")
        return self.secured(data)
