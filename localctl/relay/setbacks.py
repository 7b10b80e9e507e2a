"""How long who fails to prove who he is waits for the answer. Rules: no clock; times are steady seconds.

Only answers that refuse are ever delayed: of the stations behind one router that share its address, those that are let
in wait for nothing. The delay doubles with each failure of an address, and is forgotten once one from there succeeds,
or after ten minutes without a failure. Of too many addresses, that which failed longest ago is forgotten.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

FIRST_SECONDS: Final = 0.5
MOST_SECONDS: Final = 8.0
FORGET_SECONDS: Final = 600.0
MOST_ADDRESSES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Failure:
    delay: float
    at: float


@dataclass(slots=True)
class Setbacks:
    """Of all addresses; one for all listeners."""

    most: int = MOST_ADDRESSES
    _failures: OrderedDict[str, _Failure] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, address: str, now: float) -> float:
        """One more failure from there; how many seconds the answer is to be held back."""
        before = self._failures.pop(address, None)
        delay = FIRST_SECONDS
        if before is not None and now - before.at < FORGET_SECONDS:
            delay = min(2 * before.delay, MOST_SECONDS)
        self._failures[address] = _Failure(delay, now)
        if len(self._failures) > self.most:
            self._failures.popitem(last=False)
        return delay

    def succeeded(self, address: str) -> None:
        """Somebody there has proved who he is."""
        self._failures.pop(address, None)
