import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.actors.csms import Csms
from tests.actors.link import CallError
from tests.actors.station import Station

VERSIONS = ["1.6", "2.0.1", "2.1"]
UPDATE_16 = {"location": "http://h/f", "retrieveDate": "2024-01-01T00:00:00Z"}
UPDATE_2 = {"requestId": 1, "firmware": {"location": "http://h/f", "retrieveDateTime": "2024-01-01T00:00:00Z"}}
ASKED = {"component": {"name": "c"}, "variable": {"name": "v"}}


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_boots_and_charges(version: str) -> None:
    """What a station sends of its own accord is answered by the CSMS, and neither finds fault with the other."""
    async with Csms(controllers=["CS-1"]) as csms, Station(csms.url, "CS-1", version) as station:
        assert await station.boot() == "Accepted"
        assert (await station.heartbeat()).endswith("Z")
        await station.transaction()
        assert csms.link("CS-1").version == version
        frames = [frame.data for frame in csms.link("CS-1").frames]
        assert frames == [frame.data for frame in station.frames]
        assert all(json.loads(frame)[0] in {2, 3} for frame in frames)


@pytest.mark.parametrize(
    ("version", "action", "payload", "answer"),
    [
        ("1.6", "ChangeAvailability", {"connectorId": 0, "type": "Operative"}, {"status": "Accepted"}),
        ("1.6", "RemoteStartTransaction", {"idTag": "TAG"}, {"status": "Accepted"}),
        ("1.6", "UpdateFirmware", UPDATE_16, {}),
        *(
            (version, *rest)
            for version in VERSIONS[1:]
            for rest in (
                (
                    "GetVariables",
                    {"getVariableData": [ASKED]},
                    {"getVariableResult": [{"attributeStatus": "UnknownVariable", **ASKED}]},
                ),
                (
                    "RequestStartTransaction",
                    {"idToken": {"idToken": "TAG", "type": "ISO14443"}, "remoteStartId": 1},
                    {"status": "Accepted"},
                ),
                ("UpdateFirmware", UPDATE_2, {"status": "Accepted"}),
            )
        ),
    ],
)
async def test_a_station_does_as_it_is_told(
    version: str, action: str, payload: dict[str, object], answer: dict[str, object]
) -> None:
    """The CSMS's CALLs are answered, and kept for the test to look at."""
    async with Csms() as csms, Station(csms.url, "CS-1", version) as station:
        await csms.connected("CS-1")
        assert await csms.call("CS-1", action, payload) == answer
        assert [name for name, _ in station.called] == [action]
        refused = await csms.call("CS-1", "ClearCache", {})
        assert isinstance(refused, CallError)


async def test_a_station_shows_its_password() -> None:
    """Security profile 1: user name is the identity; the identity is percent-encoded in the path."""
    async with Csms(passwords={"CS 1/a": "secret"}) as csms:
        with pytest.raises(InvalidStatus, match="401"):
            await Station(csms.url, "CS 1/a", password="wrong").__aenter__()
        async with Station(csms.url, "CS 1/a", password="secret") as station:
            assert await station.boot() == "Accepted"
            assert csms.link("CS 1/a").handshake.path == "/ocpp/CS%201%2Fa"


async def test_a_station_notices_the_end() -> None:
    """A station whose CSMS goes away knows it, and the code."""
    async with Csms() as csms, Station(csms.url, "CS-1") as station:
        await csms.connected("CS-1")
        await csms.stop()
        await station.until(lambda: station.closed)
        assert station.connection.close_code == 1001
