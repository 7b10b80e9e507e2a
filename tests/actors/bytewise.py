"""Both ends of a session as bytes: a CSMS and a station that say what they were given, and keep what they get.

Neither knows more of WebSockets than where a frame ends (RFC 6455 §5.2). Pings are answered, as each side must.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from tests.actors.news import TIMEOUT

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION: Final = 0
HEAD_END: Final = b"\r\n\r\n"
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes, mask: bytes = b"", *, fin: bool = True, rsv1: bool = False) -> bytes:
    """One frame; a client's has a ``mask`` of four bytes."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    first = bytes([(fin << 7) | (rsv1 << 6) | opcode, length[0] | (0x80 if mask else 0)])
    return first + length[1:] + mask + (masked(payload, mask) if mask else payload)


def masked(payload: bytes, mask: bytes) -> bytes:
    """The payload under a mask, or freed from it."""
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def opcode_of(data: bytes) -> int:
    """What kind of frame it is."""
    return data[0] & 0x0F


def payload_of(data: bytes) -> bytes:
    """What a small frame (a control frame, say) carries, unmasked."""
    return masked(data[6:], data[2:6]) if data[1] & 0x80 else data[2:]


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Each frame that comes, until the connection ends."""
    while first := await reader.read(1):
        start = first + await reader.readexactly(1)
        size = start[1] & 0x7F
        if wide := {126: 2, 127: 8}.get(size, 0):
            start += await reader.readexactly(wide)
            size = int.from_bytes(start[2:], "big")
        yield start + await reader.readexactly(size + (4 if start[1] & 0x80 else 0))


@dataclass
class Recording:
    """What one end got: the head of the opening handshake, and all frames after it."""

    head: bytes = b""
    frames: list[bytes] = field(default_factory=list)


class RecordingCsms:
    """A CSMS on 127.0.0.1 for the stations of a session, who come one after the other.

    ``head`` is its 101, with ``{accept}`` where that belongs. After the first whole message it says ``replies[0]``, and
    so on. ``closes`` is the payload of the close frame that it sends after the last; None: the station closes.
    Each of ``recordings`` is one station's; whoever asks for another path than ``path`` gets 404.
    """

    def __init__(self, path: str, head: str, replies: Sequence[bytes], closes: bytes | None = None) -> None:
        self.recordings: asyncio.Queue[Recording] = asyncio.Queue()
        self._path = path
        self._head = head
        self._replies = replies
        self._closes = closes
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._attend, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(HEAD_END)
            if head.startswith(f"GET {self._path} ".encode()):
                await self._record(Recording(head), reader, writer)
            else:
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):  # the test ends, or fails for want of the recording
            pass
        finally:
            writer.close()

    async def _record(self, kept: Recording, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head.replace("{accept}", accept(kept.head)).encode())
        replies = iter(self._replies)
        left = len(self._replies)
        async for got in frames(reader):
            kept.frames.append(got)
            if opcode_of(got) == PING:
                writer.write(frame(PONG, payload_of(got)))
            elif opcode_of(got) == CLOSE:
                if self._closes is None:
                    writer.write(frame(CLOSE, payload_of(got)))
                break
            elif opcode_of(got) != PONG and got[0] & 0x80:
                writer.write(next(replies))
                left -= 1
                if not left and self._closes is not None:
                    writer.write(frame(CLOSE, self._closes))
        self.recordings.put_nowait(kept)


def accept(head: bytes) -> str:
    """The answer to a handshake's key (RFC 6455 §4.2.2)."""
    found = re.search(rb"(?im)^sec-websocket-key: *(\S+)", head)
    assert found, head
    return base64.b64encode(hashlib.sha1(found[1] + _GUID.encode(), usedforsecurity=False).digest()).decode()


async def recorded_station(
    address: tuple[str, int], head: bytes, sends: bytes, replies: int, closes: bytes | None, mask: bytes
) -> Recording:
    """What a station gets that says ``head``, and after its answer ``sends`` at once.

    After so many ``replies`` it closes with that payload; None: the CSMS closes. All it says has the same ``mask``.
    """
    reader, writer = await asyncio.open_connection(*address)
    kept = Recording()
    try:
        async with asyncio.timeout(TIMEOUT):
            writer.write(head)
            kept.head = await reader.readuntil(HEAD_END)
            writer.write(sends)
            async for got in frames(reader):
                kept.frames.append(got)
                if opcode_of(got) == PING:
                    writer.write(frame(PONG, payload_of(got), mask))
                elif opcode_of(got) == CLOSE and closes is None:
                    writer.write(frame(CLOSE, payload_of(got), mask))
                elif opcode_of(got) < CLOSE and got[0] & 0x80:
                    replies -= 1
                    if not replies and closes is not None:
                        writer.write(frame(CLOSE, closes, mask))
    finally:
        writer.close()
    return kept
