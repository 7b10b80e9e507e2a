"""What the controller sends of its own accord, as a CSMS sees it; every frame is held against the official schemas."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from localctl.ocpp.frames import Payload
from tests.actors.csms import IGNORE, Answer, Csms
from tests.actors.link import Call, CallError
from tests.uplink.controller import LC, PUBLISH, STATUS, call, controller, gone, told, trigger, until

BOOT = "BootNotification"
WHOLE: tuple[Any, ...] = ("Downloading", "Downloaded", "ChecksumVerified", "Published")


class Script:
    """What a CSMS answers to one action: each CALL takes the next answer, the last one is for all further."""

    def __init__(self, *answers: Answer | None) -> None:
        self._answers = list(answers)
        self.calls: list[Call] = []

    async def __call__(self, taken: Call) -> Answer | None:
        self.calls.append(taken)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Gate:
    """Answers wait until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.calls: list[Call] = []

    async def __call__(self, taken: Call) -> Answer | None:
        self.calls.append(taken)
        await self.opened.wait()
        return None


def boot(status: str, interval: int) -> Payload:
    """An answer to a BootNotification."""
    return {"status": status, "interval": interval, "currentTime": "2026-01-31T12:00:00Z"}


@pytest.mark.parametrize("version", ["2.1", "2.0.1"])
async def test_boot(version: str) -> None:
    """B01: who we are, once, on either version; then the link is ready."""
    async with Csms(subprotocols=(f"ocpp{version}",)) as csms, controller(csms.url) as made:
        await csms.controller()
        assert csms.received(LC, BOOT) == [
            {
                "reason": "PowerUp",
                "chargingStation": {
                    "vendorName": "localctl",
                    "model": "localctl",
                    "serialNumber": "SN-1",
                    "firmwareVersion": "localctl/test",
                },
            }
        ]
        await until(lambda: made.uplink.is_ready)
        assert made.count("csms_connected") == 1


@pytest.mark.parametrize("version", ["2.1", "2.0.1"])
async def test_statuses_go_out_in_order_and_one_at_a_time(version: str) -> None:
    """4.1.1, L03.FR.01: the next CALL waits for the answer to the one before; each answer is made to last."""
    gate = Gate()
    async with Csms(subprotocols=(f"ocpp{version}",)) as csms, controller(csms.url) as made:
        csms.hooks[STATUS] = gate
        await csms.controller()
        notes = made.notify(*WHOLE)
        await until(lambda: len(gate.calls) == 1)
        assert made.count("csms_queue_messages") == 4
        assert (await call(csms, "TriggerMessage", {"requestedMessage": "Heartbeat"})) == {"status": "Accepted"}
        assert csms.received(LC, "Heartbeat") == []
        assert told(csms) == ["Downloading"]
        gate.opened.set()
        await until(lambda: made.settled == notes)
        assert [csms.statuses(7)[-1]["location"]] == [["http://10.0.0.1/f"]]
        assert told(csms) == list(WHOLE)
        await until(lambda: made.count("csms_queue_messages") == 0)
        assert made.count("csms_call_duration_seconds_count", action=STATUS) == 4


async def test_a_callerror_is_an_answer() -> None:
    """Design, State that lasts: a notification that the CSMS refuses has been answered, and is not sent again."""
    async with Csms() as csms, controller(csms.url) as made:
        csms.hooks[STATUS] = Script(CallError("InternalError", "a\nline"), None)
        await csms.controller()
        made.notify(*WHOLE)
        await until(lambda: len(made.settled) == 4)
        assert told(csms) == list(WHOLE)


