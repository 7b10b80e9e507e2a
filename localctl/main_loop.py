"""Which event loop the main loop is: uvloop where it is installed, asyncio's own otherwise.

Serving threads stay on asyncio's own, as uvloop has no sendfile.
"""

import asyncio
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final

CHOICE: Final = "LOCALCTL_LOOP"  # of the environment: "asyncio" or "uvloop"; for comparing them


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the main loop."""
    choice = os.environ.get(CHOICE) or ("uvloop" if find_spec("uvloop") else "asyncio")
    if choice != "uvloop":
        return asyncio.SelectorEventLoop
    import uvloop  # a start without it must not pay for it

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
