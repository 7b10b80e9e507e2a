from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import InvalidStatus

from localctl.demo.csms import Csms
from localctl.demo.patience import DemoFailed
from tests.actors.schemas import check_frame
from tests.actors.station import Station


@pytest.fixture
async def csms() -> AsyncIterator[Csms]:
    """The demo's CSMS."""
    async with Csms() as opened:
        yield opened


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_it_accepts_whoever_comes(csms: Csms, version: str) -> None:
    """A station of any version boots and is alive; the CSMS knows its identity and its version."""
    async with Station(csms.url, "CS 1/é", version) as station:
        assert await station.boot() == "Accepted"
        await station.heartbeat()
        assert csms.version("CS 1/é") == version
        assert "reason" in await csms.hear("CS 1/é", "BootNotification", 30) or version == "1.6"


async def test_its_answers_keep_to_the_schemas(csms: Csms) -> None:
    """What it sends is what the official schemas allow."""
    async with Station(csms.url, "CS-01", "2.0.1") as station:
        await station.boot()
        sent, received = station.frames
    check_frame("2.0.1", received.data, {str(sent.data).split('"')[1]: "BootNotification"})


async def test_what_nobody_has_asked_for_is_kept(csms: Csms) -> None:
    """Messages wait for whoever asks, in order; what is left over can be looked at."""
    async with Station(csms.url, "CS-01") as station:
        for _ in range(3):
            await station.heartbeat()
    assert await csms.hear("CS-01", "Heartbeat", 30) == {}
    assert csms.unheard("CS-01", "Heartbeat") == [{}, {}]
    assert csms.unheard("CS-01", "Heartbeat") == []


async def test_silence_fails_the_demo(csms: Csms) -> None:
    """What does not come in time is named."""
    with pytest.raises(DemoFailed, match=r"^BootNotification of CS-01 did not come"):
        await csms.hear("CS-01", "BootNotification", 0)


async def test_whoever_is_not_there_cannot_be_called(csms: Csms) -> None:
    """A call to an identity that is not connected, or not any more, fails with its name."""
    async with Station(csms.url, "CS-01"):
        pass
    with pytest.raises(DemoFailed, match=r"^CS-02 is not connected to the CSMS$"):
        await csms.call("CS-02", "Reset", {})
    with pytest.raises(DemoFailed, match="CS-01"):  # whether the CSMS has noticed yet or not
        await csms.call("CS-01", "Reset", {})


async def test_a_language_that_is_not_ocpp_is_refused(csms: Csms) -> None:
    """Without a common subprotocol there is no connection."""
    with pytest.raises(InvalidStatus):
        async with Station(csms.url, "CS-01", subprotocols=["mqtt"]):
            pass
