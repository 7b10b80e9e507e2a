"""Running out of descriptors or memory while accepting: the listener pauses, and the log says so once a minute."""

import errno
import logging
import time
from collections.abc import Callable
from typing import Final

from localctl.serve.seldom import Seldom

PAUSE_SECONDS: Final = 1.0
_ERRORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_log = logging.getLogger("localctl.serve")


class Starvation:
    """What one listener lacks; ``clock`` gives seconds."""

    def __init__(self, listener: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._warnings = Seldom(clock)

    def is_behind(self, fault: object) -> bool:
        """Whether ``fault`` is a want of descriptors or memory; if so, it is logged."""
        if not isinstance(fault, OSError) or fault.errno not in _ERRORS:
            return False
        if self._warnings.is_due():
            _log.warning(
                "%s takes no connection for want of resources: %s; raise LimitNOFILE", self._listener, fault.strerror
            )
        return True
