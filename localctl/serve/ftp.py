"""Serving published files over FTP: a thread of its own with pyftpdlib's loop.

What a session may do is in ``ftp_session``; here are the listener, the loop, and the order of stopping.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from localctl.config import Publish
from localctl.metrics import Metrics
from localctl.pulse import INTERVAL_SECONDS, Pulse
from localctl.renewal import LOOK_SECONDS, Files
from localctl.serve.ftp_library import FTPServer, IOLoop
from localctl.serve.ftp_session import Session, session_class, set_terms
from localctl.serve.transfer import Lending
from localctl.starvation import PAUSE_SECONDS, Starvation
from localctl.store.catalogue import Catalogue
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import SETTLE_SECONDS, Bind, Bound, own

KEY: Final = "publish.ftp.listen"
_SPARE_CONNECTIONS: Final = 128  # beside two for each transfer: sessions that walk the folders
_log = logging.getLogger("localctl.serve.ftp")


class FtpServer:
    """Published files over FTP at ``listen``, data connections on ``passive_ports`` (None: any free one).

    With a ``certificate`` clients may ask for TLS; raises ConfigurationError where it does not load. A transfer that
    takes nothing, or a session that says nothing, for ``idle_timeout`` seconds is ended. ``now`` gives Unix seconds.
    """

    def __init__(
        self,
        listen: Address,
        passive_ports: range | None,
        idle_timeout: float,
        catalogue: Catalogue,
        metrics: Metrics,
        certificate: Files | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.pulse = Pulse("ftp", metrics)
        self._listen = listen
        self._lending = Lending("ftp", catalogue, metrics, idle_timeout, now)
        self._session_class = session_class(self._lending, idle_timeout, passive_ports, certificate)
        self._certificate = certificate
        self._thread: threading.Thread | None = None
        self._server: _Listener | None = None
        self._deadline: float | None = None  # monotonic seconds; set once, by stop()
        self._settled_at = 0.0
        self._bound: Bound | None = None
        self._leaving = threading.Event()

    def bind(self, bind: Bind = own) -> Address:
        """Have who connects wait; the address bound. Raises ListenError."""
        self._bound = bind(KEY, self._listen, tcp.BACKLOG)
        return self._bound.address

    def serve(self) -> None:
        """Serve in a thread what ``bind`` has bound."""
        bound = self._bound
        assert bound is not None  # noqa: S101  the daemon binds first
        _take_over_log()
        loop = _Loop()
        most = self._most_connections()
        self._server = server = _Listener(bound, self._session_class, loop, most, self._leaving)
        self.pulse.begin()
        thread = threading.Thread(target=self._run, args=(loop, server), name="serve-ftp", daemon=True)
        thread.start()
        self._thread = thread

    def reconfigure(self, publish: Publish) -> None:
        """By these from now on, transfers under way as well; a session keeps its own time-out. From any thread."""
        self._lending.idle_timeout = publish.idle_timeout_seconds
        ports = publish.ftp.passive_ports if publish.ftp else None
        set_terms(self._session_class, publish.idle_timeout_seconds, ports)
        if self._server:
            self._server.max_cons = self._most_connections()
        _take_over_log()  # whose level may be another

    def refuse(self) -> None:
        """Answer who is new with 421 from now on, or leave him in a lasting socket. From any thread."""
        self._leaving.set()
        if not (self._bound and self._bound.lasting):
            self._lending.refuse()

    def stop(self, grace: float) -> None:
        """Refuse, wait up to ``grace`` seconds for running transfers, end them, end the thread. Blocks."""
        self.refuse()
        if self._deadline is None:
            now = time.monotonic()
            self._settled_at = now + min(grace, SETTLE_SECONDS)
            self._deadline = now + grace
        if self._thread is not None:
            self._thread.join()
        elif self._bound:
            self._bound.sock.close()

    def _run(self, loop: Any, server: "_Listener") -> None:
        try:
            loop.call_every(INTERVAL_SECONDS, self.pulse.beat)
            loop.call_every(self._lending.sweep_interval, self._lending.sweep)
            if self._certificate:
                loop.call_every(LOOK_SECONDS, self._certificate.renew, self._load)
            while not self._is_over(loop):
                loop.poll(INTERVAL_SECONDS if (soon := loop.sched.poll()) is None else min(soon, INTERVAL_SECONDS))
        except Exception:  # noqa: BLE001  a thread has nobody to tell; the daemon sees its pulse stop
            _log.exception("The FTP server has ended")
        finally:
            server.close()
            _say_goodbye(loop)
            loop.close()

    def _most_connections(self) -> int:
        return 2 * self._lending.catalogue.max_transfers + _SPARE_CONNECTIONS

    def _load(self) -> None:
        from localctl.serve import ftps

        if self._certificate:
            self._session_class.ssl_context = ftps.context(self._certificate)

    def _is_over(self, loop: Any) -> bool:
        if self._deadline is None:
            return False
        if not self._lending.refusing:  # those whom a lasting socket has given us are served first
            if time.monotonic() < self._settled_at and _sessions(loop):
                return False
            self._lending.refuse()
        return not self._lending.running or time.monotonic() >= self._deadline


class _Loop(IOLoop):  # type: ignore[misc]  # pyftpdlib carries no types
    """pyftpdlib's loop."""

    def unregister(self, fd: int) -> None:
        """Forget a descriptor, closed by now maybe: pyftpdlib does it in either order.

        Then its number may be that of a file that another thread has just opened, which the kernel refuses with EPERM.
        """
        with suppress(PermissionError):
            super().unregister(fd)


