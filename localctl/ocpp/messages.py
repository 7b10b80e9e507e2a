"""The messages that we send and understand, in OCPP 2.0.1 and 2.1. Rules: no I/O.

A request of the CSMS is checked here as its JSON schema asks, and a fault becomes the CALLERROR code that OCPP-J 4.3
has for it. What we send is made here too: an absent optional field is left out, never null, {} or [] (4.1.5).
"""

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from localctl.errors import OcppFault
from localctl.ocpp.actions import Version
from localctl.ocpp.frames import Payload

Registration = Literal["Accepted", "Pending", "Rejected"]
PublishStatus = Literal[
    "Idle",
    "DownloadScheduled",
    "Downloading",
    "DownloadPaused",
    "Downloaded",
    "ChecksumVerified",
    "InvalidChecksum",
    "DownloadFailed",
    "Published",
    "PublishFailed",
]
Trigger = Literal[
    "BootNotification",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "SignChargingStationCertificate",
    "SignV2GCertificate",
    "StatusNotification",
    "TransactionEvent",
    "SignCombinedCertificate",
    "PublishFirmwareStatusNotification",
]
Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]  # Part 4: an integer has 32 bits
Natural = Annotated[int, Field(ge=0, le=2**31 - 1)]  # 2.1: minimum 0


