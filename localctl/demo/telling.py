"""What the demo says, as it happens: lines for a pipe, JSON for a program, live bars for a terminal. Edge.

Standard output carries the story and nothing else; why it failed goes to standard error. The lines of a pipe have no
control codes and are plain ASCII.
"""

import json
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Final, Protocol

from localctl.demo.patience import OutputClosed
from localctl.demo.plan import CONTROLLER, counted, mebibytes

Fact = str | int | float | bool | list[str] | None
_QUARTERS: Final = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: bytes over the WAN and over the LAN, seconds, and why it ``failed``, empty where it did not."""

    stations: int
    size: int
    wan_bytes: int
    lan_bytes: int
    seconds: float
    failed: str = ""

    @property
    def factor(self) -> float:
        """How many times less the WAN carried than without the controller."""
        return self.lan_bytes / self.wan_bytes if self.wan_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to ``who``: a sentence for people, its facts for programs."""

    name: str
    who: str
    sentence: str
    facts: dict[str, Fact]


class Telling(Protocol):
    """Whoever tells the story."""

    def tell(self, event: Event) -> None:
        """Something has happened."""

    def progress(self, who: str, received: int, total: int) -> None:
        """``who`` has so many bytes."""

    def end(self, outcome: Outcome) -> None:
        """That was all."""


class Quarters:
    """Lets the first step in each quarter of a download pass, for whoever cannot draw a bar."""

    def __init__(self) -> None:
        self._passed: dict[str, int] = {}

    def is_new(self, who: str, received: int, total: int) -> bool:
        """Whether ``who`` has come to another quarter of its ``total`` bytes, short of the last byte."""
        quarter = received * _QUARTERS // total
        if not self._passed.get(who, 0) < quarter < _QUARTERS:
            return False
        self._passed[who] = quarter
        return True


class Lines:
    """One line an event."""

    def __init__(self) -> None:
        self._quarters = Quarters()

    def tell(self, event: Event) -> None:
        """The sentence, behind who it is about."""
        write(line(event.who, event.sentence))

    def progress(self, who: str, received: int, total: int) -> None:
        """The controller's quarters; the stations' would be too many lines."""
        if who == CONTROLLER and self._quarters.is_new(who, received, total):
            write(line(who, f"has {mebibytes(received)} of {mebibytes(total)}"))

    def end(self, outcome: Outcome) -> None:
        """What was saved."""
        for text in conclusion(outcome):
            write(text)


class JsonLines:
    """One object an event."""

    def __init__(self) -> None:
        self._quarters = Quarters()

    def tell(self, event: Event) -> None:
        """The facts; the sentence says nothing else."""
        write(json.dumps({"event": event.name, "who": event.who, **event.facts}))

    def progress(self, who: str, received: int, total: int) -> None:
        """Everybody's quarters."""
        if self._quarters.is_new(who, received, total):
            self.tell(Event("progress", who, "", {"received": received, "total": total}))

    def end(self, outcome: Outcome) -> None:
        """The summary."""
        write(json.dumps({"event": "summary", "ok": not outcome.failed, **asdict(outcome), "factor": outcome.factor}))


def line(who: str, sentence: str) -> str:
    """One line of the story."""
    return f"{who:<9} {sentence}"


def conclusion(outcome: Outcome) -> Iterable[str]:
    """The last lines, after everything went as it must."""
    if outcome.failed:
        return
    yield line("WAN", f"{mebibytes(outcome.wan_bytes)} from the origin, once")
    yield line("LAN", f"{mebibytes(outcome.lan_bytes)} to {counted(outcome.stations)}")
    spared = mebibytes(outcome.lan_bytes - outcome.wan_bytes)
    yield line("saved", f"{spared} of WAN traffic: {outcome.factor:.1f} times less than without {CONTROLLER}")
    yield line("time", f"{outcome.seconds:.1f} s")


def write(text: str) -> None:
    """One line to standard output, at once. Raises OutputClosed where nobody reads it any more."""
    try:
        print(text, flush=True)  # noqa: T201  the command's output
    except BrokenPipeError as fault:
        raise OutputClosed("nobody reads the output any more") from fault


def complain(texts: Iterable[str]) -> None:
    """Lines to standard error."""
    for text in texts:
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def open_telling(*, as_json: bool) -> AbstractContextManager[Telling]:
    """Whoever fits standard output."""
    if as_json:
        return nullcontext(JsonLines())
    if not sys.stdout.isatty():
        return nullcontext(Lines())
    from localctl.demo.terminal import Terminal

    return Terminal()
