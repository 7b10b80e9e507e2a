"""The connection: what arrives, what breaks, and that nothing of it ends the daemon."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from localctl.config import Csms as Settings
from localctl.errors import StorageError
from localctl.ocpp.frames import Payload
from localctl.ocpp.messages import PublishFirmwareRequest, answer
from localctl.store.records import Notification
from localctl.uplink import dial
from localctl.uplink.connection import MOST_REQUESTS
from localctl.uplink.handlers import Then
from tests.actors.csms import IGNORE, Answer, Csms
from tests.actors.link import Call, CallError
from tests.uplink.controller import LC, MD5, PUBLISH, Controller, Mirror, call, controller, gone, trigger, until

BOOT = "BootNotification"
PASSWORD = "correct horse battery"


async def again(csms: Csms, made: Controller, links: int = 2) -> None:
    """The controller is back, and ready."""
    await csms.until(lambda: len(csms.links) >= links and csms.links[-1].closed is None)
    await until(lambda: made.uplink.is_ready)


async def test_requests_are_answered() -> None:
    """L03.FR.05, L04.FR.02: the mirror's answers reach the CSMS; what follows an answer comes after it."""
    room = Mirror()
    async with Csms() as csms, controller(csms.url, mirror=room):
        link = await csms.controller()
        assert await call(csms, "PublishFirmware", PUBLISH) == {"status": "Accepted"}
        await until(lambda: room.asked == [7, "begin"])
        assert await call(csms, "UnpublishFirmware", {"checksum": MD5}) == {"status": "Unpublished"}
        assert room.asked == [7, "begin", MD5]
        assert link.closed is None


@pytest.mark.parametrize(
    ("frame", "message_id", "code"),
    [
        ("nonsense", "-1", "RpcFrameworkError"),
        ("", "-1", "RpcFrameworkError"),
        ("{}", "-1", "RpcFrameworkError"),
        ("[]", "-1", "RpcFrameworkError"),
        ("[2]", "-1", "RpcFrameworkError"),
        ('[2,7,"Reset",{}]', "-1", "RpcFrameworkError"),
        (f'[2,"{"x" * 37}","Reset",{{}}]', "-1", "RpcFrameworkError"),
        ('[2,"m","Reset"]', "m", "RpcFrameworkError"),
        ('[2,"m","TriggerMessage",[]]', "m", "FormatViolation"),
        ('[2,"m","Nonsense",{}]', "m", "NotImplemented"),
        ('[2,"m","Reset",{"type":"Immediate"}]', "m", "NotSupported"),
        ('[2,"m","TriggerMessage",{}]', "m", "OccurrenceConstraintViolation"),
        ('[2,"m","TriggerMessage",{"requestedMessage":7}]', "m", "TypeConstraintViolation"),
        ('[2,"m","TriggerMessage",{"requestedMessage":"Heartbeat","more":1}]', "m", "FormatViolation"),
        ('[2,"m","UnpublishFirmware",{"checksum":"' + "0" * 33 + '"}]', "m", "PropertyConstraintViolation"),
        ('[9,"m","Reset",{}]', "m", "MessageTypeNotSupported"),
        (b'[2,"m","Reset",{}]', "-1", "RpcFrameworkError"),
        (b"\x00\xff", "-1", "RpcFrameworkError"),
    ],
)
async def test_what_cannot_be_understood(frame: str | bytes, message_id: str, code: str) -> None:
    """Faults, row 24; 4.2.3, 4.3: the right CALLERROR, and the link stays."""
    async with Csms() as csms, controller(csms.url):
        link = await csms.controller()
        await csms.send_raw(LC, frame)
        if message_id != "-1":
            link.calls.setdefault(message_id, "")
        answered = await csms.answer(LC, message_id)
        assert isinstance(answered, CallError)
        assert answered.code == code
        await trigger(csms, "Heartbeat")
        assert link.closed is None


@pytest.mark.parametrize("version", ["2.1", "2.0.1"])
@pytest.mark.parametrize(
    "frame",
    ['[3,"unknown",{}]', "[3,7,{}]", "[3]", '[4,"unknown","GenericError","",{}]', "[4]", '[3,"unknown",[]]'],
)
async def test_answers_to_nothing_are_ignored(version: str, frame: str) -> None:
    """4.1.1: late or unknown answers, and malformed ones, are never answered."""
    async with Csms(subprotocols=(f"ocpp{version}",)) as csms, controller(csms.url):
        link = await csms.controller()
        before = len(link.answers)
        await csms.send_raw(LC, frame)
        await trigger(csms, "Heartbeat")
        assert len(link.answers) == before + 1  # the trigger's


