"""Whether a loop turns, and how late. One Pulse a loop; ``beat`` is called by that loop, the rest from anywhere.

The watchdog is fed, and ``/healthz`` is 200, only while every Pulse is fresh.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from localctl.metrics import Metrics

INTERVAL_SECONDS: Final = 0.1
_WINDOW: Final = 600  # beats: a minute, so that no scrape misses a hitch


class Pulse:
    """The heartbeat of one loop; ``loop`` is a label of event_loop_lag_seconds."""

    def __init__(self, loop: str, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.loop = loop
        self._gauge = metrics.event_loop_lag.labels(loop)
        self._clock = clock
        self._last = clock()
        self._lags: deque[float] = deque(maxlen=_WINDOW)

    def begin(self) -> None:
        """The loop is about to turn: what was before is no lag of it."""
        self._last = self._clock()

    def beat(self) -> None:
        """The loop turned: to be called every INTERVAL_SECONDS."""
        now = self._clock()
        self._lags.append(max(0.0, now - self._last - INTERVAL_SECONDS))
        self._last = now
        self._gauge.set(self.worst())

    def worst(self) -> float:
        """The latest that the loop has been within the last minute, in seconds."""
        return max(tuple(self._lags), default=0.0)

    def usual_worst(self) -> float:
        """The latest that it has been in 99 of 100 beats of that minute, in seconds."""
        lags = sorted(self._lags.copy())
        return lags[(len(lags) - 1) * 99 // 100] if lags else 0.0

    def silent_for(self) -> float:
        """Seconds since the loop last turned."""
        return self._clock() - self._last

    async def run(self) -> None:
        """Beat for ever on an asyncio loop."""
        self.begin()
        while True:
            self.beat()
            await asyncio.sleep(INTERVAL_SECONDS)