async def test_one_that_is_not_answered_is_sent_again() -> None:
    """Faults, row 22: the same one after 30 s, with a new id; nothing overtakes it; the late answer is ignored."""
    script = Script(IGNORE, None)
    async with Csms() as csms, controller(csms.url, call_timeout_seconds=0.2) as made:
        csms.hooks[STATUS] = script
        await csms.controller()
        made.notify("Downloading", "Downloaded")
        await until(lambda: made.outbox.due_at() > 0)
        made.skip(29)
        assert (await trigger(csms, "Heartbeat")) == {}  # heartbeats and triggers have their turn meanwhile
        await csms.send_raw(LC, json.dumps([3, script.calls[0].message_id, {}]))
        assert (told(csms), made.settled) == (["Downloading"], [])
        made.skip(1.5)
        await until(lambda: len(made.settled) == 2)
        assert told(csms) == ["Downloading", "Downloading", "Downloaded"]
        assert len({taken.message_id for taken in script.calls}) == 3


async def test_after_three_repetitions_it_waits_for_a_connection() -> None:
    """Design, State that lasts: 30, 60 and 120 s, then only at the next reconnection, at once."""
    async with Csms() as csms, controller(csms.url, call_timeout_seconds=0.1) as made:

        def is_waiting(sent: int) -> bool:
            return len(told(csms)) == sent and made.outbox.due_at() > made.clock()

        csms.hooks[STATUS] = Script(IGNORE)
        await csms.controller()
        made.notify("Downloading")
        for pause, sent in ((30, 1), (60, 2), (120, 3)):
            await until(partial(is_waiting, sent))
            assert pause - 5 < made.outbox.due_at() - made.clock() <= pause
            made.skip(pause)
        await until(lambda: len(told(csms)) == 4 and made.outbox.due_at() == float("inf"))
        made.skip(10_000)
        await trigger(csms, "FirmwareStatusNotification")
        assert len(told(csms)) == 4
        del csms.hooks[STATUS]
        gone(csms.link(LC))
        await until(lambda: len(made.settled) == 1)
        assert len(told(csms)) == 5


@pytest.mark.parametrize("moment", ["before the answer", "with the answer"])
async def test_a_connection_that_is_lost_after_the_call(moment: str) -> None:
    """Faults, row 21: the same notification again after the reconnection, with a new id, and in order."""
    ids: list[str] = []
    async with Csms() as csms, controller(csms.url) as made:

        async def break_it(taken: Call) -> Answer | None:
            ids.append(taken.message_id)
            if len(ids) == 1:
                if moment == "with the answer":
                    await csms.send_raw(LC, json.dumps([3, taken.message_id, {}]))
                gone(csms.link(LC))
                return IGNORE
            return None

        csms.hooks[STATUS] = break_it
        await csms.controller()
        notes = made.notify(*WHOLE)
        await until(lambda: made.settled == notes)
        assert list(dict.fromkeys(told(csms))) == list(WHOLE)
        assert len(set(ids)) == len(ids)
        assert len(csms.received(LC, BOOT)) == 1


async def test_what_waits_survives_any_number_of_losses() -> None:
    """Faults, row 20: a CSMS that goes at every other CALL gets each status in order; the last one arrives."""
    async with Csms() as csms, controller(csms.url) as made:
        taken: list[Call] = []

        async def flaky(each: Call) -> Answer | None:
            taken.append(each)
            if len(taken) % 2:
                gone(csms.link(LC))
                return IGNORE
            return None

        csms.hooks[STATUS] = flaky
        await csms.controller()
        notes = made.notify(*WHOLE, *WHOLE, *WHOLE)
        await until(lambda: made.settled == notes)
        assert [told(csms)[at] for at in range(1, 24, 2)] == list(WHOLE * 3)


async def test_what_waits_waits_for_accepted() -> None:
    """B01.FR.08, B02.FR.02: while Pending only what was asked for is sent; the outbox after Accepted."""
    async with Csms() as csms, controller(csms.url) as made:
        csms.hooks[BOOT] = Script(boot("Pending", 300), boot("Accepted", 300))
        made.notify("Downloading")
        link = await csms.connected(LC)
        await until(lambda: made.uplink.session.registration == "Pending")
        assert not made.uplink.is_ready
        refused = await call(csms, "PublishFirmware", PUBLISH)
        assert isinstance(refused, dict)
        assert refused["statusInfo"]["reasonCode"] == "CSNotAccepted"
        assert await trigger(csms, "LogStatusNotification") == {"status": "Idle"}
        assert await trigger(csms, STATUS) == {"status": "Idle"}
        assert made.count("csms_connected") == 0
        assert len(csms.received(LC, BOOT)) == 1
        await trigger(csms, BOOT)
        await until(lambda: made.settled)
        assert [payload["reason"] for payload in csms.received(LC, BOOT)] == ["PowerUp", "Triggered"]
        assert link.closed is None  # B02.FR.06


