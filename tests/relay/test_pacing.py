"""The queue before the CSMS, by a virtual clock: nothing here waits."""

import asyncio
from collections.abc import Callable

import pytest

from localctl.relay.pacing import Pacing


class Timer:
    """One call."""

    cancelled = False

    def cancel(self) -> None:
        """Never mind."""
        self.cancelled = True


class Clock:
    """Steady seconds, and who is to be called when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Callable[[], None], Timer]] = []

    def monotonic(self) -> float:
        return self.now

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer()
        self.calls.append((self.now + seconds, call, timer))
        return timer

    @property
    def wound(self) -> list[float]:
        """When somebody will be called."""
        return sorted(at for at, _, timer in self.calls if not timer.cancelled)

    async def go(self, until: float) -> None:
        """Let time pass, with all that happens in it."""
        await settled()
        while self.wound and self.wound[0] <= until:
            due = min((each for each in self.calls if not each[2].cancelled), key=lambda each: each[0])
            self.calls.remove(due)
            self.now = max(self.now, due[0])
            due[1]()
            await settled()
        self.now = until


async def settled() -> None:
    """Everything that can go on has."""
    for _ in range(5):
        await asyncio.sleep(0)


class Site:
    """Stations that wait for their turns, at 4 a second: a burst of one, then one each quarter of a second."""

    def __init__(self, tasks: asyncio.TaskGroup, room: int = 100) -> None:
        self.clock = Clock()
        self.pacing = Pacing(4, room, self.clock.monotonic, self.clock.later)
        self.begun: list[tuple[str, float]] = []
        self.refused: list[str] = []
        self._tasks = tasks

    def come(self, *names: str) -> list[asyncio.Task[None]]:
        """They come in this order."""
        return [self._tasks.create_task(self._wait(name), name=name) for name in names]

    async def _wait(self, name: str) -> None:
        if await self.pacing.turn():
            self.begun.append((name, self.clock.now))
        else:
            self.refused.append(name)


async def test_first_come_first_served() -> None:
    """One after the other, at the rate; and no timer runs when nobody waits."""
    async with asyncio.TaskGroup() as tasks:
        site = Site(tasks)
        site.come("a", "b", "c")
        await site.clock.go(0.1)
        assert (site.begun, len(site.pacing)) == ([("a", 0)], 2)
        site.come("d")
        await site.clock.go(10)
    assert site.begun == [("a", 0), ("b", 0.25), ("c", 0.5), ("d", 0.75)]
    assert site.clock.wound == []


async def test_nobody_overtakes_the_queue() -> None:
    """Who comes when the next turn is due, and others wait still, waits behind them."""
    async with asyncio.TaskGroup() as tasks:
        site = Site(tasks)
        site.come("a", "b")
        await settled()
        site.clock.now = 0.3  # the timer is late
        site.come("c")
        await settled()
        assert site.begun == [("a", 0)]
        await site.clock.go(1)
    assert site.begun == [("a", 0), ("b", 0.3), ("c", pytest.approx(0.55))]


async def test_who_goes_away_gives_up_his_place() -> None:
    """A station that was cancelled costs those behind it nothing; the last one to go leaves no timer."""
    async with asyncio.TaskGroup() as tasks:
        site = Site(tasks)
        _, leaves, _, last = site.come("a", "b", "c", "d")
        await site.clock.go(0.1)
        leaves.cancel()
        await site.clock.go(0.3)
        assert site.begun == [("a", 0), ("c", 0.25)]
        last.cancel()
        await settled()
        assert (len(site.pacing), site.clock.wound) == (0, [])


async def test_who_goes_away_as_his_turn_comes_gives_it_back() -> None:
    """The turn is the next one's, in the same moment."""
    async with asyncio.TaskGroup() as tasks:
        site = Site(tasks)
        _, leaves, _ = site.come("a", "b", "c")
        await settled()
        [(at, call, _)] = site.clock.calls
        site.clock.calls.clear()
        site.clock.now = at
        call()
        leaves.cancel()
        await site.clock.go(0.3)
        assert site.begun == [("a", 0), ("c", 0.25)]


async def test_beyond_the_room_nobody_waits() -> None:
    """The queue holds stations.max_stations; further ones hear at once that they must come back."""
    async with asyncio.TaskGroup() as tasks:
        site = Site(tasks, room=2)
        site.come("a", "b", "c", "d")
        await settled()
        assert (site.refused, len(site.pacing)) == (["d"], 2)
        await site.clock.go(0.25)
        site.come("e")
        await site.clock.go(1)
    assert [name for name, _ in site.begun] == ["a", "b", "c", "e"]


async def test_on_a_real_loop_all_get_their_turns() -> None:
    """With the loop's own timers and the machine's clock."""
    pacing = Pacing(10_000, 1000)
    turns = await asyncio.gather(*(pacing.turn() for _ in range(1000)))
    assert turns == [True] * 1000
    assert len(pacing) == 0


async def test_another_rate_counts_for_those_that_wait() -> None:
    """They go on at it, more than there is room for now; who comes waits no more if there is none."""
    async with asyncio.TaskGroup() as tasks:
        site = Site(tasks)
        site.come("a", "b", "c", "d")
        await site.clock.go(0.1)
        site.pacing.reconfigure(10, 2)
        site.come("e")
        await site.clock.go(5)
    assert [name for name, _ in site.begun] == ["a", "b", "c", "d"]
    assert site.begun[-1][1] - site.begun[-2][1] == pytest.approx(0.1)
    assert site.refused == ["e"]
