"""A TLS handshake on a socket that does not block, as a server or as a client. Edge."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from localctl.wire.readiness import Readiness
from localctl.wire.sealed_transport import SealedTransport

HANDSHAKE_SECONDS: Final = 30.0


class Handshake:
    """One handshake under way: ``over`` is told of its end once, with what it failed by; the socket is closed then.

    It fails with TimeoutError when it takes longer than ``seconds`` (HANDSHAKE_SECONDS), and with
    ConnectionAbortedError at ``end``.
    """

    def __init__(
        self,
        sock: ssl.SSLSocket,
        over: Callable[["Handshake", OSError | ValueError | None], None],
        seconds: float | None = None,
    ) -> None:
        self.sock = sock
        self._loop = asyncio.get_running_loop()
        self._over = over
        self._limit = self._loop.call_later(
            seconds or HANDSHAKE_SECONDS, self._fail, TimeoutError("the TLS handshake takes too long")
        )

    def go_on(self) -> None:
        """Its next step, as far as that comes now."""
        try:
            self.sock.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.remove_writer(self.sock)
            self._loop.add_reader(self.sock, self.go_on)
        except ssl.SSLWantWriteError:
            self._loop.remove_reader(self.sock)
            self._loop.add_writer(self.sock, self.go_on)
        except (OSError, ValueError) as fault:
            self._fail(fault)
        else:
            self._leave()
            self._over(self, None)

    def end(self) -> None:
        """Break it off; one that has failed is over."""
        if self.sock.fileno() >= 0:
            self._fail(ConnectionAbortedError())

    def _fail(self, fault: OSError | ValueError) -> None:
        self._leave()
        self.sock.close()
        self._over(self, fault)

    def _leave(self) -> None:
        self._limit.cancel()
        self._loop.remove_reader(self.sock)
        self._loop.remove_writer(self.sock)


async def seal(
    sock: socket.socket,
    context: ssl.SSLContext,
    host: str,
    protocol: asyncio.Protocol,
    turn: Readiness | None = None,
) -> SealedTransport:
    """Speak TLS, as a client of ``host``, on a connected ``sock``, which is closed where that fails.

    Raises OSError, of which ssl.SSLError is one.
    """
    try:
        sealed = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    except (OSError, ValueError) as fault:  # ValueError: no name that TLS knows
        sock.close()
        raise OSError(str(fault)) from fault
    done: asyncio.Future[OSError | ValueError | None] = asyncio.get_running_loop().create_future()

    def over(_: Handshake, fault: OSError | ValueError | None) -> None:
        if not done.done():
            done.set_result(fault)

    handshake = Handshake(sealed, over)
    handshake.go_on()
    try:
        failure = await done
    except asyncio.CancelledError:
        handshake.end()
        raise
    if failure:
        raise failure if isinstance(failure, OSError) else OSError(str(failure))
    try:
        return SealedTransport(sealed, protocol, turn)
    except OSError:
        sealed.close()
        raise
