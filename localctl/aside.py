"""Work in a thread of its own that nobody has to wait for: what hangs, a resolver or a network's disk, is left behind.
Edge.

Such a thread ends with the program, so it must hold nothing that others need.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begun(work: Callable[[], T], name: str) -> Future[T]:
    """What ``work`` will return or raise."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # from now on nobody's cancelling makes its outcome unwelcome

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as fault:  # noqa: BLE001  raised again in the thread that asked
            future.set_exception(fault)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
