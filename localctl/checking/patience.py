"""How long what is tried may take. Edge: what hangs, a resolver or a silent server, is left behind in its thread."""

from collections.abc import Callable, Iterable
from concurrent.futures import wait
from functools import partial
from typing import TypeVar

from localctl.aside import begun

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` returns or raises; TimeoutError where it takes longer."""
    return begun(work, "check").result(seconds)


def together(seconds: float, works: Iterable[Callable[[], T]]) -> list[T | Exception]:
    """What each of ``works``, all at once, returns or raises; TimeoutError in place of what takes longer."""
    asked = [begun(partial(_tried, work), "check") for work in works]
    wait(asked, seconds)
    return [each.result() if each.done() else TimeoutError("timed out") for each in asked]


def _tried(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as fault:  # noqa: BLE001  handed over, not swallowed
        return fault
