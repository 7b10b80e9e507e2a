"""Progress, drawn on a real terminal, and not drawn where there is none."""

import os
import pty
import subprocess
import sys
from typing import Final

import pytest

from localctl.drawing import progress, words

PROGRAM: Final = """
from localctl.drawing import progress
with progress() as tell:
    tell({"state": "waiting"})
    tell({"state": "sending", "received": 512, "total": 1024})
    tell({"state": "publishing"})
"""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"state": "sending"}, "sending"),
        (
            {"state": "paused", "reason": "the origin answered 503", "seconds": 9},
            "the origin answered 503; tried again",
        ),
        ({"state": "something new"}, ""),
    ],
)
def test_words(told: dict[str, object], said: str) -> None:
    """Each state in words, with the reason of a pause."""
    assert words(told).startswith(said)


def test_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is drawn into a file."""
    with progress() as tell:
        tell({"state": "sending", "received": 1, "total": 2})
    assert capsys.readouterr() == ("", "")


def test_a_terminal() -> None:
    """On a terminal something is drawn, on stderr only."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], stderr=theirs, stdout=subprocess.PIPE, check=True, env=environ
    )
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.stdout == b""
    assert "putting it in its place" in drawn
    assert "512" in drawn or "0.5" in drawn
