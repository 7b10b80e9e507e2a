"""What is loaded behind READY: aiohttp and all that is built on it. Edge.

It is as much to load as all that relays stations. It is loaded all the same, whether it is needed at once or not: later
there may be another version on the disk.
"""

import asyncio
import logging
from importlib import import_module
from typing import Final

from localctl.starvation import PAUSE_SECONDS

MODULES: Final = (
    "localctl.serve.http_loop",
    "localctl.admin.api",
    "localctl.admin.hand",
    "localctl.mirror.origins.http",
)
log = logging.getLogger("localctl.late")


async def load() -> None:
    """Load it in a thread; where stations have taken the last descriptor meanwhile, as soon as there is one."""
    for name in MODULES:
        while True:
            try:
                await asyncio.to_thread(import_module, name)
                break
            except OSError as fault:
                log.warning("what serves firmware cannot be loaded yet: %s; raise LimitNOFILE", fault.strerror)
                await asyncio.sleep(PAUSE_SECONDS)
