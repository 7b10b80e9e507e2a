"""The machine's own noise, to be taken off where a promise is in seconds: a busy machine must not fail a test."""

from pathlib import Path


def starved(pid: int) -> float:
    """Seconds that a process's main thread has been ready to run and got no core (the kernel keeps nanoseconds)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
