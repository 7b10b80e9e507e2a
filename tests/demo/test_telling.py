import json
import subprocess
import sys

import pytest

from localctl.demo.patience import OutputClosed
from localctl.demo.plan import CONTROLLER, MIB
from localctl.demo.telling import Event, JsonLines, Lines, Outcome, Quarters, Telling, complain, open_telling

WENT_WELL = Outcome(stations=4, size=2 * MIB, wan_bytes=2 * MIB, lan_bytes=8 * MIB, seconds=1.25)
WENT_WRONG = Outcome(stations=4, size=2 * MIB, wan_bytes=MIB, lan_bytes=0, seconds=1.25, failed="the roof fell in")


def tell(telling: Telling) -> None:
    """A short story."""
    telling.tell(Event("pause", "CS-01", "stops", {"identity": "CS-01"}))
    for received in range(9):
        telling.progress(CONTROLLER, received, 8)
        telling.progress("CS-01", received, 8)
    telling.end(WENT_WELL)


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets a line an event, the controller's quarters, and what was saved: plain ASCII, no control codes."""
    tell(Lines())
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "CS-01     stops",
        "LC-DEMO   has 0.0 MiB of 0.0 MiB",
        "LC-DEMO   has 0.0 MiB of 0.0 MiB",
        "LC-DEMO   has 0.0 MiB of 0.0 MiB",
        "WAN       2.0 MiB from the origin, once",
        "LAN       8.0 MiB to 4 stations",
        "saved     6.0 MiB of WAN traffic: 4.0 times less than without LC-DEMO",
        "time      1.2 s",
    ]
    assert out.isascii()
    assert not err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A program gets an object a line, everybody's quarters, and the summary at last."""
    tell(JsonLines())
    first, *progress, last = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert first == {"event": "pause", "who": "CS-01", "identity": "CS-01"}
    assert [(each["event"], each["who"], each["received"]) for each in progress] == [
        ("progress", who, received) for received in (2, 4, 6) for who in (CONTROLLER, "CS-01")
    ]
    assert last == {
        "event": "summary", "ok": True, "failed": "", "stations": 4, "size": 2 * MIB, "wan_bytes": 2 * MIB,
        "lan_bytes": 8 * MIB, "factor": 4.0, "seconds": 1.25,
    }  # fmt: skip


def test_a_failure_saves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """After a failure nothing is claimed on standard output but, in JSON, that it failed and why."""
    Lines().end(WENT_WRONG)
    assert not capsys.readouterr().out
    JsonLines().end(WENT_WRONG)
    summary = json.loads(capsys.readouterr().out)
    assert (summary["ok"], summary["failed"]) == (False, "the roof fell in")


def test_nothing_over_the_wan_is_no_factor() -> None:
    """Where nothing was fetched there is nothing to divide by."""
    assert Outcome(4, MIB, 0, 0, 0.0, "early").factor == 0


def test_quarters() -> None:
    """The first step in each quarter passes, steps back and the end do not."""
    quarters = Quarters()
    steps = (0, 24, 25, 30, 80, 60, 99, 100)
    assert [step for step in steps if quarters.is_new("CS-01", step, 100)] == [25, 80]
    assert quarters.is_new("CS-02", 25, 100)


def test_a_pipe_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal there are lines, and rich is not imported; JSON where it is asked for."""
    with open_telling(as_json=False) as lines, open_telling(as_json=True) as objects:
        assert isinstance(lines, Lines)
        assert isinstance(objects, JsonLines)
    code = "import sys, localctl.demo.scenario; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert not capsys.readouterr().out


def test_nobody_reads(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe is named, so that the story ends and its people are sent home."""

    def broken(_: str) -> int:
        raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "write", broken)
        with pytest.raises(OutputClosed):
            Lines().tell(Event("pause", "CS-01", "stops", {}))
    complain(["one", "two"])
    assert capsys.readouterr() == ("", "one\ntwo\n")
