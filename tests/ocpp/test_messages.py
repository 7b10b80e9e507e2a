"""The messages that we send and understand."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema.validators import validator_for
from pydantic import ValidationError

from localctl.errors import OcppFault
from localctl.ocpp.actions import KNOWN, Version
from localctl.ocpp.frames import Call, CallResult, encode
from localctl.ocpp.messages import (
    UNDERSTOOD,
    BootNotificationResponse,
    PublishStatus,
    answer,
    boot_notification,
    publish_status,
    read_request,
)
from tests.actors.schemas import check_frame

Payload = dict[str, Any]
VERSIONS: tuple[Version, ...] = ("2.0.1", "2.1")
MD5 = "0123456789abcdef0123456789ABCDEF"
CUSTOM: Payload = {"vendorId": "com.example", "note": {"deep": [None, 1.5, True]}}
EVSE: Payload = {"id": 1, "connectorId": 2, "customData": CUSTOM}
FIRMWARE: Payload = {
    "location": "https://example.com/own.bin",
    "retrieveDateTime": "2030-01-01T00:00:00Z",
    "installDateTime": "2030-01-02T00:00:00Z",
    "signingCertificate": "-----BEGIN CERTIFICATE-----",
    "signature": "AAAA",
    "customData": CUSTOM,
}
FULL: dict[str, Payload] = {
    "PublishFirmware": {
        "location": "https://example.com/fw.bin?token=1",
        "retries": 3,
        "checksum": MD5,
        "requestId": 7,
        "retryInterval": 60,
        "customData": CUSTOM,
    },
    "UnpublishFirmware": {"checksum": MD5, "customData": CUSTOM},
    "TriggerMessage": {"requestedMessage": "Heartbeat", "evse": EVSE, "customData": CUSTOM},
    "UpdateFirmware": {"requestId": 7, "retries": 1, "retryInterval": 5, "firmware": FIRMWARE, "customData": CUSTOM},
}
OPTIONAL = {"retries", "retryInterval", "customData", "evse", "installDateTime", "signingCertificate", "signature"}

json_scalars = st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.just(1.5) | st.text(max_size=60)
json_values = json_scalars | st.lists(json_scalars, max_size=2) | st.dictionaries(st.text(max_size=5), json_scalars)
json_values |= st.builds(deepcopy, st.sampled_from([CUSTOM, EVSE])) | st.sampled_from(
    ["CustomTrigger", "SignV2G20Certificate"]
)
json_values |= st.integers(490, 6000).map(lambda length: "x" * length)


@cache
def schema(action: str, version: Version) -> Any:
    """The official schema's validator of a request."""
    path = files("ocpp") / {"2.0.1": "v201", "2.1": "v21"}[version] / "schemas" / f"{action}Request.json"
    loaded = json.loads(path.read_text(encoding="utf-8-sig"))
    return validator_for(loaded)(loaded)


def code_of(action: str, version: Version, payload: Payload) -> str:
    """The CALLERROR code that ``payload`` is answered with; empty where it is taken."""
    try:
        read_request(action, version, payload)
    except OcppFault as fault:
        return fault.code
    return ""


def changed(action: str, path: str, value: object) -> Payload:
    """The full payload with another value at ``path``; ``...`` takes it away."""
    payload = deepcopy(FULL[action])
    *folders, last = path.split(".")
    place = payload
    for folder in folders:
        place = place[folder]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return payload


def test_understood_actions_have_a_request_here_in_every_version() -> None:
    """The tests below cover all that we understand."""
    assert FULL.keys() == UNDERSTOOD
    assert all(known >= UNDERSTOOD for known in KNOWN.values())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("action", sorted(UNDERSTOOD))
def test_full_and_smallest_payloads_are_taken(action: str, version: Version) -> None:
    """4.1.7: with every optional field, and with none, as the official schema has them."""
    full = FULL[action]
    smallest = {key: value for key, value in full.items() if key not in OPTIONAL}
    for payload in (full, smallest):
        schema(action, version).validate(payload)
        message = read_request(action, version, payload)
        assert {key: getattr(message, key) for key in smallest if key != "firmware"} == {
            key: value for key, value in smallest.items() if key != "firmware"
        }


