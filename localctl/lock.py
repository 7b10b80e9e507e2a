"""One daemon a state directory: two would undo each other's work. Edge."""

import fcntl
from pathlib import Path
from typing import TextIO

from localctl.errors import StateError


def lock(state_dir: Path) -> TextIO:
    """Hold ``state_dir``, which is made where it is missing, until what is returned is closed. Raises StateError."""
    try:
        state_dir.mkdir(0o755, parents=True, exist_ok=True)
        file = (state_dir / "lock").open("w")
    except OSError as fault:
        advice = "controller.state_dir must be a folder that localctl may write to"
        raise StateError(str(state_dir), f"cannot be used: {fault.strerror}; {advice}") from fault
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StateError(str(state_dir), "another localctl is running on this state directory") from None
    return file
