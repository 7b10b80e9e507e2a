"""The vendor's server on the far side of the WAN: one firmware file, sent at a pace, every byte counted. Edge."""

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiofiles
from aiohttp import web

_PIECE: Final = 256 * 1024


def make_firmware(path: Path, size: int) -> str:
    """Write ``size`` random bytes; their MD5. Raises OSError."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("xb") as file:
        for start in range(0, size, _PIECE):
            piece = os.urandom(min(_PIECE, size - start))
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


class Origin:
    """Serves ``file`` over HTTP on a free port of 127.0.0.1 for as long as its ``async with`` lasts.

    ``rate`` is bytes a second. ``sent`` is what went over the "WAN": the bytes of bodies, over all requests.
    """

    def __init__(self, file: Path, rate: float) -> None:
        self.sent = 0
        self._file = file
        self._rate = rate
        app = web.Application()
        app.router.add_get(f"/{file.name}", self._send, allow_head=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def location(self) -> str:
        """Where the firmware is."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/{self._file.name}"

    async def _send(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        response.content_length = self._file.stat().st_size
        await response.prepare(request)
        with suppress(ConnectionResetError):  # the controller has gone: its watcher says so
            await self._send_body(response)
        return response

    async def _send_body(self, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        begun, count = loop.time(), 0
        async with aiofiles.open(self._file, "rb") as file:
            while piece := await file.read(_PIECE):
                await response.write(piece)
                self.sent += len(piece)
                count += len(piece)
                await asyncio.sleep(begun + count / self._rate - loop.time())
