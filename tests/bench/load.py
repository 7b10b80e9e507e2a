"""A load of station downloads, light enough not to be what is measured: bytes are dropped inside the kernel.

``recv`` with MSG_TRUNC throws TCP's bytes away without copying them. Each client is looked at in its turn and nobody is
waited for: on the loopback it is the sender who pays for waking up whom it sends to, and for a reader that is at its
heels, which no server does over a network; whether that happened was chance, and doubled what a server cost. TLS shakes
hands as it should, and what comes then is dropped undeciphered. Run as ``python -m tests.bench.load URL
CLIENTS SECONDS``; prints ``go`` once every client has its connection, one JSON object when the time is over, and ends
with its input.
"""

import json
import socket
import ssl
import sys
import time
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

_PIECE: Final = 1 << 20
_RECORDS: Final = 16384 / (16384 + 22)  # of bytes in records of TLS 1.3, the part that is the file's


class Client(Protocol):
    """One station."""

    def begin(self) -> socket.socket:
        """Ask for the file; the socket on which it comes, until that ends."""


class HttpClient:
    """Over HTTP, or HTTPS; a connection for each download."""

    def __init__(self, url: SplitResult) -> None:
        self._address = (url.hostname or "", url.port or 80)
        self._request = f"GET {url.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        self._tls = _no_questions() if url.scheme == "https" else None

    def begin(self) -> socket.socket:
        """The connection."""
        link = socket.create_connection(self._address)
        if self._tls is None:
            link.sendall(self._request)
            return link
        with self._tls.wrap_socket(link) as sealed:
            assert sealed.version() == "TLSv1.3"
            sealed.sendall(self._request)
            return socket.socket(fileno=sealed.detach())


class FtpClient:
    """Over FTP; a session for all downloads of one station."""

    def __init__(self, url: SplitResult) -> None:
        self._path = url.path[1:]  # below the folder that a login leads to
        self._control = socket.create_connection((url.hostname or "", url.port or 21))
        self._answers = self._control.makefile("rb")
        self._under_way = False
        self._read()
        for command in ("USER anonymous", "PASS x@", "TYPE I"):
            self._say(command)

    def begin(self) -> socket.socket:
        """The data connection."""
        if self._under_way:
            self._read()  # 226
        self._under_way = True
        numbers = self._say("PASV").partition("(")[2].partition(")")[0].split(",")
        data = socket.create_connection((".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])))
        answer = self._say(f"RETR {self._path}")
        assert answer.startswith("1"), answer
        return data

    def _say(self, command: str) -> str:
        self._control.sendall(f"{command}\r\n".encode())
        return self._read()

    def _read(self) -> str:
        while True:
            line = self._answers.readline().decode()
            assert line, "the server has hung up"
            if line[3:4] == " ":
                return line


def load(url: str, clients: int, seconds: float) -> dict[str, float]:
    """Keep ``clients`` downloads of ``url`` going for ``seconds``; the file's bytes that came, and the seconds."""
    parts, links = urlsplit(url), dict[socket.socket, Client]()
    kind = FtpClient if parts.scheme == "ftp" else HttpClient

    def begin(client: Client) -> None:
        link = client.begin()
        link.setblocking(False)
        links[link] = client

    for _ in range(clients):
        begin(kind(parts))
    print("go", flush=True)
    received, scratch, started = 0, bytearray(_PIECE), time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        for link, client in tuple(links.items()):
            try:
                count = link.recv_into(scratch, _PIECE, socket.MSG_TRUNC)
            except BlockingIOError:
                continue
            received += count
            if not count:
                del links[link]
                link.close()
                begin(client)
    sealed = _RECORDS if parts.scheme == "https" else 1
    return {"bytes": received * sealed, "seconds": now - started}


def _no_questions() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


if __name__ == "__main__":
    location, how_many, how_long = sys.argv[1:]
    print(json.dumps(load(location, int(how_many), float(how_long))), flush=True)
    sys.stdin.read()  # what serves us goes on until it has been looked at
