"""What a person on this machine may change: publish a file, withdraw one. Edge: HTTP over a Unix socket.

It decides nothing: the work is done by callables given by the daemon. ``POST /publish?name=NAME&md5=MD5`` has the file
as its body; ``POST /fetch`` names a location, ``{"location", "name", "md5"}``. Both answer with one JSON object a line:
what is going on, and as the last one ``{"checksum", "uris"}`` or ``{"error"}``. ``POST /unpublish`` with
``{"checksum"}`` answers ``{"status"}``. Who goes away in the middle ends what was begun for them.
"""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable
from typing import Final

from aiohttp import web

from localctl.admin.stream import Document
from localctl.admin.views import Hands, Published
from localctl.errors import LocalctlError

log = logging.getLogger("localctl.admin")

TELLING_SECONDS: Final = 0.5  # how often it is told how far a download has come


class HandServer:
    """Serves a Unix socket. ``start`` and ``stop`` it on the main loop."""

    def __init__(self, sock: socket.socket, hands: Hands) -> None:
        self._sock = sock
        self._hands = hands
        app = web.Application()
        app.router.add_post("/publish", self._publish)
        app.router.add_post("/fetch", self._fetch)
        app.router.add_post("/unpublish", self._unpublish)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)

    async def start(self) -> None:
        """Serve who comes to it, and who waits there."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._sock).start()

    async def stop(self) -> None:
        """Close, and end what is under way."""
        await self._runner.cleanup()

    async def _publish(self, request: web.Request) -> web.Response:
        name, checksum = request.query.get("name", ""), request.query.get("md5", "")
        blocks = request.content.iter_any()
        told = await _outcome(self._hands.receive(blocks, request.content_length, name, checksum))
        return web.Response(body=_line(told), status=422 if "error" in told else 200)

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        wish = await _asked(request, "location")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        errand = self._hands.fetch(wish["location"], wish.get("name", ""), wish.get("md5", ""))
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(_outcome(errand.run()), name="download by hand")
            while not work.done():
                await response.write(_line(errand.progress()))
                await asyncio.wait([work], timeout=TELLING_SECONDS)
        await response.write(_line(work.result()))
        return response

    async def _unpublish(self, request: web.Request) -> web.Response:
        wish = await _asked(request, "checksum")
        try:
            return web.json_response({"status": await self._hands.withdraw(wish["checksum"])})
        except LocalctlError as fault:
            return web.json_response({"error": str(fault)}, status=422)


async def _outcome(work: Awaitable[Published]) -> Document:
    """What became of it, as the last line of an answer."""
    try:
        checksum, uris = await work
    except LocalctlError as fault:
        return {"error": str(fault)}
    except OSError:
        raise  # who asked has gone
    except Exception:  # whatever it is, who waits must hear of it
        log.exception("a file could not be published by hand, by a fault of localctl")
        return {"error": "localctl could not do it, by a fault of its own: its log tells more"}
    return {"checksum": checksum, "uris": uris}


async def _asked(request: web.Request, key: str) -> dict[str, str]:
    """The request's JSON object, all of whose values are text and among them ``key``. Raises HTTPBadRequest."""
    try:
        wish = await request.json()
    except ValueError:
        wish = None
    if not isinstance(wish, dict) or key not in wish or not all(isinstance(value, str) for value in wish.values()):
        raise web.HTTPBadRequest(text=f"a JSON object of strings, with {key}, is wanted")
    return wish


def _line(document: Document) -> bytes:
    return json.dumps(document).encode() + b"\n"
