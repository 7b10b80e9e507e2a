"""Ports of 127.0.0.1 that nobody else can take, also while nothing listens on them.

A held port is bound and not listened on: connecting to it is refused, the kernel gives it to nobody, and whoever sets
SO_REUSEADDR, as servers do, can listen on it. So a peer can go away and come back under the same address.
"""

import socket


class HeldPort:
    """A free port, ours until ``close``."""

    def __init__(self) -> None:
        self._holder = _bound(0)
        self.number: int = self._holder.getsockname()[1]

    def listening(self) -> socket.socket:
        """A new socket that listens on it; the caller closes it."""
        listener = _bound(self.number)
        listener.listen(128)
        return listener

    def close(self) -> None:
        """Give the port back."""
        self._holder.close()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
