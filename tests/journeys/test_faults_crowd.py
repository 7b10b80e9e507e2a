"""A whole site at once, rows 23 and 27 of the faults: it comes, loses its CSMS, and comes back by itself."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from localctl.values import parse_address
from tests.actors.crowd import Crowd
from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.link import Call
from tests.actors.noise import starved
from tests.actors.site import LC

DIALS: Final = 40  # a second, at most
BURST: Final = DIALS / 4  # begun at once after a pause
ROW_27_SECONDS: Final = 60


async def accepted(_call: Call) -> dict[str, Any]:
    """The answer to a boot, of a CSMS that has many to give."""
    return {"status": "Accepted", "currentTime": "2026-01-01T00:00:00Z", "interval": 300}


def crowd_at(daemon: Daemon, size: int, pause: float) -> Crowd:
    """Stations that come to the daemon."""
    return Crowd(parse_address(daemon.listeners["stations.ws"]), size, pause)


def at_csms(csms: Csms) -> Counter[str]:
    """How many open connections each station has to the CSMS."""
    return Counter(link.identity for link in csms.links if link.closed is None and link.identity != LC)


async def test_row_23_the_csms_restarts(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """Row 23, 6.3: with 1001 whichever way it stops, in no second more dials than the rate allows, and no descriptor
    lost however often. Neither side's pings are due before the wait for the end is over.
    """
    size = 20
    async with Csms() as csms, Daemon(tmp_path, csms.url, {"csms": {"max_dials_per_second": DIALS}}) as daemon:
        await daemon.ready()
        csms.hooks["BootNotification"] = accepted
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with crowd_at(daemon, size, pause=0.05) as crowd:
            await crowd.complete(ROW_27_SECONDS)
            assert loop.time() - began >= (size - BURST) / DIALS
            await csms.controller()
            before = daemon.descriptors()
            for number in range(rounds(3, 100)):
                await csms.stop(abruptly=number % 2 == 0)
                await crowd.gone()
                assert crowd.closes == {1001: size * (number + 1)}
                began = loop.time()
                await csms.start()
                await crowd.complete(ROW_27_SECONDS)
                assert loop.time() - began >= (size - BURST) / DIALS
            assert at_csms(csms) == Counter(crowd.identities)
            assert set(crowd.refusals) <= {503}
            assert not crowd.broken
            await daemon.down_to(before)


async def test_row_27_a_thousand_stations_at_once(tmp_path: Path, rounds: Callable[[int, int], int]) -> None:
    """Row 27: all are relayed, each as itself and once, none is refused; after a restart of the CSMS all come back by
    themselves; and the main loop is never late by a second.
    """
    size = rounds(150, 1000)
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        csms.hooks["BootNotification"] = accepted
        waited = starved(daemon.pid)
        async with crowd_at(daemon, size, pause=1) as crowd:
            await crowd.complete(ROW_27_SECONDS)
            assert not crowd.refusals
            assert not crowd.broken
            assert [shake.identity for shake in csms.handshakes].count(LC) == len(csms.handshakes) - size
            assert at_csms(csms) == Counter(crowd.identities)
            for identity in crowd.identities:
                assert [boot["chargePointSerialNumber"] for boot in csms.received(identity, "BootNotification")] == [
                    identity
                ]
            assert {each["identity"] for each in (await daemon.status())["stations"]} == set(crowd.identities)
            await csms.stop(abruptly=True)
            await crowd.gone()
            await csms.start()
            await crowd.complete(ROW_27_SECONDS)
            assert at_csms(csms) == Counter(crowd.identities)
            assert set(crowd.refusals) <= {503}
            late = await daemon.metric("localctl_event_loop_lag_seconds", loop="main")
            assert late < 1 + starved(daemon.pid) - waited
