"""The kind of a message is read off its first bytes, and no bytes can upset that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localctl.relay.kinds import message_type
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
    assert message_type(payload) == kind


@given(st.binary(max_size=64))
def test_any_bytes_have_a_kind(payload: bytes) -> None:
    """Whatever passes is counted under a label of the closed set."""
    assert message_type(payload) in MESSAGE_TYPES
