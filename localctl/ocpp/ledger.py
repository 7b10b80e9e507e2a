"""The CALL that awaits its answer. Rules: no I/O, no clock.

One CALL is outstanding at a time on a connection (Part 4, 4.1.1); an answer that
comes late, or to nothing, is nobody's.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from localctl.errors import IllegalStep

Waiter = TypeVar("Waiter")


@dataclass(slots=True)
class Ledger(Generic[Waiter]):
    """What is outstanding on one connection; ``Waiter`` is whatever the edge waits with."""

    _open: dict[str, Waiter] = field(default_factory=dict)

    def open(self, message_id: str, waiter: Waiter) -> None:
        """Our CALL goes out. Raises IllegalStep while another is outstanding."""
        if self._open:
            raise IllegalStep("a CALL is outstanding", "another CALL")
        self._open[message_id] = waiter

    def settle(self, message_id: str) -> Waiter | None:
        """An answer came: who waits for it, or None."""
        return self._open.pop(message_id, None)

    def end(self) -> Waiter | None:
        """Wait no longer: what comes now comes late. Who waited, or None."""
        waiting = next(iter(self._open.values()), None)
        self._open.clear()
        return waiting