class _Listener(FTPServer):  # type: ignore[misc]  # pyftpdlib carries no types
    """The listener of the control connections."""

    def __init__(
        self, bound: Bound, session: type[Session], loop: Any, max_connections: int, leaving: threading.Event
    ) -> None:
        backlog = tcp.LASTING_BACKLOG if bound.lasting else tcp.BACKLOG
        super().__init__(bound.sock, session, ioloop=loop, backlog=backlog)
        self.max_cons = max_connections
        self._lasting = bound.lasting
        self._leaving = leaving
        self._starvation = Starvation()

    def handle_accept(self) -> None:
        """Take one; without descriptors, pause rather than spin. Once we leave, one of a lasting socket waits in it."""
        if self._lasting and self._leaving.is_set():
            self.del_channel()
            return
        try:
            super().handle_accept()
        except OSError as fault:
            if not self._starvation.is_behind(fault, KEY):
                raise
            self.del_channel()
            self.ioloop.call_later(PAUSE_SECONDS, self.add_channel)

    def handle_error(self) -> None:
        """One connection could not be taken: the next one may be. pyftpdlib would close the listener."""
        _log.error("An FTP connection could not be taken", exc_info=True)


def _say_goodbye(loop: Any) -> None:
    for session in _sessions(loop):
        session.respond("421 Service stopping.")


def _sessions(loop: Any) -> list[Session]:
    return [each for each in loop.socket_map.values() if isinstance(each, Session)]


class _TakenOver(logging.Handler):
    """pyftpdlib's lines among ours: what clients say is of use to who debugs, what fails in it to all."""

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if not line.startswith("[debug]"):  # pyftpdlib's notes to its own author
            _log.log(logging.ERROR if record.levelno >= logging.ERROR else logging.DEBUG, "%s", line)


def _take_over_log() -> None:
    theirs = logging.getLogger("pyftpdlib")
    theirs.setLevel(logging.DEBUG if _log.isEnabledFor(logging.DEBUG) else logging.ERROR)
    theirs.propagate = False
    if not any(isinstance(handler, _TakenOver) for handler in theirs.handlers):
        theirs.addHandler(_TakenOver())
