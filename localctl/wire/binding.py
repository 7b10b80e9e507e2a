"""Which socket a listener gets: one that was handed over to us for its port, else one of its own. Edge.

A socket that was handed over outlives us. Whoever keeps its other copy has connections wait in it while we are away, so
it is never shut down, and at a stop what comes is left in it for the next start.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from localctl.starvation import Starvation
from localctl.values import WILDCARDS, Address
from localctl.wire import tcp
from localctl.wire.listener import Listener

SETTLE_SECONDS: Final = 2.0  # at a stop, for those that a lasting socket gave us to be answered
_UNIT: Final = "localctl.socket"
_log: Final = logging.getLogger("localctl.wire")


@dataclass(frozen=True, slots=True)
class Bound:
    """A listening socket. ``lasting``: it was handed over, and what connects while we are away is not refused."""

    sock: socket.socket
    lasting: bool = False

    @property
    def address(self) -> Address:
        """Where it is bound."""
        return tcp.bound(self.sock)


Bind = Callable[[str, Address, int], Bound]  # the configuration's key, the address, the backlog of a socket of our own


def own(key: str, address: Address, backlog: int = tcp.BACKLOG) -> Bound:
    """A socket of our own. Raises ListenError."""
    return Bound(tcp.listen(key, address, backlog))


class Binding:
    """Hands out ``sockets``, each once, by port."""

    def __init__(self, sockets: Iterable[socket.socket] = ()) -> None:
        self._left = list(sockets)
        self._shut: list[tuple[Listener, socket.socket]] = []

    def bind(self, key: str, address: Address, backlog: int = tcp.BACKLOG) -> Bound:
        """The socket for the listener under ``key``, whatever its host where the port is right. Raises ListenError."""
        found = [sock for sock in self._left if tcp.bound(sock).port == address.port]
        if not found:
            return own(key, address, backlog)
        sock = min(found, key=lambda each: tcp.bound(each).host != address.host)
        self._left.remove(sock)
        sock.listen(tcp.LASTING_BACKLOG)
        place = tcp.bound(sock)
        if address.host not in {place.host, *WILDCARDS}:
            _log.warning("%s names %s, but %s listens on %s: change ListenStream= there", key, address, _UNIT, place)
        return Bound(sock, lasting=True)

    def shut_out(self) -> None:
        """Whoever connects to what no listener wanted is cut off at once, rather than waiting for ever."""
        if not self._left:
            return
        ports = ", ".join(sorted({str(tcp.bound(sock).port) for sock in self._left}, key=int))
        _log.info("no listener is configured for port %s of %s: who connects is cut off", ports, _UNIT)
        starvation = Starvation()
        for sock in self._left:
            sock.listen(tcp.LASTING_BACKLOG)
            listener = Listener(sock, None, _CutOff, starvation, _UNIT)
            listener.open()
            self._shut.append((listener, sock))
        self._left.clear()

    def close(self) -> None:
        """Let go of what nobody wanted."""
        for listener, sock in self._shut:
            listener.close()
            sock.close()
        self._shut.clear()
        for sock in self._left:
            sock.close()
        self._left.clear()


class _CutOff(asyncio.Protocol):
    """A connection that nobody serves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reset it, as a closed port would."""
        tcp.reset_on_close(transport.get_extra_info("socket"))
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  Listener makes no other
        transport.abort()
