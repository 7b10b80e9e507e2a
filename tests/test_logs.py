"""What logs look like, and what never stands in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from localctl.logs import KEPT, Recent, redact, set_logging, start_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave logging as it was found."""
    root, ours = logging.getLogger(), logging.getLogger("localctl")
    handlers, level, our_level = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def _logged(style: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    start_logging(level, style, stream=stream)
    return stream


def test_text() -> None:
    """A line: UTC time, level, room, message."""
    stream = _logged("text")
    logging.getLogger("localctl.mirror").warning("no %s", "luck")
    assert stream.getvalue().endswith("Z WARNING localctl.mirror: no luck\n")


def test_a_message_is_one_line() -> None:
    """What a peer said cannot begin a line of its own."""
    stream = _logged("text")
    logging.getLogger("localctl.mirror").warning("%s", "a\nb\rc")
    assert stream.getvalue().endswith(": a\\nb\\rc\n")


def test_json() -> None:
    """One object a line, tracebacks within it."""
    stream = _logged("json")
    try:
        raise ValueError("at http://joe:secret@host/")
    except ValueError:
        logging.getLogger("localctl.mirror").exception("oh\nno")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert (record["level"], record["logger"], record["message"]) == ("error", "localctl.mirror", "oh\nno")
    assert "ValueError" in record["exception"]
    assert "secret" not in line


def test_levels() -> None:
    """Ours from the configured level on; libraries only from warning on, whatever the level."""
    stream = _logged("text", "debug")
    logging.getLogger("localctl.uplink").debug("ours")
    logging.getLogger("aiohttp.access").info("theirs")
    assert [line.rpartition(": ")[2] for line in stream.getvalue().splitlines()] == ["ours"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("GET http://joe:pw@host/a and ftp://x@h/b", "GET http://…@host/a and ftp://…@h/b"),
        ("Authorization: Basic am9lOnNlY3JldA==", "Authorization: Basic …"),
        ("http://host/a@b?x=1", "http://host/a@b?x=1"),
        ("basic auth is fine", "basic auth is fine"),
    ],
)
def test_redaction(text: str, clean: str) -> None:
    """User parts of URLs and credentials of headers are taken out, and nothing else."""
    assert redact(text) == clean


def test_another_level_and_style_count_at_once() -> None:
    """On the same stream; other handlers, such as the one that counts, stay as they are."""
    stream, other = io.StringIO(), logging.StreamHandler(io.StringIO())
    start_logging("info", "text", other, stream=stream)
    set_logging("debug", "json")
    logging.getLogger("localctl.uplink").debug("ours")
    assert json.loads(stream.getvalue())["message"] == "ours"
    assert logging.getLogger().handlers[1:] == [other]
    assert other.formatter is None


def test_the_last_of_them_are_kept() -> None:
    """What we say at INFO and above, the newest last and no more than KEPT; neither tracebacks nor secrets."""
    recent = Recent()
    start_logging("debug", "text", recent, stream=io.StringIO())
    ours = logging.getLogger("localctl.mirror")
    for number in range(KEPT):
        ours.info("number %d", number)
    ours.debug("left out")
    logging.getLogger("aiohttp.access").warning("theirs")
    try:
        raise ValueError("within")
    except ValueError:
        ours.exception("at http://joe:secret@host/\nsecond line")
    events = recent.events()
    assert len(events) == KEPT
    assert [event["text"] for event in events[:2]] == ["number 1", "number 2"]
    assert (events[-1]["level"], events[-1]["text"]) == ("error", "at http://…@host/\\nsecond line")
    assert events[0]["at"] <= events[-1]["at"]


def test_a_long_line_is_kept_in_part() -> None:
    """A peer's words cannot fill the memory."""
    recent = Recent()
    start_logging("info", "text", recent, stream=io.StringIO())
    logging.getLogger("localctl").info("x" * 10**6)
    assert len(recent.events()[0]["text"]) < 1000
