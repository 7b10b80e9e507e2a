import json
from importlib.resources import files

import pytest

from tests.actors.schemas import check_frame


def boot(version: str) -> str:
    """The action's payload of a BootNotification that is allowed."""
    if version == "1.6":
        return '{"chargePointVendor":"v","chargePointModel":"m"}'
    return '{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}'


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_calls_results_and_errors_pass(version: str) -> None:
    """A frame of each type that is in order raises nothing, on every version."""
    calls = {"a": "Reset", "b": "Reset"}
    check_frame(version, f'[2,"1","BootNotification",{boot(version)}]', calls)
    check_frame(version, '[3,"a",{"status":"Accepted"}]', calls)
    check_frame(version, '[4,"b","NotSupported","",{}]', calls)
    check_frame(version, '[4,"-1","GenericError","unreadable",{"why":null}]', calls)
    assert not calls


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("{", "no JSON"),
        ('[2,"1","Heartbeat",{"x":NaN}]', "no JSON"),
        ('[2,"1","Heartbeat"]', "right elements"),
        ('[5,"1","GenericError","",{}]', "right elements"),
        ('[2,1,"Heartbeat",{}]', "right elements"),
        ('[2,"","Heartbeat",{}]', "1 to 36"),
        (f'[2,"{37 * "1"}","Heartbeat",{{}}]', "1 to 36"),
        ('[2,"old","Heartbeat",{}]', "used before"),
        ('[2,"1","Heartbeats",{}]', "there is no HeartbeatsRequest"),
        ('[2,"1","../call",{}]', "there is no"),
        ('[2,"1","Heartbeat",{"extra":1}]', "extra"),
        ('[2,"1","PublishFirmwareStatusNotification",{"status":"Lost"}]', "Lost"),
        ('[2,"1","PublishFirmwareStatusNotification",{"status":"Idle","requestId":null}]', "left out"),
        ('[2,"1","PublishFirmwareStatusNotification",{"status":"Idle","location":[]}]', "left out"),
        ('[2,"1","PublishFirmwareStatusNotification",{"status":"Idle","customData":{}}]', "left out"),
        ('[3,"x",{}]', "no CALL awaits"),
        ('[3,"reset",{"status":"Perhaps"}]', "Perhaps"),
        ('[3,"unknown",{}]', "there is no NonsenseResponse"),
        ('[4,"reset","NotImplementedError","",{}]', "no error code"),
        (f'[4,"reset","GenericError","{256 * "x"}",{{}}]', "at most 255"),
        ('[4,"reset","GenericError","",[]]', "right elements"),
        ('[4,"x","GenericError","",{}]', "no CALL awaits"),
        (b'[2,"1","Heartbeat",{}]', "binary"),
    ],
)
def test_what_is_not_allowed_is_named(frame: str | bytes, reason: str) -> None:
    """A frame that OCPP-J 4.1 to 4.3 or the schemas forbid raises AssertionError with the frame and the reason."""
    with pytest.raises(AssertionError, match="does not allow") as raised:
        check_frame("2.0.1", frame, {"reset": "Reset", "unknown": "Nonsense"}, {"old"})
    assert reason in str(raised.value)
    assert repr(frame) in str(raised.value)


@pytest.mark.parametrize("moment", ["2024-05-01 00:00:00Z", "2024-05-01T00:00:00", "2024-13-01T00:00:00Z", "today"])
def test_date_times_are_held_against_rfc_3339(moment: str) -> None:
    """The date-times that the schemas name are checked, though jsonschema by itself would not."""
    security = '[2,"%s","SecurityEventNotification",{"type":"t","timestamp":"%s"}]'
    check_frame("2.0.1", security % ("1", "2024-05-01T00:00:00.000Z"), {})
    check_frame("2.0.1", security % ("1", "2024-05-01T00:00:00+02:00"), {})
    with pytest.raises(AssertionError, match=r"timestamp.*date-time"):
        check_frame("2.0.1", security % ("1", moment), {})


def test_an_id_is_remembered_and_never_reused() -> None:
    """4.1.4: the second CALL with one message id is refused, also over a new connection."""
    seen: set[str] = set()
    check_frame("2.1", '[2,"1","Heartbeat",{}]', {}, seen)
    with pytest.raises(AssertionError, match="used before"):
        check_frame("2.1", '[2,"1","Heartbeat",{}]', {}, seen)


def test_a_second_answer_to_one_call_is_refused() -> None:
    """A CALL is answered once."""
    calls = {"a": "Reset"}
    check_frame("2.1", '[3,"a",{"status":"Accepted"}]', calls)
    with pytest.raises(AssertionError, match="no CALL awaits"):
        check_frame("2.1", '[3,"a",{"status":"Accepted"}]', calls)


@pytest.mark.parametrize("folder", ["v16", "v201", "v21"])
def test_the_schemas_are_there(folder: str) -> None:
    """The package ocpp carries the schemas of every version as JSON with a byte order mark or without."""
    schema = files("ocpp") / folder / "schemas" / "HeartbeatResponse.json"
    assert json.loads(schema.read_text(encoding="utf-8-sig"))["required"] == ["currentTime"]
