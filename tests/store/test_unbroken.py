"""Work that is seen through to its end."""

import asyncio
import logging
import threading

import pytest

from localctl.store.unbroken import see_out, unbroken


class Steps:
    """Two steps with a wait between them, which the test ends."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.done = False
        self._fault = fault

    async def run(self) -> str:
        self.begun.set()
        await self.go_on.wait()
        if self._fault:
            raise self._fault
        self.done = True
        return "result"


async def test_steps_give_their_result() -> None:
    """Undisturbed it is a call as any other."""
    steps = Steps()
    steps.go_on.set()
    assert await unbroken(steps.run(), "steps") == "result"


async def test_steps_give_their_fault() -> None:
    """What they raise is raised."""
    steps = Steps(ValueError("why"))
    steps.go_on.set()
    with pytest.raises(ValueError, match="why"):
        await unbroken(steps.run(), "steps")


async def test_a_cancellation_waits_for_the_last_step() -> None:
    """However often it comes; then it goes on as always."""
    steps = Steps()
    async with asyncio.TaskGroup() as tasks:
        caller = tasks.create_task(unbroken(steps.run(), "steps"))
        await steps.begun.wait()
        for _ in range(3):
            caller.cancel()
            await asyncio.sleep(0)
            assert not caller.done()
        steps.go_on.set()
    assert caller.cancelled()
    assert steps.done


async def test_a_fault_after_a_cancellation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for it any more, and it must not be lost."""
    steps = Steps(ValueError("why"))
    async with asyncio.TaskGroup() as tasks:
        caller = tasks.create_task(unbroken(steps.run(), "withdrawing"))
        await steps.begun.wait()
        caller.cancel()
        steps.go_on.set()
    assert caller.cancelled()
    assert caplog.record_tuples == [
        ("localctl.store", logging.ERROR, "withdrawing failed, and nobody waits for it any more: why")
    ]


async def test_a_timeout_ends_the_wait_afterwards() -> None:
    """A deadline around it is kept as soon as the steps are done, as a TimeoutError."""
    steps = Steps()

    async def hurried() -> None:
        async with asyncio.timeout(0):
            await unbroken(steps.run(), "steps")

    async def release() -> None:
        await steps.begun.wait()  # the deadline has passed by then
        assert not steps.done
        steps.go_on.set()

    with pytest.raises(TimeoutError):
        await asyncio.gather(hurried(), release())
    assert steps.done


async def test_work_of_a_thread_is_seen_out() -> None:
    """A thread cannot be cancelled: the wait ends when it has."""
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def work() -> bool:
        loop.call_soon_threadsafe(begun.set)
        return go_on.wait(60)

    future = loop.run_in_executor(None, work)
    async with asyncio.TaskGroup() as tasks:
        caller = tasks.create_task(see_out(future))
        await begun.wait()
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
        go_on.set()
    assert caller.cancelled()
    assert future.result()


async def test_a_fault_of_the_work_is_not_raised_by_seeing_it_out() -> None:
    """It is the work's own business; see_out says only that it is over."""
    future = asyncio.get_running_loop().run_in_executor(None, lambda: 1 // 0)
    await see_out(future)
    assert isinstance(future.exception(), ZeroDivisionError)
