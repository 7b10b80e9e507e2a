"""How OCPP 1.6, 2.0.1 and 2.1 say what the demo has to say. Rules: no I/O; times are handed in as RFC 3339 text."""

from typing import Any, Final

from localctl.demo.plan import Version
from localctl.ocpp.frames import Payload

_BOOT_INTERVAL_SECONDS: Final = 300
_NOTIFICATIONS: Final = frozenset(
    """
    FirmwareStatusNotification LogStatusNotification PublishFirmwareStatusNotification SecurityEventNotification
    StatusNotification
    """.split()
)


def csms_answer(action: str, now: str) -> Payload | None:
    """What a CSMS with nothing against anybody answers; None to what it does not know."""
    match action:
        case "BootNotification":
            return {"status": "Accepted", "currentTime": now, "interval": _BOOT_INTERVAL_SECONDS}
        case "Heartbeat":
            return {"currentTime": now}
        case _:
            return {} if action in _NOTIFICATIONS else None


def boot_notification(version: Version) -> Payload:
    """B01, and 1.6 §4.2: a station after power-up."""
    if version == "1.6":
        return {"chargePointVendor": "localctl", "chargePointModel": "demo station"}
    return {"reason": "PowerUp", "chargingStation": {"vendorName": "localctl", "model": "demo station"}}


def publish_firmware(location: str, checksum: str, request_id: int) -> Payload:
    """L03."""
    return {"requestId": request_id, "location": location, "checksum": checksum, "retries": 0}


def update_firmware(version: Version, location: str, request_id: int, now: str) -> Payload:
    """L01, and 1.6 §5.17: fetch your firmware there, at once. 1.6 has no requestId."""
    if version == "1.6":
        return {"location": location, "retrieveDate": now}
    return {"requestId": request_id, "firmware": {"location": location, "retrieveDateTime": now}}


def update_answer(version: Version) -> Payload:
    """A station's answer to UpdateFirmware; in 1.6 it has nothing to say."""
    return {} if version == "1.6" else {"status": "Accepted"}


def firmware_location(version: Version, request: Payload) -> Any:
    """Where an UpdateFirmware says that the firmware is."""
    return request.get("location") if version == "1.6" else request.get("firmware", {}).get("location")


def firmware_status(version: Version, status: str, request: Payload) -> Payload:
    """How far a station is with the UpdateFirmware ``request``."""
    return {"status": status} if version == "1.6" else {"status": status, "requestId": request.get("requestId")}