PATHS = {
    action: sorted(
        [*payload]
        + [f"evse.{key}" for key in EVSE if "evse" in payload]
        + [f"firmware.{key}" for key in FIRMWARE if "firmware" in payload]
        + ["customData.vendorId", "customData.other", "other", "customTrigger", "customData.customData"]
    )
    for action, payload in FULL.items()
}


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Payload]:
    """A full payload with some of its fields changed, taken away or added."""
    action = draw(st.sampled_from(sorted(FULL)))
    payload = deepcopy(FULL[action])
    for path in draw(st.lists(st.sampled_from(PATHS[action]), max_size=4)):
        *folders, last = path.split(".")
        place: Any = payload
        for folder in folders:
            place = place.get(folder) if isinstance(place, dict) else None
        if isinstance(place, dict):
            if draw(st.booleans()):
                place[last] = draw(json_values)
            else:
                place.pop(last, None)
    return action, payload


@settings(deadline=None)
@given(mutated(), st.sampled_from(VERSIONS))
def test_what_is_taken_is_what_the_official_schema_allows(case: tuple[str, Payload], version: Version) -> None:
    """4.1.7: the same payloads are valid here as there, but for the differences listed below."""
    action, payload = case
    assert (code_of(action, version, payload) == "") == schema(action, version).is_valid(payload)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        # The schema's integers have no upper bound; Part 2 says 32 bits, and the database and timers rely on it.
        ("requestId", 2**31, "PropertyConstraintViolation"),
        ("retryInterval", 10**400, "PropertyConstraintViolation"),
        # To JSON Schema 1.0 is an integer; Part 2 writes integers without a fraction.
        ("requestId", 1.0, "TypeConstraintViolation"),
        # An escaped half of a surrogate pair passes as JSON; no UTF-8 can carry it, so it is no text (4.1.2).
        ("location", "http://example.com/\ud800", "TypeConstraintViolation"),
        ("customData.\ud800", 1, "TypeConstraintViolation"),
    ],
)  # fmt: skip
def test_deliberate_differences_from_the_schema(path: str, value: object, code: str, version: Version) -> None:
    """What the official schema lets pass and we refuse, each with its reason above."""
    payload = changed("PublishFirmware", path, value)
    assert schema("PublishFirmware", version).is_valid(payload)
    assert code_of("PublishFirmware", version, payload) == code


def test_dates_are_not_looked_at() -> None:
    """The one thing that we let pass: a date-time's format, in an UpdateFirmware, which is refused whatever it says."""
    payload = changed("UpdateFirmware", "firmware.retrieveDateTime", "tomorrow")
    assert all(code_of("UpdateFirmware", version, payload) == "" for version in VERSIONS)


OCCURRENCE, FORMAT = "OccurrenceConstraintViolation", "FormatViolation"
TYPE, PROPERTY = "TypeConstraintViolation", "PropertyConstraintViolation"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("action", "path", "value", "code"),
    [
        ("PublishFirmware", "location", ..., OCCURRENCE),
        ("PublishFirmware", "checksum", ..., OCCURRENCE),
        ("PublishFirmware", "requestId", ..., OCCURRENCE),
        ("PublishFirmware", "customData.vendorId", ..., OCCURRENCE),
        ("UnpublishFirmware", "checksum", ..., OCCURRENCE),
        ("TriggerMessage", "requestedMessage", ..., OCCURRENCE),
        ("TriggerMessage", "evse.id", ..., OCCURRENCE),
        ("UpdateFirmware", "firmware", ..., OCCURRENCE),
        ("UpdateFirmware", "firmware.location", ..., OCCURRENCE),
        ("PublishFirmware", "other", 1, FORMAT),
        ("UnpublishFirmware", "requestId", 1, FORMAT),
        ("TriggerMessage", "evse.other", 1, FORMAT),
        ("PublishFirmware", "location", 1, TYPE),
        ("PublishFirmware", "location", ["http://example.com"], TYPE),
        ("PublishFirmware", "requestId", "7", TYPE),
        ("PublishFirmware", "requestId", True, TYPE),
        ("PublishFirmware", "requestId", 1.5, TYPE),
        ("PublishFirmware", "retries", None, TYPE),
        ("PublishFirmware", "customData", None, TYPE),
        ("PublishFirmware", "customData", [], TYPE),
        ("PublishFirmware", "customData.vendorId", 1, TYPE),
        ("UnpublishFirmware", "checksum", 1, TYPE),
        ("TriggerMessage", "requestedMessage", 5, TYPE),
        ("TriggerMessage", "requestedMessage", None, TYPE),
        ("TriggerMessage", "requestedMessage", ["Heartbeat"], TYPE),
        ("TriggerMessage", "evse", 5, TYPE),
        ("TriggerMessage", "evse.id", "1", TYPE),
        ("UpdateFirmware", "firmware", "x", TYPE),
        ("PublishFirmware", "location", "x" * 2001, PROPERTY),
        ("PublishFirmware", "checksum", "0" * 33, PROPERTY),
        ("PublishFirmware", "requestId", -(2**31) - 1, PROPERTY),
        ("PublishFirmware", "customData.vendorId", "x" * 256, PROPERTY),
        ("UnpublishFirmware", "checksum", "0" * 33, PROPERTY),
        ("TriggerMessage", "requestedMessage", "heartbeat", PROPERTY),
        ("TriggerMessage", "requestedMessage", "", PROPERTY),
        ("UpdateFirmware", "firmware.signature", "x" * 801, PROPERTY),
        ("UpdateFirmware", "firmware.signingCertificate", "x" * 5501, PROPERTY),
    ],
)
def test_each_fault_has_its_code(action: str, path: str, value: object, code: str, version: Version) -> None:
    """4.3: what is missing, unknown, of the wrong type or out of its bounds is answered with the code for that."""
    payload = changed(action, path, value)
    with pytest.raises(OcppFault) as caught:
        read_request(action, version, payload)
    assert caught.value.code == code
    assert caught.value.description.startswith(f"{action}: ")
    assert f": {path}: " in caught.value.description


