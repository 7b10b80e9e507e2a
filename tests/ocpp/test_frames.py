"""OCPP-J frames: text to a frame and back."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.errors import OcppFault
from localctl.ocpp.actions import Version
from localctl.ocpp.frames import MAX_DESCRIPTION, Call, CallError, CallResult, Frame, Ignored, encode, parse
from tests.actors.schemas import check_frame

VERSIONS: tuple[Version, ...] = ("2.0.1", "2.1")
versions = st.sampled_from(VERSIONS)


def json_values(floats: st.SearchStrategy[float]) -> st.SearchStrategy[object]:
    """What JSON can hold, with ``floats`` for its numbers."""
    scalars = st.none() | st.booleans() | st.integers() | floats | st.text(st.characters())  # lone surrogates too
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


values = json_values(st.floats(allow_nan=False, allow_infinity=False))
payloads = st.dictionaries(st.text(), values, max_size=4)
ids = st.text(min_size=1, max_size=36)
like_frames = st.builds(
    lambda kind, rest: [kind, *rest],
    st.sampled_from([2, 3, 4, 5, 6, 7, -1, 0, 2**70, True, 2.0, "2", None]),
    st.lists(values | ids, max_size=5),
)


def fault_of(text: str, version: Version = "2.0.1") -> OcppFault:
    """The fault that ``text`` is answered with."""
    with pytest.raises(OcppFault) as caught:
        parse(text, version)
    return caught.value


def check_total(text: str, version: Version) -> None:
    """Whatever comes is a frame, or is answered with a CALLERROR that may be sent."""
    try:
        frame: Frame | OcppFault = parse(text, version)
    except OcppFault as fault:
        frame = fault
    if isinstance(frame, OcppFault):
        refusal = encode(CallError(frame.message_id, frame.code, frame.description))
        check_frame(version, refusal, {frame.message_id: "any"})
        assert len(frame.description) <= MAX_DESCRIPTION  # it is logged as it is
    else:
        assert isinstance(frame, Call | CallResult | CallError | Ignored)


@settings(deadline=None)
@given(st.text(st.characters()) | st.text('[]{}",:0123456789eE.-+ntrfalsu\\'), versions)
def test_any_text_is_a_frame_or_an_ocpp_fault(text: str, version: Version) -> None:
    """4.2.3: nothing that arrives raises anything else."""
    check_total(text, version)


@settings(deadline=None)
@given(json_values(st.floats()) | like_frames, versions, st.booleans())
def test_any_json_is_a_frame_or_an_ocpp_fault(value: object, version: Version, ascii_only: bool) -> None:  # noqa: FBT001
    """4.2.3: the same for whatever is JSON, or nearly (NaN), and for what looks like a frame."""
    check_total(json.dumps(value, ensure_ascii=ascii_only), version)


NESTED = {depth: f'[2,"1","Reset",{"[" * depth}{"]" * depth}]' for depth in (100, 1_000, 1_000_000)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", "[2", '[2,"1","Reset",{}', '[2,"1","Reset",{}]]', "[2,'1','Reset',{}]",
        '[2,"1","Reset",{"a":1,}]',
        '[2,"1","Reset",{"a":NaN}]', '[2,"1","Reset",{"a":Infinity}]', '[2,"1","Reset",{"a":-Infinity}]',
        '[2,"1","Reset",{"a":01}]', '[2,"1","Re\nset",{}]', '\ufeff[2,"1","Reset",{}]', f'[2,"1","Reset",{"9" * 5000}]',
        '[2,"1","Reset",' + '{"a":' * 1_000_000, NESTED[1_000_000],
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_what_is_no_json_is_an_rpc_framework_error(text: str, version: Version) -> None:
    """4.2.3, 4.3: the id cannot be read, and so is -1; NaN, a comma too many and nesting without end are no JSON."""
    fault = fault_of(text, version)
    assert (fault.code, fault.message_id) == ("RpcFrameworkError", "-1")


@pytest.mark.parametrize("depth", [100, 1_000])
def test_deep_nesting_is_answered_one_way_or_the_other(depth: int) -> None:
    """4.3: what the reader can still follow has a payload that is no object; what it cannot is no JSON to it."""
    fault = fault_of(NESTED[depth])
    assert (fault.code, fault.message_id) in {("FormatViolation", "1"), ("RpcFrameworkError", "-1")}


@pytest.mark.parametrize("text", ["{}", "2", "null", '"2"', "[]", "[[2]]", '["2"]', "[2.0]", "[true]", "[null]"])
def test_what_is_no_array_with_a_message_type_is_an_rpc_framework_error(text: str) -> None:
    """4.2, 4.3: a message is an array that begins with an integer."""
    fault = fault_of(text)
    assert (fault.code, fault.message_id) == ("RpcFrameworkError", "-1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ('[7,"1",{}]', "1"),
        ('[1,"1"]', "1"),
        ('[-2,"1"]', "1"),
        ("[7]", "-1"),
        ("[7,1]", "-1"),
        (f"[{'9' * 4000}]", "-1"),
        (f'[7,"{"x" * 37}"]', "-1"),
    ],
    ids=lambda text: str(text)[:24],
)
def test_an_unknown_message_type_is_not_supported(text: str, message_id: str, version: Version) -> None:
    """4.4: MessageTypeNotSupported, under the message's id where it can be read."""
    fault = fault_of(text, version)
    assert (fault.code, fault.message_id) == ("MessageTypeNotSupported", message_id)
    assert len(fault.description) < 100


