"""Who comes to a listener: accepted, and over TLS their handshakes seen through. Edge."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from localctl.starvation import PAUSE_SECONDS, Starvation
from localctl.wire import tcp
from localctl.wire.readiness import Readiness
from localctl.wire.sealed_transport import SealedTransport
from localctl.wire.tls_handshake import Handshake
from localctl.wire.transport import SocketTransport

Failed = Callable[[str, OSError | ValueError], None]
_log: Final = logging.getLogger("localctl.wire")


class Listener:
    """Gives each connection to ``sock`` a protocol of ``factory``'s, with ``context`` once TLS is spoken on it.

    ``key`` names the listener in what ``starvation`` logs. ``failed`` is told of handshakes that came to nothing, with
    the peer's address.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        factory: Callable[[], asyncio.Protocol],
        starvation: Starvation,
        key: str,
        failed: Failed | None = None,
        turn: Readiness | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._context = context
        self._factory = factory
        self._starvation = starvation
        self._key = key
        self._failed = failed
        self._turn = turn
        self._shaking: dict[Handshake, str] = {}
        self._pause: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Listen."""
        self._sock.setblocking(False)
        self._go_on()

    @property
    def is_shaking(self) -> bool:
        """Whether handshakes are under way."""
        return bool(self._shaking)

    def leave(self) -> None:
        """Take nobody any more: who comes waits in the socket. What has begun goes on."""
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)

    def close(self) -> None:
        """Take nobody any more, and end the handshakes under way; connections go on."""
        self.leave()
        self._failed = None
        for handshake in tuple(self._shaking):
            handshake.end()

    def _go_on(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(tcp.BACKLOG):
            try:
                link, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as fault:
                if not self._starvation.is_behind(fault, self._key):
                    raise
                self._loop.remove_reader(self._sock)  # rather than spin
                self._pause = self._loop.call_later(PAUSE_SECONDS, self._go_on)
                return
            self._take(link, str(peer[0]))

    def _take(self, link: socket.socket, peer: str) -> None:
        link.setblocking(False)
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is None:
                SocketTransport(link, self._factory(), self._turn)
                return
            sealed = self._context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
        except OSError:  # it is gone already
            link.close()
            return
        handshake = Handshake(sealed, self._over)
        self._shaking[handshake] = peer
        handshake.go_on()

    def _over(self, handshake: Handshake, fault: OSError | ValueError | None) -> None:
        peer = self._shaking.pop(handshake)
        if fault:
            _log.debug("The TLS handshake of %s failed: %s", peer, fault)
            if self._failed:
                self._failed(peer, fault)
            return
        try:
            SealedTransport(handshake.sock, self._factory(), self._turn)
        except OSError:  # it is gone again
            handshake.sock.close()
