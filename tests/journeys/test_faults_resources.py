"""Running out of descriptors, and crowds that vanish: what it costs the real daemon, and that it recovers."""

import asyncio
import resource
import ssl
from contextlib import ExitStack

import psutil

from localctl.values import parse_address
from tests.actors.fetch import WAYS, Download
from tests.actors.site import OpenSite, firmware
from tests.actors.station import Station
from tests.actors.wire import fast_socket

SPARE = 8  # descriptors that are left when the crowd comes
CROWD = 20  # connections to each listener
WINDOW_SECONDS = 3.0  # three pauses of a listener
SHARE = 0.25  # of a core, at most, while nothing can be taken


async def test_row_40_no_descriptors_left(open_serving: OpenSite, trust: ssl.SSLContext) -> None:
    """Row 40: listeners pause and say so, nothing spins, a relay goes on, and all recovers once some are free again."""
    site = await open_serving()
    file = firmware(300_000)
    _, uris = await site.published(file)
    process = psutil.Process(site.daemon.pid)
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        assert await station.boot() == "Accepted"
        most = process.num_fds() + SPARE
        resource.prlimit(site.daemon.pid, resource.RLIMIT_NOFILE, (most, most))
        with ExitStack() as crowd:
            for name, place in site.daemon.listeners.items():
                if name != "admin.socket":
                    for _ in range(CROWD):
                        crowd.enter_context(fast_socket(parse_address(place)))
            for name in site.daemon.listeners:
                if name != "admin.socket":
                    await site.daemon.logged(f"{name}.listen takes no connection")
            before = process.cpu_times()
            await asyncio.sleep(WINDOW_SECONDS)  # as long as what is measured
            after = process.cpu_times()
            used = after.user + after.system - before.user - before.system
            print("share", used / WINDOW_SECONDS)
            assert used < SHARE * WINDOW_SECONDS
            assert await station.heartbeat()
        for way in WAYS:
            download = await asyncio.to_thread(Download, way, uris, trust)
            assert await asyncio.to_thread(download.rest) == file.body
        async with Station(site.daemon.stations_url, "CS-2", "1.6") as other:
            assert await other.boot() == "Accepted"
        assert await station.heartbeat()
    await site.daemon.ready()
    assert await site.withdrawn(file.checksum) == "Unpublished"
