"""Sections 12 and 13: permessage-deflate (RFC 7692), with any parameters, on each leg by itself (OCPP-J 3.3).

Frames are made by `websockets`' own codec, with the parameters that were agreed on.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Final

import pytest
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame
from websockets.headers import build_extension
from websockets.typing import ExtensionParameter

from tests.relay.autobahn.case import BINARY, CONT, PING, TEXT, Case, Message, at_once, ends, well
from tests.relay.autobahn.client import Client, connected
from tests.relay.autobahn.conftest import DIRECT, NUMBERS, WAYS, Ways
from tests.relay.autobahn.limits import LIMIT
from tests.relay.autobahn.test_cases import expected, stricter
from tests.relay.raw import frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

Bits = bool | int | None
RELAYS: Final = [way for way, (_, compresses) in WAYS.items() if compresses is not None]
PLAIN_ECHO: Final = [way for way, (compresses, _) in WAYS.items() if not compresses]


def offer(server: Bits = None, client: Bits = None, *, forgets: str = "") -> ClientPerMessageDeflateFactory:
    """One: the windows of both sides, in bits, and which of them forget it from message to message."""
    assert not isinstance(server, bool)
    return ClientPerMessageDeflateFactory("server" in forgets, "client" in forgets, server, client)


# 13.1 to 13.7 and the windows between; the last are several, of which the first that is understood counts.
OFFERS: Final[dict[str, list[ClientPerMessageDeflateFactory]]] = {
    "nothing said": [offer()],
    "any window": [offer(None, client=True)],
    **{f"{who} forgets": [offer(None, client=True, forgets=who)] for who in ("server", "client", "server and client")},
    **{f"windows of {bits}": [offer(bits, bits)] for bits in range(9, 16)},
    **{f"windows of {bits}, both forget": [offer(bits, bits, forgets="server and client")] for bits in (9, 12, 15)},
    "a large and a small window": [offer(15, 9)],
    "a small and a large window": [offer(9, 15)],
    "three offers": [offer(9, forgets="server"), offer(None, client=True, forgets="server"), offer()],
}


def field(factories: Iterable[ClientPerMessageDeflateFactory]) -> str:
    """The header that says so."""
    made = ", ".join(build_extension([(PerMessageDeflate.name, one.get_request_params())]) for one in factories)
    return f"Sec-WebSocket-Extensions: {made}"


def codec(
    factories: Iterable[ClientPerMessageDeflateFactory], agreed: Sequence[ExtensionParameter]
) -> PerMessageDeflate:
    """By the first offer that the answer fits."""
    for factory in factories:
        with suppress(NegotiationError):
            return factory.process_response_params(agreed, [])
    raise AssertionError(f"{agreed} answers nothing that was offered")


async def compressing(port: int, offers: str = "any window") -> Client:
    """A client that has agreed on compression."""
    client, agreed = await connected(port, f"/deflate-{next(NUMBERS)}", field(OFFERS[offers]))
    assert agreed is not None
    client.codec = codec(OFFERS[offers], agreed)
    return client


def packed(client: Client, message: Message, size: int = 0) -> Iterator[bytes]:
    """The frames of a message, compressed where the client does; in fragments of that size before it is."""
    opcode, payload = message
    parts = [payload[at : at + size] for at in range(0, len(payload), size)] if size and payload else [payload]
    for at, part in enumerate(parts):
        made = Frame(CONT if at else opcode, part, fin=at == len(parts) - 1)
        yield made.serialize(mask=True, extensions=[client.codec] if client.codec else None)


def conversation() -> list[tuple[Message, int]]:
    """Messages, and the size of their fragments; 0: whole. Alike, as a station's are; empty; such as cannot shrink."""
    chance = random.Random(1)
    said: list[tuple[Message, int]] = [((TEXT, b""), 0), ((BINARY, b"\x00\xff" * 9), 0)]
    for number, size in product(range(6), (0, 16, 64, 256, 1024, 4096)):
        text = json.dumps([2, str(number), "MeterValues", {"evseId": number, "meterValue": ["12.5 kW"] * (size // 10)}])
        said.append(((TEXT, text.encode()), 0 if number % 3 else 100))
    for size, fragments in ((8192, 0), (8192, 256), (32_768, 1024), (131_072, 32_768)):
        said += [
            ((TEXT, b'{"a": "%d"}' % size * (size // 16)), fragments),
            ((BINARY, chance.randbytes(size)), fragments),
        ]
    return said


CONVERSATION: Final = conversation()


async def converse(client: Client) -> None:
    """Everything is said, and comes back."""
    steps = [b"".join(packed(client, message, size)) for message, size in CONVERSATION]
    case = well("12", steps, *(message for message, _ in CONVERSATION))
    assert await client.run(case) == expected(case)


@pytest.mark.parametrize("way", RELAYS)
@pytest.mark.parametrize("offers", OFFERS)
async def test_a_station_that_compresses(ways: Ways, way: str, offers: str) -> None:
    """It gets what the CSMS answers where that compresses, and our own answer where it does not."""
    client, agreed = await connected(ways[way], f"/deflate-{next(NUMBERS)}", field(OFFERS[offers]))
    assert agreed is not None
    if way not in PLAIN_ECHO:
        direct, answered = await connected(ways[DIRECT], "/direct", field(OFFERS[offers]))
        assert agreed == answered
        direct.codec = codec(OFFERS[offers], answered)
        await converse(direct)
    client.codec = codec(OFFERS[offers], agreed)
    await converse(client)


@pytest.mark.parametrize("way", RELAYS)
async def test_a_station_that_does_not(ways: Ways, way: str) -> None:
    """It is answered plainly, however we speak with the CSMS."""
    client, agreed = await connected(ways[way], f"/deflate-{next(NUMBERS)}")
    assert agreed is None
    await converse(client)


async def test_the_echoes_differ(ways: Ways) -> None:
    """The one that is plain does not compress with who asks it directly: those who get it through a relay get ours."""
    client, agreed = await connected(ways["directly, plain"], "/plain", field([offer()]))
    assert agreed is None
    await converse(client)


# What is compressed, and wrong or odd. A byte that is a whole block, and not the last, is an empty message (§7.2.3.6).
EMPTY: Final = b"\x00"
HELLO: Final = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # §7.2.3.1
HELLO_STORED: Final = b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"  # §7.2.3.3
HELLO_LAST: Final = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"  # §7.2.3.4: a block with BFINAL
HELLO_TWICE: Final = b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"  # §7.2.3.5: two blocks
SAID: Final = (TEXT, b"Hello")
BOMB: Final = (TEXT, b"*" * (LIMIT + 1))


def odd() -> Iterator[Case]:
    """By hand."""
    for name, data in {"fixed": HELLO, "stored": HELLO_STORED, "the last": HELLO_LAST, "two": HELLO_TWICE}.items():
        yield well(f"7.2.3 a block: {name}", [frame(TEXT, data, rsv=4)], SAID)
        halves = [frame(TEXT, data[:3], fin=False, rsv=4), frame(CONT, data[3:])]
        yield well(f"7.2.3 a block in fragments: {name}", halves, SAID)
        between = [halves[0], frame(PING, b"?"), halves[1]]
        yield well(f"7.2.3 a ping within a block: {name}", at_once(between), SAID, pongs=[b"?"])
    yield well("7.2.3 empty", [frame(TEXT, EMPTY, rsv=4)], (TEXT, b""))
    yield well("6 not compressed", [frame(TEXT, b"Hello"), frame(TEXT, HELLO, rsv=4)], SAID, SAID)
    yield ends(
        "6.1 the bit in a continuation", [frame(TEXT, HELLO[:3], fin=False, rsv=4), frame(CONT, HELLO[3:], rsv=4)], 1002
    )
    yield ends("6.1 the bit in a ping", [frame(PING, HELLO, rsv=4)], 1002)
    yield ends("6.1 the bit in a close", [frame(8, b"\x03\xe8", rsv=4)], 1002)
    for rsv in (2, 1, 6, 7):
        yield ends(f"6 bits {rsv:03b}", [frame(TEXT, HELLO, rsv=rsv)], 1002)
    for data in (b"\xff\xff\xff\xff", b"\x06", b"\x00\x05\x00\x00\x00hello"):
        yield ends(f"6.2 broken: {data.hex()}", [frame(TEXT, data, rsv=4)], 1002)
        broken = [frame(TEXT, HELLO, rsv=4), frame(TEXT, data, rsv=4), frame(TEXT, HELLO, rsv=4)]
        yield ends(f"6.2 broken, behind a message: {data.hex()}", at_once(broken), 1002, SAID, hasty=True)
    yield ends("6.2 no UTF-8", [frame(TEXT, b"\x00\x01\x00\xfe\xff\xff\x00", rsv=4)], 1007)


ODD: Final = {case.name: case for case in odd()}


@pytest.mark.parametrize("name", ODD)
async def test_what_is_odd(ways: Ways, name: str) -> None:
    """The verdict is the CSMS's, or ours where we unpack for it: the same."""
    for way in (DIRECT, *RELAYS):
        client = await compressing(ways[way])
        case = ODD[name]
        assert stricter(await client.run(case), case) == expected(case), way


@pytest.mark.parametrize("way", [DIRECT, *RELAYS])
async def test_a_ping_behind_what_is_broken(ways: Ways, way: str) -> None:
    """Here the verdicts differ: where frames pass as they are, only the far end can find the fault, and a ping behind
    it is answered by us meanwhile (OCPP-J 5.2: point to point). The end is the same.
    """
    client = await compressing(ways[way])
    broken = frame(TEXT, b"\xff\xff\xff\xff", rsv=4)
    case = ends("6.2 broken, before a ping", at_once([broken, frame(PING, b"?")]), 1002)
    as_they_are = way != DIRECT and way not in PLAIN_ECHO
    assert await client.run(case) == replace(expected(case), pongs=[b"?"] if as_they_are else [])


@pytest.mark.parametrize("fragments", [0, 2**16])
@pytest.mark.parametrize("way", [DIRECT, *RELAYS])
async def test_a_message_beyond_the_limit(ways: Ways, way: str, fragments: int) -> None:
    """1009 for what unpacks to a byte too much, small as it is on its way (RFC 6455 §7.4.1)."""
    client = await compressing(ways[way])
    case = ends("a bomb", list(packed(client, BOMB, fragments)), 1009)
    assert await client.run(case) == expected(case)


@pytest.mark.parametrize("fragments", [0, 2**16])
@pytest.mark.parametrize("way", [DIRECT, *RELAYS])
async def test_a_message_of_just_the_limit(ways: Ways, way: str, fragments: int) -> None:
    """It passes, several times."""
    client = await compressing(ways[way])
    message = (TEXT, BOMB[1][1:])
    case = well("the limit", [part for _ in range(3) for part in packed(client, message, fragments)], *[message] * 3)
    assert await client.run(case) == expected(case)
