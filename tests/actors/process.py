"""A program that a test starts: its output line by line as it comes, and its end."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

import psutil

from tests.actors.news import TIMEOUT, News

T = TypeVar("T")


class Process(asyncio.SubprocessProtocol):
    """One run of a program; ``out`` and ``err`` are the lines that it has written so far.

    It is over, with ``status``, when it has ended and all its output has been read.
    """

    def __init__(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self.status: int | None = None
        self._rest = {1: b"", 2: b""}
        self.news = News(self.tail)
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(
        cls, command: Sequence[str], environ: Mapping[str, str] | None = None, pass_fds: Sequence[int] = ()
    ) -> "Process":
        """Run ``command`` with nothing on its stdin, and with the descriptors ``pass_fds`` of ours."""
        loop = asyncio.get_running_loop()
        transport, process = await loop.subprocess_exec(
            cls, *command, stdin=asyncio.subprocess.DEVNULL, env=environ, pass_fds=pass_fds
        )
        process._transport = transport
        return process

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._transport is not None
        return self._transport.get_pid()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.status is None

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        assert self._transport is not None
        with contextlib.suppress(ProcessLookupError):
            self._transport.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to it and to what it has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.running:
                for child in psutil.Process(self.pid).children(recursive=True):
                    child.kill()
        self.signal(9)

    async def over(self, timeout: float = TIMEOUT) -> int:
        """Its exit status, once it is over; minus the signal's number if one ended it."""
        await self.until(lambda: not self.running, "its end", timeout)
        assert self.status is not None
        return self.status

    async def until(self, condition: Callable[[], T], what: str, timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking after each line that it writes and at its end; its value."""
        return await self.news.until(condition, what, timeout)

    def tail(self) -> str:
        """Whether it runs, and the last that it wrote."""
        state = "it runs" if self.running else f"it ended with {self.status}"
        return "\n".join([f"{state}, its last lines:", *self.out[-5:], *self.err[-30:]])

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what asyncio has read."""
        *lines, self._rest[fd] = (self._rest[fd] + data).split(b"\n")
        (self.out if fd == 1 else self.err).extend(line.decode(errors="replace") for line in lines)
        self.news.tell()

    def connection_lost(self, _error: Exception | None) -> None:
        """All output has been read, and the process has ended."""
        assert self._transport is not None
        for fd, rest in self._rest.items():
            if rest:
                self.pipe_data_received(fd, b"\n")
        self.status = cast("int", self._transport.get_returncode())
        self._transport.close()
        self.news.tell()
