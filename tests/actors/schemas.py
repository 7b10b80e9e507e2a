"""Whether a frame is one that localctl may send: the one place that knows.

The payload is held against the official JSON schemas, which come with the package ``ocpp``, date-times included; the
frame around it against OCPP-J 4.1 to 4.3. Every actor that receives frames from localctl asks here.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jsonschema import FormatChecker
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for

CALL: Final = 2
CALLRESULT: Final = 3
CALLERROR: Final = 4

_FOLDERS: Final = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
_CODES_2: Final = frozenset({
    "FormatViolation", "GenericError", "InternalError", "MessageTypeNotSupported", "NotImplemented", "NotSupported",
    "OccurrenceConstraintViolation", "PropertyConstraintViolation", "ProtocolError", "RpcFrameworkError",
    "SecurityError", "TypeConstraintViolation",
})  # fmt: skip
_CODES_16: Final = frozenset({
    "NotImplemented", "NotSupported", "InternalError", "ProtocolError", "SecurityError", "FormationViolation",
    "PropertyConstraintViolation", "OccurenceConstraintViolation", "TypeConstraintViolation", "GenericError",
})  # fmt: skip
ERROR_CODES: Final[Mapping[str, frozenset[str]]] = {"1.6": _CODES_16, "2.0.1": _CODES_2, "2.1": _CODES_2}
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_FORMATS: Final = FormatChecker(formats=())


def check_frame(version: str, frame: str | bytes, calls: dict[str, str], seen: set[str] | None = None) -> None:
    """Raise AssertionError, with the frame and the reason, unless localctl may send ``frame`` on OCPP ``version``.

    ``calls`` holds the action of each CALL to localctl that awaits its answer, by message id: the answer takes it out.
    ``seen`` holds the ids of the CALLs that localctl has sent, over all its connections: they are never reused (4.1.4).
    """
    try:
        _check(version, frame, calls, set() if seen is None else seen)
    except _Refused as reason:
        raise AssertionError(f"OCPP {version} does not allow {frame!r}: {reason}") from None


class _Refused(Exception):
    """Why a frame is not allowed."""


def _check(version: str, frame: str | bytes, calls: dict[str, str], seen: set[str]) -> None:
    match _decoded(frame):
        case [2, str(message_id), str(action), dict(payload)]:
            _check_new(message_id, seen)
            _check_payload(version, action, payload, answer=False)
        case [3, str(message_id), dict(payload)]:
            _check_payload(version, _answered(message_id, calls), payload, answer=True)
        case [4, str(message_id), str(code), str(description), dict()]:
            if message_id != "-1":  # 4.2.3: the id of what we sent could not be read
                _answered(message_id, calls)
            _check_error(version, code, description)
        case _:
            raise _Refused("it is no CALL, CALLRESULT or CALLERROR with the right elements")


def _decoded(frame: str | bytes) -> object:
    if isinstance(frame, bytes):
        raise _Refused("it is a binary frame")
    try:
        return json.loads(frame, parse_constant=_refuse_constant)
    except ValueError as fault:
        raise _Refused(f"it is no JSON: {fault}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_new(message_id: str, seen: set[str]) -> None:
    if not 0 < len(message_id) <= 36:
        raise _Refused(f"a message id has 1 to 36 characters, this has {len(message_id)}")  # 4.1.4
    if message_id in seen:
        raise _Refused("the message id has been used before")  # 4.1.4
    seen.add(message_id)


def _answered(message_id: str, calls: dict[str, str]) -> str:
    if message_id not in calls:
        raise _Refused("no CALL awaits this answer")
    return calls.pop(message_id)


def _check_error(version: str, code: str, description: str) -> None:
    if code not in ERROR_CODES[version]:
        raise _Refused(f"{code} is no error code")  # 4.3
    if len(description) > 255:
        raise _Refused(f"an error description has at most 255 characters, this has {len(description)}")  # 4.2.3


def _check_payload(version: str, action: str, payload: dict[str, Any], *, answer: bool) -> None:
    _refuse_empty(payload, "payload")
    validator = _validator(version, action, answer=answer)
    fault = best_match(validator.iter_errors(payload))
    if fault is not None:
        raise _Refused(f"{fault.json_path}: {fault.message}")


def _refuse_empty(value: object, where: str) -> None:
    """4.1.5: an absent optional field is left out, never null, {} or []; localctl sends no required field empty."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if item is None or item in ({}, []):
            raise _Refused(f"{where}.{key} is {json.dumps(item)}, and should be left out")
        _refuse_empty(item, f"{where}.{key}")


@cache
def _validator(version: str, action: str, *, answer: bool) -> Any:
    """The validator of one message; the names of its files differ between the versions."""
    kind = "Response" if answer else "" if version == "1.6" else "Request"
    path = files("ocpp") / _FOLDERS[version] / "schemas" / f"{action}{kind}.json"
    if not action.isalnum() or not path.is_file():
        raise _Refused(f"there is no {action}{kind}")
    schema = json.loads(path.read_text(encoding="utf-8-sig"))
    return validator_for(schema)(schema, format_checker=_FORMATS)


def _is_date_time(value: object) -> bool:
    """RFC 3339, section 5.6; Raises ValueError where a number is out of its range."""
    if not isinstance(value, str):
        return True  # the schema's type says so already
    return _RFC_3339.fullmatch(value) is not None and datetime.fromisoformat(value).tzinfo is not None


_FORMATS.checks("date-time", raises=ValueError)(_is_date_time)
