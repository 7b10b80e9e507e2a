"""Serving published files over HTTP or HTTPS: for each a thread of its own with an asyncio loop of its own.

Reading a cold page of an SD card, or the TLS handshakes of many stations at once, block this loop and no other. What is
answered is decided in ``http_headers``; here are the listener, the connections and their limits, and the order of
stopping.
"""

import asyncio
import concurrent.futures
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from localctl.config import Publish
from localctl.errors import LendError
from localctl.metrics import Metrics
from localctl.pulse import Pulse
from localctl.renewal import Certificate
from localctl.serve.http_body import FileBody, refusal, without_body
from localctl.serve.http_headers import CONSULTED, answer
from localctl.serve.https_body import PIECE, SealedBody
from localctl.serve.paths import path_of
from localctl.serve.transfer import Lending
from localctl.starvation import Starvation
from localctl.store.catalogue import Catalogue
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.listener import Listener

_KEEPALIVE_SECONDS: Final = 30  # for a request to be there whole, from the connection or from the last answer
_LINGERING_SECONDS: Final = 5  # for the rest of a body that nobody wants
_CANCEL_SECONDS: Final = 0.1  # for an answer to end by itself once the grace is over; 0 would be for ever
_log = logging.getLogger("localctl.serve.http")


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
        self._buffer = memoryview(bytearray(PIECE if certificate else 0))
        self._thread: threading.Thread | None = None
        self._ready: concurrent.futures.Future[_Running] = concurrent.futures.Future()
        self._starvation = Starvation()

    def start(self) -> Address:
        """Bind, then serve in a thread; the address bound. Raises ListenError."""
        sock = tcp.listen(self._key, self._listen)
        address = tcp.bound(sock)
        self._thread = threading.Thread(target=self._run, args=(sock,), name=f"serve-{self.pulse.loop}", daemon=True)
        self._thread.start()
        self._ready.result()
        return address

    def reconfigure(self, publish: Publish) -> None:
        """By these from now on, transfers under way as well. From any thread."""
        self._lending.idle_timeout = publish.idle_timeout_seconds

    def refuse(self) -> None:
        """Answer new transfers with 503 from now on. From any thread."""
        self._lending.refuse()

    def stop(self, grace: float) -> None:
        """Refuse, wait up to ``grace`` seconds for running transfers, end them, end the thread. Blocks."""
        self.refuse()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        running = self._ready.result()
        if thread.is_alive():
            running.loop.call_soon_threadsafe(running.stopping.set_result, grace)
        thread.join()

    def _run(self, sock: socket.socket) -> None:
        try:
            with sock, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # uvloop has no sendfile
                runner.run(self._serve(sock))
        except Exception as fault:  # noqa: BLE001  a thread has nobody to tell; the daemon sees its pulse stop
            _log.exception("The HTTP server has ended")
            if not self._ready.done():
                self._ready.set_exception(fault)

    async def _serve(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_fault)
        connections = _Connections(self._answer)
        runner = web.ServerRunner(connections, shutdown_timeout=_CANCEL_SECONDS)
        await runner.setup()
        over_tls: Listener | None = None
        if self._certificate:
            over_tls = Listener(sock, self._certificate.context, connections, self._starvation, self._key)
            over_tls.open()
        else:
            await web.SockSite(runner, sock, backlog=tcp.BACKLOG).start()
        running = _Running(loop, loop.create_future())
        self._ready.set_result(running)
        async with asyncio.TaskGroup() as group:
            chores = (
                group.create_task(self.pulse.run(), name="pulse"),
                group.create_task(self._sweep(), name="sweep"),
                *([group.create_task(self._certificate.watch(), name="certificate")] if self._certificate else ()),
            )
            await self._settle(await running.stopping)
            if over_tls:
                over_tls.close()
            left = [each.transport for each in connections.connections if each.transport]
            await runner.cleanup()
            await _abort(left)
            for chore in chores:
                chore.cancel()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._lending.admit(request.remote or "")
            file = self._lending.find(path_of(request.raw_path))
        except LendError as error:
            return refusal(error)
        asked = {name: ", ".join(request.headers.getall(name)) for name in CONSULTED if name in request.headers}
        verdict = answer(request.method, asked, file)
        if verdict.count:
            if self._certificate:
                return SealedBody(verdict, file, self._lending, self._buffer)
            return FileBody(verdict, file, self._lending)
        return without_body(verdict.status, verdict.headers)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._lending.sweep_interval)
            self._lending.sweep()

    async def _settle(self, grace: float) -> None:
        """Wait for running transfers; meanwhile new ones are still told 503."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._lending.running:
                    ended = asyncio.Event()
                    self._lending.on_end = ended.set
                    await ended.wait()

    def _on_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not self._starvation.is_behind(context.get("exception"), self._key):
            loop.default_exception_handler(context)


async def _abort(transports: list[asyncio.Transport]) -> None:
    """Close what would wait for its station to say goodbye."""
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0)  # so that each is told


@dataclass(frozen=True, slots=True)
class _Running:
    """The thread's loop, and the future that ends it: the grace in seconds."""

    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Future[float]


class _Connections(web.Server):
    """The connections of one listener."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=_KEEPALIVE_SECONDS,
            lingering_time=_LINGERING_SECONDS,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to have none
            logger=_log,
        )


class _Connection(web.RequestHandler):
    """One station's connection."""

    __slots__ = ()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks for a bool; aiohttp has no use for it
        """A client may shut its sending side once it has asked, and still gets its answer; TLS knows no such thing."""
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return False
        if self._waiter is not None and not self._waiter.done():  # it asks nothing
            return False
        self.close()  # after the answers under way
        return True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is the client's mistake: no traceback, no body."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        _log.debug("The client at %s does not speak HTTP: %s", request.remote, message)
        response = without_body(status)
        response.force_close()
        return response
