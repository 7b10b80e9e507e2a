"""A load of station downloads, light enough not to be what is measured: bytes are dropped inside the kernel.

``recv`` with MSG_TRUNC throws TCP's bytes away without copying them, so one core of clients outruns any server here.
Run as ``python -m tests.bench.load HOST PORT PATH CLIENTS SECONDS``; prints one JSON object.
"""

import json
import selectors
import socket
import sys
import time
from typing import Final

_PIECE: Final = 1 << 20


def load(address: tuple[str, int], path: str, clients: int, seconds: float) -> dict[str, float]:
    """Keep ``clients`` downloads of ``path`` going for ``seconds``; bytes that came, and seconds that it took."""
    selector = selectors.DefaultSelector()
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()

    def begin() -> None:
        link = socket.create_connection(address)
        link.sendall(request)
        link.setblocking(False)
        selector.register(link, selectors.EVENT_READ)

    for _ in range(clients):
        begin()
    received, scratch = 0, bytearray(_PIECE)
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        for key, _ in selector.select(0.1):
            link = key.fileobj
            assert isinstance(link, socket.socket)
            try:
                count = link.recv_into(scratch, _PIECE, socket.MSG_TRUNC)
            except BlockingIOError:
                continue
            received += count
            if not count:
                selector.unregister(link)
                link.close()
                begin()
    for key in list(selector.get_map().values()):
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
    return {"bytes": received, "seconds": now - started}


if __name__ == "__main__":
    host, port, path, clients, seconds = sys.argv[1:]
    print(json.dumps(load((host, int(port)), path, int(clients), float(seconds))))
