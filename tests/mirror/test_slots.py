"""Places that become more or fewer while some are taken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from localctl.mirror.slots import Slots


class Line:
    """Some who want a place: ``inside`` are those that have one, in the order in which they got it."""

    def __init__(self, slots: Slots, tasks: asyncio.TaskGroup) -> None:
        self.inside: list[int] = []
        self.done = [asyncio.Event() for _ in range(6)]
        self.tasks = [tasks.create_task(self._hold(slots, number), name=str(number)) for number in range(6)]

    async def _hold(self, slots: Slots, number: int) -> None:
        async with slots:
            self.inside.append(number)
            try:
                await self.done[number].wait()
            finally:
                self.inside.remove(number)


async def settle() -> None:
    """Let all go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def line(slots: Slots) -> AsyncIterator[Line]:
    """Six who want a place of ``slots``; those that are left at the end go, and leave every place free."""
    async with asyncio.TaskGroup() as tasks:
        made = Line(slots, tasks)
        await settle()
        yield made
        for task in made.tasks:
            task.cancel()
    assert not slots.locked()


async def test_first_come_first_served() -> None:
    """No more than there are places, and in order."""
    slots = Slots(2)
    async with line(slots) as here:
        assert here.inside == [0, 1]
        assert slots.locked()
        here.done[0].set()
        await settle()
        assert here.inside == [1, 2]


async def test_more_places_are_taken_at_once() -> None:
    """Nobody need end for it."""
    slots = Slots(1)
    async with line(slots) as here:
        slots.reconfigure(3)
        await settle()
        assert here.inside == [0, 1, 2]


async def test_fewer_places_put_nobody_out() -> None:
    """Those that end are not followed until no more are left than there are places."""
    slots = Slots(3)
    async with line(slots) as here:
        slots.reconfigure(1)
        for number in (0, 1):
            here.done[number].set()
            await settle()
        assert here.inside == [2]
        here.done[2].set()
        await settle()
        assert here.inside == [3]


async def test_who_goes_away_takes_no_place() -> None:
    """Neither out of the line nor in the very moment of being called."""
    slots = Slots(1)
    async with line(slots) as here:
        here.tasks[1].cancel()
        await settle()
        here.done[0].set()
        await asyncio.sleep(0)
        assert here.inside == []
        here.tasks[2].cancel()  # it has been called, and has not run yet
        await settle()
        assert here.inside == [3]