@pytest.mark.parametrize(
    ("action", "path", "value"),
    [
        ("PublishFirmware", "requestId", -1),
        ("PublishFirmware", "retries", -1),
        ("PublishFirmware", "retryInterval", -1),
        ("TriggerMessage", "evse.id", -1),
        ("TriggerMessage", "evse.connectorId", -1),
        ("UpdateFirmware", "retries", -1),
    ],
)
def test_negative_numbers_are_refused_since_2_1(action: str, path: str, value: int) -> None:
    """2.1: ``minimum: 0``; 2.0.1 takes them."""
    payload = changed(action, path, value)
    assert code_of(action, "2.0.1", payload) == ""
    assert code_of(action, "2.1", payload) == PROPERTY


@pytest.mark.parametrize(("action", "path"), [("PublishFirmware", "location"), ("UpdateFirmware", "firmware.location")])
def test_a_location_may_be_longer_since_2_1(action: str, path: str) -> None:
    """At most 512 characters in 2.0.1, 2000 in 2.1."""
    lengths = {length: changed(action, path, "x" * length) for length in (512, 513, 2000, 2001)}
    assert [code_of(action, "2.0.1", lengths[length]) for length in (512, 513)] == ["", PROPERTY]
    assert [code_of(action, "2.1", lengths[length]) for length in (2000, 2001)] == ["", PROPERTY]


def test_what_2_1_added_is_unknown_before() -> None:
    """F06: customTrigger and two of the messages to trigger came with 2.1."""
    for requested in ("CustomTrigger", "SignV2G20Certificate"):
        payload = changed("TriggerMessage", "requestedMessage", requested)
        assert code_of("TriggerMessage", "2.0.1", payload) == PROPERTY
        assert code_of("TriggerMessage", "2.1", payload) == ""
    custom = changed("TriggerMessage", "customTrigger", "x" * 50)
    assert code_of("TriggerMessage", "2.0.1", custom) == FORMAT
    assert code_of("TriggerMessage", "2.1", custom) == ""
    assert code_of("TriggerMessage", "2.1", {**custom, "customTrigger": "x" * 51}) == PROPERTY


@settings(deadline=None)
@given(st.text(st.characters(), min_size=1))
def test_a_fault_says_nothing_that_could_forge_a_line_of_the_log(name: str) -> None:
    """The name of an unknown field is the CSMS's own text: it is cut and escaped."""
    with pytest.raises(OcppFault) as caught:
        read_request("UnpublishFirmware", "2.0.1", {"checksum": MD5, f"x\n{name}": 1})
    assert caught.value.description.isprintable()
    assert len(caught.value.description) < 1500


def test_a_fault_does_not_repeat_the_value() -> None:
    """A location may carry credentials: the fault names the field, never what was in it."""
    secret = "http://user:hunter2@example.com/" + "x" * 2000
    with pytest.raises(OcppFault) as caught:
        read_request("PublishFirmware", "2.1", changed("PublishFirmware", "location", secret))
    assert "hunter2" not in str(caught.value)


def test_payloads_nested_deeply_are_judged_without_a_crash() -> None:
    """A customData may hold anything; elsewhere it is one fault as any other."""
    deep = json.loads("[" * 900 + "]" * 900)
    assert code_of("PublishFirmware", "2.0.1", changed("PublishFirmware", "customData.deep", deep)) == ""
    assert code_of("PublishFirmware", "2.0.1", changed("PublishFirmware", "deep", deep)) == FORMAT
    assert code_of("PublishFirmware", "2.0.1", changed("PublishFirmware", "location", deep)) == TYPE


