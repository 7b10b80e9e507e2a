"""Waiting for the download window, with a wall clock of the test's and without waiting."""

import asyncio

import pytest

from localctl.mirror.gate import Closed, Gate
from localctl.mirror.window import LOOK_SECONDS
from localctl.values import Window, parse_window
from tests.actors.news import TIMEOUT


class Wall:
    """A wall clock that a sleep moves on, and that jumps before the sleeps named in ``jumps``."""

    def __init__(self, now: float, jumps: dict[int, float] | None = None) -> None:
        self.now = now
        self.slept: list[float] = []
        self._jumps = jumps or {}

    async def sleep(self, seconds: float) -> None:
        """Move on, and jump if it is time to."""
        assert 0 < seconds <= LOOK_SECONDS
        self.slept.append(seconds)
        self.now += seconds + self._jumps.get(len(self.slept), 0.0)
        await asyncio.sleep(0)


NIGHT = 1768435200.0  # midnight UTC between two days in January 2026
HOUR = 3600.0


pytestmark = pytest.mark.usefixtures("in_utc")


def gate(text: str, wall: Wall) -> Gate:
    """A gate at a clock."""
    window = parse_window(text)
    assert isinstance(window, Window)
    return Gate(window, lambda: wall.now, wall.sleep)


async def test_it_opens_to_the_second() -> None:
    """Whoever waits goes on when the window begins, not a look later."""
    wall = Wall(NIGHT)
    made = gate("01:00-05:00", wall)
    assert not made.is_open
    await made.opened()
    assert wall.now == pytest.approx(NIGHT + HOUR, abs=0.001)


async def test_it_closes_to_the_second() -> None:
    """Whoever watches is told when the window ends."""
    wall = Wall(NIGHT + 3 * HOUR)
    made = gate("01:00-05:00", wall)
    assert made.is_open
    with pytest.raises(Closed):
        await made.watch()
    assert wall.now == pytest.approx(NIGHT + 5 * HOUR, abs=0.001)


async def test_a_clock_that_jumps_is_followed() -> None:
    """Faults, row 9: set into the window it opens, set out of it it closes, at the next look."""
    wall = Wall(NIGHT, {3: 2 * HOUR})
    made = gate("01:00-05:00", wall)
    await made.opened()
    assert len(wall.slept) == 3
    wall = Wall(NIGHT + 2 * HOUR, {4: -1.75 * HOUR})
    made = gate("01:00-05:00", wall)
    with pytest.raises(Closed):
        await made.watch()
    assert len(wall.slept) == 4


async def test_without_a_window_it_never_closes() -> None:
    """Nothing is asked of the clock again and again."""
    made = Gate(None, lambda: NIGHT)
    assert made.is_open
    async with asyncio.timeout(TIMEOUT):
        await made.opened()
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(made.watch(), name="watch")
        for _ in range(10):
            await asyncio.sleep(0)
        assert not watch.done()
        watch.cancel()
