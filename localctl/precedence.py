"""Which threads go first where cores are few. Edge: it asks the kernel.

The main loop has the relays: a station's Heartbeat goes before another's firmware. So the threads that serve files or
wait for the disk are a little nicer than it (setpriority(2), which is a thread's own matter on Linux).
"""

import os
import threading
from contextlib import suppress
from typing import Final

NICER: Final = 5


def step_back() -> None:
    """The calling thread lets the main loop's go first; where the kernel forbids even that, it does not."""
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICER)
