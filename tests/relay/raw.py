"""Frames as bytes, right ones and wrong ones."""

from typing import Final

from websockets.utils import apply_mask

_KEY: Final = b"\x5a\xa5\x0f\xf0"


def frame(
    opcode: int, payload: bytes = b"", *, masked: bool = True, fin: bool = True, rsv: int = 0, wide: int = 0
) -> bytes:
    """A frame's bytes; ``wide`` 2 or 8: in a longer form of its length than it needs; ``rsv`` 4: compressed."""
    wide = wide or (0 if len(payload) < 126 else 2 if len(payload) < 2**16 else 8)
    length = {0: len(payload), 2: 126, 8: 127}[wide] | (0x80 if masked else 0)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, length]) + (
        len(payload).to_bytes(wide, "big") if wide else b""
    )
    return head + _KEY + apply_mask(payload, _KEY) if masked else head + payload
