"""The status in one form, made at most once a second for all who ask. Edge: a clock; what is made, the form says.

Nobody asks, nothing is made. Stations are made a few at a time, and the seldomer the more there are: all else on the
main loop goes first.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from localctl.admin.stream import STATIONS, Document, Form

INTERVAL_SECONDS: Final = 1.0
PER_SECOND: Final = 50  # stations that are made, on average
_AT_ONCE: Final = 25


@dataclass(frozen=True, slots=True)
class Part:
    """``version`` is higher than that of all parts that were there before it."""

    version: int
    text: str


class Feed:
    """``summary`` gives the document without stations, ``stations`` each of them; ``clock`` tells steady seconds,
    ``now`` Unix seconds.
    """

    def __init__(
        self,
        form: Form,
        summary: Callable[[], Document],
        stations: Callable[[], Iterator[Document]],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.form = form
        self._summary = summary
        self._stations = stations
        self._clock = clock
        self._now = now
        self._lock = asyncio.Lock()
        self._parts: dict[str, Part] = {}
        self._version = 0
        self._due = self._stations_due = clock()

    async def current(self) -> dict[str, Part]:
        """Every part, at most a second old, and the stations seconds where they are many."""
        async with self._lock:
            if (began := self._clock()) >= self._due:
                await self._renew()
                self._due = began + INTERVAL_SECONDS
        return dict(self._parts)

    async def _renew(self) -> None:
        if self._clock() >= self._stations_due:
            rows = []
            for station in self._stations():
                rows.append(self.form.row(station))
                if not len(rows) % _AT_ONCE:
                    await asyncio.sleep(0)
            self._take(STATIONS, self.form.table(rows))
            self._stations_due = self._clock() + max(INTERVAL_SECONDS, len(rows) / PER_SECOND)
        for name, text in self.form.parts(self._summary(), self._now()).items():
            self._take(name, text)

    def _take(self, name: str, text: str) -> None:
        known = self._parts.get(name)
        if known is None or known.text != text:
            self._version += 1
            self._parts[name] = Part(self._version, text)
