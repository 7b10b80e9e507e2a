"""Progress on a terminal. The library that draws is loaded only where there is a terminal to draw on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_WORDS = {
    "sending": "sending",
    "downloading": "downloading",
    "publishing": "putting it in its place",
    "waiting": "waiting for another download to end",
}


def words(told: dict[str, Any]) -> str:
    """What is going on, in a few words."""
    if told["state"] == "paused":
        return f"{told['reason']}; tried again in {told['seconds']} s"
    return _WORDS.get(told["state"], "")


@contextmanager
def progress() -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function to be given what is going on; it draws on stderr, and where that is no terminal it does nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("asking localctl", total=None)

        def draw(told: dict[str, Any]) -> None:
            drawn.update(task, description=words(told))
            if "received" in told:
                drawn.update(task, completed=told["received"], total=told["total"])

        yield draw