@pytest.mark.parametrize("interval", [300, 0])
async def test_pending_boots_again_after_the_interval(interval: int) -> None:
    """B02.FR.04, FR.07, FR.08: not before the interval, not after a reconnection either; 0: a minute of our own."""
    async with Csms() as csms, controller(csms.url) as made:
        csms.hooks[BOOT] = Script(boot("Pending", interval), boot("Accepted", 300))
        await csms.connected(LC)
        await until(lambda: made.uplink.session.registration)
        gone(csms.link(LC))
        await csms.until(lambda: len(csms.links) == 2 and csms.links[0].closed)
        made.skip((interval or 60) - 20)
        assert await trigger(csms, "Heartbeat") == {}
        assert len(csms.received(LC, BOOT)) == 1
        made.skip(20)
        await until(lambda: made.uplink.is_ready)
        assert [payload["reason"] for payload in csms.received(LC, BOOT)] == ["PowerUp", "PowerUp"]


async def test_rejected_is_silence() -> None:
    """B03.FR.02, FR.06, FR.08: a CALL gets SecurityError, nothing else is sent before the interval is over."""
    async with Csms() as csms, controller(csms.url) as made:
        csms.hooks[BOOT] = Script(boot("Rejected", 600), boot("Accepted", 300))
        made.notify("Downloading")
        await csms.connected(LC)
        await until(lambda: made.uplink.session.is_rejected)
        for action in ("TriggerMessage", "PublishFirmware", "Nonsense"):
            answered = await call(csms, action, {"requestedMessage": "Heartbeat"})
            assert isinstance(answered, CallError)
            assert answered.code == "SecurityError"
        gone(csms.link(LC))
        await csms.until(lambda: len(csms.links) == 2)
        made.skip(590)
        answered = await call(csms, "TriggerMessage", {"requestedMessage": BOOT})
        assert isinstance(answered, CallError)
        assert [taken.action for link in csms.links for taken in link.received] == [BOOT]
        made.skip(10)
        await until(lambda: made.settled)


@pytest.mark.parametrize(
    "answered",
    [
        IGNORE,
        CallError("InternalError"),
        {},
        {"status": "Perhaps", "interval": 1, "currentTime": "now"},
        {"status": "Accepted", "interval": 10**20, "currentTime": "now"},
        {"status": "Accepted", "interval": None, "currentTime": "now"},
    ],
)
async def test_a_boot_that_is_not_answered_properly(answered: Answer) -> None:
    """B01: sent again after a minute of our own, until an answer comes that can be understood."""
    async with Csms() as csms, controller(csms.url, call_timeout_seconds=0.2) as made:
        csms.hooks[BOOT] = Script(answered, None)
        await csms.connected(LC)
        await until(lambda: made.uplink.session._boot_at > made.clock())
        assert made.uplink.session.registration is None
        made.skip(50)
        assert await trigger(csms, "Heartbeat") == {}  # B02.FR.02: what the CSMS asks for is sent all the same
        assert len(csms.received(LC, BOOT)) == 1
        made.skip(10)
        await until(lambda: made.uplink.is_ready)


async def test_heartbeats() -> None:
    """G02: one an interval, unless something else was sent meanwhile."""
    async with Csms() as csms, controller(csms.url) as made:
        csms.boot_interval = 600
        await csms.controller()
        await until(lambda: made.uplink.is_ready)
        made.skip(599)
        await trigger(csms, "FirmwareStatusNotification")
        made.skip(590)
        await trigger(csms, "FirmwareStatusNotification")
        assert csms.received(LC, "Heartbeat") == []
        made.skip(601)
        await csms.until(lambda: csms.received(LC, "Heartbeat"))


