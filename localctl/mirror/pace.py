"""Whether an origin sends so little that a file would never end. Rules: no clock; times are steady seconds.

A limit to silence never notices an origin that sends a byte now and then; a minute of next to nothing does.
"""

from dataclasses import dataclass
from typing import Final

LEAST_RATE: Final = 100.0  # bytes a second
WINDOW_SECONDS: Final = 60.0


@dataclass(slots=True)
class Pace:
    """What has come since ``since``."""

    since: float
    received: int = 0

    def excuse(self, seconds: float) -> None:
        """Nothing was read for ``seconds``: that is no fault of the origin's."""
        self.since += seconds

    def drips(self, count: int, now: float) -> bool:
        """``count`` more bytes are here: whether, over the window that ends with them, too few were."""
        self.received += count
        passed = now - self.since
        if passed < WINDOW_SECONDS:
            return False
        few = self.received < LEAST_RATE * passed
        self.since, self.received = now, 0
        return few
