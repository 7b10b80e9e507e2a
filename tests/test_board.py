"""The picture of a status, as a terminal of some width shows it."""

import io
import re
from typing import Any

import pytest
from rich.console import Console

from localctl.board import absent, draw
from tests.test_inquiry import DOCUMENT

NOW = 91000.0
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
MORE: dict[str, Any] = {
    "configuration": {"path": "/c", "reload_error": "csms.url: is missing"},
    "certificates": [
        {"role": "csms", "path": "/a", "expires_at": NOW + 40 * 86400},
        {"role": "publish.https", "path": "/b", "expires_at": NOW - 1},
    ],
    "events": [{"at": NOW, "level": "ERROR", "text": f"number {number}"} for number in range(9)],
}


def drawn(document: dict[str, Any], *, width: int = 100, everyone: bool = False) -> str:
    """What the terminal is sent."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system="standard", highlight=False)
    with console.capture() as shown:
        console.print(draw(document, NOW, everyone=everyone))
    return shown.get()


def test_all_of_it() -> None:
    """Each part, with what is new in the document where it is there."""
    text = CONTROL.sub("", drawn(DOCUMENT | MORE))
    for words in (
        "LC-1  ● NOT ready  localctl 0.1.0",
        "it answered Pending",
        "connected for 1 d 1 h, OCPP 2.1, Pending",
        "2 notifications wait",
        "3.0 GiB free of 1.0 TiB",
        "5.0 MiB of unknown",
        "http://h/a",
        "512 B of 1.5 KiB",
        "2  1 on OCPP 1.6, 1 on OCPP ?",
        "spoke 00:16:40 ago",
        "no message yet",
        "the configuration was not taken anew: csms.url: is missing",
        "until 1970-02-11, 40 days",
        "expired on 1970-01-02",
        "ERROR number 8",
    ):
        assert words in text
    assert "number 3" not in text


def test_bars_are_as_long_as_what_is_done() -> None:
    """A third of the bar for a third of the transfer; a download of unknown size has none."""
    text = CONTROL.sub("", drawn(DOCUMENT))
    [transfer] = [line for line in text.splitlines() if "512 B" in line]
    assert transfer.count("━") == 16 - 1  # the rest of it is there in grey, with a gap between
    moving = {**DOCUMENT["transfers"][0], "started_at": NOW - 2}
    assert "512 B of 1.5 KiB, 256 B/s" in CONTROL.sub("", drawn(DOCUMENT | {"transfers": [moving]}))
    [download] = [line for line in text.splitlines() if "unknown" in line]
    assert "━" not in download


def test_it_fits_a_narrow_terminal() -> None:
    """Eighty columns are enough for what is usual: no line is wrapped."""
    document = DOCUMENT | {"firmware": [{**DOCUMENT["firmware"][1], "total": 9 * 2**20}]}
    lines = CONTROL.sub("", drawn(document, width=80)).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert any("downloading" in line and "5.0 MiB of 9.0 MiB" in line for line in lines)


@pytest.mark.parametrize(("everyone", "count"), [(False, 15), (True, 1000)])
def test_a_thousand_stations(everyone: bool, count: int) -> None:  # noqa: FBT001
    """The first and the last of them, unless all are asked for."""
    stations = [{**DOCUMENT["stations"][0], "identity": f"CS-{number:04}"} for number in range(1000)]
    text = CONTROL.sub("", drawn(DOCUMENT | {"stations": stations}, everyone=everyone))
    assert len(re.findall(r"CS-\d{4}", text)) == count
    assert "1000  1000 on OCPP 1.6" in text
    assert ("… 985 more" in text) is not everyone


def test_many_files_are_told_without_their_uris() -> None:
    """What is under way must not scroll away."""
    text = drawn(DOCUMENT | {"firmware": [DOCUMENT["firmware"][0]] * 5})
    assert "http://h/a" not in text
    assert text.count("a" * 32) == 5


def test_what_a_peer_names_is_no_markup() -> None:
    """Neither rich's brackets nor a terminal's control codes."""
    station = {**DOCUMENT["stations"][0], "identity": "[red]x[/red]\x1b[2J"}
    text = drawn(DOCUMENT | {"stations": [station]})
    assert "[red]x[/red]\N{REPLACEMENT CHARACTER}[2J" in text
    assert "\x1b[2J" not in text


def test_nobody_there() -> None:
    """Why, in words."""
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as shown:
        console.print(absent("not running, asking again: no\x07"))
    assert shown.get() == "● not running, asking again: no\N{REPLACEMENT CHARACTER}\n"
