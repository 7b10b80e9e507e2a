"""Whole stations against a whole CSMS, both of the package `ocpp`, through the door; and what they leave behind."""

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest
from ocpp.v16 import call as calls_16
from ocpp.v201 import call as calls_201
from websockets.exceptions import InvalidStatus

from tests.actors.csms import Csms
from tests.actors.station import Station
from tests.relay.conftest import OpenHouse, Peer, handshake, raw_station, until

START: Final[dict[str, Any]] = {"idToken": {"idToken": "TAG", "type": "ISO14443"}, "remoteStartId": 1}
ASKED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "1.6": ("RemoteStartTransaction", {"idTag": "TAG"}),
    "2.0.1": ("RequestStartTransaction", START),
    "2.1": ("RequestStartTransaction", START),
}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_station_at_work(open_house: OpenHouse, version: str) -> None:
    """Part 4 §6: it boots, beats, charges, is asked by the CSMS, and is known by its password, as without us."""
    async with Csms(passwords={"CS-1": "secret"}) as csms:
        house = await open_house(csms.url)
        async with Station(house.url("/ocpp"), "CS-1", version, password="secret") as station:
            assert await station.boot() == "Accepted"
            assert await station.heartbeat()
            await station.transaction()
            action, payload = ASKED[version]
            assert await csms.call("CS-1", action, payload) == {"status": "Accepted"}
            assert [asked for asked, _ in station.called] == [action]
            (seen,) = house.door.stations()
            assert (seen.identity, seen.ocpp_version, seen.peer) == ("CS-1", version, "127.0.0.1")
        await csms.until(lambda: csms.links[0].closed == (1000, ""))


async def test_a_wrong_password(open_house: OpenHouse) -> None:
    """Part 4 §6.1: the CSMS's 401, with what it asks for."""
    async with Csms(passwords={"CS-1": "secret"}) as csms:
        house = await open_house(csms.url)
        with pytest.raises(InvalidStatus) as fault:
            async with Station(house.url("/ocpp"), "CS-1", password="guess"):
                pass
        assert fault.value.response.status_code == 401
        assert fault.value.response.headers["WWW-Authenticate"] == 'Basic realm="ocpp"'


async def test_many_at_once(open_house: OpenHouse) -> None:
    """Answers never go astray between stations."""
    async with Csms() as csms, asyncio.TaskGroup() as group:
        house = await open_house(csms.url)

        async def work(number: int) -> None:
            version = ("1.6", "2.0.1")[number % 2]
            calls = (calls_16, calls_201)[number % 2]
            async with Station(house.url("/ocpp"), f"CS-{number}", version) as station:
                assert await station.boot() == "Accepted"
                for turn in range(5):
                    data = f"{number}/{turn}"
                    await station.call(calls.DataTransfer(vendor_id="v", data=data))
                    assert csms.received(station.identity, "DataTransfer")[-1]["data"] == data

        for number in range(20):
            group.create_task(work(number))


@pytest.mark.parametrize("abruptly", [False, True])
async def test_the_csms_stops(open_house: OpenHouse, abruptly: bool) -> None:  # noqa: FBT001  a parameter of the test
    """§6.3: every station is closed, so that it queues; it comes back through us when the CSMS is back."""
    async with Csms() as csms:
        house = await open_house(csms.url)
        async with Station(house.url("/ocpp"), "CS-1") as one, Station(house.url("/ocpp"), "CS-2") as two:
            await csms.connected("CS-2")
            await csms.stop(abruptly=abruptly)
            await one.until(lambda: one.closed)
            await two.until(lambda: two.closed)
            assert (one.connection.close_code, two.connection.close_code) == (1001, 1001)
        await house.gone()
        await csms.start()
        async with Station(house.url("/ocpp"), "CS-1") as station:
            assert await station.boot() == "Accepted"


async def test_nothing_is_left_behind(peer: Peer, open_house: OpenHouse) -> None:
    """After 60 relays, refusals and broken handshakes there is no task and no descriptor more than before."""
    house = await open_house(peer.url, allowed_identities=("CS-*",))

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def round_trip(number: int) -> None:
        station = await house.station(f"/ocpp/CS-{number % 7}")
        csms = await peer.accepted()
        await station.send("[2]")
        await csms.recv()
        if number % 3 < 2:
            await (station, csms)[number % 3].close()
        station.transport.abort()
        async with raw_station(house, handshake("/ocpp/XX")) as refused, raw_station(house, b"GET"):
            await refused.rest()

    await round_trip(0)
    await house.gone()
    await until(lambda: not house.door._arrivals)
    tasks, before = len(asyncio.all_tasks()), descriptors()
    for number in range(60):
        await round_trip(number)
    await house.gone()
    await until(lambda: not house.door._arrivals and not house.door._pairs)
    await until(lambda: len(asyncio.all_tasks()) <= tasks and descriptors() <= before)
    assert not house.door._roster._expected


async def test_each_station_has_its_series_where_that_is_asked_for(peer: Peer, open_house: OpenHouse) -> None:
    """1 from the CSMS's acceptance on, also while a namesake takes its place; 0 once it has gone."""
    house = await open_house(peer.url)
    house.metrics.attendance.keep(2)
    old = await house.station()
    await until(lambda: house.value("station_connected", station="CS-1") == 1)
    new = await house.station()
    await until(lambda: house.value("station_disconnects_total", reason="replaced") == 1)
    assert house.value("station_connected", station="CS-1") == 1
    await new.close()
    await house.gone()
    assert house.value("station_connected", station="CS-1") == 0
    await old.close()
