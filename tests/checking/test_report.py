"""How what was found is printed."""

import json
from collections.abc import Iterator

import pytest

from localctl.checking.report import document, is_coloured, line, say, summary
from localctl.checking.verdict import Check

FOUND = [Check("ok", "a: good"), Check("warn", "b: so so", "Do this."), Check("ok", "c: good")]


def test_lines_stand_in_columns() -> None:
    """The verdicts have one width, what to do stands below; colour is added where it is asked for."""
    assert [line(check) for check in FOUND[:2]] == ["ok    a: good", "warn  b: so so\n      Do this."]
    assert line(FOUND[1], colour=True) == "\x1b[33m\x1b[1mwarn \x1b[0m b: so so\n      Do this."


def test_a_peer_draws_nothing() -> None:
    """A control code in what a CSMS sent is shown as none."""
    assert (
        line(Check("FAIL", "x\x1b[2J", "y\n"))
        == "FAIL  x\N{REPLACEMENT CHARACTER}[2J\n      y\N{REPLACEMENT CHARACTER}"
    )


def test_summaries() -> None:
    """One of a thing is not many."""
    assert summary(FOUND) == "2 ok, 1 warning, 0 failures"
    assert summary([Check("FAIL", "x", "y"), *FOUND, FOUND[1]]) == "2 ok, 2 warnings, 1 failure"


def test_as_json() -> None:
    """All of it, and the counts."""
    told = json.loads(document(FOUND))
    assert told["checks"][1] == {"verdict": "warn", "what": "b: so so", "advice": "Do this."}
    assert (told["ok"], told["warn"], told["FAIL"]) == (2, 1, 0)


@pytest.mark.parametrize(
    ("environ", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colour(environ: dict[str, str], terminal: bool, coloured: bool) -> None:  # noqa: FBT001
    """On a terminal that knows it, unless somebody wants none."""
    assert is_coloured(environ, terminal=terminal) is coloured


def test_saying(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a check, then the summary; a FAIL is exit status 1; as JSON there is nothing else."""
    assert say(FOUND) == 0
    assert (
        capsys.readouterr().out
        == "ok    a: good\nwarn  b: so so\n      Do this.\nok    c: good\n" + summary(FOUND) + "\n"
    )
    assert say([Check("FAIL", "x", "y")], as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["FAIL"] == 1


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    """What was found so far stands there; there is no summary, and no traceback."""

    def interrupted() -> Iterator[Check]:
        yield FOUND[0]
        raise KeyboardInterrupt

    assert say(interrupted()) == 130
    assert capsys.readouterr() == ("ok    a: good\n", "localctl: stopped before all was tried\n")
