"""Running out of descriptors or memory while accepting: the listener pauses, and the log says so once a minute."""

import errno
import logging
import time
from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 1.0
_ERRORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SAID_SECONDS: Final = 60.0
_log = logging.getLogger("localctl.serve")


class Starvation:
    """What one listener lacks; ``clock`` gives seconds."""

    def __init__(self, listener: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._listener = listener
        self._clock = clock
        self._said_at: float | None = None

    def is_behind(self, fault: object) -> bool:
        """Whether ``fault`` is a want of descriptors or memory; if so, it is logged."""
        if not isinstance(fault, OSError) or fault.errno not in _ERRORS:
            return False
        now = self._clock()
        if self._said_at is None or now - self._said_at >= _SAID_SECONDS:
            self._said_at = now
            _log.warning(
                "%s takes no connection for want of resources: %s; raise LimitNOFILE", self._listener, fault.strerror
            )
        return True
