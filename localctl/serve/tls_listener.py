"""Stations that come to the listener of HTTPS: accepted, and their handshakes seen through. Edge."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

from localctl.serve import tcp
from localctl.serve.sealed_transport import SealedTransport
from localctl.starvation import PAUSE_SECONDS, Starvation

HANDSHAKE_SECONDS: Final = 30.0
_log = logging.getLogger("localctl.serve.http")


class TlsListener:
    """Gives each connection to ``sock`` whose handshake comes to something in time a protocol of ``factory``'s. ``key``
    names the listener in what ``starvation`` logs.
    """

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        factory: Callable[[], asyncio.Protocol],
        starvation: Starvation,
        key: str,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._context = context
        self._factory = factory
        self._starvation = starvation
        self._key = key
        self._shaking: set[_Handshake] = set()
        self._pause: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Listen."""
        self._sock.setblocking(False)
        self._go_on()

    def close(self) -> None:
        """Take nobody any more, and end the handshakes under way; connections go on."""
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        for handshake in tuple(self._shaking):
            handshake.end()

    def _go_on(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(tcp.BACKLOG):
            try:
                link, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as fault:
                if not self._starvation.is_behind(fault, self._key):
                    raise
                self._loop.remove_reader(self._sock)  # rather than spin
                self._pause = self._loop.call_later(PAUSE_SECONDS, self._go_on)
                return
            self._take(link)

    def _take(self, link: socket.socket) -> None:
        link.setblocking(False)
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sealed = self._context.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
        except OSError:  # it is gone already
            link.close()
            return
        handshake = _Handshake(sealed, self._enter, self._shaking.discard)
        self._shaking.add(handshake)
        handshake.go_on()

    def _enter(self, sealed: ssl.SSLSocket) -> None:
        try:
            SealedTransport(sealed, self._factory())
        except OSError:  # it is gone again
            sealed.close()


class _Handshake:
    """One handshake under way: ``succeeded`` gets its socket, ``over`` is told of its end."""

    def __init__(
        self,
        sock: ssl.SSLSocket,
        succeeded: Callable[[ssl.SSLSocket], None],
        over: Callable[["_Handshake"], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._succeeded = succeeded
        self._over = over
        self._limit = self._loop.call_later(HANDSHAKE_SECONDS, self.end)

    def go_on(self) -> None:
        """Its next step, as far as that comes now."""
        try:
            self._sock.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.remove_writer(self._sock)
            self._loop.add_reader(self._sock, self.go_on)
        except ssl.SSLWantWriteError:
            self._loop.remove_reader(self._sock)
            self._loop.add_writer(self._sock, self.go_on)
        except (OSError, ValueError) as fault:
            _log.debug("A TLS handshake failed: %s", fault)
            self.end()
        else:
            self._leave()
            self._succeeded(self._sock)

    def end(self) -> None:
        """Break it off."""
        self._leave()
        self._sock.close()

    def _leave(self) -> None:
        self._limit.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._over(self)
