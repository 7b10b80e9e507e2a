import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.actors.csms import IGNORE, Csms
from tests.actors.link import Call, CallError, Frame

V201 = Subprotocol("ocpp2.0.1")
BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}


async def ask(peer: ClientConnection, message_id: str, action: str, payload: dict[str, Any]) -> Any:
    """Send a CALL; the next frame that comes back."""
    await peer.send(json.dumps([2, message_id, action, payload]))
    return json.loads(await peer.recv())


async def test_a_controller_boots_and_is_called() -> None:
    """The boot is answered and recorded, and a raw CALL gets its answer or its CALLERROR."""
    async with Csms() as csms, connect(f"{csms.url}/LC-0001?a=%20b", subprotocols=[V201]) as peer:
        answer = await ask(peer, "1", "BootNotification", BOOT)
        assert answer[:2] == [3, "1"]
        assert answer[2]["status"] == "Accepted"
        link = await csms.controller("LC-0001")
        assert (link.handshake.path, link.handshake.offered, link.chosen) == (
            "/ocpp/LC-0001?a=%20b",
            ("ocpp2.0.1",),
            "ocpp2.0.1",
        )
        assert [frame.direction for frame in link.frames] == ["received", "sent"]
        assert csms.received("LC-0001", "BootNotification") == [BOOT]
        async with asyncio.TaskGroup() as tasks:
            refused = tasks.create_task(csms.call("LC-0001", "Reset", {"type": "Immediate"}), name="call")
            reset = json.loads(await peer.recv())
            await peer.send(json.dumps([4, reset[1], "NotSupported", "never", {}]))
        assert refused.result() == CallError("NotSupported", "never")
        async with asyncio.TaskGroup() as tasks:
            answered = tasks.create_task(csms.call("LC-0001", "Reset", {"type": "Immediate"}), name="call")
            reset = json.loads(await peer.recv())
            await peer.send(json.dumps([3, reset[1], {"status": "Rejected"}]))
        assert answered.result() == {"status": "Rejected"}


async def test_statuses_are_waited_for_in_order() -> None:
    """The notifications of one requestId are told apart and kept in order."""
    async with Csms() as csms, connect(f"{csms.url}/LC-0001", subprotocols=[V201]) as peer:
        for number, (request_id, status) in enumerate([(7, "Downloading"), (8, "Downloading"), (7, "DownloadFailed")]):
            payload = {"requestId": request_id, "status": status}
            assert (await ask(peer, str(number), "PublishFirmwareStatusNotification", payload))[2] == {}
        assert await csms.wait_status(7, "DownloadFailed") == {"requestId": 7, "status": "DownloadFailed"}
        assert [payload["status"] for payload in csms.statuses(7)] == ["Downloading", "DownloadFailed"]
        with pytest.raises(AssertionError, match="Published of publication 7 did not come"):
            await csms.wait_status(7, "Published", timeout=0.01)


async def test_a_frame_of_a_controller_that_is_not_allowed_fails_the_test() -> None:
    """What the schemas refuse is a fault of a controller, told at the end, and none of a station's."""

    async def session() -> None:
        async with Csms() as csms:
            for identity in ("CS-1", "LC-0001"):
                assert csms.faults == []
                async with connect(f"{csms.url}/{identity}", subprotocols=[V201]) as peer:
                    assert (await ask(peer, "1", "Heartbeat", {"extra": 1}))[0] == 4

    with pytest.raises(AssertionError, match=r"LC-0001: OCPP 2\.0\.1 does not allow"):
        await session()


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_an_unknown_action_is_answered(version: str) -> None:
    """An action that the CSMS does not know gets NotImplemented, on every version."""
    async with Csms() as csms, connect(f"{csms.url}/CS-1", subprotocols=[Subprotocol(version)]) as peer:
        assert (await ask(peer, "1", "Nonsense", {}))[:3] == [4, "1", "NotImplemented"]


