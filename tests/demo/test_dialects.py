import json
from typing import Any

import pytest

from localctl.demo import dialects
from localctl.demo.csms import now
from localctl.demo.plan import Version
from tests.actors.schemas import check_frame

VERSIONS: tuple[Version, ...] = ("1.6", "2.0.1", "2.1")
URI = "http://127.0.0.1:8080/firmware/d41d8cd98f00b204e9800998ecf8427e/a.bin"


def call(version: str, action: str, payload: dict[str, Any]) -> None:
    """Hold a request against the official schema."""
    check_frame(version, json.dumps([2, "1", action, payload]), {})


def answer(version: str, action: str, payload: dict[str, Any] | None) -> None:
    """Hold a response against the official schema."""
    check_frame(version, json.dumps([3, "1", payload]), {"1": action})


@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_speaks_its_version(version: Version) -> None:
    """What a station sends is what the schemas of its OCPP version allow."""
    request = dialects.update_firmware(version, URI, 7, now())
    call(version, "BootNotification", dialects.boot_notification(version))
    answer(version, "UpdateFirmware", dialects.update_answer(version))
    for status in ("Downloading", "Downloaded"):
        call(version, "FirmwareStatusNotification", dialects.firmware_status(version, status, request))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_csms_speaks_everybodys_version(version: Version) -> None:
    """What the CSMS sends is what the schemas allow, and a station finds the location in it."""
    request = dialects.update_firmware(version, URI, 7, now())
    call(version, "UpdateFirmware", request)
    assert dialects.firmware_location(version, request) == URI
    for action in ("BootNotification", "Heartbeat", "FirmwareStatusNotification", "StatusNotification"):
        answer(version, action, dialects.csms_answer(action, now()))


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_the_csms_speaks_with_a_controller(version: str) -> None:
    """PublishFirmware is what the schemas allow, with one try only: the order of statuses is then fixed (TC_L_17)."""
    request = dialects.publish_firmware(URI, "d41d8cd98f00b204e9800998ecf8427e", 1)
    call(version, "PublishFirmware", request)
    assert request["retries"] == 0
    for action in ("PublishFirmwareStatusNotification", "SecurityEventNotification", "LogStatusNotification"):
        answer(version, action, dialects.csms_answer(action, now()))


def test_the_csms_does_not_know_everything() -> None:
    """A message that has no part in the demo gets no answer from here."""
    assert dialects.csms_answer("TransactionEvent", now()) is None
