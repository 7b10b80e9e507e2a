"""Sending the bytes of a published file as the body of an HTTP answer.

aiohttp's FileResponse decides ranges and conditions by itself, wrongly in places, and knows neither loans nor stations
that stopped reading. This response is told what to send; like FileResponse it sends with sendfile inside prepare(),
so the loan lives there, in one try, whatever ends it.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import ClassVar, Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from localctl.errors import LendError, NotAdmitted, TransfersExhausted
from localctl.serve.http_headers import Answer
from localctl.serve.sending import send
from localctl.serve.transfer import EXHAUSTED, FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS, Lending, Result, Transfer
from localctl.store.catalogue import PublishedFile
from localctl.wire import tcp

SERVER: Final = "localctl"
PIECE: Final = 16 * 2**20  # bytes a call, so that one fast station does not keep the loop from the others


def without_body(status: int, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
    """An answer with no body: some stations would take one for an image."""
    return web.StreamResponse(status=status, headers={"Content-Length": "0", "Server": SERVER, **(headers or {})})


def refusal(error: LendError) -> web.StreamResponse:
    """The answer to a request that nothing is lent for."""
    if isinstance(error, TransfersExhausted):
        return without_body(503, {"Retry-After": str(error.retry_after)})
    if isinstance(error, NotAdmitted):
        response = without_body(403)
        response.force_close()
        return response
    return without_body(404)


class FileBody(web.StreamResponse):
    """An answer whose body is lent: the loan begins and ends in prepare()."""

    sealed: ClassVar[bool] = False

    def __init__(self, answer: Answer, file: PublishedFile, lending: Lending) -> None:
        super().__init__(status=answer.status, headers={"Server": SERVER, **answer.headers})
        self._answer = answer
        self._file = file
        self._lending = lending

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the head and the bytes; a refusal instead, where nothing is lent.

        Raises ConnectionResetError, which aiohttp takes quietly, where the transfer does not reach its end.
        """
        if self.prepared:
            return await super().prepare(request)
        try:
            transfer = self._lending.begin(self._file, request.remote or "", self._answer.start, self._answer.count)
        except LendError as error:
            return await self._become(refusal(error), request)
        result: Result = "aborted"
        try:
            async with asyncio.timeout(None) as limit:
                writer = await super().prepare(request)
                transport = request.transport
                if writer is None or transport is None or transport.is_closing():
                    raise ConnectionResetError
                await self._send(writer, transport, transfer, limit)
                await super().write_eof()
            result = "complete"
        except TimeoutError:
            result = "idle"
            self._cut(request)
        finally:
            transfer.end(result)
        return writer

    async def _become(self, other: web.StreamResponse, request: web.BaseRequest) -> AbstractStreamWriter | None:
        self.set_status(other.status)
        self.headers.clear()
        self.headers.update(other.headers)
        return await super().prepare(request)

    async def _send(
        self, writer: AbstractStreamWriter, transport: asyncio.Transport, transfer: Transfer, limit: asyncio.Timeout
    ) -> None:
        loop = asyncio.get_running_loop()
        sock: tcp.Socket = transport.get_extra_info("socket")
        buffered = transport.get_write_buffer_size()
        transfer.attach(sock, buffered, lambda: limit.reschedule(loop.time()), sealed=self.sealed)
        transport.set_write_buffer_limits(high=0)  # the file goes past the transport: first what it has
        await writer.drain()
        transport.pause_reading()
        try:
            whole = await self._push(sock, transfer) == transfer.count
        except OSError as fault:
            if fault.errno in EXHAUSTED:  # no descriptor is left for a duplicate: the disk is not to blame
                raise ConnectionResetError from None
            whole = False
        if not whole:
            if not tcp.is_gone(sock):
                transfer.fell_short()
            raise ConnectionResetError
        await self._acknowledged(sock, transfer)
        transport.resume_reading()
        transport.set_write_buffer_limits()

    async def _push(self, sock: tcp.Socket, transfer: Transfer) -> int:
        """Send the bytes; how many there were. Raises OSError."""
        with sock.dup() as own:  # the loop lets nobody watch a descriptor that a transport has
            target, source = own.fileno(), transfer.file.fileno()

            def push(at: int, end: int) -> int:
                return os.sendfile(target, source, at, min(end - at, PIECE))

            return await send(own, push, transfer.start, transfer.count)

    async def _acknowledged(self, sock: tcp.Socket, transfer: Transfer) -> None:
        """Wait until the station has it all. No event tells, so look, at growing intervals."""
        pause = FIRST_LOOK_SECONDS
        while not self._has_all(sock, transfer):
            if tcp.is_gone(sock):
                raise ConnectionResetError
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)

    def _has_all(self, sock: tcp.Socket, transfer: Transfer) -> bool:  # noqa: ARG002  TLS has to look at the socket
        return transfer.is_acknowledged()

    def _cut(self, request: web.BaseRequest) -> None:
        transport = request.transport
        if transport is not None:
            sock: tcp.Socket | None = transport.get_extra_info("socket")
            if sock is not None:
                tcp.reset_on_close(sock)
            transport.abort()
        raise ConnectionResetError
