"""A proxy of two connections of a library, as one writes it: ``python -m tests.bench.relay_peers LIBRARY URL``.

LIBRARY is ``websockets`` or ``aiohttp``, URL the CSMS's without a path. It dials the CSMS under the station's path and
subprotocols and passes on whole messages. ``--deflate`` has it offer and take permessage-deflate, ``--certificate`` and
``--key`` take stations by TLS, ``--roots`` trusts a wss CSMS. It prints ``listening PORT``.
"""

import argparse
import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Final, Literal

import aiohttp
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

HOST: Final = "127.0.0.1"
BACKLOG: Final = 4096


class Tls:
    """What the arguments say of TLS and of compression."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.deflate: bool = chosen.deflate
        self.server = self.client = None
        if chosen.certificate:
            self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.server.load_cert_chain(chosen.certificate, chosen.key)
        if chosen.roots:
            self.client = ssl.create_default_context(cafile=chosen.roots)


async def _pass_on(source: ClientConnection | ServerConnection, sink: ClientConnection | ServerConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await sink.send(await source.recv(decode=False), text=True)
    await sink.close()


async def by_websockets(url: str, tls: Tls) -> None:
    """Two `websockets` connections, without a decoding of texts, which is none of a relay's work."""
    uplinks: dict[ServerConnection, ClientConnection] = {}
    compression: Literal["deflate"] | None = "deflate" if tls.deflate else None

    async def dial(station: ServerConnection, request: Request) -> Response | None:
        values = request.headers.get_all("Sec-WebSocket-Protocol")
        offer = [name for value in values for name in parse_subprotocol(value)]
        try:
            uplinks[station] = await connect(
                url + request.path, subprotocols=offer, compression=compression, ssl=tls.client, proxy=None
            )
        except (OSError, InvalidHandshake):
            return station.respond(502, "")
        return None

    def choose(station: ServerConnection, _offered: object) -> Subprotocol | None:
        return uplinks[station].subprotocol

    async def relay(station: ServerConnection) -> None:
        csms = uplinks.pop(station)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(station, csms), name="to the CSMS")
            both.create_task(_pass_on(csms, station), name="to the station")

    async with serve(
        relay,
        HOST,
        0,
        process_request=dial,
        select_subprotocol=choose,
        compression=compression,
        ssl=tls.server,
        backlog=BACKLOG,
    ) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


Either = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _hand_over(source: Either, sink: Either) -> None:
    with suppress(ConnectionError):
        async for message in source:
            await sink.send_str(message.data)
    await sink.close()


async def by_aiohttp(url: str, tls: Tls) -> None:
    """Two aiohttp connections."""
    connector = aiohttp.TCPConnector(limit=0, ssl=tls.client or True)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def relay(request: web.Request) -> web.StreamResponse:
            offer = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
            try:
                csms = await session.ws_connect(
                    url + request.raw_path, protocols=offer, compress=15 if tls.deflate else 0
                )
            except (OSError, aiohttp.ClientError):
                return web.Response(status=502)
            station = web.WebSocketResponse(protocols=[csms.protocol or ""], compress=tls.deflate)
            await station.prepare(request)
            async with asyncio.TaskGroup() as both:
                both.create_task(_hand_over(station, csms), name="to the CSMS")
                both.create_task(_hand_over(csms, station), name="to the station")
            return station

        application = web.Application()
        application.router.add_get("/{path:.*}", relay)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0, ssl_context=tls.server, backlog=BACKLOG).start()
        print("listening", runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=("websockets", "aiohttp"))
    parser.add_argument("url")
    parser.add_argument("--deflate", action="store_true")
    for name in ("certificate", "key", "roots"):
        parser.add_argument(f"--{name}", default="")
    arguments = parser.parse_args()
    logging.disable()  # stations that vanish
    asyncio.run((by_websockets if arguments.library == "websockets" else by_aiohttp)(arguments.url, Tls(arguments)))
