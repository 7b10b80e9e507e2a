"""A raw client, and what it sees: whoever is in front of it is judged by that alone."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.headers import parse_extension
from websockets.typing import ExtensionParameter

from tests.relay.autobahn.case import NO_CODE, NORMAL, Case, Message, Wait, close
from tests.relay.conftest import PATIENCE, handshake
from tests.relay.raw import frame


@dataclass
class Verdict:
    """``code`` is that of the close frame that came, None where none did; ``ended``: so did the TCP connection."""

    messages: list[Message] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    code: int | None = None
    ended: bool = False


class Client:
    """A WebSocket of which every byte is sent by hand. ``codec`` reads what comes compressed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.codec: PerMessageDeflate | None = None
        self._verdict = Verdict()
        self._reader = reader
        self._writer = writer
        self._news = asyncio.Event()
        self._fragments: list[Frame] = []

    async def run(self, case: Case) -> Verdict:
        """Play the case to its end."""
        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
                group.create_task(self._listen(), name="listen")
                with suppress(ConnectionError):
                    await self._play(case)
        finally:
            self._writer.close()
        return self._verdict

    async def _play(self, case: Case) -> None:
        for step in case.steps:
            if isinstance(step, Wait):
                await self._until(step.messages, step.pongs)
            else:
                self._writer.write(step)
                await self._writer.drain()
                for _ in range(2):  # so that a piece arrives as a piece: the next is not sent before the loop has read
                    await asyncio.sleep(0)
        if case.bye:
            await self._until(len(case.echoes), len(case.pongs))
            self._writer.write(close(NORMAL))

    async def _until(self, messages: int, pongs: int) -> None:
        seen = self._verdict
        while seen.code is None and not seen.ended and (len(seen.messages) < messages or len(seen.pongs) < pongs):
            self._news.clear()
            await self._news.wait()

    async def _listen(self) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self._take(await self._frame())
                self._news.set()
        self._verdict.ended = True
        self._news.set()

    async def _frame(self) -> Frame:
        first, length = await self._reader.readexactly(2)
        wide = {126: 2, 127: 8}.get(length, 0)
        if wide:
            length = int.from_bytes(await self._reader.readexactly(wide), "big")
        payload = await self._reader.readexactly(length)
        came = Frame(Opcode(first & 0x0F), payload, bool(first & 0x80), *(bool(first & bit) for bit in (64, 32, 16)))
        return self.codec.decode(came) if self.codec else came

    def _take(self, came: Frame) -> None:
        came.check()
        assert self._verdict.code is None, "something came behind a close frame"
        match came.opcode:
            case Opcode.PONG:
                self._verdict.pongs.append(bytes(came.data))
            case Opcode.CLOSE:
                data = bytes(came.data)
                self._verdict.code = int.from_bytes(data[:2], "big") if data else NO_CODE
                self._writer.write(frame(Opcode.CLOSE, data[:2]))  # the answer; where it is one itself, nobody listens
            case Opcode.PING:
                raise AssertionError("nobody has been asked to ping")
            case _:
                self._fragments.append(came)
                if came.fin:
                    whole = b"".join(bytes(each.data) for each in self._fragments)
                    self._verdict.messages.append((self._fragments[0].opcode, whole))
                    self._fragments = []


async def connected(port: int, target: str, *headers: str) -> tuple[Client, list[ExtensionParameter] | None]:
    """A client whose handshake is over, and the parameters of permessage-deflate that were agreed on, if it was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(handshake(target, *headers))
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1")
    assert head.startswith("HTTP/1.1 101 "), head
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    agreed = fields.get("Sec-WebSocket-Extensions")
    if agreed is None:
        return Client(reader, writer), None
    ((name, parameters),) = parse_extension(agreed)
    assert name == PerMessageDeflate.name
    return Client(reader, writer), list(parameters)
