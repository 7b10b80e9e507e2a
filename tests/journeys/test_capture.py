"""One session twice, through the real daemon and past it: what either side gets is the same, byte for byte (6.1, 6.4).

Left out is what belongs to one connection alone. Ping and pong are point to point (5.2): each leg has its own. A close
frame is the answer of whoever is at the other end of that connection, under a mask of its own (RFC 6455 §5.3, 5.5.1),
so its payload is compared, the code and the reason (6.3). Of the heads: Host, Sec-WebSocket-Key and its -Accept.
"""

import asyncio
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from localctl.values import parse_address
from tests.actors.bytewise import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Recording,
    RecordingCsms,
    frame,
    opcode_of,
    payload_of,
    recorded_station,
)
from tests.actors.daemon import Daemon
from tests.actors.news import TIMEOUT

PATH: Final = "/ocpp/site%2F7//CS%201?token=a%2Fb&x="
MASK: Final = bytes.fromhex("37fa213d")
OFFER: Final = "permessage-deflate; client_max_window_bits; server_no_context_takeover, permessage-deflate"
AGREED: Final = "permessage-deflate; server_no_context_takeover"
HEAD: Final = (
    "GET {path} HTTP/1.1",
    "X-Model: wallbox",
    "upgrade: WebSocket",
    "HOST: {host}",
    "sec-websocket-version: 13",
    "authorization: Basic Q1MgMTpzZWNyZXQ=",
    "x-model: of two words",
    "SEC-WebSocket-KEY: dGhlIHNhbXBsZSBub25jZQ==",
    "Connection: upgrade",
    "Sec-websocket-Protocol: {protocol}",
    "User-Agent: odd/1",
)
ANSWER: Final = (
    "HTTP/1.1 101 Web Socket Protocol Handshake",
    "set-cookie: a=1",
    "sec-websocket-ACCEPT: {{accept}}",
    "Date: Thu, 01 Jan 2026 00:00:00 GMT",
    "UPGRADE: WebSocket",
    "server: odd",
    "connection: upgrade",
    "Set-Cookie: b=2",
    "SEC-websocket-protocol: {protocol}",
)
PINGED: Final = frame(PING, b"still there?", MASK)
LARGE: Final = b'[2,"3","DataTransfer",{"vendorId":"v","data":"' + b"0123456789" * 500 + b'"}]'


class Squeezer:
    """Packs messages as permessage-deflate does, each by those before it; ``on`` False: leaves them as they are."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self._packer = zlib.compressobj(wbits=-15)

    def __call__(self, message: bytes) -> bytes:
        if not self.on:
            return message
        return (self._packer.compress(message) + self._packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def said_by_station(*, deflate: bool) -> bytes:
    """Messages whole, large, in fragments with a ping between them, empty, binary, and no JSON."""
    pack = Squeezer(on=deflate)
    parts = pack(b'[2,"2","Heartbeat",{}]'), pack(LARGE), pack(b"\xff\x00")
    half = len(parts[1]) // 2
    return b"".join(
        [
            frame(TEXT, b' [2 , "1","BootNotification",{"\\u0061":null}] ', MASK),
            frame(TEXT, parts[0], b"\1\2\3\4", rsv1=deflate),
            frame(TEXT, parts[1][:half], MASK, fin=False, rsv1=deflate),
            PINGED,
            frame(CONTINUATION, b"", b"\0\0\0\0", fin=False),
            frame(CONTINUATION, parts[1][half:], b"\xff\xfe\xfd\xfc"),
            frame(BINARY, parts[2], MASK, rsv1=deflate),
            frame(TEXT, b"", MASK),
            frame(TEXT, "no JSON: é".encode(), MASK),
        ]
    )


def said_by_csms(*, deflate: bool) -> list[bytes]:
    """A reply to each of the six."""
    packed = [Squeezer(on=deflate)(each) for each in (b'[3,"2",{"currentTime":"now"}]', LARGE)]
    return [
        frame(TEXT, b'[3,"1",{"status":"Accepted"}]'),
        frame(TEXT, packed[0], rsv1=deflate),
        b"".join(
            [
                frame(TEXT, packed[1][:3], fin=False, rsv1=deflate),
                frame(PING, b"and you?"),
                frame(CONTINUATION, packed[1][3:]),
            ]
        ),
        frame(BINARY, b"\x00\xff"),
        frame(TEXT, b"") + frame(TEXT, b'[2,"c","Reset",{}]'),
        frame(TEXT, b"]["),
    ]


def heads(protocol: str, host: str, *, deflate: bool) -> tuple[bytes, str]:
    """The station's, and the CSMS's."""
    extensions = [f"sec-websocket-extensions: {OFFER}"] if deflate else []
    asked = [line.format(path=PATH, host=host, protocol=protocol) for line in (*HEAD, *extensions, "", "")]
    agreed = [f"Sec-websocket-Extensions: {AGREED}"] if deflate else []
    answered = [line.format(protocol=protocol) for line in (*ANSWER, *agreed, "", "")]
    return "\r\n".join(asked).encode(), "\r\n".join(answered)


def shown(recorded: Recording, but: str) -> tuple[bytes, bytes, list[bytes]]:
    """What is to be the same: the head ``but`` for values of these fields, data frames, close frames' payloads."""
    head = re.sub(rf"(?im)^({but}): .*$".encode(), rb"\1: ...", recorded.head)
    data = b"".join(each for each in recorded.frames if opcode_of(each) < CLOSE)
    return head, data, [payload_of(each) for each in recorded.frames if opcode_of(each) == CLOSE]


