"""Builds ``relay_load.c``, stations and their CSMS in one thread of C, and has it do what a benchmark asks."""

import asyncio
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SOURCE: Final = Path(__file__).with_suffix(".c")


@dataclass(frozen=True, slots=True)
class Rate:
    """As many messages as go: ``counted`` answers came in ``seconds``, for ``cost``, and ``load`` was its own share.

    ``sent`` and ``answered`` are of all the time, and ``load`` is a share of a core.
    """

    sent: int
    answered: int
    counted: int
    seconds: float
    load: float
    cost: float

    @property
    def messages(self) -> int:
        """How many were passed on: each answer, and what it answers."""
        return 2 * self.counted


@dataclass(frozen=True, slots=True)
class Trips:
    """A message a second from each station: round trips in microseconds."""

    sent: int
    answered: int
    p50: float
    p90: float
    p99: float
    most: float


def build(folder: Path) -> Path:
    """The program, in ``folder``."""
    program = folder / SOURCE.stem
    subprocess.run(("cc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)), check=True)
    return program


class Load:
    """The load, for as long as its ``async with`` lasts; ``wrapper`` is a command that runs it, such as taskset.

    ``port`` is the CSMS's. Stations are opened through a proxy, by the proxy's port, or to the CSMS itself.
    """

    port: int

    def __init__(self, program: Path, wrapper: Sequence[str] = ()) -> None:
        self._command = (*wrapper, str(program))
        self._run: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._run = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        self.port = int((await self._told("listening"))[0])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._run.stdin is not None
        self._run.stdin.close()
        with suppress(ConnectionError):
            await self._run.stdin.wait_closed()
        await self._run.wait()

    async def open(self, port: int, stations: int, size: int) -> None:
        """Open WebSockets, for messages of ``size`` bytes."""
        await self._ask(f"open {port} {stations} {size}")
        await self._told("open")

    async def rate(self, warm: float, seconds: float, spent: Callable[[], float] = lambda: 0.0) -> Rate:
        """Have each station send when it has its answer; ``spent`` tells what was spent by now, such as CPU."""
        await self._ask(f"rate {warm} {seconds}")
        await self._told("go")
        before = spent()
        await self._told("stop")
        cost = spent() - before
        sent, answered, counted, took, load = await self._told("rate")
        return Rate(int(sent), int(answered), int(counted), float(took), float(load), cost)

    async def timed(self, seconds: float) -> Trips:
        """Have each station send a message a second."""
        await self._ask(f"timed {seconds}")
        sent, answered, *times = await self._told("timed")
        return Trips(int(sent), int(answered), *map(float, times))

    async def restart(self, seconds: float) -> float:
        """Take the CSMS away for so long; seconds from its return until every station is with it again."""
        await self._ask(f"restart {seconds}")
        return float((await self._told("back"))[0])

    async def close(self) -> None:
        """Close all stations."""
        await self._ask("close")
        await self._told("closed")

    async def _ask(self, line: str) -> None:
        assert self._run.stdin is not None
        self._run.stdin.write(f"{line}\n".encode())
        await self._run.stdin.drain()

    async def _told(self, what: str) -> list[str]:
        assert self._run.stdout is not None
        word, *rest = (await self._run.stdout.readline()).decode().split() or [""]
        assert word == what, f"the load has ended, or it tells {word!r} where {what!r} was awaited; see its stderr"
        return rest
