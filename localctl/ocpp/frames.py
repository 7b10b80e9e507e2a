"""OCPP-J frames (Part 4 §4): text to a frame and back. Rules: no I/O.

Nothing that arrives can raise anything but OcppFault, which is answered with CALLERROR. What may not be answered
(an answer that is malformed, and on 2.1 every SEND and CALLRESULTERROR) becomes ``Ignored``.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from localctl.errors import OcppFault
from localctl.ocpp.actions import Version

MAX_ID: Final = 36  # 4.1.4
MAX_DESCRIPTION: Final = 255  # 4.2.3
UNREADABLE_ID: Final = "-1"

Payload = dict[str, Any]  # the JSON boundary


@dataclass(frozen=True, slots=True)
class Call:
    """A request."""

    id: str
    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallResult:
    """The answer to a CALL."""

    id: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class CallError:
    """The refusal of a CALL."""

    id: str
    code: str
    description: str = ""
    details: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ignored:
    """What is neither understood nor answered."""

    reason: str


Frame = Call | CallResult | CallError | Ignored
_CALL, _CALLRESULT, _CALLERROR, _CALLRESULTERROR, _SEND = 2, 3, 4, 5, 6


def parse(text: str, version: Version) -> Frame:
    """Read one frame of a connection that speaks ``version``. Raises OcppFault, to be answered with CALLERROR."""
    kind, rest = _elements(text)
    match kind:
        case 2:
            return _call(rest)
        case 3 | 4:
            return _answer(kind, rest)
        case 5 | 6 if version == "2.1":
            return Ignored(f"message type {kind} is never answered")
        case _:
            code = "MessageTypeNotSupported"  # 4.4
            shown = f"{kind}"[:20]  # it will be logged
            raise OcppFault(code, f"message type {shown} is not supported", _id_of(rest) or UNREADABLE_ID)


def encode(frame: Call | CallResult | CallError) -> str:
    """Write one frame, without white space: the uplink may be metered."""
    match frame:
        case Call():
            elements = [_CALL, frame.id, frame.action, frame.payload]
        case CallResult():
            elements = [_CALLRESULT, frame.id, frame.payload]
        case CallError():
            elements = [_CALLERROR, frame.id, frame.code, frame.description[:MAX_DESCRIPTION], frame.details]
    return json.dumps(elements, separators=(",", ":"))


def _elements(text: str) -> tuple[int, list[Any]]:
    try:
        elements = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise OcppFault("RpcFrameworkError", "the message is not JSON") from None
    if not isinstance(elements, list) or not elements or type(elements[0]) is not int:
        raise OcppFault("RpcFrameworkError", "the message is not an array that begins with a message type")
    return elements[0], elements[1:]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _id_of(rest: list[Any]) -> str | None:
    if rest and isinstance(rest[0], str) and 0 < len(rest[0]) <= MAX_ID:
        return rest[0]
    return None


def _call(rest: list[Any]) -> Call:
    message_id = _id_of(rest)
    if message_id is None:
        raise OcppFault("RpcFrameworkError", "the message id is missing, is no text, or is longer than 36 characters")
    if len(rest) != 3 or not isinstance(rest[1], str):
        raise OcppFault("RpcFrameworkError", "a CALL is [2, id, action, payload]", message_id)
    if not isinstance(rest[2], dict):
        raise OcppFault("FormatViolation", "the payload is not an object", message_id)
    return Call(message_id, rest[1], rest[2])


def _answer(kind: int, rest: list[Any]) -> CallResult | CallError | Ignored:
    message_id = _id_of(rest)
    if message_id is None:
        return Ignored("an answer without a readable message id")
    if kind == _CALLRESULT:
        if len(rest) == 2 and isinstance(rest[1], dict):
            return CallResult(message_id, rest[1])
        return CallError(message_id, "FormatViolation", "the answer is malformed")
    code, description, details = ([*rest[1:], *[None] * 3])[:3]
    return CallError(
        message_id,
        code if isinstance(code, str) else "GenericError",
        description if isinstance(description, str) else "",
        details if isinstance(details, dict) else {},
    )
