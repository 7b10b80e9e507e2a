"""What the CSMS asks of the controller, and what it is answered. Rules: the work itself is done by callables given.

Each handler takes a payload that is checked already and returns a Reply: the response, and what happens once the
response is on its way (F06: the response goes out before the message asked for; L03.FR.05: before the download).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from localctl.errors import OcppFault, StorageError
from localctl.ocpp.actions import KNOWN, Version
from localctl.ocpp.frames import Call, Payload
from localctl.ocpp.messages import (
    UNDERSTOOD,
    PublishFirmwareRequest,
    TriggerMessageRequest,
    TriggerMessageRequest21,
    UnpublishFirmwareRequest,
    UpdateFirmwareRequest,
    answer,
    read_request,
)
from localctl.uplink.session import Session

Then = Callable[[], None] | None
TRIGGERABLE: Final = frozenset(
    {"Heartbeat", "PublishFirmwareStatusNotification", "FirmwareStatusNotification", "LogStatusNotification"}
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, and what happens after it."""

    payload: Payload
    then: Then = None


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the CSMS may ask. ``publish`` and ``withdraw`` are the mirror's; ``trigger`` and ``boot`` the uplink's;
    ``failed`` is told what of it the disk has failed.
    """

    session: Session
    publish: Callable[[PublishFirmwareRequest], Awaitable[tuple[Payload, Then]]]
    withdraw: Callable[[str], Awaitable[str]]
    trigger: Callable[[str], None]
    boot: Callable[[], None]
    failed: Callable[[StorageError], None]

    async def handle(self, call: Call, version: Version) -> Reply:
        """The reply to a CALL. Raises OcppFault, with the call's id, for a CALLERROR."""
        try:
            self._admit(call.action, version)
            return await self._dispatch(read_request(call.action, version, call.payload))
        except OcppFault as fault:
            raise OcppFault(fault.code, fault.description, call.id) from fault
        except StorageError as fault:
            self.failed(fault)
            raise OcppFault("InternalError", str(fault), call.id) from fault

    def _admit(self, action: str, version: Version) -> None:
        if self.session.is_rejected:  # B03.FR.08
            raise OcppFault("SecurityError", "the CSMS has rejected this controller's BootNotification")
        if action not in KNOWN[version]:  # 4.3
            raise OcppFault("NotImplemented", f"OCPP {version} has no {action[:50]!a}")
        if action not in UNDERSTOOD:
            raise OcppFault("NotSupported", f"a Local Controller without EVSEs does not do {action}")

    async def _dispatch(self, request: Any) -> Reply:
        match request:
            case PublishFirmwareRequest():
                return await self._publish(request)
            case UnpublishFirmwareRequest():
                return Reply(answer(await self.withdraw(request.checksum)))
            case TriggerMessageRequest() | TriggerMessageRequest21():
                return self._trigger(request.requestedMessage)
            case UpdateFirmwareRequest():
                why = "this controller is updated by its package manager"
                return Reply(answer("Rejected", "UnsupportedRequest", why))
            case _:
                raise OcppFault("NotSupported", "not supported")

    async def _publish(self, request: PublishFirmwareRequest) -> Reply:
        if not self.session.is_accepted:  # B02: Pending
            why = "the CSMS has not accepted this controller's BootNotification"
            return Reply(answer("Rejected", "CSNotAccepted", why))
        return Reply(*await self.publish(request))

    def _trigger(self, requested: str) -> Reply:
        if requested == "BootNotification":
            if self.session.is_accepted:  # F06.FR.17
                return Reply(answer("Rejected"))
            return Reply(answer("Accepted"), self.boot)
        if requested in TRIGGERABLE:
            return Reply(answer("Accepted"), lambda: self.trigger(requested))
        return Reply(answer("NotImplemented"))  # F06.FR.08
