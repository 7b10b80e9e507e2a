"""Faults at chosen system calls of a running daemon, by strace: killed at the Nth, or failed with an errno."""

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.actors.process import Process


@dataclass(frozen=True, slots=True)
class Spot:
    """System calls that touch one of these paths."""

    calls: str
    paths: tuple[Path, ...]


@asynccontextmanager
async def injected(pid: int, spot: Spot, effect: str, trace: Path) -> AsyncIterator[Callable[[], bool]]:
    """While this lasts ``effect`` (``signal=KILL:when=3``, ``error=EIO:when=2+``) befalls the process at that spot.

    Gives a function that tells whether it has befallen it yet, by what strace writes to ``trace``. Calls are counted
    from now on, each thread's by themselves. Skips the test where strace may not trace here.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    paths: Sequence[str] = [option for path in spot.paths for option in ("-P", str(path))]
    command = ["strace", "-f", "-o", str(trace), "-e", f"trace={spot.calls}", "-e", f"inject={spot.calls}:{effect}"]
    tracer = await Process.start([*command, *paths, "-p", str(pid)])
    await tracer.until(lambda: "attached" in tracer.tail() or not tracer.running, "strace's first word")
    if not tracer.running and "attached" not in tracer.tail():
        pytest.skip(f"strace may not trace here: {tracer.err}")
    try:
        yield lambda: trace.exists() and "INJECTED" in trace.read_text(errors="replace")
    finally:
        tracer.signal(2)
        await tracer.over()
