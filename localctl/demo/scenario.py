"""``localctl demo``: sets the stage in a temporary folder, has the story played, and leaves nothing behind.

Whatever ends it: its end, a failure, Ctrl-C, SIGTERM, SIGHUP, a reader that has gone.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from localctl.demo.controller import Controller, last_words
from localctl.demo.csms import Csms
from localctl.demo.origin import Origin, make_firmware
from localctl.demo.patience import DemoFailed, OutputClosed
from localctl.demo.plan import FIRMWARE_NAME, MIB, Plan, counted, mebibytes
from localctl.demo.story import Story
from localctl.demo.telling import Event, Outcome, Telling, complain, open_telling
from localctl.errors import LocalctlError

_LOG_LINES: Final = 30
_SPARE_BYTES: Final = 16 * MIB  # for the database, the log and whoever else writes there


@dataclass(slots=True)
class _Stage:
    """What is known of the story so far, and of its end."""

    plan: Plan
    wan_bytes: int = 0
    lan_bytes: int = 0
    seconds: float = 0.0
    failed: str = ""
    log: list[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        plan = self.plan
        return Outcome(plan.stations, plan.size, self.wan_bytes, self.lan_bytes, round(self.seconds, 3), self.failed)


def run_demo(stations: int, size_mib: int, as_json: bool) -> int:  # noqa: FBT001  the command line's own words
    """Play it with so many stations and a firmware file of so many MiB; the exit status.

    0: every step went as it must. 1: one did not, and standard error says which. 130, 143: interrupted, ended.
    """
    stage = _Stage(Plan(stations, size_mib * MIB))
    try:
        with open_telling(as_json=as_json) as telling:
            status = _play(stage, telling)
            telling.end(stage.outcome())
    except OutputClosed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        return 1
    complain(_report(stage))
    return status


def _play(stage: _Stage, telling: Telling) -> int:
    try:
        asyncio.run(_live(stage, telling))
    except KeyboardInterrupt:
        stage.failed = "interrupted; nothing is left behind"
        return 128 + signal.SIGINT
    except asyncio.CancelledError:
        stage.failed = "told to end; nothing is left behind"
        return 128 + signal.SIGTERM
    return 1 if stage.failed else 0


async def _live(stage: _Stage, telling: Telling) -> None:
    """Note in ``stage`` how it went. Raises OutputClosed, and CancelledError at SIGTERM and SIGHUP."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if task is not None:
            loop.add_signal_handler(number, task.cancel)
    begun = loop.time()
    try:
        with TemporaryDirectory(prefix="localctl-demo-") as folder:
            await _perform(Path(folder), stage, telling)
    except (LocalctlError, OSError, ExceptionGroup) as fault:
        stage.failed = _reason(fault)
    stage.seconds = loop.time() - begun


async def _perform(folder: Path, stage: _Stage, telling: Telling) -> None:
    plan, file = stage.plan, folder / FIRMWARE_NAME
    sentence = f"{counted(plan.stations)}, a firmware of {mebibytes(plan.size)}, everything on 127.0.0.1"
    telling.tell(Event("begin", "demo", sentence, {"stations": plan.stations, "size": plan.size}))
    free = shutil.disk_usage(folder).free
    if free < 2 * plan.size + _SPARE_BYTES:  # the origin's copy and the controller's
        raise DemoFailed(f"{folder.parent} has {mebibytes(free)} free, too little; TMPDIR may name another folder")
    checksum = await asyncio.to_thread(make_firmware, file, plan.size)
    try:
        async with (
            Origin(file, plan.wan_rate) as origin,
            Csms() as csms,
            Controller(folder, csms.url, plan) as controller,
        ):
            try:
                stage.lan_bytes = await Story(plan, checksum, origin, csms, controller, telling).play()
            finally:
                stage.wan_bytes = origin.sent
    except Exception:
        stage.log = last_words(folder, _LOG_LINES)
        raise


def _reason(fault: Exception) -> str:
    """What went wrong first, and what was noted about it. Raises what is no failure but a fault, and OutputClosed."""
    if isinstance(fault, ExceptionGroup):
        reasons = [_reason(each) for each in fault.exceptions][:1]
    elif isinstance(fault, OutputClosed) or not isinstance(fault, (LocalctlError, OSError)):
        raise fault
    else:
        reasons = [str(fault)]
    return "; ".join([*reasons, *getattr(fault, "__notes__", ())])


def _report(stage: _Stage) -> Iterator[str]:
    """For standard error: what went wrong, and the end of the log, which is gone with its folder."""
    if stage.failed:
        yield f"localctl demo: {stage.failed}"
    if stage.log:
        yield f"The controller's log, its last {len(stage.log)} lines:"
        yield from (f"  {text}" for text in stage.log)