async def session(
    csms: RecordingCsms, address: tuple[str, int], protocol: str, *, deflate: bool, closes: bytes | None
) -> tuple[tuple[bytes, bytes, list[bytes]], ...]:
    """What the CSMS gets of a station that comes to that address, and the station of the CSMS."""
    head, _ = heads(protocol, f"{address[0]}:{address[1]}", deflate=deflate)
    at_station = await recorded_station(address, head, said_by_station(deflate=deflate), 7, closes, MASK)
    at_csms = await asyncio.wait_for(csms.recordings.get(), TIMEOUT)
    return shown(at_csms, "host|sec-websocket-key"), shown(at_station, "sec-websocket-accept")


def codes(closes: Iterable[bytes]) -> list[tuple[int, str]]:
    """Code and reason of close frames' payloads."""
    return [(int.from_bytes(payload[:2], "big"), payload[2:].decode()) for payload in closes]


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
@pytest.mark.parametrize("closer", ["station", "csms"])
@pytest.mark.parametrize("deflate", [True, False])
async def test_neither_side_can_tell(deflate: bool, closer: str, protocol: str, tmp_path: Path) -> None:  # noqa: FBT001  a parameter of the test
    """6.1, 6.3, 6.4: heads in their own words and order, frames with their masks and fragments, code and reason."""
    goodbye = (4001).to_bytes(2, "big") + "bis später".encode()
    by_station, by_csms = (goodbye, None) if closer == "station" else (None, goodbye)
    _, answer = heads(protocol, "", deflate=deflate)
    async with RecordingCsms(PATH, answer, said_by_csms(deflate=deflate), by_csms) as csms:
        keys = {"compression": False, "ping_interval_seconds": 0}
        url = f"ws://127.0.0.1:{csms.port}/ocpp"
        async with Daemon(tmp_path, url, {"csms": keys, "stations": {"ping_interval_seconds": 0}}) as daemon:
            place = parse_address((await daemon.listening())["stations.ws"])
            relayed = await session(csms, (place.host, place.port), protocol, deflate=deflate, closes=by_station)
        direct = await session(csms, ("127.0.0.1", csms.port), protocol, deflate=deflate, closes=by_station)
    assert relayed == direct
    assert direct[0][1] == said_by_station(deflate=deflate).replace(PINGED, b"")
    assert [codes(closes) for _, _, closes in direct] == [[(4001, "bis später")]] * 2
