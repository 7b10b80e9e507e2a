"""Cores that do not sleep. A virtual machine's core that has nothing to do is halted, and until its host has woken it
some milliseconds go by: more than any proxy takes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

_CONTROLLERS: Final = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))  # of cgroups, version 1 and 2
_SPIN: Final = "while :; do :; done"


@asynccontextmanager
async def awake(*cores: Sequence[str]) -> AsyncIterator[None]:
    """Keep busy whatever would sleep of the cores that these commands run things on, where that goes.

    What does so yields at once to everything else, threads of the kernel too, as only an idle group does.
    """
    group = _idle_group()
    if group is None:
        print("no idle group of processes can be made: cores may sleep, and latencies tell of that, too", flush=True)
        yield
        return
    spinners = [await asyncio.create_subprocess_exec(*core, "sh", "-c", _SPIN) for core in cores]
    try:
        for spinner in spinners:
            (group / "cgroup.procs").write_text(str(spinner.pid), encoding="ascii")
        yield
    finally:
        for spinner in spinners:
            with suppress(ProcessLookupError):
                spinner.kill()
            await spinner.wait()
        group.rmdir()


def _idle_group() -> Path | None:
    for controller in _CONTROLLERS:
        group = controller / "localctl-bench-awake"
        try:
            group.mkdir(exist_ok=True)
            (group / "cpu.idle").write_text("1", encoding="ascii")
        except OSError:  # not root, another kernel, or the controller is not passed on to groups
            with suppress(OSError):
                group.rmdir()
        else:
            return group
    return None
