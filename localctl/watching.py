"""``localctl status``, once or again and again: drawn on a terminal, plain lines or JSON elsewhere. Edge.

The library that draws is loaded only where there is a terminal to draw on.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TextIO

import click

from localctl.config import Config
from localctl.errors import NotRunning
from localctl.inquiry import Document, ask_status, tell


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is told: as JSON; each of many stations; on a terminal that draws."""

    as_json: bool
    everyone: bool
    terminal: bool


class _Screen(Protocol):
    def show(self, status: Document | None, words: str) -> None:
        """One look: the status, or why there is none."""


def is_terminal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is something to draw on."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def once(config: Config, manner: Manner) -> int:
    """Tell it; the exit status: 0 ready, 1 not. Raises NotRunning."""
    document = ask_status(config)
    if manner.as_json:
        click.echo(json.dumps(document, indent=2))
    elif manner.terminal:
        from rich.console import Console

        from localctl.board import draw

        Console(highlight=False).print(draw(document, time.time(), everyone=manner.everyone))
    else:
        _Lines(manner).show(document, "")
    return 0 if document["ready"] else 1


def again(config: Config, manner: Manner, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Tell it every so many seconds until Ctrl-C. A daemon that does not run is asked again."""
    drawn = manner.terminal and not manner.as_json
    with suppress(KeyboardInterrupt), _drawing(manner) if drawn else _writing(manner) as screen:
        while True:
            try:
                screen.show(ask_status(config), "")
            except NotRunning as fault:
                screen.show(None, f"not running, asking again: {fault}")
            sleep(seconds)


class _Lines:
    """A block of lines a look, or a line of JSON."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner

    def show(self, status: Document | None, words: str) -> None:
        """Write it, and let it go at once."""
        if self._manner.as_json:
            text = json.dumps({"running": False, "error": words} if status is None else status)
        elif status is None:
            text = words
        else:
            text = "\n".join(tell(status, time.time(), everyone=self._manner.everyone))
        click.echo(text)


class _Blocks(_Lines):
    """The same, with the time above each block and an empty line below."""

    def show(self, status: Document | None, words: str) -> None:
        """Write it."""
        click.echo(time.strftime("%Y-%m-%d %H:%M:%S"))
        super().show(status, words)
        click.echo()


@contextmanager
def _writing(manner: Manner) -> Iterator[_Screen]:
    yield _Lines(manner) if manner.as_json else _Blocks(manner)


@contextmanager
def _drawing(manner: Manner) -> Iterator[_Screen]:
    """The whole terminal, as it was before when it ends."""
    from rich.console import Console
    from rich.live import Live

    from localctl.board import absent, draw

    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:

        class Drawn:
            def show(self, status: Document | None, words: str) -> None:
                """Draw over what was there."""
                drawn = absent(words) if status is None else draw(status, time.time(), everyone=manner.everyone)
                live.update(drawn, refresh=True)

        yield Drawn()
