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
from localctl.serve.http_connection import Connections
from localctl.serve.http_headers import CONSULTED, answer
from localctl.serve.https_body import PIECE, SealedBody
from localctl.serve.paths import path_of
from localctl.serve.transfer import Lending
from localctl.starvation import Starvation
from localctl.store.catalogue import Catalogue
from localctl.values import Address
from localctl.wire import tcp
from localctl.wire.binding import SETTLE_SECONDS, Bind, own
from localctl.wire.listener import Listener

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
        self._lasting = False

    def start(self, bind: Bind = own) -> Address:
        """Bind, then serve in a thread; the address bound. Raises ListenError."""
        bound = bind(self._key, self._listen, tcp.BACKLOG)
        address, self._lasting = bound.address, bound.lasting
        arguments = (bound.sock,)
        self._thread = threading.Thread(target=self._run, args=arguments, name=f"serve-{self.pulse.loop}", daemon=True)
        self._thread.start()
        self._ready.result()
        return address

    def reconfigure(self, publish: Publish) -> None:
        """By these from now on, transfers under way as well. From any thread."""
        self._lending.idle_timeout = publish.idle_timeout_seconds

    def refuse(self) -> None:
        """Answer new transfers with 503 from now on, or leave them in a lasting socket. From any thread."""
        if not self._lasting:
            self._lending.refuse()
        elif self._thread and self._thread.is_alive():
            running = self._ready.result()
            running.loop.call_soon_threadsafe(running.leave)

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
        connections = Connections(self._answer)
        runner = web.ServerRunner(connections, shutdown_timeout=_CANCEL_SECONDS)
        await runner.setup()
        close, leave = await self._listen_on(sock, connections)
        running = _Running(loop, loop.create_future(), leave)
        self._ready.set_result(running)
        async with asyncio.TaskGroup() as group:
            chores = (
                group.create_task(self.pulse.run(), name="pulse"),
                group.create_task(self._sweep(), name="sweep"),
                *([group.create_task(self._certificate.watch(), name="certificate")] if self._certificate else ()),
            )
            await self._settle(await running.stopping, connections)
            close()
            left = [each.transport for each in connections.connections if each.transport]
            await runner.cleanup()
            await _abort(left)
            for chore in chores:
                chore.cancel()

    async def _listen_on(self, sock: socket.socket, connections: Connections) -> tuple[Callable[[], None], ...]:
        """Take connections; how to end that, and how to leave further ones in the socket."""
        if self._certificate:
            listener = Listener(sock, self._certificate.context, connections, self._starvation, self._key)
            listener.open()
            return listener.close, listener.leave
        server = await asyncio.get_running_loop().create_server(connections, sock=sock, backlog=tcp.BACKLOG)
        if self._lasting:  # not asyncio's business: it makes as many tries to accept
            sock.listen(tcp.LASTING_BACKLOG)
        return server.close, server.close

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

    async def _settle(self, grace: float, connections: Connections) -> None:
        """Wait for running transfers; meanwhile new ones are still told 503.

        Those whom a lasting socket has given us are served first: they found nobody who refused them.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                if self._lasting:
                    await self._hear(connections)
                while self._lending.running:
                    ended = asyncio.Event()
                    self._lending.on_end = ended.set
                    await ended.wait()

    async def _hear(self, connections: Connections) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await connections.all_heard()
        self._lending.refuse()

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
    """The thread's loop, the future that ends it (the grace in seconds), and how it takes nobody any more."""

    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Future[float]
    leave: Callable[[], None]