@pytest.mark.parametrize(
    "text", ['[5,"1","GenericError","",{}]', '[6,"1","NotifyPeriodicEventStream",{}]', "[5]", "[6]"]
)
def test_send_and_callresulterror_are_ignored_on_2_1(text: str) -> None:
    """2.1 4.1.3: neither is ever answered there; 2.0.1 does not know them."""
    assert isinstance(parse(text, "2.1"), Ignored)
    assert fault_of(text, "2.0.1").code == "MessageTypeNotSupported"


@pytest.mark.parametrize(
    "text",
    ["[2]", '[2,null,"Reset",{}]', '[2,1,"Reset",{}]', '[2,"","Reset",{}]', f'[2,"{"x" * 37}","Reset",{{}}]', "[2,[]]"],
)
def test_a_call_without_a_readable_id_is_an_rpc_framework_error(text: str) -> None:
    """4.1.4, 4.2.3: missing, no text, empty or over 36 characters: answered under -1."""
    fault = fault_of(text)
    assert (fault.code, fault.message_id) == ("RpcFrameworkError", "-1")


@pytest.mark.parametrize(
    "text", ['[2,"1"]', '[2,"1","Reset"]', '[2,"1","Reset",{},{}]', '[2,"1",5,{}]', '[2,"1",{},{}]']
)
def test_a_call_with_the_wrong_elements_is_an_rpc_framework_error(text: str) -> None:
    """4.2.1, 4.3: it always has 4 elements; its id can be read and is answered."""
    fault = fault_of(text)
    assert (fault.code, fault.message_id) == ("RpcFrameworkError", "1")


@pytest.mark.parametrize("payload", ["null", "[]", "5", '"{}"', "true"])
def test_a_payload_that_is_no_object_is_a_format_violation(payload: str) -> None:
    """4.1.5, 4.3."""
    fault = fault_of(f'[2,"1","Reset",{payload}]')
    assert (fault.code, fault.message_id) == ("FormatViolation", "1")


def test_an_id_of_36_characters_is_read() -> None:
    """4.1.4: a UUID fits."""
    assert parse(f'[2,"{"x" * 36}","Reset",{{}}]', "2.0.1") == Call("x" * 36, "Reset", {})


@pytest.mark.parametrize("text", ["[3]", "[4]", "[3,1,{}]", "[3,null]", f'[4,"{"x" * 37}","GenericError","",{{}}]'])
def test_an_answer_without_a_readable_id_is_ignored(text: str) -> None:
    """4.2.3: CALLERROR is for CALLs; an answer is never answered."""
    assert all(isinstance(parse(text, version), Ignored) for version in VERSIONS)


@settings(deadline=None)
@given(st.sampled_from([3, 4]), st.lists(values, max_size=5), versions)
def test_no_answer_is_ever_answered(kind: int, rest: list[object], version: Version) -> None:
    """4.2.3: however malformed a CALLRESULT or CALLERROR is, it raises no fault."""
    assert not isinstance(parse(json.dumps([kind, *rest]), version), Call)


@pytest.mark.parametrize("rest", ["", ",null", ",[]", ",{},{}", ',"x"'])
def test_a_malformed_result_ends_the_wait_as_a_refusal(rest: str) -> None:
    """4.2.2: who waits for it is told at once, rather than by the timeout."""
    frame = parse(f'[3,"1"{rest}]', "2.0.1")
    assert frame == CallError("1", "FormatViolation", "the answer is malformed")


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", CallError("1", "GenericError")),
        (',5,null,"x"', CallError("1", "GenericError")),
        (',"NotSupported"', CallError("1", "NotSupported")),
        (',"NotSupported","why",{"a":1},5', CallError("1", "NotSupported", "why", {"a": 1})),
    ],
)
def test_a_malformed_error_is_read_as_far_as_it_goes(rest: str, expected: CallError) -> None:
    """4.2.3: CSMSs leave the description or the details out."""
    assert parse(f'[4,"1"{rest}]', "2.1") == expected


@settings(deadline=None)
@given(
    st.builds(Call, ids, st.text(), payloads)
    | st.builds(CallResult, ids, payloads)
    | st.builds(CallError, ids, st.text(), st.text(max_size=MAX_DESCRIPTION), payloads),
    versions,
)
def test_what_is_encoded_is_parsed_to_the_same(frame: Call | CallResult | CallError, version: Version) -> None:
    """A round trip loses nothing, surrogates and the line's end included."""
    text = encode(frame)
    assert text.isascii()
    assert "\n" not in text
    assert parse(text, version) == frame


@settings(deadline=None)
@given(st.text(st.characters(), max_size=600))
def test_a_description_is_cut_to_255_characters(description: str) -> None:
    """4.2.3: errorDescription is a string[255]."""
    elements: list[Any] = json.loads(encode(CallError("1", "GenericError", description)))
    assert elements == [4, "1", "GenericError", description[:255], {}]


def test_frames_are_written_without_white_space() -> None:
    """The uplink may be metered."""
    assert encode(Call("1", "A", {"b": [1, 2]})) == '[2,"1","A",{"b":[1,2]}]'
    assert encode(CallResult("1", {})) == '[3,"1",{}]'
    assert encode(CallError("1", "GenericError")) == '[4,"1","GenericError","",{}]'
