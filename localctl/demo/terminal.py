"""The story on a terminal: the lines scroll above live bars. Edge; the only file that needs rich.

Rich obeys NO_COLOR, and draws no bars on a terminal that knows no control codes.
"""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.text import Text

from localctl.demo.plan import CONTROLLER, CSMS
from localctl.demo.telling import Event, Outcome, conclusion, line

MOST_BARS: Final = 12
_COLOURS: Final = {CONTROLLER: "bold cyan", CSMS: "bold magenta", "demo": "bold"}
_STATION: Final = "bold green"
_STATUSES: Final = {"DownloadOngoing": "yellow", "Published": "green", "Unpublished": "green"}


class Terminal:
    """Draws for as long as its ``with`` lasts. Beyond MOST_BARS only the lines tell of a station."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:<9}"), BarColumn(), DownloadColumn(binary_units=True),
            console=self._console, transient=True,
        )  # fmt: skip
        self._of: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def tell(self, event: Event) -> None:
        """A line, with who it is about and the status in it in colour."""
        text = Text(line(event.who, event.sentence))
        text.stylize(_COLOURS.get(event.who, _STATION), 0, len(event.who))
        for status, colour in _STATUSES.items():
            text.highlight_words([status], colour)
        self._console.print(text, soft_wrap=True)

    def progress(self, who: str, received: int, total: int) -> None:
        """Move a bar."""
        if who not in self._of:
            if len(self._of) == MOST_BARS:
                return
            self._of[who] = self._bars.add_task(who, total=total)
        self._bars.update(self._of[who], completed=received)

    def end(self, outcome: Outcome) -> None:
        """What was saved, in a frame."""
        self._bars.stop()
        if not outcome.failed:
            self._console.print(Panel("\n".join(conclusion(outcome)), title="localctl demo", expand=False))
