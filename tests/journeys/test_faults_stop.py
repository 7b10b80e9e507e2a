"""Row 34 of the faults: SIGTERM while stations are relayed, and download over every protocol."""

import asyncio
import signal
import ssl
import time
from collections.abc import Sequence

import aiohttp
import pytest

from localctl.values import Address
from tests.actors.fetch import WAYS, Download, place
from tests.actors.site import LC, OpenSite, Site, firmware
from tests.actors.station import Station
from tests.actors.wire import Talk, fast_socket

GRACE_SECONDS = 20.0


@pytest.fixture
async def site(open_serving: OpenSite) -> Site:
    """A site that serves over every protocol."""
    return await open_serving()


async def refused(way: str, uris: Sequence[str], trust: ssl.SSLContext) -> bool:
    """Whether a newcomer is told to come back: 503 or 421."""
    if way.startswith("ftp"):
        address, _ = place(uris, "ftp")
        return (await asyncio.to_thread(_greeting, address)).startswith("421")
    uri = next(uri for uri in uris if uri.startswith(f"{way}:"))
    async with aiohttp.request("GET", uri, ssl=trust) as answer:
        return answer.status == 503


def _greeting(address: Address) -> str:
    talk = Talk(address, login=False)
    talk.close()
    return talk.greeting


@pytest.mark.parametrize("way", WAYS)
async def test_row_34_who_downloads_gets_the_file(way: str, site: Site, trust: ssl.SSLContext) -> None:
    """Row 34: new downloads are refused, the one under way gets to its end, the station's relay lasts as long and is
    closed with 1001, as the CSMS's sockets are; exit status 0.
    """
    file = firmware(12_000_000)
    _, uris = await site.published(file)
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        under_way = await asyncio.to_thread(Download, way, uris, trust)
        site.daemon.signal(signal.SIGTERM)
        await site.daemon.logged("stopping")
        async with asyncio.timeout(GRACE_SECONDS):
            while not await refused(way, uris, trust):  # noqa: ASYNC110  the line comes a moment before
                await asyncio.sleep(0.01)
        assert await station.heartbeat()
        assert await asyncio.to_thread(under_way.rest) == file.body
        assert await site.daemon.runs[-1].over() == 0
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001
    ends = {link.identity: link.closed for link in site.csms.links}
    assert {identity: closed and closed[0] for identity, closed in ends.items()} == {LC: 1001, "CS-1": 1001}


async def test_row_34_who_takes_nothing_gets_twenty_seconds(site: Site, trust: ssl.SSLContext) -> None:
    """Row 34: downloads that stand still are given the grace and no more, over all protocols at once; exit status 0."""
    file = firmware(12_000_000)
    _, uris = await site.published(file)
    stuck = [await asyncio.to_thread(Download, way, uris, trust) for way in WAYS]
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        began = time.monotonic()
        assert await site.daemon.stop(timeout=120) == 0
        assert time.monotonic() - began >= GRACE_SECONDS
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001
    for each in stuck:
        each.close()
    address, _ = place(uris, "http")
    with pytest.raises(ConnectionRefusedError):
        fast_socket(address)