def check_call(action: str, payload: Payload) -> None:
    """We may send it as a CALL, in every version."""
    for version in VERSIONS:
        check_frame(version, encode(Call("1", action, payload)), {})


@settings(deadline=None)
@given(
    st.sampled_from(["PowerUp", "Triggered"]),
    st.text(min_size=1, max_size=50),
    st.text(min_size=1, max_size=20),
    st.text(max_size=25),
    st.text(min_size=1, max_size=80),
)
def test_boot_notifications_fit_the_schema(reason: str, vendor: str, model: str, serial: str, firmware: str) -> None:
    """B01: within the bounds that the configuration keeps to; an empty serial number is left out (4.1.5)."""
    payload = boot_notification(reason, vendor, model, serial, firmware)
    check_call("BootNotification", payload)
    assert ("serialNumber" in payload["chargingStation"]) == bool(serial)


@settings(deadline=None)
@given(
    st.sampled_from(get_args(PublishStatus)),
    st.integers(0, 2**31 - 1),
    st.lists(st.text(min_size=1, max_size=512), min_size=1, max_size=3),
)
def test_status_notifications_fit_the_schema(status: PublishStatus, request_id: int, uris: list[str]) -> None:
    """L03.FR.01, FR.04: only Published carries ``location``, and an empty one is left out (4.1.5)."""
    location = tuple(uris) if status == "Published" else ()
    payload = publish_status(status, request_id, location)
    check_call("PublishFirmwareStatusNotification", payload)
    assert payload == {"status": status, "requestId": request_id, **({"location": uris} if location else {})}


def test_idle_carries_no_request_id() -> None:
    """L03.FR.10."""
    assert publish_status("Idle", None) == {"status": "Idle"}
    check_call("PublishFirmwareStatusNotification", publish_status("Idle", None))


ANSWERS: list[tuple[str, tuple[str, ...]]] = [
    ("PublishFirmware", ("Accepted", "Rejected")),
    ("UnpublishFirmware", ("Unpublished", "NoFirmware", "DownloadOngoing")),
    ("TriggerMessage", ("Accepted", "Rejected", "NotImplemented")),
    ("UpdateFirmware", ("Rejected",)),
]


@pytest.mark.parametrize(("action", "status"), [(action, each) for action, statuses in ANSWERS for each in statuses])
def test_a_bare_answer_fits_the_schema(action: str, status: str) -> None:
    """L03.FR.05, L04, F06: without a reason there is no statusInfo (4.1.5)."""
    payload = answer(status)
    assert payload == {"status": status}
    for version in VERSIONS:
        check_frame(version, encode(CallResult("1", payload)), {"1": action})


@settings(deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(max_size=1100))
def test_an_answer_with_a_reason_fits_the_schema(reason: str, info: str) -> None:
    """A reason code has at most 20 characters, its explanation 512; an empty one is left out (4.1.5)."""
    payload = answer("Rejected", reason, info)
    assert payload["statusInfo"]["reasonCode"] == reason[:20]
    assert ("additionalInfo" in payload["statusInfo"]) == bool(info)
    for action in ("PublishFirmware", "UpdateFirmware"):
        for version in VERSIONS:
            check_frame(version, encode(CallResult("1", payload)), {"1": action})


BOOTED: Payload = {"status": "Accepted", "interval": 300, "currentTime": "2030-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said,
        lambda said: said | {"statusInfo": {"reasonCode": "x"}, "more": None},
        lambda said: said | {"status": "Pending", "interval": 0},
    ],
)
def test_a_boot_response_is_read_for_what_we_need(change: Callable[[Payload], Payload]) -> None:
    """B01: what else it carries is let be."""
    said = change(BOOTED)
    read = BootNotificationResponse.model_validate(said)
    assert (read.status, read.interval, read.currentTime) == (said["status"], said["interval"], said["currentTime"])


@pytest.mark.parametrize(
    "change",
    [
        {"status": "accepted"},
        {"status": None},
        {"interval": None},
        {"interval": 2**31},
        {"interval": 10**400},
        {"interval": float("inf")},
        {"currentTime": 5},
    ],
)
def test_a_boot_response_that_cannot_be_relied_on_is_refused(change: Payload) -> None:
    """B01: an interval that no timer can hold, above all, ends as an answer that was not understood."""
    with pytest.raises(ValidationError):
        BootNotificationResponse.model_validate(BOOTED | change)
