"""Saying again and again what goes on and on: once a minute."""

import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 60.0


class Seldom:
    """One thing to be said; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at: float | None = None

    def is_due(self) -> bool:
        """Whether it is to be said now; True at most once in SECONDS."""
        now = self._clock()
        if self._said_at is not None and now - self._said_at < SECONDS:
            return False
        self._said_at = now
        return True
