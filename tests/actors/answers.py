"""What an ordinary CSMS answers, on each version, said with the package ``ocpp``.

The package checks what came in and what goes out against its schemas; this table says only what is answered.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, Protocol

import ocpp.messages
from ocpp.v16 import ChargePoint as Point16
from ocpp.v16 import call_result as results_16
from ocpp.v21 import ChargePoint as Point21
from ocpp.v21 import call_result as results_21
from ocpp.v201 import ChargePoint as Point201
from ocpp.v201 import call_result as results_201

from tests.actors.link import CallError, answer_frame, decoded

ocpp.messages.ASYNC_VALIDATION = False  # a thread a frame could let answers overtake each other

_POINTS: Final[Mapping[str, Any]] = {"1.6": Point16, "2.0.1": Point201, "2.1": Point21}
_RESULTS: Final[Mapping[str, Any]] = {"1.6": results_16, "2.0.1": results_201, "2.1": results_21}
_EMPTY: Final[Mapping[str, tuple[str, ...]]] = {
    "1.6": ("DiagnosticsStatusNotification", "FirmwareStatusNotification", "MeterValues", "StatusNotification"),
    "2.0.1": (
        "FirmwareStatusNotification", "LogStatusNotification", "MeterValues", "NotifyEvent", "NotifyReport",
        "PublishFirmwareStatusNotification", "SecurityEventNotification", "StatusNotification", "TransactionEvent",
    ),
}  # fmt: skip
_transaction_ids: Final = count(1)


class Sender(Protocol):
    """What the package sends its answers through."""

    def send(self, frame: str) -> Awaitable[None]:
        """Send one frame."""


class Answers:
    """The ordinary answers of one connection. ``boot`` says the status and the interval (seconds) of the next boot."""

    def __init__(self, version: str, identity: str, sender: Sender, boot: Callable[[], tuple[str, int]]) -> None:
        self._point = _POINTS[version](identity, sender)
        self._sender = sender
        self._results = _RESULTS[version]
        self._boot = boot
        makers = {"BootNotification": self._booted, "Heartbeat": self._heartbeat, "DataTransfer": self._data_transfer}
        makers |= self._of_16() if version == "1.6" else {"Authorize": self._authorized}
        makers |= {action: getattr(self._results, action) for action in _EMPTY.get(version, _EMPTY["2.0.1"])}
        self._point.route_map = {
            action: {"_on_action": _without_payload(make), "_skip_schema_validation": False}
            for action, make in makers.items()
        }

    async def give(self, frame: str | bytes) -> None:
        """Answer the CALL ``frame``, with a CALLERROR where it breaks its schema or its action is unknown."""
        await route(self._point, self._sender, frame)

    def _of_16(self) -> dict[str, Callable[[], Any]]:
        accepted = {"status": "Accepted"}
        return {
            "Authorize": lambda: self._results.Authorize(id_tag_info=accepted),
            "StartTransaction": lambda: self._results.StartTransaction(next(_transaction_ids), accepted),
            "StopTransaction": lambda: self._results.StopTransaction(id_tag_info=accepted),
        }

    def _authorized(self) -> Any:
        return self._results.Authorize(id_token_info={"status": "Accepted"})

    def _booted(self) -> Any:
        status, interval = self._boot()
        return self._results.BootNotification(current_time=now(), interval=interval, status=status)

    def _heartbeat(self) -> Any:
        return self._results.Heartbeat(current_time=now())

    def _data_transfer(self) -> Any:
        return self._results.DataTransfer(status="Accepted")


async def route(point: Any, sender: Sender, frame: str | bytes) -> None:
    """Hand a frame to a ChargePoint of the package, and answer an unknown action, which it leaves unanswered on 2.1."""
    match decoded(frame):
        case [2, str(message_id), str(action), *_] if action not in point.route_map:
            await sender.send(answer_frame(message_id, CallError("NotImplemented")))
        case _:
            await point.route_message(frame)


def now() -> str:
    """This moment, as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _without_payload(make: Callable[[], Any]) -> Callable[..., Any]:
    def answer(**_payload: object) -> Any:
        return make()

    return answer