@pytest.mark.parametrize("frame", ['[5,"m","GenericError","",{}]', '[6,"m","NotifyPeriodicEventStream",{}]', "[6]"])
async def test_send_and_callresulterror(frame: str) -> None:
    """On 2.1 they are never answered; 2.0.1 knows neither and answers MessageTypeNotSupported."""
    async with Csms(subprotocols=("ocpp2.1",)) as csms, controller(csms.url):
        link = await csms.controller()
        await csms.send_raw(LC, frame)
        await trigger(csms, "Heartbeat")
        assert len(link.answers) == 1
    async with Csms(subprotocols=("ocpp2.0.1",)) as csms, controller(csms.url):
        await csms.controller()
        await csms.send_raw(LC, frame)
        answered = await csms.answer(LC, "m" if '"m"' in frame else "-1")
        assert isinstance(answered, CallError)
        assert answered.code == "MessageTypeNotSupported"


async def test_a_csms_that_restarts() -> None:
    """Faults, row 20; Part 4, 5.3: back by itself, without a new boot, and ready from the first moment."""
    async with Csms() as csms, controller(csms.url) as made:
        await csms.controller()
        await until(lambda: made.uplink.is_ready)
        await csms.stop()
        await until(lambda: made.uplink.link is None)
        assert made.count("csms_connected") == 0
        made.notify("Downloading", "Downloaded")
        assert made.count("csms_queue_messages") == 2
        await csms.start()
        await until(lambda: len(made.settled) == 2)
        assert len(csms.received(LC, BOOT)) == 1
        assert made.count("csms_connects_total") == 2
        assert made.count("csms_connection_failures_total", reason="closed") >= 1


async def test_a_quiet_reconnection_counts_as_connected() -> None:
    """The gauge does not wait for something to be sent."""
    async with Csms() as csms, controller(csms.url) as made:
        await csms.controller()
        await until(lambda: made.uplink.is_ready)
        gone(csms.link(LC))
        await again(csms, made)
        assert made.count("csms_connected") == 1
        assert [taken.action for link in csms.links for taken in link.received] == [BOOT]


async def test_the_back_off_grows_and_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    """OCPP-J 5.3, errata 4.12: doubled at each failure up to its limit, at the minimum again after a connection."""
    caplog.set_level(logging.WARNING, "localctl.uplink")

    def pauses() -> list[str]:
        lines = [record.getMessage() for record in caplog.records if "trying again" in record.getMessage()]
        return [line.rpartition("trying again in ")[2] for line in lines]

    keys: dict[str, Any] = {"retry_backoff_wait_minimum_seconds": 0.1, "retry_backoff_repeat_times": 2}
    async with Csms() as csms:
        csms.refusals[LC] = 503
        async with controller(csms.url, **keys) as made:
            await until(lambda: len(pauses()) == 4)
            assert pauses() == ["0.1 s", "0.2 s", "0.4 s", "0.4 s"]
            csms.refusals.clear()
            await csms.controller()
            gone(csms.link(LC))
            await until(lambda: len(pauses()) > 4 and pauses()[-1] == "0.1 s")
            assert made.count("csms_connection_failures_total", reason="protocol") == 4


async def test_a_frozen_csms_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """5.2: a ping that is not answered ends the connection, however well the TCP connection looks."""
    monkeypatch.setattr(dial, "PING_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(dial, "CLOSE_TIMEOUT_SECONDS", 0.3)
    async with Csms() as csms, controller(csms.url, ping_interval_seconds=0.1) as made:
        link = await csms.controller()
        await until(lambda: made.uplink.is_ready)
        link.connection.transport.pause_reading()
        await csms.until(lambda: len(csms.links) >= 2)
        await until(lambda: made.count("csms_connection_failures_total", reason="closed") >= 1)
        gone(link)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 4000])
async def test_any_close_is_a_reconnection(code: int) -> None:
    """However the CSMS ends it; its words are logged on one line."""
    async with Csms() as csms, controller(csms.url) as made:
        link = await csms.controller()
        await link.connection.close(code, "two\nlines")
        await again(csms, made)
        assert made.uplink.last_error == f"the connection was closed with {code} ('two\\nlines')"