class Message(BaseModel):
    """A payload of the CSMS: strict, nothing unknown in it.

    What checks it is built when the first one comes (``defer_build``): a start must be quick.
    """

    model_config = ConfigDict(defer_build=True, strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    customData: "CustomData | None" = None

    @field_validator("*", mode="before")
    @classmethod
    def _no_null(cls, value: object) -> object:
        if value is None:  # 4.1.5
            raise PydanticCustomError("null", "null is not allowed: a field without a value is left out")
        return value


class CustomData(BaseModel):
    """A vendor's addition, looked at by nobody."""

    model_config = ConfigDict(defer_build=True, strict=True, frozen=True, extra="allow")

    vendorId: Annotated[str, Field(max_length=255)]


class PublishFirmwareRequest(Message):
    """L03: fetch this file and publish it."""

    location: Annotated[str, Field(max_length=512)]
    retries: Integer | None = None
    checksum: Annotated[str, Field(max_length=32)]
    requestId: Integer
    retryInterval: Integer | None = None


class PublishFirmwareRequest21(PublishFirmwareRequest):
    """The same in 2.1."""

    location: Annotated[str, Field(max_length=2000)]
    retries: Natural | None = None
    requestId: Natural
    retryInterval: Natural | None = None


class UnpublishFirmwareRequest(Message):
    """L04: withdraw the file with this checksum."""

    checksum: Annotated[str, Field(max_length=32)]


class Evse(Message):
    """An EVSE; it has no meaning to a controller and is ignored (F06)."""

    id: Integer
    connectorId: Integer | None = None


class Evse21(Evse):
    """The same in 2.1."""

    id: Natural
    connectorId: Natural | None = None


class TriggerMessageRequest(Message):
    """F06: send this message."""

    requestedMessage: Trigger
    evse: Evse | None = None


class TriggerMessageRequest21(Message):
    """The same in 2.1."""

    requestedMessage: Literal[Trigger, "SignV2G20Certificate", "CustomTrigger"]
    customTrigger: Annotated[str, Field(max_length=50)] | None = None
    evse: Evse21 | None = None


class FirmwareFile(Message):
    """The firmware that an UpdateFirmware names; its dates are read by nobody, and so not checked."""

    location: Annotated[str, Field(max_length=512)]
    retrieveDateTime: str
    installDateTime: str | None = None
    signingCertificate: Annotated[str, Field(max_length=5500)] | None = None
    signature: Annotated[str, Field(max_length=800)] | None = None


class FirmwareFile21(FirmwareFile):
    """The same in 2.1."""

    location: Annotated[str, Field(max_length=2000)]


class UpdateFirmwareRequest(Message):
    """L01: update the controller itself."""

    requestId: Integer
    firmware: FirmwareFile
    retries: Integer | None = None
    retryInterval: Integer | None = None


class UpdateFirmwareRequest21(UpdateFirmwareRequest):
    """The same in 2.1."""

    firmware: FirmwareFile21
    retries: Natural | None = None


class BootNotificationResponse(BaseModel):
    """B01 to B03: what the CSMS says to our boot; what else it carries is let be."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore", hide_input_in_errors=True)

    status: Registration
    interval: Integer
    currentTime: str


AnyMessage = TypeVar("AnyMessage", bound=Message)

_CODES: Final = {  # pydantic's kind of fault → OCPP-J 4.3
    "missing": "OccurrenceConstraintViolation",
    "extra_forbidden": "FormatViolation",
    "string_too_long": "PropertyConstraintViolation",
    "literal_error": "PropertyConstraintViolation",
    "greater_than_equal": "PropertyConstraintViolation",
    "less_than_equal": "PropertyConstraintViolation",
}
_REQUESTS: Final[dict[tuple[str, Version], type[Message]]] = {
    ("PublishFirmware", "2.0.1"): PublishFirmwareRequest,
    ("PublishFirmware", "2.1"): PublishFirmwareRequest21,
    ("UnpublishFirmware", "2.0.1"): UnpublishFirmwareRequest,
    ("UnpublishFirmware", "2.1"): UnpublishFirmwareRequest,
    ("TriggerMessage", "2.0.1"): TriggerMessageRequest,
    ("TriggerMessage", "2.1"): TriggerMessageRequest21,
    ("UpdateFirmware", "2.0.1"): UpdateFirmwareRequest,
    ("UpdateFirmware", "2.1"): UpdateFirmwareRequest21,
}
UNDERSTOOD: Final = frozenset(action for action, _ in _REQUESTS)


def read_request(action: str, version: Version, payload: Payload) -> Message:
    """Check the payload of an action in UNDERSTOOD. Raises OcppFault with the code of the first fault."""
    try:
        return _REQUESTS[action, version].model_validate(payload)
    except ValidationError as fault:
        error = fault.errors(include_url=False)[0]
        raise OcppFault(_code(error), f"{action}: {_where(error)}: {error['msg']}") from None


def _where(error: ErrorDetails) -> str:
    """The field, fit for a log: names that nobody knows are the CSMS's own text."""
    return ".".join(str(part) for part in error["loc"])[:100].encode("unicode_escape").decode()


def _code(error: ErrorDetails) -> str:
    if error["type"] == "literal_error" and not isinstance(error["input"], str):
        return "TypeConstraintViolation"
    return _CODES.get(error["type"], "TypeConstraintViolation")


def boot_notification(reason: str, vendor_name: str, model: str, serial_number: str, firmware: str) -> Payload:
    """B01: who we are; an empty serial number is left out."""
    station = {"vendorName": vendor_name, "model": model, "firmwareVersion": firmware[:50]}
    if serial_number:
        station["serialNumber"] = serial_number
    return {"reason": reason, "chargingStation": station}


def publish_status(status: PublishStatus, request_id: int | None, location: tuple[str, ...] = ()) -> Payload:
    """L03.FR.01, FR.04: one state of a publication; only Published carries locations."""
    payload: dict[str, Any] = {"status": status}
    if request_id is not None:
        payload["requestId"] = request_id
    if location:
        payload["location"] = list(location)
    return payload


def answer(status: str, reason: str = "", info: str = "") -> Payload:
    """A response that is a status, with a statusInfo where there is a reason code."""
    payload: dict[str, Any] = {"status": status}
    if reason:
        payload["statusInfo"] = {"reasonCode": reason[:20], **({"additionalInfo": info[:512]} if info else {})}
    return payload
