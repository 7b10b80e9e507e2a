"""What a publication waits for, one wait at a time; that it is told of a wait, and of none that is over at once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest

from localctl.mirror.gate import Gate
from localctl.mirror.waiting import Waiting
from localctl.store.records import Publication
from localctl.values import parse_window
from tests.mirror.workshop import Mirror, mirror, until

FIRST: Final = Publication(1, 1, "http://127.0.0.1/fw.bin", "1" * 32, "fw.bin", 3, 0.0, 0.0, failures=1)
SECOND: Final = replace(FIRST, id=2, request_id=2, checksum="2" * 32)


@dataclass
class Waiter:
    """Two publications' waits, and how often the second was told that it waits."""

    made: Mirror
    told: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def tell(self) -> None:
        """It waits."""
        self.told += 1

    def waiting(self) -> Waiting:
        """For a publication of its own."""
        return Waiting(self.made.shop, self.lock, self.tell)


@pytest.fixture
async def waiter(tmp_path: Path) -> AsyncIterator[Waiter]:
    """A mirror with one slot."""
    async with mirror(tmp_path, max_concurrent_downloads=1) as made:
        yield Waiter(made)


@pytest.mark.parametrize("what", ["file", "turn", "slot"])
async def test_the_second_waits_until_the_first_is_done(waiter: Waiter, what: str) -> None:
    """It is told once, and not before it has to wait."""

    async def enter(stack: AsyncExitStack, publication: Publication) -> None:
        waiting = waiter.waiting()
        entered = {"file": waiting.file, "turn": lambda: waiting.turn(publication), "slot": waiting.slot}[what]()
        await stack.enter_async_context(entered)

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        first = await stack.enter_async_context(AsyncExitStack())
        await enter(first, FIRST)
        assert waiter.told == 0
        second = tasks.create_task(enter(stack, SECOND), name="second")
        await until(lambda: waiter.told)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not second.done()
        await first.aclose()
        await second
        assert waiter.told == 1
    assert not waiter.made.shop.slots.locked()


async def test_a_turn_is_given_up_by_who_is_cancelled(waiter: Waiter) -> None:
    """L04.FR.04: whether it waits or has its turn, the next one is called."""

    async def enter(publication: Publication) -> None:
        async with waiter.waiting().turn(publication):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        queue = [tasks.create_task(enter(replace(FIRST, id=number)), name=str(number)) for number in range(3)]
        await until(lambda: waiter.told == 2)
        for each in (queue[1], queue[0]):
            each.cancel()
            await asyncio.wait([each])
        async with asyncio.timeout(1):
            await asyncio.sleep(0)
        queue[2].cancel()
    async with waiter.waiting().turn(SECOND) as turn:
        assert turn.called.is_set()
    assert waiter.told == 2


@pytest.mark.parametrize(("interval", "retry_after", "seconds"), [(0.0, None, 0), (0.0, 0.001, 0), (None, None, 60)])
async def test_the_time_between_tries(
    waiter: Waiter, caplog: pytest.LogCaptureFixture, interval: float | None, retry_after: float | None, seconds: int
) -> None:
    """``retryInterval``, what the origin asks for, or else the default: what ``retry`` says, and the log tells."""
    caplog.set_level(logging.INFO, "localctl.mirror")
    async with asyncio.TaskGroup() as tasks:
        wait = waiter.waiting().next_try(replace(FIRST, interval=interval), retry_after)
        waited = tasks.create_task(wait, name="wait")
        await until(lambda: f"publication 1 is tried again in {seconds} s" in caplog.text)
        if seconds:
            waited.cancel()
    assert waiter.told == 0


@pytest.mark.usefixtures("in_utc")
async def test_the_window(tmp_path: Path) -> None:
    """Told once where it is shut, and not at all where it is open."""
    clock = {"hour": 2.0}

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    gate = Gate(parse_window("01:00-05:00"), lambda: 1768435200.0 + clock["hour"] * 3600, sleep)
    async with mirror(tmp_path, gate=gate) as made, asyncio.TaskGroup() as tasks:
        waiter = Waiter(made)
        await waiter.waiting().window(FIRST)
        assert waiter.told == 0
        clock["hour"] = 6.0
        waited = tasks.create_task(waiter.waiting().window(FIRST), name="wait")
        await until(lambda: waiter.told)
        assert not waited.done()
        clock["hour"] = 26.0
        await waited
        assert waiter.told == 1
