import asyncio
from pathlib import Path

import pytest

from localctl.demo import dialects
from localctl.demo.csms import Csms, now
from localctl.demo.origin import Origin, make_firmware
from localctl.demo.patience import DemoFailed
from localctl.demo.plan import MIB, Role, Version
from localctl.demo.station import Downloaded, Pause, Station

FAST = 1e12


def no_show(_: int) -> None:
    """Nobody looks."""


async def update(csms: Csms, version: Version, location: str) -> None:
    """Wait for the station, and tell it where its firmware is."""
    await csms.hear("CS-01", "BootNotification", 30)
    assert csms.version("CS-01") == version
    request = dialects.update_firmware(version, location, 7, now())
    assert await csms.call("CS-01", "UpdateFirmware", request) == dialects.update_answer(version)


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_it_updates_when_told(version: Version, tmp_path: Path) -> None:
    """It boots, fetches what UpdateFirmware names, and reports Downloading and Downloaded, in this order."""
    checksum = make_firmware(tmp_path / "a.bin", MIB)
    shown: list[int] = []
    async with Csms() as csms, Origin(tmp_path / "a.bin", FAST) as origin, asyncio.TaskGroup() as tasks:
        station = Station(Role("CS-01", version, "http", pauses=False), FAST, None, shown.append)
        living = tasks.create_task(station.live(csms.url))
        await update(csms, version, origin.location)
        told = [await csms.hear("CS-01", "FirmwareStatusNotification", 30) for _ in range(2)]
        assert await living == Downloaded(MIB, checksum)
    request_id = {} if version == "1.6" else {"requestId": 7}
    assert told == [{"status": "Downloading", **request_id}, {"status": "Downloaded", **request_id}]
    assert shown == sorted(shown)
    assert shown[-1] == MIB


async def test_it_pauses_where_it_should(tmp_path: Path) -> None:
    """It stops at the byte that it was told, and goes on when it may."""
    content_md5 = make_firmware(tmp_path / "a.bin", MIB)
    shown: list[int] = []
    async with Csms() as csms, Origin(tmp_path / "a.bin", FAST) as origin, asyncio.TaskGroup() as tasks:
        pause = Pause(MIB // 2)
        station = Station(Role("CS-01", "2.0.1", "http", pauses=True), FAST, pause, shown.append)
        living = tasks.create_task(station.live(csms.url))
        await update(csms, "2.0.1", origin.location)
        await pause.reached.wait()
        assert MIB // 2 <= shown[-1] < MIB
        assert csms.unheard("CS-01", "FirmwareStatusNotification") == [{"status": "Downloading", "requestId": 7}]
        pause.over.set()
        assert (await living).md5 == content_md5


async def test_it_keeps_its_pace(tmp_path: Path) -> None:
    """It reads no faster than it was told, so that there is something to see."""
    make_firmware(tmp_path / "a.bin", MIB)
    loop = asyncio.get_running_loop()
    async with Csms() as csms, Origin(tmp_path / "a.bin", FAST) as origin, asyncio.TaskGroup() as tasks:
        station = Station(Role("CS-01", "1.6", "http", pauses=False), 4.0 * MIB, None, no_show)
        begun = loop.time()
        living = tasks.create_task(station.live(csms.url))
        await update(csms, "1.6", origin.location)
        await living
        assert loop.time() - begun >= 0.2


async def test_a_lost_connection_fails() -> None:
    """A station that loses its controller says so, and does not wait for ever."""
    async with Csms() as csms:
        station = Station(Role("CS-01", "1.6", "http", pauses=False), FAST, None, no_show)
        words = "^CS-01 lost its connection to the controller$"
        with pytest.RaisesGroup(pytest.RaisesExc(DemoFailed, match=words), flatten_subgroups=True):
            async with asyncio.TaskGroup() as tasks:
                living = tasks.create_task(station.live(csms.url))
                await csms.hear("CS-01", "BootNotification", 30)
                await csms.__aexit__(None, None, None)
                await living


async def test_a_controller_that_is_not_there_fails() -> None:
    """A connection that cannot be opened is a sentence."""
    async with Csms() as csms:
        url = csms.url
    station = Station(Role("CS-01", "1.6", "http", pauses=False), FAST, None, no_show)
    with pytest.raises(DemoFailed, match=r"^CS-01 could not connect to the controller: "):
        await station.live(url)
