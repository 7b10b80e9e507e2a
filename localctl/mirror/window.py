"""When files may be fetched: ``firmware.download_window``. Rules: no clock; the time of day is an argument.

The window is one of the wall clock, as the people at the site read it: on the night when an hour comes twice it is open
in both, and of an hour that is skipped nothing is left. A wall clock jumps, by daylight saving or because somebody sets
it: nobody may rely on the time left for long, so it is to be looked at again after LOOK_SECONDS at the latest.
"""

from datetime import time
from typing import Final

from localctl.values import Window

LOOK_SECONDS: Final = 10.0
_DAY: Final = 86400.0


def is_open(window: Window | None, at: time) -> bool:
    """Whether files may be fetched at the local time ``at``; no window is always open."""
    if window is None:
        return True
    if window.begin < window.end:
        return window.begin <= at < window.end
    return at >= window.begin or at < window.end  # across midnight


def look_in(window: Window, at: time) -> float:
    """Seconds, above 0, after which to look again whether it is open: at its next edge, or earlier."""
    now = _seconds(at)
    left = min((_seconds(edge) - now) % _DAY or _DAY for edge in (window.begin, window.end))
    return min(left, LOOK_SECONDS)


def _seconds(at: time) -> float:
    return at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
