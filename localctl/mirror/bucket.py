"""How fast bytes are let through: a token bucket. Rules: no clock; times are steady seconds.

It fills at ``rate`` bytes a second and holds one second's worth. What has come is taken out of it, below empty if need
be, and the next read waits until it is paid for: over any time, no more comes than the rate, a second's worth and the
one piece of each reader. Every download takes from the same bucket.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

BURST_SECONDS: Final = 1.0


@dataclass(slots=True)
class Bucket:
    """``rate`` is in bytes a second; 0 lets everything through. ``paid_at`` is when all that was taken is paid for."""

    rate: int  # may be changed at any time
    paid_at: float = -inf

    def take(self, count: int, now: float) -> float:
        """Take ``count`` bytes out; how many seconds whoever read them must wait before he reads on."""
        if not self.rate:
            return 0.0
        self.paid_at = max(self.paid_at, now - BURST_SECONDS) + count / self.rate
        return max(0.0, self.paid_at - now)