async def test_a_connection_that_breaks_is_told_so() -> None:
    """Nobody has closed it, so nobody is said to have."""
    async with Csms() as csms, controller(csms.url) as made:
        link = await csms.controller()
        link.connection.transport.abort()
        await again(csms, made)
        assert made.uplink.last_error == "the connection broke off (1006)"


async def test_a_stop_closes_with_1001() -> None:
    """Faults, row 34: the CSMS sees an orderly end."""
    async with Csms() as csms:
        async with controller(csms.url):
            link = await csms.controller()
        await csms.until(lambda: link.closed)
        assert link.closed == (1001, "")


async def test_an_oversize_message_ends_the_connection_only() -> None:
    """Faults, row 25: 1009, and back again."""
    async with Csms(max_size=2**22) as csms, controller(csms.url) as made:
        link = await csms.controller()
        await csms.send_raw(LC, "x" * (2**20 + 1))
        await csms.until(lambda: link.closed)
        assert link.closed is not None
        assert link.closed[0] == 1009
        await again(csms, made)


async def test_a_csms_that_does_not_wait_for_answers() -> None:
    """4.1.1 binds the CSMS as well; where it does not keep to it, all are answered, in order."""
    async with Csms() as csms, controller(csms.url):
        link = await csms.controller()
        ids = [f"m{number}" for number in range(3 * MOST_REQUESTS)]
        for message_id in ids:
            await csms.send_raw(LC, json.dumps([2, message_id, "UnpublishFirmware", {"checksum": MD5}]))
        await csms.answer(LC, ids[-1])
        assert list(link.answers) == ids


