"""An FTP origin that misbehaves on purpose: just enough of RFC 959 and RFC 3659, passive, on raw sockets.

What it does for a path is a list of ``Sending``: one for each RETR, the last one for all that follow. Every RETR is on
record, with where it began and what was sent for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeVar

from tests.actors.news import TIMEOUT, News
from tests.actors.ports import HeldPort

T = TypeVar("T")

_PIECE: Final = 64 * 1024
_ANSWERS: Final = {"USER": "331 Go on", "PASS": "230 Welcome", "TYPE": "200 As it is", "QUIT": "221 Bye"}


@dataclass(frozen=True, slots=True)
class Sending:
    """How one RETR is answered.

    - ``modified`` is what MDTM tells before it; ``size`` what SIZE does, in place of the true one.
    - ``restarts``: REST is obeyed. ``refusal``: the answer to RETR in place of the file, such as ``450 Busy``.
    - ``cut_after``, ``stall_after``: after so many bytes, end both connections, or wait until the origin is left.
    """

    body: bytes = field(default=b"", repr=False)
    modified: str = "20260131120000"
    size: int | None = None
    restarts: bool = True
    refusal: str = ""
    cut_after: int | None = None
    stall_after: int | None = None


@dataclass(slots=True)
class Retrieval:
    """One RETR: from which byte on, and how many were sent."""

    path: str
    offset: int
    sent: int = 0


@dataclass(slots=True)
class _Session:
    """One control connection, with the data connection that PASV has promised and where REST has put us."""

    writer: asyncio.StreamWriter
    offset: int = 0
    data: "asyncio.Queue[asyncio.StreamWriter]" = field(default_factory=asyncio.Queue)
    listener: asyncio.Server | None = None

    async def say(self, answer: str) -> None:
        """One line."""
        self.writer.write(f"{answer}\r\n".encode("latin-1"))
        await self.writer.drain()

    async def passive(self) -> str:
        """Listen for one data connection; the answer to PASV."""
        self.close()
        self.listener = await asyncio.start_server(lambda _reader, writer: self.data.put_nowait(writer), "127.0.0.1", 0)
        high, low = divmod(self.listener.sockets[0].getsockname()[1], 256)
        return f"227 Entering Passive Mode (127,0,0,1,{high},{low})"

    def close(self) -> None:
        """End the data connection, and listen for none."""
        if self.listener is not None:
            self.listener.close()
        while not self.data.empty():
            self.data.get_nowait().close()


class FtpOrigin:
    """An FTP origin on 127.0.0.1, for as long as its ``async with`` lasts; a path without sendings is 550."""

    def __init__(self) -> None:
        self.retrievals: list[Retrieval] = []
        self.lines: list[str] = []
        self.news = News(lambda: f"the FTP origin has had {self.lines[-20:]}")
        self._sendings: dict[str, list[Sending]] = {}
        self._port = HeldPort()
        self._server: asyncio.Server
        self._attending: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What a path with its slash is appended to."""
        return f"ftp://127.0.0.1:{self._port.number}"

    def script(self, path: str, *sendings: Sending) -> str:
        """From now on the next RETRs of ``path`` get ``sendings``, the last one again and again; its URL."""
        self._sendings[path] = list(sendings)
        return self.url + path

    async def until(self, condition: Callable[[], T], what: str = "a RETR", timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking after each line and at each end; its value."""
        return await self.news.until(condition, what, timeout)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._attend, sock=self._port.listening())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._attending:
            task.cancel()
        await self.until(lambda: not self._attending, "the end of its connections")
        self._port.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._attending.add(task)
        session = _Session(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):  # the origin is left
                await session.say("220 Scripted")
                while await self._obey((await reader.readuntil(b"\r\n")).decode("latin-1").strip(), session):
                    pass
        finally:
            session.close()
            writer.close()
            self._attending.discard(task)
            self.news.tell()

    async def _obey(self, line: str, session: _Session) -> bool:
        """Do what a line asks for; whether the connection lasts."""
        self.lines.append(line)
        self.news.tell()
        command, _, argument = line.partition(" ")
        if command == "RETR":
            return await self._retrieve(f"/{argument.removeprefix('/')}", session)
        await session.say(await session.passive() if command == "PASV" else self._answer(command, argument, session))
        return True

    def _answer(self, command: str, argument: str, session: _Session) -> str:
        sending = self._next(f"/{argument.removeprefix('/')}")
        match command:
            case "SIZE" if sending:
                return f"213 {len(sending.body) if sending.size is None else sending.size}"
            case "MDTM" if sending:
                return f"213 {sending.modified}"
            case "REST" if all(each[0].restarts for each in self._sendings.values()):
                session.offset = int(argument)
                return "350 From there"
            case _:
                return _ANSWERS.get(command, "502 No")

    def _next(self, path: str) -> Sending | None:
        return self._sendings[path][0] if path in self._sendings else None

    async def _retrieve(self, path: str, session: _Session) -> bool:
        offset, session.offset = session.offset, 0
        sending = self._next(path)
        if sending is None or sending.refusal:
            self._pass(path)
            await session.say(sending.refusal if sending else "550 No such file")
            return True
        record = Retrieval(path, offset)
        self.retrievals.append(record)
        self._pass(path)
        await session.say("150 Here it comes")
        data = await session.data.get()
        try:
            await self._send(sending, record, data)
        finally:
            data.close()
            self.news.tell()
        if sending.cut_after is None:
            await session.say("226 Done")
        return sending.cut_after is None

    def _pass(self, path: str) -> None:
        """The next RETR of ``path`` gets the next sending."""
        if len(self._sendings.get(path, ())) > 1:
            self._sendings[path].pop(0)

    async def _send(self, sending: Sending, record: Retrieval, data: asyncio.StreamWriter) -> None:
        body = sending.body[record.offset :]
        stops = [stop for stop in (sending.cut_after, sending.stall_after) if stop is not None]
        end = min([len(body), *stops])
        while record.sent < end:
            piece = body[record.sent : min(end, record.sent + _PIECE)]
            data.write(piece)
            await data.drain()
            record.sent += len(piece)
        self.news.tell()
        if sending.stall_after is not None:
            await asyncio.Event().wait()
