"""How many notifications may wait for a CSMS that is away. Rules: no I/O.

Every state is reported (L03.FR.01), and a CSMS may be away for months: beyond ``MOST`` the oldest states that were
passed through, and that a later one of the same publication follows, are left out. A final state never is.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from localctl.store.records import Notification

MOST: Final = 1000
_FINAL: Final = frozenset({"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"})


def merged(waiting: Sequence[Notification], most: int = MOST) -> tuple[Notification, ...]:
    """Those of ``waiting`` (oldest first) that are still to be sent; the first of them may be on its way already."""
    excess = len(waiting) - most
    to_come = Counter(each.request_id for each in waiting)
    kept = []
    for position, each in enumerate(waiting):
        to_come[each.request_id] -= 1
        passed = position > 0 and each.status not in _FINAL and to_come[each.request_id] > 0
        if passed and excess > 0:
            excess -= 1
        else:
            kept.append(each)
    return tuple(kept)
