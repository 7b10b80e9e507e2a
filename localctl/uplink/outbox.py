"""Notifications on their way to the CSMS. Rules: no I/O; time is an argument, in seconds of any steady clock.

They go out one at a time and in order; none overtakes another. One that is not answered is sent again after 30, 60 and
120 s, then only on the next connection; it leaves when the CSMS has answered it, with a CALLERROR if it must be.
How many may wait, ``store.backlog`` says.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from localctl.store.backlog import MOST, merged
from localctl.store.records import LastSent, Notification

PAUSES: Final = (30.0, 60.0, 120.0)


@dataclass(slots=True)
class Outbox:
    """What waits, oldest first, and the last status that went out."""

    last_sent: LastSent | None = None
    _waiting: deque[Notification] = field(default_factory=deque)
    _unanswered: int = 0
    _not_before: float = -inf

    def add(self, notifications: Iterable[Notification]) -> None:
        """These are kept and may go out."""
        self._waiting.extend(notifications)
        if len(self._waiting) > MOST:
            self._waiting = deque(merged(self._waiting))

    def connected(self) -> None:
        """A new connection: what was not answered on the last one is sent at once."""
        self._unanswered = 0
        self._not_before = -inf

    def due_at(self) -> float:
        """From when on the next notification may go out; infinite where none waits or it waits for a connection."""
        return self._not_before if self._waiting else inf

    def sent(self) -> Notification:
        """The next notification goes out now."""
        head = self._waiting[0]
        self.last_sent = LastSent(head.request_id, head.status)
        return head

    def answered(self) -> Notification:
        """The CSMS has answered it."""
        self.connected()
        return self._waiting.popleft()

    def timed_out(self, now: float) -> None:
        """The CSMS did not answer it in time."""
        pause = PAUSES[self._unanswered] if self._unanswered < len(PAUSES) else inf
        self._unanswered += 1
        self._not_before = now + pause

    def status(self) -> LastSent | None:
        """What a triggered PublishFirmwareStatusNotification reports: None is Idle (L03.FR.10), else FR.11."""
        published = self.last_sent is None or self.last_sent.status == "Published"
        return None if published else self.last_sent

    def __len__(self) -> int:
        return len(self._waiting)

    def oldest(self) -> float:
        """When the oldest was made, in Unix seconds; 0 where none waits."""
        return self._waiting[0].created_at if self._waiting else 0.0
