"""How far our clock is from the CSMS's. Rules: no I/O; times are Unix seconds.

B01 and G02: the answers to BootNotification and Heartbeat carry the CSMS's time. Setting the clock is the system's
business (NTP); localctl only tells how wrong it is. The CSMS's time was written down about half a round trip before
its answer came; a clock of ours that jumps during the round trip falsifies nothing, as it is read once.
"""

from datetime import UTC, datetime
from typing import Final

_SHORTEST: Final = len("2026-01-31T12:00:00")  # datetime takes a date alone, too


def ahead(told: object, now: float, round_trip: float) -> float | None:
    """Seconds that our clock is ahead of the CSMS's, negative where it is behind; None where ``told`` is no time.

    ``told`` is the CSMS's currentTime (RFC 3339; without an offset it is taken for UTC), ``now`` is our clock when its
    answer came, ``round_trip`` how many seconds we waited for it, by a steady clock.
    """
    if not isinstance(told, str) or len(told) < _SHORTEST:
        return None
    try:
        time = datetime.fromisoformat(told)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return now - round_trip / 2 - time.timestamp()
