"""What the CSMS asks of the controller and what it is answered: every reply is held against the official schemas."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from localctl.errors import OcppFault, StorageError
from localctl.ocpp import frames
from localctl.ocpp.actions import KNOWN, Version
from localctl.ocpp.messages import PublishFirmwareRequest, Registration, answer
from localctl.uplink.handlers import TRIGGERABLE, Handlers, Then
from localctl.uplink.session import Session
from tests.actors.schemas import check_frame

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
PUBLISH = {"location": "http://files.example.com/fw.bin", "checksum": MD5, "requestId": 7}
VERSIONS: tuple[Version, ...] = ("2.0.1", "2.1")
UPDATE = {
    "requestId": 1,
    "firmware": {"location": "http://files.example.com/fw.bin", "retrieveDateTime": "2026-01-31T12:00:00Z"},
}


@dataclass
class Rooms:
    """What the handlers are given; ``asked`` is what they did with it, in order."""

    session: Session = field(default_factory=Session)
    asked: list[Any] = field(default_factory=list)
    failures: list[StorageError] = field(default_factory=list)
    fault: Exception | None = None

    async def publish(self, request: PublishFirmwareRequest) -> tuple[frames.Payload, Then]:
        """Accept."""
        self._note(request)
        return answer("Accepted"), lambda: self.asked.append("begin")

    async def withdraw(self, checksum: str) -> str:
        """Withdraw."""
        self._note(checksum)
        return "Unpublished"

    def _note(self, what: Any) -> None:
        if self.fault:
            raise self.fault
        self.asked.append(what)

    def handlers(self) -> Handlers:
        """The handlers of these rooms."""
        return Handlers(
            self.session,
            self.publish,
            self.withdraw,
            self.asked.append,
            lambda: self.asked.append("BootNotification"),
            self.failures.append,
        )


def rooms(registration: Registration | None = "Accepted") -> Rooms:
    """Rooms of a controller whose boot was answered so."""
    made = Rooms()
    if registration is not None:
        made.session.boot_answered(registration, 300, 0)
    return made


def run(made: Rooms, action: str, payload: Any, version: Version = "2.1") -> tuple[frames.Payload, Then]:
    """The reply, which is one that may be sent, and what follows it."""
    reply = asyncio.run(_handled(made.handlers().handle(frames.Call("m1", action, payload), version)))
    check_frame(version, frames.encode(frames.CallResult("m1", reply.payload)), {"m1": action})
    return reply.payload, reply.then


async def _handled(work: Awaitable[Any]) -> Any:
    return await work


def fault(made: Rooms, action: str, payload: Any, version: Version = "2.1") -> str:
    """The code of the CALLERROR, which is one that may be sent, with the id of the CALL."""
    with pytest.raises(OcppFault) as caught:
        asyncio.run(_handled(made.handlers().handle(frames.Call("m1", action, payload), version)))
    assert caught.value.message_id == "m1"
    refusal = frames.CallError(caught.value.message_id, caught.value.code, caught.value.description)
    check_frame(version, frames.encode(refusal), {"m1": action})
    return caught.value.code


@pytest.mark.parametrize("version", VERSIONS)
def test_publish(version: Version) -> None:
    """L03.FR.05: the answer, and the download only after it."""
    made = rooms()
    payload, then = run(made, "PublishFirmware", PUBLISH, version)
    assert payload == {"status": "Accepted"}
    assert len(made.asked) == 1
    assert made.asked[0].checksum == MD5
    assert then is not None
    then()
    assert made.asked[1:] == ["begin"]


@pytest.mark.parametrize("registration", [None, "Pending"])
@pytest.mark.parametrize("version", VERSIONS)
def test_publish_before_we_are_accepted(version: Version, registration: Registration | None) -> None:
    """B02: Rejected/CSNotAccepted, and the mirror is not asked."""
    made = rooms(registration)
    payload, then = run(made, "PublishFirmware", PUBLISH, version)
    assert (payload["status"], payload["statusInfo"]["reasonCode"]) == ("Rejected", "CSNotAccepted")
    assert (then, made.asked) == (None, [])


@pytest.mark.parametrize("registration", ["Accepted", "Pending"])
@pytest.mark.parametrize("version", VERSIONS)
def test_unpublish(version: Version, registration: Registration) -> None:
    """L04.FR.02; B02.FR.01: requests are answered while Pending."""
    made = rooms(registration)
    assert run(made, "UnpublishFirmware", {"checksum": MD5}, version) == ({"status": "Unpublished"}, None)
    assert made.asked == [MD5]


@pytest.mark.parametrize("version", VERSIONS)
def test_update_of_the_controller_itself(version: Version) -> None:
    """Rejected/UnsupportedRequest, with who does it instead."""
    payload, _ = run(rooms(), "UpdateFirmware", UPDATE, version)
    assert (payload["status"], payload["statusInfo"]["reasonCode"]) == ("Rejected", "UnsupportedRequest")


@pytest.mark.parametrize("requested", sorted(TRIGGERABLE))
@pytest.mark.parametrize("registration", ["Accepted", "Pending"])
@pytest.mark.parametrize("evse", [{}, {"evse": {"id": 1, "connectorId": 1}}])
def test_a_message_that_we_send(requested: str, registration: Registration, evse: dict[str, Any]) -> None:
    """F06: Accepted, the message only after the response; an evse that has no meaning is ignored."""
    made = rooms(registration)
    payload, then = run(made, "TriggerMessage", {"requestedMessage": requested, **evse})
    assert (payload, made.asked) == ({"status": "Accepted"}, [])
    assert then is not None
    then()
    assert made.asked == [requested]


@pytest.mark.parametrize(
    "requested",
    ["MeterValues", "StatusNotification", "TransactionEvent", "SignChargingStationCertificate", "SignV2GCertificate"],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_that_we_do_not_send(version: Version, requested: str) -> None:
    """F06.FR.08: NotImplemented."""
    made = rooms()
    assert run(made, "TriggerMessage", {"requestedMessage": requested}, version) == ({"status": "NotImplemented"}, None)


def test_a_custom_trigger() -> None:
    """F06.FR.08 in 2.1: a trigger of somebody's own is not implemented."""
    payload = {"requestedMessage": "CustomTrigger", "customTrigger": "x"}
    assert run(rooms(), "TriggerMessage", payload)[0] == {"status": "NotImplemented"}


