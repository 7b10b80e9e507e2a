"""Server-sent events, as a browser reads them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from localctl.admin.stream import JSON, as_object, event
from tests.admin.samples import document, station


@given(st.text())
def test_a_text_is_one_event(text: str) -> None:
    """Whatever line ends a text has, it begins no field of its own and ends with the event's blank line."""
    told = event("name", text).decode()
    assert told.endswith("\n\n")
    name, *data = told.removesuffix("\n\n").replace("\r", "\n").split("\n")
    assert name == "event: name"
    assert all(line.startswith("data: ") for line in data)
    read = "\n".join(line.removeprefix("data: ") for line in data)
    assert read == text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()


def test_the_document_in_json() -> None:
    """All parts together are the document; first it is the status, then a change of it."""
    parts = {**JSON.parts(document(), 0), "stations": JSON.table([JSON.row(station()), JSON.row(station("CS-2"))])}
    assert json.loads(as_object(parts)) == document() | {"stations": [station(), station("CS-2")]}
    assert JSON.message(parts, True).startswith(b"event: status\ndata: {")
    assert JSON.message({"disk": "{}"}, False) == b'event: change\ndata: {"disk":{}}\n\n'
