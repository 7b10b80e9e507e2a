"""Running out of descriptors or memory while accepting: the listener pauses, and the log says so once a minute.

asyncio pauses its own listeners for a second, and tells the loop's exception handler; Python 3.11 does so once for
each place of the backlog.
"""

import errno
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from localctl.seldom import Seldom

PAUSE_SECONDS: Final = 1.0
_ERRORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("localctl.starvation")


class Starvation:
    """What the listeners of one loop lack; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._warnings: defaultdict[str, Seldom] = defaultdict(lambda: Seldom(clock))

    def is_behind(self, fault: object, listener: str) -> bool:
        """Whether ``fault`` is a want of descriptors or memory; if so, it is logged by the listener's name."""
        if not isinstance(fault, OSError) or fault.errno not in _ERRORS:
            return False
        if self._warnings[listener].is_due():
            _log.warning(
                "%s takes no connection for want of resources: %s; raise LimitNOFILE", listener, fault.strerror
            )
        return True
