"""Serving published files over HTTP or HTTPS: for each a thread of its own with an asyncio loop of its own.

Reading a cold page of an SD card, or the TLS handshakes of many stations at once, block this loop and no other. What
the thread does is in ``http_loop``, which is loaded when stations are relayed already (``late``): who connects
meanwhile waits.
"""

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from localctl.config import Publish
from localctl.metrics import Metrics
from localctl.pulse import Pulse
from localctl.renewal import Certificate
from localctl.serve.transfer import Lending
from localctl.store.catalogue import Catalogue
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import Bind, Bound, own

_log = logging.getLogger("localctl.serve.http")


@dataclass(frozen=True, slots=True)
class Running:
    """The thread's loop, the future that ends it (the grace in seconds), and how it takes nobody any more."""

    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Future[float]
    leave: Callable[[], None]


class HttpServer:
    """Published files over HTTP at ``listen``, or over HTTPS where there is a ``certificate``.

    A transfer that takes nothing for ``idle_timeout`` seconds is ended. ``now`` gives Unix seconds.
    """

    def __init__(
        self,
        listen: Address,
        idle_timeout: float,
        catalogue: Catalogue,
        metrics: Metrics,
        certificate: Certificate | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        protocol: Final = "https" if certificate else "http"
        self.pulse = Pulse(protocol, metrics)
        self._key = f"publish.{protocol}.listen"
        self._listen = listen
        self._certificate = certificate
        self._lending = Lending(protocol, catalogue, metrics, idle_timeout, now)
        self._bound: Bound | None = None
        self._thread: threading.Thread | None = None
        self._ready: concurrent.futures.Future[Running] = concurrent.futures.Future()

    def bind(self, bind: Bind = own) -> Address:
        """Have who connects wait; the address bound. Raises ListenError."""
        self._bound = bind(self._key, self._listen, tcp.BACKLOG)
        return self._bound.address

    def serve(self) -> None:
        """Serve in a thread, from soon on, what ``bind`` has bound."""
        self.pulse.begin()
        name = f"serve-{self.pulse.loop}"
        thread = threading.Thread(target=self._run, args=(self._bound,), name=name, daemon=True)
        thread.start()
        self._thread = thread

    def reconfigure(self, publish: Publish) -> None:
        """By these from now on, transfers under way as well. From any thread."""
        self._lending.idle_timeout = publish.idle_timeout_seconds

    def refuse(self) -> None:
        """Answer new transfers with 503 from now on, or leave them in a lasting socket. From any thread."""
        if not (self._bound and self._bound.lasting):
            self._lending.refuse()
        elif self._thread and self._thread.is_alive():
            self._ready.add_done_callback(_leave)

    def stop(self, grace: float) -> None:
        """Refuse, wait up to ``grace`` seconds for running transfers, end them, end the thread. Blocks."""
        self.refuse()
        thread, self._thread = self._thread, None
        if thread is None:
            if self._bound:
                self._bound.sock.close()
            return
        concurrent.futures.wait((self._ready,))
        if thread.is_alive() and not self._ready.exception():
            running = self._ready.result()
            running.loop.call_soon_threadsafe(running.stopping.set_result, grace)
        thread.join()

    def _run(self, bound: Bound) -> None:
        try:
            with bound.sock, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # uvloop has no sendfile
                from localctl.serve.http_loop import HttpLoop

                loop = HttpLoop(self._key, self.pulse, self._lending, self._certificate)
                runner.run(loop.run(bound, self._ready))
        except Exception as fault:  # noqa: BLE001  a thread has nobody to tell; the daemon sees its pulse stop
            _log.exception("The HTTP server has ended")
            if not self._ready.done():
                self._ready.set_exception(fault)


def _leave(ready: concurrent.futures.Future[Running]) -> None:
    if not ready.exception():
        running = ready.result()
        with suppress(RuntimeError):  # it has ended by now
            running.loop.call_soon_threadsafe(running.leave)
