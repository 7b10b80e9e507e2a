"""What the thread of an HTTP or HTTPS server does: connections, answers, and the order of stopping. Edge.

What is answered is decided in ``http_headers``.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from localctl.errors import LendError
from localctl.pulse import Pulse
from localctl.renewal import Certificate
from localctl.serve.http import Running
from localctl.serve.http_body import FileBody, refusal, without_body
from localctl.serve.http_connection import Connections
from localctl.serve.http_headers import CONSULTED, answer
from localctl.serve.https_body import PIECE, SealedBody
from localctl.serve.paths import path_of
from localctl.serve.transfer import Lending
from localctl.starvation import Starvation
from localctl.wire import tcp
from localctl.wire.binding import SETTLE_SECONDS, Bound
from localctl.wire.listener import Listener

_CANCEL_SECONDS: Final = 0.1  # for an answer to end by itself once the grace is over; 0 would be for ever


class HttpLoop:
    """One server's loop; ``key`` names its listener in what is logged."""

    def __init__(self, key: str, pulse: Pulse, lending: Lending, certificate: Certificate | None) -> None:
        self._key = key
        self._pulse = pulse
        self._lending = lending
        self._certificate = certificate
        self._buffer = memoryview(bytearray(PIECE if certificate else 0))
        self._starvation = Starvation()

    async def run(self, bound: Bound, ready: "concurrent.futures.Future[Running]") -> None:
        """Serve until told to stop, by what ``ready`` is given."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_fault)
        connections = Connections(self._answer)
        runner = web.ServerRunner(connections, shutdown_timeout=_CANCEL_SECONDS)
        await runner.setup()
        close, leave = await self._listen_on(bound, connections)
        running = Running(loop, loop.create_future(), leave)
        ready.set_result(running)
        async with asyncio.TaskGroup() as group:
            chores = (
                group.create_task(self._pulse.run(), name="pulse"),
                group.create_task(self._sweep(), name="sweep"),
                *([group.create_task(self._certificate.watch(), name="certificate")] if self._certificate else ()),
            )
            await self._settle(await running.stopping, connections, lasting=bound.lasting)
            close()
            left = [each.transport for each in connections.connections if each.transport]
            await runner.cleanup()
            await _abort(left)
            for chore in chores:
                chore.cancel()

    async def _listen_on(self, bound: Bound, connections: Connections) -> tuple[Callable[[], None], ...]:
        """Take connections; how to end that, and how to leave further ones in the socket."""
        if self._certificate:
            listener = Listener(bound.sock, self._certificate.context, connections, self._starvation, self._key)
            listener.open()
            return listener.close, listener.leave
        server = await asyncio.get_running_loop().create_server(connections, sock=bound.sock, backlog=tcp.BACKLOG)
        if bound.lasting:  # not asyncio's business: it makes as many tries to accept
            bound.sock.listen(tcp.LASTING_BACKLOG)
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

    async def _settle(self, grace: float, connections: Connections, *, lasting: bool) -> None:
        """Wait for running transfers; meanwhile new ones are still told 503.

        Those whom a lasting socket has given us are served first: they found nobody who refused them.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                if lasting:
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
