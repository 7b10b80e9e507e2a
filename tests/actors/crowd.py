"""Many stations at once, each a few bytes on a socket: they connect, boot, and come back by themselves."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from localctl.values import Address
from tests.actors.bytewise import CLOSE, HEAD_END, PING, PONG, TEXT, frame, frames, payload_of
from tests.actors.news import News

_MASK: Final = b"\1\2\3\4"
_BOOT: Final = (
    '[2,"{0}","BootNotification",{{"chargePointModel":"m","chargePointVendor":"v","chargePointSerialNumber":"{0}"}}]'
)


def handshake(path: str, *lines: str, subprotocol: str = "ocpp1.6") -> bytes:
    """A station's opening handshake."""
    usual = (
        f"GET {path} HTTP/1.1",
        "Host: controller.lan",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: {subprotocol}",
    )
    return "\r\n".join((*usual, *lines, "", "")).encode()


class Crowd:
    """``size`` stations of OCPP 1.6, ``CS-0`` and on, that are there for as long as its ``async with`` lasts.

    Each boots under a message id that is its identity. Who is refused or loses its connection comes back after
    ``pause`` seconds. ``here`` are those whose boot has been answered; ``closes`` counts the codes of the close frames
    that they got, ``refusals`` the HTTP statuses, ``broken`` the connections that ended without a word.
    """

    def __init__(self, address: Address, size: int, pause: float) -> None:
        self.identities = [f"CS-{number}" for number in range(size)]
        self.here: set[str] = set()
        self.closes: Counter[int] = Counter()
        self.refusals: Counter[int] = Counter()
        self.broken = 0
        self.news = News(lambda: f"{len(self.here)} are here, {self.closes}, {self.refusals}, broken {self.broken}")
        self._address = address
        self._pause = pause
        self._tasks = asyncio.TaskGroup()
        self._lives: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._lives = [self._tasks.create_task(self._live(each), name=f"station {each}") for each in self.identities]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for life in self._lives:
            life.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def complete(self, timeout: float) -> None:
        """Wait until all are here."""
        await self.news.until(lambda: len(self.here) == len(self.identities), "the whole crowd", timeout)

    async def gone(self) -> None:
        """Wait until none is here any more."""
        await self.news.until(lambda: not self.here, "the end of all connections")

    async def _live(self, identity: str) -> None:
        while True:
            try:
                await self._visit(identity)
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1
            self.here.discard(identity)
            self.news.tell()
            await asyncio.sleep(self._pause)

    async def _visit(self, identity: str) -> None:
        reader, writer = await asyncio.open_connection(self._address.host, self._address.port)
        try:
            writer.write(handshake(f"/ocpp/{identity}"))
            status = int((await reader.readuntil(HEAD_END)).split()[1])
            if status != 101:
                self.refusals[status] += 1
                return
            writer.write(frame(TEXT, _BOOT.format(identity).encode(), _MASK))
            async for got in frames(reader):
                if got[0] & 0x0F == CLOSE:
                    self.closes[int.from_bytes(payload_of(got)[:2], "big")] += 1
                    writer.write(frame(CLOSE, payload_of(got), _MASK))
                    return
                if got[0] & 0x0F == PING:
                    writer.write(frame(PONG, payload_of(got), _MASK))
                    continue
                assert json.loads(payload_of(got))[:2] == [3, identity]
                self.here.add(identity)
                self.news.tell()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
