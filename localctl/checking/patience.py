"""How long what is tried may take. Edge: threads; what hangs, a resolver or a silent server, is left behind.

Such a thread ends with the program, so it must hold nothing that others need.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` returns or raises; TimeoutError where it takes longer."""
    return _begun(work).result(seconds)


def together(seconds: float, works: Iterable[Callable[[], T]]) -> list[T | Exception]:
    """What each of ``works``, all at once, returns or raises; TimeoutError in place of what takes longer."""
    begun = [_begun(partial(_tried, work)) for work in works]
    wait(begun, seconds)
    return [each.result() if each.done() else TimeoutError("timed out") for each in begun]


def _begun(work: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as fault:  # noqa: BLE001  raised again in the thread that asked
            future.set_exception(fault)

    threading.Thread(target=run, name="check", daemon=True).start()
    return future


def _tried(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as fault:  # noqa: BLE001  handed over, not swallowed
        return fault
