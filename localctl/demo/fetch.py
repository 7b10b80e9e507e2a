"""How a station downloads: over HTTP with aiohttp, over FTP with the standard library's ftplib. Edge.

Its sockets have small receive buffers, as a station's have. So a station that stops reading is one whose download goes
on, whatever the file's size: the kernel cannot take the rest in its name.
"""

import asyncio
import ftplib
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp

from localctl.demo.patience import DemoFailed

SILENCE_SECONDS: Final = 20.0  # how long the controller may send nothing
_RECEIVE_BUFFER: Final = 64 * 1024
_LIBRARY_BUFFER: Final = 16 * 1024
_PIECE: Final = 64 * 1024

Take = Callable[[bytes], Awaitable[None]]


async def fetch(location: str, take: Take) -> None:
    """Hand the bytes at ``location`` to ``take``, piece by piece. Raises DemoFailed where they do not come."""
    try:
        await _FETCHERS[urlsplit(location).scheme](location, take)
    except (aiohttp.ClientError, ftplib.Error, OSError, EOFError) as fault:
        why = str(fault) or type(fault).__name__
        raise DemoFailed(f"the download of {location} broke off: {why}") from fault


async def _fetch_http(location: str, take: Take) -> None:
    connector = aiohttp.TCPConnector(socket_factory=lambda found: _narrow(found[0]))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE_SECONDS, sock_read=SILENCE_SECONDS)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=_LIBRARY_BUFFER) as session,
        session.get(location, allow_redirects=False, raise_for_status=True) as response,
    ):
        async for piece in response.content.iter_any():
            await take(piece)


async def _fetch_ftp(location: str, take: Take) -> None:
    """The control connection waits in threads, the data connection on the loop: it can be given up at any time."""
    place = urlsplit(location)
    # closing(): FTP's own end asks the server first, and waits for it
    with closing(ftplib.FTP(timeout=SILENCE_SECONDS)) as control:  # noqa: S321  FTP is what many stations speak
        address = await asyncio.to_thread(_prepare, control, place)
        with _narrow(socket.AF_INET) as data:
            data.setblocking(False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(SILENCE_SECONDS):
                await loop.sock_connect(data, address)
            await asyncio.to_thread(control.sendcmd, f"RETR {unquote(place.path)}")
            while piece := await _receive(loop, data):
                await take(piece)
        await asyncio.to_thread(control.voidresp)  # 226: all of it was sent
        await asyncio.to_thread(control.quit)


def _prepare(control: ftplib.FTP, place: SplitResult) -> tuple[str, int]:
    """Log in; where the data connection is awaited."""
    control.connect(place.hostname or "", place.port or ftplib.FTP_PORT)
    control.login()
    control.voidcmd("TYPE I")
    return control.makepasv()


async def _receive(loop: asyncio.AbstractEventLoop, data: socket.socket) -> bytes:
    async with asyncio.timeout(SILENCE_SECONDS):
        return await loop.sock_recv(data, _PIECE)


def _narrow(family: int) -> socket.socket:
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    return found


_FETCHERS: Final = {"http": _fetch_http, "ftp": _fetch_ftp}
