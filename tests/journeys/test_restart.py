"""Restarts with sockets that systemd holds: who connects meanwhile waits, and is served by the next start."""

import asyncio
import ftplib
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.origin import Origin
from tests.actors.site import Firmware, Site, downloading, firmware, get

RESTARTS = 10
PATIENCE = 60  # seconds for somebody who waits while the daemon is away
PAUSE = 0.02  # seconds between the connections of one client


@pytest.fixture
def sockets() -> Iterator[dict[str, socket.socket]]:
    """What systemd holds, by the names of the sections: for every address, as localctl.socket has them."""
    names = ("stations.ws", "publish.http", "publish.ftp")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
            )
            for name in names
        }


@pytest.fixture
async def site(tmp_path: Path, sockets: dict[str, socket.socket]) -> AsyncIterator[Site]:
    """A site whose daemon is handed the sockets at each start."""
    async with Csms() as csms, Origin() as origin:
        overrides: dict[str, dict[str, object]] = {"stations": {}, "publish": {}}
        for name, sock in sockets.items():
            section, key = name.split(".")
            overrides[section][key] = {"listen": f"0.0.0.0:{sock.getsockname()[1]}"}
        async with Daemon(tmp_path, csms.url, overrides, sockets=tuple(sockets.values())) as daemon:
            await daemon.ready()
            yield Site(csms, daemon, origin)


def at(sockets: dict[str, socket.socket], name: str) -> tuple[str, int]:
    """Where a client connects to."""
    return "127.0.0.1", sockets[name].getsockname()[1]


def ftp_get(place: tuple[str, int], path: str) -> bytes:
    """A file over FTP."""
    got = io.BytesIO()
    with ftplib.FTP() as session:
        session.connect(*place, timeout=PATIENCE)
        session.login()
        session.retrbinary(f"RETR {path}", got.write)
    return got.getvalue()


@asynccontextmanager
async def trickles(*clients: Callable[[], Awaitable[None]]) -> AsyncIterator[list[int]]:
    """Each client again and again, beside what the test does; how often each has come to its end. Faults are raised."""
    ends, over = [0] * len(clients), asyncio.Event()

    async def again(index: int, client: Callable[[], Awaitable[None]]) -> None:
        while not over.is_set():
            await client()
            ends[index] += 1
            await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as tasks:
        for index, client in enumerate(clients):
            tasks.create_task(again(index, client))
        try:
            yield ends
        finally:
            over.set()


@pytest.mark.timeout(300)
async def test_restarts_lose_no_connection(site: Site, sockets: dict[str, socket.socket]) -> None:
    """Ten restarts under a steady trickle over HTTP, FTP and of stations: every one is served, none is refused."""
    file = firmware(20_000)
    _, (url, ftp_url) = await site.published(file)
    identities = count(1)
    host, port = at(sockets, "stations.ws")

    async def over_http() -> None:
        assert await asyncio.wait_for(get(url), PATIENCE) == (200, file.body)

    async def over_ftp() -> None:
        assert await asyncio.to_thread(ftp_get, at(sockets, "publish.ftp"), urlsplit(ftp_url).path) == file.body

    async def station() -> None:
        offered = [Subprotocol("ocpp2.0.1")]
        url = f"ws://{host}:{port}/ocpp/CS-{next(identities)}"
        async with connect(url, subprotocols=offered, open_timeout=PATIENCE, proxy=None) as connection:
            assert connection.subprotocol == "ocpp2.0.1"

    async with trickles(over_http, over_ftp, station) as ends:
        for _ in range(RESTARTS):
            before = list(ends)
            assert await site.daemon.stop() == 0
            await site.daemon.start()
            await site.daemon.listening()
            async with asyncio.timeout(PATIENCE):
                while any(now <= then for now, then in zip(ends, before, strict=True)):  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE)


async def test_who_comes_while_a_transfer_has_its_grace(site: Site, sockets: dict[str, socket.socket]) -> None:
    """At a stop with a transfer under way, nobody new is told 503 or 421: he waits for the next start."""
    file = Firmware(firmware(1000).body * 8000)
    _, (url, ftp_url) = await site.published(file)
    async with downloading(url) as slow:
        stop = asyncio.get_running_loop().create_task(site.daemon.stop())
        await site.daemon.logged("stopping:")
        async with asyncio.TaskGroup() as tasks:
            over_http = tasks.create_task(get(url))
            path = urlsplit(ftp_url).path
            over_ftp = tasks.create_task(asyncio.to_thread(ftp_get, at(sockets, "publish.ftp"), path))
            await slow.content.read()
            assert await stop == 0
            await site.daemon.start()
    assert over_http.result() == (200, file.body)
    assert over_ftp.result() == file.body


async def test_a_kill_loses_none_that_had_not_begun(site: Site) -> None:
    """Who connects after SIGKILL waits as well."""
    file = firmware(1000)
    _, (url, _) = await site.published(file)
    await site.daemon.kill()
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(get(url))
        await site.daemon.start()
    assert waiting.result() == (200, file.body)


async def test_the_real_address_is_told(site: Site, sockets: dict[str, socket.socket]) -> None:
    """In the log and in the status: systemd's, not the configuration's; URIs carry publish.host."""
    for name in sockets:
        place = f"[::]:{at(sockets, name)[1]}"
        await site.daemon.logged(f"listening on {place} for {name}")
        assert (await site.daemon.status())["listeners"][name] == place
    _, (url, _) = await site.published(firmware(10))
    assert url.startswith(f"http://127.0.0.1:{at(sockets, 'publish.http')[1]}/")
