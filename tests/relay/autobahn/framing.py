"""Sections 1 to 5 and 10: framing, pings and pongs, reserved bits, opcodes, fragmentation. RFC 6455 §5."""

from collections.abc import Iterator
from itertools import product

from tests.relay.autobahn.case import (
    BINARY,
    CHOPS,
    CONT,
    PING,
    PONG,
    TEXT,
    Case,
    Step,
    Wait,
    at_once,
    chopped,
    ends,
    fragments,
    octets,
    well,
)
from tests.relay.raw import frame

HELLO = b"Hello, world!"
HEARD = (TEXT, HELLO)
SAID = frame(TEXT, HELLO)
ASKED = frame(PING)


def framing() -> Iterator[Case]:
    """1: each form of the length, each side of its bounds; in one piece and in pieces of 997 bytes."""
    for opcode, size in product((TEXT, BINARY), (0, 125, 126, 127, 128, 65_535, 65_536)):
        payload = (b"*" if opcode is TEXT else b"\xfe") * size
        yield well(f"1 {opcode.name} {size}", [frame(opcode, payload)], (opcode, payload))
        if size > 997:
            pieces = chopped([frame(opcode, payload)], 997)
            yield well(f"1 {opcode.name} {size} in pieces", pieces, (opcode, payload))
    for wide in (2, 8):  # RFC 6455 §5.2 asks for the shortest form; neither side insists
        yield well(f"1 length in {wide} bytes", [frame(TEXT, HELLO, wide=wide)], HEARD)
    yield ends("1 not masked", [frame(TEXT, HELLO, masked=False)], 1002)


def pings() -> Iterator[Case]:
    """2: a ping is answered with what it says, a pong is not."""
    for name, payload in {
        "empty": b"",
        "text": HELLO,
        "no UTF-8": b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
        "125": b"\xfe" * 125,
    }.items():
        yield well(f"2 ping {name}", [frame(PING, payload)], pongs=[payload])
        yield well(f"2 ping {name} by octets", octets([frame(PING, payload)]), pongs=[payload])
        yield well(f"2 pong {name}", [frame(PONG, payload)])
    yield ends("2 ping of 126 bytes", [frame(PING, b"\xfe" * 126)], 1002)
    yield ends("2 pong of 126 bytes", [frame(PONG, b"\xfe" * 126)], 1002)
    yield well("2 a pong, then a ping", [frame(PONG, b"unasked"), frame(PING, b"asked")], pongs=[b"asked"])
    said = [b"payload-%d" % number for number in range(10)]
    for name, chop in CHOPS.items():
        yield well(f"2 ten pings {name}", chop([frame(PING, one) for one in said]), pongs=said)


def reserved_bits() -> Iterator[Case]:
    """3: none is agreed on, so none may be set."""
    for opcode, rsv in product((TEXT, BINARY, PING, PONG, 8), range(1, 8)):
        yield ends(f"3 opcode {int(opcode)}, bits {rsv:03b}", [frame(opcode, b"\x03\xe8", rsv=rsv)], 1002)
    wrong = [frame(TEXT, HELLO, rsv=2), ASKED]
    yield ends("3 behind an echo", [SAID, Wait(1), *wrong], 1002, HEARD)
    for name, chop in CHOPS.items():
        yield ends(f"3 behind a message {name}", chop([SAID, *wrong]), 1002, HEARD, hasty=True)
    yield ends("3 in a continuation", [frame(TEXT, b"a", fin=False), frame(CONT, b"b", rsv=4)], 1002)


def opcodes() -> Iterator[Case]:
    """4: 3 to 7 and 11 to 15 mean nothing."""
    for opcode in (*range(3, 8), *range(11, 16)):
        yield ends(f"4 opcode {opcode}", [frame(opcode)], 1002)
        wrong = [frame(opcode, HELLO), ASKED]
        yield ends(f"4 opcode {opcode} behind an echo", [SAID, Wait(1), *wrong], 1002, HEARD)
        yield ends(f"4 opcode {opcode} behind a message", at_once([SAID, *wrong]), 1002, HEARD, hasty=True)
        yield ends(f"4 opcode {opcode} by octets", octets([SAID, *wrong]), 1002, HEARD, hasty=True)


def fragmentation() -> Iterator[Case]:
    """5: control frames may come between fragments and have none; what is begun is ended before the next."""
    for opcode in (PING, PONG):
        parts = [frame(opcode, b"a", fin=False), frame(CONT, b"b")]
        yield ends(f"5 {opcode.name} in fragments", parts, 1002)
    first, last = frame(TEXT, b"fragment1", fin=False), frame(CONT, b"fragment2")
    whole = (TEXT, b"fragment1fragment2")
    for name, chop in CHOPS.items():
        yield well(f"5 two fragments {name}", chop([first, last]), whole)
        yield well(f"5 a ping between {name}", chop([first, frame(PING, b"ping"), last]), whole, pongs=[b"ping"])
        yield well(f"5 a pong between {name}", chop([first, frame(PONG, b"pong"), last]), whole)
        for fin in (True, False):
            stray = frame(CONT, b"stray", fin=fin)
            yield ends(f"5 nothing to go on with, fin {fin}, {name}", chop([stray, SAID]), 1002)
            between = chop([first, last, stray, SAID])
            yield ends(f"5 nothing more to go on with, fin {fin}, {name}", between, 1002, whole, hasty=True)
    yield ends("5 nothing more, behind an echo", [first, last, Wait(1), frame(CONT, b"x"), SAID], 1002, whole)
    yield ends("5 twice nothing to go on with", [frame(CONT, b"a", fin=False), SAID] * 2, 1002)
    for fin in (True, False):
        yield ends(f"5 begun anew, fin {fin}", [first, frame(TEXT, b"fragment2", fin=fin)], 1002)
    yield ends("5 a binary begun within", [first, frame(BINARY, b"b"), last], 1002)
    parts = [frame(TEXT, b"fragment1", fin=False), *(frame(CONT, b"fragment%d" % n, fin=n == 5) for n in range(2, 6))]
    steps: list[Step] = [
        *parts[:2],
        frame(PING, b"ping1"),
        Wait(pongs=1),
        *parts[2:4],
        frame(PING, b"ping2"),
        Wait(pongs=2),
        parts[4],
    ]
    said = (TEXT, b"fragment1fragment2fragment3fragment4fragment5")
    yield well("5 five fragments and two pings", steps, said, pongs=[b"ping1", b"ping2"])
    by_octets: list[Step] = [
        piece for step in steps for piece in (octets([step]) if isinstance(step, bytes) else [step])
    ]
    yield well("5 five fragments and two pings by octets", by_octets, said, pongs=[b"ping1", b"ping2"])
    yield well(
        "5 empty fragments",
        [*fragments(BINARY, b"", 1), frame(BINARY, fin=False), frame(CONT)],
        (BINARY, b""),
        (BINARY, b""),
    )
    yield well("10 64 KiB in fragments of 1300", fragments(TEXT, b"*" * 65_536, 1300), (TEXT, b"*" * 65_536))
    pieces = chopped(fragments(TEXT, b"*" * 65_536, 1300), 133)
    yield well("10 64 KiB in fragments, in pieces", pieces, (TEXT, b"*" * 65_536))


def cases() -> Iterator[Case]:
    """All of these."""
    for section in (framing, pings, reserved_bits, opcodes, fragmentation):
        yield from section()
