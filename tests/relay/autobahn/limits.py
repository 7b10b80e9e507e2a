"""Section 9: much, and too much; in sizes of ours, as a message may have a MiB."""

from collections.abc import Iterator
from itertools import product
from typing import Final

from tests.relay.autobahn.case import BINARY, CONT, TEXT, Case, at_once, chopped, ends, fragments, well
from tests.relay.raw import frame

LIMIT: Final = 2**20


def cases() -> Iterator[Case]:
    """Large messages, many fragments, small pieces, many messages, and those that are larger than the limit."""
    for opcode, size in product((TEXT, BINARY), (2**16, 2**18, LIMIT)):
        message = (opcode, b"*" * size)
        yield well(f"9.1 {opcode.name} of {size}", [frame(*message)], message)
    for opcode, size in product((TEXT, BINARY), (64, 256, 1024, 4096, 16_384, 65_536)):
        message = (opcode, b"*" * min(200 * size, LIMIT))
        yield well(f"9.3 {opcode.name} in fragments of {size}", fragments(*message, size), message)
    for opcode, size in product((TEXT, BINARY), (64, 128, 129, 133, 256, 512, 1024, 2048)):
        message = (opcode, b"*" * 2**16)
        yield well(f"9.5 {opcode.name} in pieces of {size}", chopped([frame(*message)], size), message)
    for opcode, size in product((TEXT, BINARY), (0, 16, 64, 256, 1024, 4096)):
        messages = [(opcode, b"%04d" % number + b"*" * (size - 4)) for number in range(50)]
        yield well(f"9.7 50 {opcode.name} of {size}", [frame(*one) for one in messages], *messages)
        yield well(f"9.7 50 {opcode.name} of {size} at once", at_once(frame(*one) for one in messages), *messages)
    over = b"*" * (LIMIT + 1)
    for opcode in (TEXT, BINARY):
        yield ends(f"9 {opcode.name} beyond the limit", [frame(opcode, over)], 1009)
        yield ends(f"9 {opcode.name} beyond the limit in fragments", fragments(opcode, over, 65_536), 1009)
    yield ends("9 a length beyond the limit, and no more", [frame(TEXT, over)[:14]], 1009)
    yield ends("9 a length of 2**64 - 1", [b"\x82\xff" + b"\xff" * 8 + bytes(4)], 1009)
    yield ends("9 the last byte is too much", [frame(TEXT, over[1:], fin=False), frame(CONT, b"*")], 1009)
