"""When the next connection to the CSMS may be begun: a token bucket. Rules: no clock; times are steady seconds.

It fills at ``csms.max_dials_per_second`` and holds a quarter of a second's worth, at least one: few stations that come
back wait for nothing, and in no second are there more than the rate and that quarter (OCPP's back-off spreads stations,
but a power cut gathers them again).
"""

from dataclasses import dataclass
from math import inf
from typing import Final

BURST_SECONDS: Final = 0.25


@dataclass(slots=True)
class Turns:
    """``rate`` is a second's worth, above 0; it may change. ``full_at`` is when the bucket will be full again."""

    rate: float
    full_at: float = -inf

    @property
    def burst(self) -> float:
        """How many may be begun at once after a pause."""
        return max(1.0, self.rate * BURST_SECONDS)

    def wait(self, now: float) -> float:
        """How many seconds until the next may be begun; 0: now."""
        return max(0.0, self.full_at - (self.burst - 1) / self.rate - now)

    def take(self, now: float) -> None:
        """One is begun."""
        self.full_at = max(self.full_at, now) + 1 / self.rate

    def give_back(self) -> None:
        """One that was taken has not been used."""
        self.full_at -= 1 / self.rate
