"""Whether SQLite's write-ahead log still holds all that was committed. Rules: no I/O.

SQLite reads the log up to the first frame whose checksum is wrong, and passes over the rest without a word. After a
power cut that is right: nothing had relied on what comes there. But each commit is fsynced before the next is written.
So a frame that is continued behind a commit was on the disk with all before it, and where one before it is not whole
any more, the log was damaged. What lies behind the last commit that was continued may be torn: of damage to it nothing
can be known.

The format is SQLite's (https://www.sqlite.org/fileformat2.html#walformat): a header and frames, each a head and a page;
every checksum goes on from the one before it, and every frame repeats the header's salt.
"""

import struct
from collections.abc import Iterable
from typing import Final

HEADER: Final = 32  # bytes
_FRAME_HEAD: Final = 24
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}  # the byte order of what the checksums add up
_WORD: Final = 0xFFFFFFFF
Checksum = tuple[int, int]


def frame_size(header: bytes) -> int | None:
    """Bytes of each frame of the log that begins with ``header``; None where that is not whole."""
    magic, _version, page_size, *_ = struct.unpack(">8I", header)
    order = _MAGIC.get(magic)
    if order is None or _sum(order, header[:24], (0, 0)) != struct.unpack(">2I", header[24:]):
        return None
    return int(page_size) + _FRAME_HEAD


def is_damaged(header: bytes, frames: Iterable[bytes]) -> bool:
    """Whether a commit that was continued is not whole; ``header`` is whole, ``frames`` are those behind it."""
    order, salt = _MAGIC[int.from_bytes(header[:4])], header[16:24]
    seed: Checksum = struct.unpack(">2I", header[24:])
    whole, committed = True, False
    for frame in frames:
        size, ours = int.from_bytes(frame[4:8]), frame[8:16] == salt
        told: Checksum = struct.unpack(">2I", frame[16:24])
        if whole or committed:
            continues = ours and told == _sum(order, frame[_FRAME_HEAD:], _sum(order, frame[:8], seed))
            if continues and not whole:
                return True
            whole = whole and continues
        committed, seed = ours and size > 0, told
    return False


def _sum(order: str, data: bytes, seed: Checksum) -> Checksum:
    first, second = seed
    for one, other in struct.iter_unpack(f"{order}2I", data):
        first = (first + one + second) & _WORD
        second = (second + other + first) & _WORD
    return first, second
