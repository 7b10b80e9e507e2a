"""A pseudo terminal with a command of localctl's on it, and what it shows."""

import asyncio
import os
import pty
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.actors.daemon import executable
from tests.actors.news import TIMEOUT, News

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """A command on a pseudo terminal; ``text`` is all that it has been sent."""

    def __init__(self, process: asyncio.subprocess.Process, fd: int) -> None:
        self.process = process
        self.text = ""
        self.fd = fd
        self.news = News(lambda: self.text[-2000:])

    def read(self) -> None:
        """Take what is there."""
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the command has ended
            data = b""
        if data:
            self.text += data.decode(errors="replace")
        else:
            asyncio.get_running_loop().remove_reader(self.fd)
        self.news.tell()

    async def over(self) -> int:
        """Its exit status."""
        return await asyncio.wait_for(self.process.wait(), TIMEOUT)

    async def shows(self, words: str, after: int = 0) -> int:
        """Wait for these words behind so many letters; where they end."""
        await self.news.until(lambda: words in CONTROL.sub("", self.text[after:]), repr(words))
        return len(self.text)


@asynccontextmanager
async def terminal(*arguments: str, environ: Mapping[str, str] = {}) -> AsyncIterator[Screen]:
    """Localctl with these arguments on a terminal of 120 columns."""
    ours, theirs = pty.openpty()
    keep = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    process = await asyncio.create_subprocess_exec(
        executable(), *arguments, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**keep, "TERM": "xterm", "COLUMNS": "120", "LINES": "50", **environ},
    )  # fmt: skip
    os.close(theirs)
    screen = Screen(process, ours)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, screen.read)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        loop.remove_reader(ours)
        os.close(ours)
