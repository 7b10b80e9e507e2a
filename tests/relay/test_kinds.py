"""The kind of a message is read off its first bytes, and no bytes can upset that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.relay.kinds import kind_of
from localctl.traffic import MESSAGE_TYPES


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'[2,"id","Heartbeat",{}]', "call"),
        (b'[3,"id",{}]', "callresult"),
        (b'[4,"id","GenericError","",{}]', "callerror"),
        (b'[5,"id","GenericError","",{}]', "callresulterror"),
        (b'[6,"id","NotifyPeriodicEventStream",{}]', "send"),
        (b' \r\n\t[ 2 , "id"]', "call"),
        (b'[\n  3,\n  "id"]', "callresult"),
        (b'[7,"id"]', "other"),
        (b'[22,"id"]', "other"),
        (b'["2","id"]', "other"),
        (b'{"2":1}', "other"),
        (b"[2", "other"),
        (b"no JSON at all", "other"),
        (b"\xff\xfe", "other"),
        (b"", "other"),
    ],
)
def test_kind_is_the_first_element(payload: bytes, kind: str) -> None:
    """Message types 2 to 6 are told apart, with or without white space (OCPP-J 4.1.3); anything else is other."""
    assert MESSAGE_TYPES[kind_of(payload)] == kind


@given(st.binary(max_size=64))
def test_any_bytes_have_a_kind(payload: bytes) -> None:
    """Whatever passes is counted under a label of the closed set."""
    assert kind_of(payload) in range(len(MESSAGE_TYPES))