async def test_a_heartbeat_that_is_not_answered_is_let_be() -> None:
    """The next one has its turn in its time; nothing waits for ever."""
    async with Csms() as csms, controller(csms.url, call_timeout_seconds=0.1) as made:
        csms.hooks["Heartbeat"] = Script(IGNORE, CallError("GenericError"), None)
        await csms.controller()
        await until(lambda: made.uplink.is_ready)

        def beats(number: int) -> bool:
            return len(csms.received(LC, "Heartbeat")) == number

        for number in (1, 2, 3):
            made.skip(301)
            await csms.until(partial(beats, number))
        await trigger(csms, "LogStatusNotification")


@pytest.mark.parametrize("requested", ["Heartbeat", "FirmwareStatusNotification", "LogStatusNotification", STATUS])
async def test_the_response_goes_before_the_message(requested: str) -> None:
    """F06: TriggerMessage is answered first; the message that it asked for comes after."""
    async with Csms() as csms, controller(csms.url):
        link = await csms.controller()
        await trigger(csms, requested)
        kinds = [json.loads(frame.data)[0] for frame in link.frames if frame.direction == "received"]
        assert kinds == [2, 3, 2]


async def test_what_a_trigger_reports() -> None:
    """L03.FR.10, FR.11: the last status sent when the triggered message goes out, behind what waits."""
    gate = Gate()
    async with Csms() as csms, controller(csms.url) as made:
        await csms.controller()
        assert await trigger(csms, STATUS) == {"status": "Idle"}
        made.notify("Downloading", request_id=9)
        await until(lambda: len(made.settled) == 1)
        assert await trigger(csms, STATUS) == {"status": "Downloading", "requestId": 9}
        csms.hooks[STATUS] = gate
        made.notify("Downloaded", request_id=9)
        made.notify("Published", request_id=9)
        await until(lambda: len(gate.calls) == 1)
        assert await call(csms, "TriggerMessage", {"requestedMessage": STATUS}) == {"status": "Accepted"}
        gate.opened.set()
        await csms.until(lambda: told(csms)[-1] == "Idle" and len(told(csms)) == 6)
        assert csms.received(LC, STATUS)[-2:] == [
            {"status": "Published", "requestId": 9, "location": ["http://10.0.0.1/f"]},
            {"status": "Idle"},
        ]


async def test_a_triggered_message_survives_the_connection() -> None:
    """F06: what was Accepted is sent, on the next connection if need be."""
    async with Csms() as csms, controller(csms.url):
        taken: list[Call] = []

        async def break_it(each: Call) -> Answer | None:
            taken.append(each)
            if len(taken) == 1:
                gone(csms.link(LC))
                return IGNORE
            return None

        csms.hooks["LogStatusNotification"] = break_it
        await csms.controller()
        await call(csms, "TriggerMessage", {"requestedMessage": "LogStatusNotification"})
        await until(lambda: len(taken) == 2)
        await trigger(csms, "Heartbeat")
        assert len(taken) == 2


async def test_the_clock_is_compared_with_the_csms_s() -> None:
    """B01, G02: each answer that tells the time does it, to a boot or a heartbeat; what is no time changes nothing."""
    heartbeat = Script({"currentTime": "2001-09-09T01:47:40Z"}, {"currentTime": "soon"}, {"currentTime": 1}, None)
    async with Csms() as csms:
        csms.hooks[BOOT] = Script({**boot("Accepted", 300), "currentTime": "2001-09-09T01:46:30Z"})
        csms.hooks["Heartbeat"] = heartbeat
        async with controller(csms.url) as made:  # its clock says 10**9, which is 01:46:40
            await until(lambda: made.count("clock_offset_seconds") == pytest.approx(10, abs=5))
            for _ in range(3):
                await trigger(csms, "Heartbeat")
                await until(lambda: made.count("clock_offset_seconds") == pytest.approx(-60, abs=5))
            await trigger(csms, "Heartbeat")
            await until(lambda: made.count("clock_offset_seconds") < -1e8)
