"""A station's messages through ``localctl run``: stations and CSMS on the package ``ocpp`` (Part 4 §6)."""

import asyncio
import base64
import os
import time
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.actors.noise import starved
from tests.actors.site import LC, OpenSite, Site
from tests.actors.station import Station

SPOKEN = ("1.6", "2.0.1")
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "1.6": ("RemoteStartTransaction", {"idTag": "TAG"}),
    "2.0.1": (
        "RequestStartTransaction",
        {"remoteStartId": 7, "idToken": {"idToken": "TAG", "type": "ISO14443"}},
    ),
}


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A site whose CSMS speaks every version."""
    return await open_site("2.0.1", passwords={"CS 1/a": "right"})


@pytest.mark.parametrize("version", SPOKEN)
async def test_a_station_at_work(site: Site, version: str) -> None:
    """6.4: boot, heartbeat, a transaction, and a CALL of the CSMS with its answer, each frame as it was sent."""
    async with Station(site.daemon.stations_url, "CS-1", version) as station:
        assert await station.boot() == "Accepted"
        assert await station.heartbeat()
        await station.transaction()
        action, payload = ASKED[version]
        assert await site.csms.call("CS-1", action, payload) == {"status": "Accepted"}
        assert [called[0] for called in station.called] == [action]
        link = site.csms.link("CS-1")
        assert [f.data for f in link.frames if f.direction == "received"] == [
            f.data for f in station.frames if f.direction == "sent"
        ]
        assert [f.data for f in link.frames if f.direction == "sent"] == [
            f.data for f in station.frames if f.direction == "received"
        ]


@pytest.mark.parametrize("version", SPOKEN)
async def test_the_csms_sees_the_station_as_it_is(site: Site, version: str) -> None:
    """6.1, 6.2: path, identity, subprotocol and credentials reach the CSMS as the station sent them."""
    async with Station(site.daemon.stations_url, "CS 1/a", version, password="right") as station:
        assert await station.boot() == "Accepted"
        shake = site.csms.link("CS 1/a").handshake
    assert shake.path == "/ocpp/CS%201%2Fa"
    assert shake.identity == "CS 1/a"
    assert shake.offered == (f"ocpp{version}",)
    assert shake.headers["Authorization"] == "Basic " + base64.b64encode(b"CS 1/a:right").decode()


async def test_a_wrong_password(site: Site) -> None:
    """6.1: the CSMS's 401 reaches the station as that 401."""
    with pytest.raises(InvalidStatus) as refused:
        async with Station(site.daemon.stations_url, "CS 1/a", password="wrong"):
            pass
    assert refused.value.response.status_code == 401
    assert "WWW-Authenticate" in refused.value.response.headers


async def test_the_csms_stops(site: Site) -> None:
    """6.3: when the CSMS stops, the station's socket is closed within a second."""
    async with Station(site.daemon.stations_url, "CS-1") as station:
        await station.boot()
        pids = (site.daemon.pid, os.getpid())
        stopped, waited = time.monotonic(), sum(map(starved, pids))
        await site.csms.stop(abruptly=True)
        await station.until(lambda: station.closed)
        assert time.monotonic() - stopped < 1 + sum(map(starved, pids)) - waited
        assert station.connection.close_code == 1001


async def test_the_station_leaves(site: Site) -> None:
    """6.3: when the station leaves, the CSMS's socket is closed with the station's code and reason."""
    async with Station(site.daemon.stations_url, "CS-1") as station:
        await station.boot()
        link = site.csms.link("CS-1")
        await station.connection.close(4001, "going home")
    await site.csms.until(lambda: link.closed)
    assert link.closed == (4001, "going home")


async def test_our_own_identity_is_refused(site: Site) -> None:
    """6.2: a station under the controller's identity gets 403, and the uplink stays."""
    with pytest.raises(InvalidStatus) as refused:
        async with Station(site.daemon.stations_url, LC):
            pass
    assert refused.value.response.status_code == 403
    assert site.csms.link(LC).closed is None


async def test_no_csms(site: Site) -> None:
    """6.1: 503 while the CSMS cannot be reached; relayed again once it is back."""
    await site.csms.stop(abruptly=True)
    with pytest.raises(InvalidStatus) as refused:
        async with Station(site.daemon.stations_url, "CS-1"):
            pass
    assert refused.value.response.status_code == 503
    await site.csms.start()
    async with Station(site.daemon.stations_url, "CS-1") as station:
        assert await station.boot() == "Accepted"


async def test_relays_go_on_while_firmware_is_mirrored(site: Site) -> None:
    """The three journeys at once: two stations talk while a file is fetched, published and withdrawn."""
    from tests.actors.site import firmware

    async with (
        Station(site.daemon.stations_url, "CS-1", "1.6") as old,
        Station(site.daemon.stations_url, "CS-2", "2.0.1") as new,
        asyncio.TaskGroup() as tasks,
    ):
        file = firmware(5_000_000)
        publishing = tasks.create_task(site.published(file))
        for station in (old, new):
            assert await station.boot() == "Accepted"
            await station.transaction()
        await publishing
        assert await site.unpublish(file.checksum) == "Unpublished"
        status = await site.daemon.status()
        assert {each["identity"]: each["ocpp_version"] for each in status["stations"]} == {
            "CS-1": "1.6",
            "CS-2": "2.0.1",
        }
