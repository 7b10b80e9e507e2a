"""The edge that waits for the bucket, in virtual seconds: several readers, one throttle."""

import asyncio
import heapq
import socket
from itertools import count

import pytest

from localctl.mirror.throttle import READ_MOST, Throttle, new_socket, read_size


class VirtualTime:
    """A clock that goes on when everybody sleeps, to the moment when the next one wakes."""

    def __init__(self, sleepers: int) -> None:
        self.now = 0.0
        self.sleepers = sleepers  # who is still at work
        self._order = count()
        self._waiting: list[tuple[float, int, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        """Return ``seconds`` later."""
        event = asyncio.Event()
        heapq.heappush(self._waiting, (self.now + seconds, next(self._order), event))
        self.go_on()
        await event.wait()

    def go_on(self) -> None:
        """Wake the next one, once nobody is awake."""
        if self._waiting and len(self._waiting) == self.sleepers:
            self.now, _, event = heapq.heappop(self._waiting)
            event.set()


@pytest.mark.parametrize("readers", [1, 2, 5])
async def test_together_they_keep_to_it(readers: int) -> None:
    """``max_rate`` is over all downloads: what is let through in each virtual second, after the first, is the rate."""
    clock = VirtualTime(readers)
    throttle = Throttle(1000, lambda: clock.now, clock.sleep)
    passed: dict[int, int] = {}

    async def read() -> None:
        while clock.now < 20:
            passed[int(clock.now)] = passed.get(int(clock.now), 0) + 100
            if not await throttle.pay(100):
                await clock.sleep(0)
        clock.sleepers -= 1
        clock.go_on()

    async with asyncio.TaskGroup() as tasks:
        for number in range(readers):
            tasks.create_task(read(), name=f"reader {number}")
    assert passed[0] <= 2000 + 100 * readers
    assert all(900 - 100 * readers <= passed[second] <= 1100 + 100 * readers for second in range(1, 19))
    assert sum(passed[second] for second in range(1, 19)) == pytest.approx(18_000, abs=200 * readers)


async def test_without_a_limit_nobody_waits() -> None:
    """0 is none: not even a turn of the loop is lost."""

    async def never(_seconds: float) -> None:
        raise AssertionError

    assert await Throttle(0, lambda: 0.0, never).pay(2**40) == 0


async def test_how_long_it_was_is_told() -> None:
    """So that the wait is not held against the origin."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    throttle = Throttle(1000, lambda: 5.0, sleep)
    assert [await throttle.pay(1500), await throttle.pay(500)] == slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("rate", "size"), [(0, READ_MOST), (1, 4096), (100_000, 25_000), (2**20, 2**18), (2**40, READ_MOST)]
)
def test_a_low_rate_is_read_in_small_pieces(rate: int, size: int) -> None:
    """A quarter of a second's worth, within what makes sense."""
    assert read_size(rate) == size


def test_the_kernel_takes_in_little_ahead_of_a_low_rate() -> None:
    """Back-pressure: what is not read stays with the origin; at a high rate the kernel chooses for itself."""
    sizes = []
    for rate in (100_000, 0, 2**30):
        with new_socket(socket.AF_INET, socket.SOCK_STREAM, 0, rate) as made:
            sizes.append(made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
    with socket.socket() as ordinary:
        default = ordinary.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert sizes == [50_000, default, default]  # Linux doubles what it is told


async def test_another_rate_counts_at_once() -> None:
    """Down to none at all."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    throttle = Throttle(1000, lambda: 5.0, sleep)
    await throttle.pay(2000)
    throttle.reconfigure(4000)
    await throttle.pay(2000)
    throttle.reconfigure(0)
    await throttle.pay(2000)
    assert slept == [1.0, 1.5]
