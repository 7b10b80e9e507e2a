import io
import re
from contextlib import redirect_stdout

import pytest

from localctl.demo.plan import CONTROLLER, MIB
from localctl.demo.telling import Event, Outcome
from localctl.demo.terminal import MOST_BARS, Terminal

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
GONE_WELL = Outcome(4, 2 * MIB, 2 * MIB, 8 * MIB, 1.25)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 100 columns and 40 lines is sent."""
    drawn = io.StringIO()
    drawn.isatty = lambda: True  # type: ignore[method-assign]  # the one thing that makes it a terminal
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return drawn


def show(screen: io.StringIO, bars: int = 2, outcome: Outcome = GONE_WELL) -> None:
    """A short story on a terminal."""
    with redirect_stdout(screen), Terminal() as terminal:
        terminal.tell(Event("publish_status", CONTROLLER, "Published " + "x" * 200, {}))
        for number in range(bars):
            terminal.progress(f"CS-{number:02}", MIB, 2 * MIB)
        terminal.end(outcome)


def test_lines_bars_and_a_frame(screen: io.StringIO) -> None:
    """Lines in colour, which are not broken; a bar for each that downloads; what was saved; the cursor is back."""
    show(screen)
    drawn = screen.getvalue()
    plain = CONTROL.sub("", drawn)
    assert f"{CONTROLLER}   Published {'x' * 200}" in plain
    assert "1.0/2.0 MiB" in plain
    assert "4.0 times less" in plain
    assert COLOUR.search(drawn)
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


def test_no_color_is_obeyed(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR takes the colours away, and leaves the bars."""
    monkeypatch.setenv("NO_COLOR", "1")
    show(screen)
    assert not COLOUR.search(screen.getvalue())
    assert "1.0/2.0 MiB" in screen.getvalue()


def test_a_dumb_terminal_gets_no_control_codes(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that knows no control codes gets none."""
    monkeypatch.setenv("TERM", "dumb")
    show(screen)
    assert not CONTROL.search(screen.getvalue())
    assert "4.0 times less" in screen.getvalue()


def test_a_hundred_stations_do_not_fill_the_screen(screen: io.StringIO) -> None:
    """Only the first few have bars."""
    show(screen, bars=100)
    assert f"CS-{MOST_BARS - 1:02}" in screen.getvalue()
    assert f"CS-{MOST_BARS:02}" not in screen.getvalue()


def test_a_failure_has_no_frame(screen: io.StringIO) -> None:
    """After a failure nothing is claimed."""
    show(screen, outcome=Outcome(4, MIB, 0, 0, 1.0, "the roof fell in"))
    assert "saved" not in screen.getvalue()


def test_what_is_told_is_no_markup(screen: io.StringIO) -> None:
    """Brackets are brackets: what a peer sends draws nothing."""
    with redirect_stdout(screen), Terminal() as terminal:
        terminal.tell(Event("status", "CS-01", "[red]x[/red]", {}))
    assert "[red]x[/red]" in CONTROL.sub("", screen.getvalue())
