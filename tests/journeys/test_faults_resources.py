"""Running out of descriptors, and crowds that vanish: what it costs the real daemon, and that it recovers."""

import asyncio
import resource
import ssl
from contextlib import ExitStack

import psutil
import pytest

from localctl.values import parse_address
from tests.actors.fetch import WAYS, Download
from tests.actors.news import TIMEOUT
from tests.actors.site import OpenSite, Site, firmware
from tests.actors.station import Station
from tests.actors.wire import fast_socket

SPARE = 8  # descriptors that are left when the crowd comes
QUEUE = 20  # connections to each listener, that it cannot take
CROWD = 100  # stations that download
AFTERWARDS_SECONDS = 3.0  # ten turns of every loop and more; three pauses of a listener that lacks descriptors


class Cost:
    """The CPU time that the daemon has taken since this was made, in seconds."""

    def __init__(self, site: Site) -> None:
        self._process = psutil.Process(site.daemon.pid)
        self._before = self._total()

    def so_far(self) -> float:
        """Seconds of all its threads."""
        return self._total() - self._before

    def _total(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system


async def test_row_40_no_descriptors_left(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """Row 40: listeners pause and say so, nothing spins, a relay goes on, and all recovers once some are free again."""
    site = await open_serving()
    file = firmware(300_000)
    _, uris = await site.published(file)
    listeners = {name: place for name, place in site.daemon.listeners.items() if name != "admin.socket"}
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        assert await station.boot() == "Accepted"
        most = site.daemon.descriptors() + SPARE
        resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as queue:
            for place in listeners.values():
                for _ in range(QUEUE):
                    queue.enter_context(fast_socket(parse_address(place)))
            for name in listeners:
                assert (await site.daemon.logged(f"{name}.listen takes no connection"))["level"] == "warning"
            cost = Cost(site)
            await asyncio.sleep(AFTERWARDS_SECONDS)  # as long as what is measured
            assert cost.so_far() < 0.25 * AFTERWARDS_SECONDS
            assert await station.heartbeat()
        await site.daemon.down_to(most - SPARE)
        for way in WAYS:
            async with asyncio.timeout(TIMEOUT):  # what stood in the queues and left may be taken still
                while (await asyncio.to_thread(Download, way, uris, trust)).rest() != file.body:  # noqa: ASYNC110  theirs
                    await asyncio.sleep(0.5)
        async with Station(site.daemon.stations_url, "CS-2", "1.6") as newcomer:
            assert await newcomer.boot() == "Accepted"
        assert await station.heartbeat()
    await site.daemon.ready()
    assert await site.withdrawn(file.checksum) == "Unpublished"


@pytest.mark.parametrize(("result", "idle_timeout"), [("aborted", 120), ("idle", 8)], ids=["reset", "silent"])
async def test_a_crowd_that_vanishes(
    result: str, idle_timeout: float, open_serving: OpenSite, trust: ssl.SSLContext
) -> None:
    """100 HTTPS stations vanish in mid-transfer: under a second of CPU until no loan lives, and for a while after."""
    site = await open_serving(idle_timeout_seconds=idle_timeout)
    file = firmware(8_000_000)
    _, uris = await site.published(file)
    before = site.daemon.descriptors()
    stations = await asyncio.to_thread(lambda: [Download("https", uris, trust) for _ in range(CROWD)])
    cost = Cost(site)
    for station in stations:
        if result == "aborted":
            station.vanish()
    await site.daemon.down_to(before)
    await asyncio.sleep(AFTERWARDS_SECONDS)
    assert cost.so_far() < 1
    assert await site.unpublish(file.checksum) == "Unpublished"
    assert await site.daemon.metric("localctl_firmware_downloads_in_progress", protocol="https") == 0
    ended = await site.daemon.metric("localctl_firmware_downloads_total", protocol="https", result=result)
    assert ended == CROWD
    for station in stations:
        station.close()
