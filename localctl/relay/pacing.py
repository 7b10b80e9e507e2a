"""The queue of stations before the CSMS: first come, first served, ``turns`` says when. Edge.

After a restart of the CSMS all stations come back at once; each waits here for its turn to be dialled for. One that
goes away meanwhile gives its place up.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from localctl.relay.turns import Turns


class Timer(Protocol):
    """What ``later`` returns."""

    def cancel(self) -> None:
        """Never mind."""


class Pacing:
    """``rate`` is turns a second, ``room`` how many may wait. ``monotonic`` tells steady seconds; ``later`` calls back
    after so many of them, by default on the running loop.
    """

    def __init__(
        self,
        rate: float,
        room: int,
        monotonic: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self._turns = Turns(rate)
        self._room = room
        self._monotonic = monotonic
        self._later = later or _on_the_loop
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: Timer | None = None

    def reconfigure(self, rate: float, room: int) -> None:
        """So many from now on; those that wait go on at the new rate, though they are more than there is room for."""
        self._turns.rate, self._room = rate, room
        self._wind(anew=True)

    def __len__(self) -> int:
        return len(self._queue)

    async def turn(self) -> bool:
        """Wait for a turn; False, at once, where too many wait already. One that is cancelled takes no turn."""
        now = self._monotonic()
        if not self._queue and not self._turns.wait(now):
            self._turns.take(now)
            return True
        if len(self._queue) >= self._room:
            return False
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        self._wind()
        try:
            await place
        except asyncio.CancelledError:
            self._give_up(place)
            raise
        return True

    def _give_up(self, place: asyncio.Future[None]) -> None:
        if place in self._queue:
            self._queue.remove(place)
        elif not place.cancelled():  # its turn had come in the same moment
            self._turns.give_back()
            self._wind(anew=True)
        if not self._queue and self._timer:
            self._timer.cancel()
            self._timer = None

    def _wind(self, *, anew: bool = False) -> None:
        """Wake up when the first of the queue may go."""
        if anew and self._timer:
            self._timer.cancel()
            self._timer = None
        if self._queue and self._timer is None:
            self._timer = self._later(self._turns.wait(self._monotonic()), self._call)

    def _call(self) -> None:
        self._timer = None
        now = self._monotonic()
        while self._queue and not self._turns.wait(now):
            place = self._queue.popleft()
            if not place.done():  # cancelled, and about to give its place up
                self._turns.take(now)
                place.set_result(None)
        self._wind()


def _on_the_loop(seconds: float, call: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, call)
