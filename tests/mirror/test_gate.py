"""Waiting for the download window, with a wall clock of the test's and without waiting."""

import asyncio
from contextlib import suppress

import pytest

from localctl.mirror.gate import Gate
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


async def never() -> str:
    """Work that comes to no end."""
    await asyncio.Event().wait()
    return "never"


async def done() -> str:
    """Work that has ended at once."""
    return "done"


async def test_it_closes_to_the_second() -> None:
    """What goes on when the window ends is ended with it."""
    wall = Wall(NIGHT + 3 * HOUR)
    made = gate("01:00-05:00", wall)
    assert made.is_open
    assert await made.during(never()) is None
    assert wall.now == pytest.approx(NIGHT + 5 * HOUR, abs=0.001)


async def test_a_clock_that_jumps_is_followed() -> None:
    """Faults, row 9: set into the window it opens, set out of it it closes, at the next look."""
    wall = Wall(NIGHT, {3: 2 * HOUR})
    made = gate("01:00-05:00", wall)
    await made.opened()
    assert len(wall.slept) == 3
    wall = Wall(NIGHT + 2 * HOUR, {4: -1.75 * HOUR})
    made = gate("01:00-05:00", wall)
    assert await made.during(never()) is None
    assert len(wall.slept) == 4


@pytest.mark.parametrize("text", ["01:00-05:00", ""])
async def test_what_ends_before_the_window_does_is_what_counts(text: str) -> None:
    """Its result, and what it raises, come through; the look at the window ends with it."""

    async def fail() -> None:
        raise KeyError("a fault of ours")

    made = gate(text, Wall(NIGHT + 2 * HOUR)) if text else Gate(None, lambda: NIGHT)
    assert await made.during(done()) == "done"
    with pytest.raises((KeyError, ExceptionGroup)):
        await made.during(fail())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_ends_though_the_window_closes_counts() -> None:
    """Whatever it came to while it was being ended, a disk that failed say, is its result."""

    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await never()
        return "failed"

    assert await gate("01:00-05:00", Wall(NIGHT + 2 * HOUR)).during(stubborn()) == "failed"


async def test_a_stop_is_not_lost_as_the_window_closes() -> None:
    """Cancelled while the work saves what it has: it ends then; else a stop of localctl would wait for the window."""
    saving, saved = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        try:
            return await never()
        finally:
            saving.set()
            await saved.wait()

    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        made = gate("01:00-05:00", Wall(NIGHT + 2 * HOUR))
        stopped = tasks.create_task(made.during(work()), name="stopped")
        await saving.wait()
        stopped.cancel()
        await asyncio.sleep(0)
        saved.set()
        await asyncio.wait([stopped])
    assert stopped.cancelled()


async def test_without_a_window_it_never_closes() -> None:
    """Nothing is asked of the clock again and again."""
    made = Gate(None, lambda: NIGHT)
    assert made.is_open
    async with asyncio.timeout(TIMEOUT):
        await made.opened()
    async with asyncio.TaskGroup() as tasks:
        during = tasks.create_task(made.during(never()), name="during")
        for _ in range(10):
            await asyncio.sleep(0)
        assert not during.done()
        during.cancel()


async def test_another_window_is_seen_by_who_waits() -> None:
    """Who waits for it to open goes on once there is none; what goes on in a window that is taken away is not ended."""
    wall = Wall(NIGHT)
    made = gate("01:00-05:00", wall)
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(TIMEOUT):
        waiting = tasks.create_task(made.opened(), name="waiting")
        await asyncio.sleep(0)
        assert not waiting.done()
        made.window = None
        await waiting
    wall = Wall(NIGHT + 2 * HOUR)
    made = gate("01:00-05:00", wall)
    async with asyncio.TaskGroup() as tasks:
        during = tasks.create_task(made.during(never()), name="during")
        await asyncio.sleep(0)
        made.window = None
        while wall.now < NIGHT + 6 * HOUR:  # noqa: ASYNC110  the wall's own time
            await asyncio.sleep(0)
        assert not during.done()
        during.cancel()