async def test_hooks_alter_refuse_ignore_and_delay() -> None:
    """A hook decides on the answer, and one that waits does not keep later frames from being read."""
    go = asyncio.Event()
    answers: list[Any] = [{"odd": 1}, CallError("GenericError", "no"), IGNORE]

    async def hook(call: Call) -> Any:
        if not answers:
            await go.wait()
            return None
        assert call.identity == "LC-0001"
        return answers.pop(0)

    async with Csms() as csms, connect(f"{csms.url}/LC-0001", subprotocols=[V201]) as peer:
        csms.hooks["Heartbeat"] = hook
        assert await ask(peer, "1", "Heartbeat", {}) == [3, "1", {"odd": 1}]
        assert await ask(peer, "2", "Heartbeat", {}) == [4, "2", "GenericError", "no", {}]
        await peer.send('[2,"3","Heartbeat",{}]')
        await peer.send('[2,"4","Heartbeat",{}]')
        assert (await ask(peer, "5", "BootNotification", BOOT))[1] == "5"
        go.set()
        assert json.loads(await peer.recv())[1] == "4"
        assert Frame("received", '[2,"3","Heartbeat",{}]') in csms.link("LC-0001").frames


async def test_a_hook_that_fails_fails_the_test() -> None:
    """An assertion in a hook is not lost."""

    async def hook(_call: Call) -> None:
        raise AssertionError("not like this")

    async def session() -> None:
        async with Csms() as csms, connect(f"{csms.url}/LC-0001", subprotocols=[V201]) as peer:
            csms.hooks["Heartbeat"] = hook
            await peer.send('[2,"1","Heartbeat",{}]')
            await csms.until(lambda: csms.faults)

    with pytest.raises(AssertionError, match="not like this"):
        await session()


async def test_handshakes_are_refused_as_told() -> None:
    """A wrong password is 401, other refusals are what the test says, and all handshakes are recorded."""

    async def door(_handshake: object) -> int:
        return 503

    async with Csms(passwords={"LC-0001": "secret"}) as csms:
        csms.refusals["CS-2"] = 403
        for identity, status in {"LC-0001": 401, "CS-2": 403, "": 404}.items():
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{csms.url}/{identity}", subprotocols=[V201])
            assert refused.value.response.status_code == status
        async with connect(csms.url.replace("//", "//LC-0001:secret@") + "/LC-0001", subprotocols=[V201]):
            assert (await csms.connected("LC-0001")).handshake.headers["Authorization"].startswith("Basic ")
        csms.door = door
        with pytest.raises(InvalidStatus, match="503"):
            await connect(f"{csms.url}/CS-3", subprotocols=[V201])
        assert [handshake.identity for handshake in csms.handshakes] == ["LC-0001", "CS-2", "", "LC-0001", "CS-3"]


async def test_without_a_common_subprotocol_the_socket_is_closed() -> None:
    """OCPP-J 3.2: the handshake completes without a subprotocol, and the socket is closed at once."""
    async with Csms(subprotocols=["ocpp2.1"]) as csms, connect(f"{csms.url}/CS-1", subprotocols=[V201]) as peer:
        assert peer.subprotocol is None
        with pytest.raises(ConnectionClosed):
            await peer.recv()
        await csms.until(lambda: csms.links[0].closed)


@pytest.mark.parametrize(("abruptly", "code"), [(False, 1001), (True, None)])
async def test_it_goes_and_comes_back_on_its_port(abruptly: bool, code: int | None) -> None:  # noqa: FBT001
    """A stopped CSMS refuses connections, its links end with 1001 or without a word, and a start brings it back."""
    async with Csms() as csms:
        async with connect(f"{csms.url}/CS-1", subprotocols=[V201]) as peer:
            await csms.connected("CS-1")
            await csms.stop(abruptly=abruptly)
            with pytest.raises(ConnectionClosed) as closed:
                await peer.recv()
            assert (closed.value.rcvd and closed.value.rcvd.code) == code
        with pytest.raises(ConnectionRefusedError):
            await connect(f"{csms.url}/CS-1", subprotocols=[V201])
        await csms.start()
        async with connect(f"{csms.url}/CS-1", subprotocols=[V201]):
            assert len(csms.links) == 2
