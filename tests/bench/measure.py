"""What the benchmarks share: where things run, what they cost, and how two of them compare.

Servers are pinned to one core and clients to another. Rounds of ours and of the peer alternate, so that a noisy moment
hits both, and what is told are medians of ratios, never an absolute time.
"""

import os
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import psutil

Sample = TypeVar("Sample")

SIZE: Final = 256 * 2**20
SERVER_CORE: Final = 0
CLIENT_CORE: Final = 1
ON_CLIENT_CORE: Final = ("taskset", "-c", str(CLIENT_CORE))
ON_SERVER_CORE: Final = ("taskset", "-c", str(SERVER_CORE))


def make_file(path: Path) -> bytes:
    """Write a firmware file of SIZE bytes; its content."""
    path.parent.mkdir(exist_ok=True)
    content = random.Random(0).randbytes(2**20) * (SIZE // 2**20)
    path.write_bytes(content)
    return content


def pin(pid: int, core: int) -> None:
    """Keep a process, its threads and those to come on one core."""
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, {core})
    os.sched_setaffinity(pid, {core})


def cpu(pid: int) -> float:
    """Seconds that a process and those below it have had of a core, also those that have ended."""
    process, seconds = psutil.Process(pid), 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(each.cpu_times()[:4])  # user, system, and the same of children that have ended
    return seconds


def memory(pid: int) -> float:
    """MiB that a process has resident."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def ratio(ours: Sequence[Sample], peer: Sequence[Sample], of: Callable[[Sample], float]) -> float:
    """The median of ours over the peer's, round by round."""
    return statistics.median(of(our) / of(other) for our, other in zip(ours, peer, strict=True))


def late(loop: Mapping[str, float]) -> str:
    """How late the main loop was, by the daemon's own figures of the last minute."""
    return f"main loop late by at most {loop['lag'] * 1000:.1f} ms, at p99 by {loop['lag_p99'] * 1000:.1f} ms"