def test_a_triggered_boot() -> None:
    """F06, F06.FR.17: sent after the response while Pending; Rejected once we have been Accepted."""
    pending, accepted = rooms("Pending"), rooms()
    boot = {"requestedMessage": "BootNotification"}
    payload, then = run(pending, "TriggerMessage", boot)
    assert (payload, pending.asked) == ({"status": "Accepted"}, [])
    assert then is not None
    then()
    assert pending.asked == ["BootNotification"]
    assert run(accepted, "TriggerMessage", boot) == ({"status": "Rejected"}, None)


@pytest.mark.parametrize(
    ("action", "payload"),
    [("PublishFirmware", PUBLISH), ("TriggerMessage", {}), ("Reset", {}), ("Nonsense", {}), ("UnpublishFirmware", {})],
)
def test_everything_while_rejected(action: str, payload: Any) -> None:
    """B03.FR.08: SecurityError, whatever is asked, before it is looked at."""
    made = rooms("Rejected")
    assert fault(made, action, payload) == "SecurityError"
    assert made.asked == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("action", ["Nonsense", "publishFirmware", "", "x" * 5000, "Line\nbreak"])
def test_an_unknown_action(version: Version, action: str) -> None:
    """4.3: NotImplemented; what the CSMS sent is shown in one short line."""
    assert fault(rooms(), action, {}, version) == "NotImplemented"
    with pytest.raises(OcppFault) as caught:
        asyncio.run(_handled(rooms().handlers().handle(frames.Call("m1", action, {}), version)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 100


def test_an_action_of_the_other_version() -> None:
    """4.3: what only 2.1 has is unknown to 2.0.1, and known but not done on 2.1."""
    assert fault(rooms(), "SetDERControl", {}, "2.0.1") == "NotImplemented"
    assert fault(rooms(), "SetDERControl", {}, "2.1") == "NotSupported"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_other_action(version: Version) -> None:
    """4.3: known and not done: NotSupported, also for what only a station sends."""
    ours = {"PublishFirmware", "UnpublishFirmware", "TriggerMessage", "UpdateFirmware"}
    for action in sorted(KNOWN[version] - ours):
        assert fault(rooms(), action, {}, version) == "NotSupported"


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("PublishFirmware", {}, "OccurrenceConstraintViolation"),
        ("PublishFirmware", PUBLISH | {"requestId": "7"}, "TypeConstraintViolation"),
        ("PublishFirmware", PUBLISH | {"checksum": MD5 + "0"}, "PropertyConstraintViolation"),
        ("UnpublishFirmware", {"checksum": 7}, "TypeConstraintViolation"),
        ("TriggerMessage", {"requestedMessage": "Nonsense"}, "PropertyConstraintViolation"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_malformed_request(version: Version, action: str, payload: Any, code: str) -> None:
    """4.3: the code of the first fault, under the id of the CALL; nothing is done."""
    made = rooms()
    assert fault(made, action, payload, version) == code
    assert made.asked == []


@pytest.mark.parametrize(
    ("action", "payload"), [("PublishFirmware", PUBLISH), ("UnpublishFirmware", {"checksum": MD5})]
)
def test_a_disk_that_fails(action: str, payload: Any) -> None:
    """Faults, row 6: InternalError, so that the CSMS may ask again."""
    made = rooms()
    made.fault = StorageError("commit", "/state/localctl.db", "disk I/O error")
    assert fault(made, action, payload) == "InternalError"
    assert made.failures == [made.fault]


def test_a_fault_of_ours_is_not_hidden() -> None:
    """What nobody thought of is left to who logs it."""
    made = rooms()
    made.fault = KeyError("a fault of ours")
    handle: Callable[..., Awaitable[Any]] = made.handlers().handle
    with pytest.raises(KeyError):
        asyncio.run(_handled(handle(frames.Call("m1", "PublishFirmware", PUBLISH), "2.1")))
