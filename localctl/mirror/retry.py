"""Try again or give up, and when. Rules: no I/O, no clock; randomness is an argument between 0 and 1.

A retryInterval that the CSMS gave is kept to; our own default doubles at each failure, with jitter, up to an hour. What
the origin asked for with Retry-After is the least.
"""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

_AGAIN: Final = frozenset({408, 425, 429})  # asked again although they are 4xx
_CEILING_SECONDS: Final = 3600.0
_JITTER: Final = 0.25


def is_final(status: int) -> bool:
    """Whether an origin's HTTP status makes asking again vain."""
    return 400 <= status < 500 and status not in _AGAIN


def delay(failures: int, interval: float | None, default: float, retry_after: float | None, random: float) -> float:
    """Seconds from the ``failures``-th failure (1 is the first) to the next try.

    ``interval`` is the CSMS's retryInterval, ``default`` ours; both in seconds. The hour bounds what we make up, never
    what the installer asked for.
    """
    if interval is not None:
        wait = max(0.0, interval)
    else:
        wait = default * 2.0 ** min(failures - 1, 16) * (1 - _JITTER + 2 * _JITTER * random)
        wait = min(wait, max(_CEILING_SECONDS, default))
    return max(wait, min(retry_after or 0.0, _CEILING_SECONDS))


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Retry-After (RFC 9110 §10.2.3), a number of seconds or a date, as seconds from ``now``; None if it is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
