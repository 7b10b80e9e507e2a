"""Whether the CSMS has accepted us, and what is to be sent next. Rules: no I/O; times are seconds of a steady clock.

B01 to B03: until the first answer, and while Pending, BootNotification is sent again and again; Rejected silences us
for the interval. A reconnection alone is no boot: only where no answer ever came, BootNotification is sent at once
(Part 4 §5.3). Where the CSMS names no interval we take our own.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from localctl.ocpp.messages import Registration

OWN_BOOT_SECONDS: Final = 60.0
OWN_HEARTBEAT_SECONDS: Final = 300.0


class Turn(Enum):
    """Whose turn it is to be sent."""

    BOOT = "boot"
    TRIGGERED = "triggered"
    NOTIFICATION = "notification"
    HEARTBEAT = "heartbeat"


@dataclass(slots=True)
class Session:
    """Our registration at the CSMS, over all connections since the start."""

    registration: Registration | None = None
    _boot_at: float = 0.0
    _heartbeat_seconds: float = OWN_HEARTBEAT_SECONDS
    _heartbeat_at: float = 0.0

    @property
    def is_accepted(self) -> bool:
        """Whether notifications may be sent and publications taken on (B01.FR.08)."""
        return self.registration == "Accepted"

    @property
    def is_rejected(self) -> bool:
        """Whether every CALL of the CSMS gets SecurityError (B03.FR.08)."""
        return self.registration == "Rejected"

    def connected(self, now: float) -> None:
        """A connection is open. The interval of an answer still has to pass (B02.FR.04, B03.FR.02)."""
        if self.registration is None:
            self._boot_at = now
        self._heartbeat_at = now + self._heartbeat_seconds

    def boot_answered(self, registration: Registration, interval: float, now: float) -> None:
        """The CSMS answered our boot; ``interval`` in seconds, 0 for our own."""
        self.registration = registration
        if registration == "Accepted":
            self._heartbeat_seconds = interval if interval > 0 else OWN_HEARTBEAT_SECONDS
            self._heartbeat_at = now + self._heartbeat_seconds
        else:
            self._boot_at = now + (interval if interval > 0 else OWN_BOOT_SECONDS)

    def boot_unanswered(self, now: float) -> None:
        """The CSMS gave no answer that could be understood."""
        self._boot_at = now + OWN_BOOT_SECONDS

    def boot_triggered(self, now: float) -> None:
        """B02, F06: the CSMS asks for the boot now."""
        self._boot_at = now

    def sent(self, now: float) -> None:
        """Any CALL shows that we live: the next heartbeat is an interval away (G02)."""
        self._heartbeat_at = now + self._heartbeat_seconds

    def next_turn(self, now: float, *, triggered: bool, outbox_due_at: float) -> tuple[Turn | None, float]:
        """What to send now, or None; and when to ask again at the latest."""
        if not self.is_accepted:
            return self._turn_unaccepted(now, triggered=triggered)
        turns = {
            Turn.NOTIFICATION: now >= outbox_due_at,
            Turn.TRIGGERED: triggered,  # behind what waits in the outbox and may go out
            Turn.HEARTBEAT: now >= self._heartbeat_at,
        }
        turn = next((turn for turn, due in turns.items() if due), None)
        return turn, now if turn else min(self._heartbeat_at, outbox_due_at)

    def _turn_unaccepted(self, now: float, *, triggered: bool) -> tuple[Turn | None, float]:
        if now >= self._boot_at:
            return Turn.BOOT, now
        if triggered and not self.is_rejected:
            return Turn.TRIGGERED, now  # B02.FR.02: messages that the CSMS asks for are sent
        return None, self._boot_at


@dataclass(frozen=True, slots=True)
class Backoff:
    """How reconnecting waits (OCPP-J 5.3; B10's RetryBackOff variables). Times in seconds."""

    wait_minimum: float
    random_range: float
    repeat_times: int

    def delay(self, failures: int, random: float) -> float:
        """Seconds before the next try; ``failures`` in a row since a connection was last open, ``random`` 0 to 1."""
        doubled = min(max(0, failures - 1), self.repeat_times)
        return self.wait_minimum * 2.0**doubled + self.random_range * random
