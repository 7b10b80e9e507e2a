"""Faults at chosen system calls of a running daemon, by strace: killed at the Nth, or failed with an errno."""

import re
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.actors.process import Process

_CALL: Final = re.compile(r"\d+ +\w+\(")
_PATH: Final = re.compile(r'\d+ +(?P<call>\w+)\([^"/]*(?:\d+<|")(?P<path>/[^">]*)')


@dataclass(frozen=True, slots=True)
class Spot:
    """System calls that touch one of these paths."""

    calls: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Injection:
    """What strace has told so far of one spot."""

    trace: Path

    def hit(self) -> bool:
        """Whether the effect has befallen any call yet."""
        return "INJECTED" in self._told()

    def calls(self) -> int:
        """How many calls there have been, of all threads."""
        return sum(_CALL.match(line) is not None for line in self._told().splitlines())

    def _told(self) -> str:
        return self.trace.read_text(errors="replace") if self.trace.exists() else ""


@asynccontextmanager
async def injected(pid: int, spot: Spot, effect: str, trace: Path) -> AsyncIterator[Injection]:
    """While this lasts ``effect`` (``signal=KILL:when=3``, ``error=EIO:when=2+``) befalls the process at that spot.

    Calls are counted from now on, each thread's by themselves: where several threads take turns, a third call may be
    the second of its thread, and not be hit. ``Injection.calls`` tells. Skips the test where strace may not trace here.
    """
    paths = [option for path in spot.paths for option in ("-P", str(path))]
    options = ["-e", f"trace={spot.calls}", "-e", f"inject={spot.calls}:{effect}", *paths]
    async with _attached(pid, options, trace):
        yield Injection(trace)


@asynccontextmanager
async def traced(pid: int, calls: str, trace: Path) -> AsyncIterator[Callable[[], list[tuple[str, str]]]]:
    """While this lasts nothing befalls the process; gives what tells the calls so far: each with its first path."""

    def told() -> list[tuple[str, str]]:
        found = (_PATH.match(line) for line in trace.read_text(errors="replace").splitlines())
        return [(match["call"], match["path"]) for match in found if match]

    async with _attached(pid, ["-y", "-e", f"trace={calls}"], trace):
        yield told


@asynccontextmanager
async def _attached(pid: int, options: Sequence[str], trace: Path) -> AsyncIterator[None]:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace.unlink(missing_ok=True)
    tracer = await Process.start(["strace", "-f", "-o", str(trace), *options, "-p", str(pid)])
    await tracer.until(lambda: "attached" in tracer.tail() or not tracer.running, "strace's first word")
    if not tracer.running and "attached" not in tracer.tail():
        pytest.skip(f"strace may not trace here: {tracer.err}")
    try:
        yield
    finally:
        tracer.signal(2)
        await tracer.over()