class Waiting(Mirror):
    """A mirror that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()

    async def publish(self, request: PublishFirmwareRequest) -> tuple[Payload, Then]:
        """Accept in the end."""
        self.asked.append("asked")
        await self.opened.wait()
        return await super().publish(request)

    async def withdraw(self, checksum: str) -> str:
        """Withdraw in the end."""
        self.asked.append("asked")
        await self.opened.wait()
        return await super().withdraw(checksum)


@pytest.mark.parametrize(
    ("action", "payload", "done"),
    [("PublishFirmware", PUBLISH, ["asked", 7, "begin"]), ("UnpublishFirmware", {"checksum": MD5}, ["asked", MD5])],
)
@pytest.mark.parametrize("sending", [False, True])
async def test_what_was_asked_is_done_though_the_connection_is_lost(
    action: str,
    payload: dict[str, Any],
    done: list[Any],
    sending: bool,  # noqa: FBT001
) -> None:
    """Faults, row 20: a publication on record begins, a withdrawal is not left half done; the next request waits."""
    room = Waiting()
    async with Csms() as csms, controller(csms.url, mirror=room) as made:
        await csms.controller()
        await until(lambda: made.uplink.is_ready)
        await csms.send_raw(LC, json.dumps([2, "lost", action, payload]))
        await until(lambda: room.asked == ["asked"])
        gone(csms.link(LC))
        if sending:  # the sender notices first, and what reads is cancelled
            made.notify("Downloading")
        await again(csms, made)
        await csms.send_raw(LC, json.dumps([2, "next", "TriggerMessage", {"requestedMessage": "Heartbeat"}]))
        room.opened.set()
        await until(lambda: room.asked == done)
        assert await csms.answer(LC, "next") == {"status": "Accepted"}
        assert room.asked == done


async def test_a_settlement_is_finished_though_the_connection_is_lost() -> None:
    """Faults, row 21: what was answered is not sent again after a restart."""
    begun, opened = asyncio.Event(), asyncio.Event()

    async def settle(_notification: Notification) -> None:
        begun.set()
        await opened.wait()

    async with Csms() as csms, controller(csms.url, settle=settle) as made:
        await csms.controller()
        (note,) = made.notify("Downloading")
        await begun.wait()
        gone(csms.link(LC))
        await again(csms, made)
        opened.set()
        await until(lambda: made.settled == [note])


@pytest.mark.parametrize("fault", [StorageError("commit", "/state/localctl.db", "disk I/O error"), KeyError("ours")])
async def test_a_settlement_that_fails_stops_nothing(fault: Exception) -> None:
    """Faults, row 6: it may be sent again after a restart; the next one goes out."""
    left = [fault]

    async def settle(_notification: Notification) -> None:
        if left:
            raise left.pop()

    async with Csms() as csms, controller(csms.url, settle=settle) as made:
        link = await csms.controller()
        notes = made.notify("Downloading", "Downloaded")
        await until(lambda: made.settled == notes[1:])
        assert link.closed is None


class Faulty(Mirror):
    """A mirror with a fault of ours in it."""

    async def publish(self, request: PublishFirmwareRequest) -> tuple[Payload, Then]:
        """Fail before the answer, or after it."""
        if request.requestId == 1:
            raise KeyError("a fault of ours")

        def then() -> None:
            raise KeyError("a fault of ours")

        return answer("Accepted"), then


async def test_a_fault_of_ours_in_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """The CSMS is told InternalError, or had its answer; the link and the daemon live."""
    async with Csms() as csms, controller(csms.url, mirror=Faulty()) as made:
        link = await csms.controller()
        answered = await call(csms, "PublishFirmware", PUBLISH | {"requestId": 1})
        assert answered == CallError("InternalError", "a fault of localctl")
        assert await call(csms, "PublishFirmware", PUBLISH | {"requestId": 2}) == {"status": "Accepted"}
        await trigger(csms, "Heartbeat")
        assert link.closed is None
        assert not made.task.done()
    assert caplog.text.count("failed by a fault of localctl") == 2


def failing_once(then: Callable[[], str], at: int) -> Callable[[], str]:
    """Message ids, of which one cannot be made."""
    count = iter(range(1000))

    def new_id() -> str:
        if next(count) == at:
            raise KeyError("a fault of ours")
        return then()

    return new_id


async def test_a_fault_of_ours_in_the_sender(caplog: pytest.LogCaptureFixture) -> None:
    """It costs the connection, which is opened again; nothing that waits is lost."""
    ids = iter(range(1000))
    async with (
        Csms() as csms,
        controller(csms.url, new_id=failing_once(lambda: f"id-{next(ids)}", 1)) as made,
    ):
        await csms.controller()
        notes = made.notify("Downloading", "Downloaded")
        await until(lambda: made.settled == notes)
        assert len(csms.links) == 2
        assert not made.task.done()
    assert "ends by a fault of localctl" in caplog.text


async def test_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Neither our password nor the credentials in a location are in the log, at any level."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "localctl")
    async with Csms(passwords={LC: PASSWORD}) as csms, controller(csms.url, basic_auth_password=PASSWORD):
        await csms.controller()
        location = "http://user:s3cret@files.example.com/fw.bin"
        await call(csms, "PublishFirmware", PUBLISH | {"location": location})
        await call(csms, "PublishFirmware", PUBLISH | {"location": location, "requestId": "x"})
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("localctl")]
    assert any("connected to the CSMS" in line for line in lines)
    assert not [line for line in lines if PASSWORD in line or "s3cret" in line or "Basic " in line]


async def test_a_change_is_tried_at_once() -> None:
    """Who waits for the next try has it with the new password; a change while connected costs no pause later."""
    keys: dict[str, Any] = {"retry_backoff_wait_minimum_seconds": 3600}
    async with Csms(passwords={LC: PASSWORD}) as csms, controller(csms.url, **keys) as made:
        await until(lambda: made.uplink.last_error)
        same = Settings(url=csms.url, **keys)
        made.uplink.reconfigure(same)
        made.uplink.reconfigure(same.model_copy(update={"basic_auth_password": SecretStr(PASSWORD)}))
        await csms.controller()
        await until(lambda: made.uplink.is_ready)
        tries = len(csms.handshakes)
        made.uplink.reconfigure(same)
        gone(csms.link(LC))
        await until(lambda: made.uplink.link is None)
        await asyncio.sleep(0.1)
        assert len(csms.handshakes) == tries


async def test_another_call_timeout_counts_for_the_next_call() -> None:
    """On the connection that is open."""
    async with Csms() as csms, controller(csms.url, call_timeout_seconds=3600) as made:
        await csms.controller()
        await until(lambda: made.uplink.is_ready)

        async def ignore(_: Call) -> Answer | None:
            return IGNORE

        csms.hooks["PublishFirmwareStatusNotification"] = ignore
        made.uplink.reconfigure(Settings(url=csms.url, call_timeout_seconds=0.05))
        made.notify("Downloading")
        await until(lambda: made.outbox.due_at() > made.clock())
