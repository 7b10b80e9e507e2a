"""Who goes first."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from localctl.precedence import NICER, step_back


def nice() -> int:
    """How nice the calling thread is."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_that_steps_back() -> None:
    """It is nicer than the one that started it, which stays as it was."""
    before = nice()
    with ThreadPoolExecutor(1, initializer=step_back) as threads:
        assert threads.submit(nice).result() == min(before + NICER, 19)
    assert nice() == before
