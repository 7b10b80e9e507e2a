"""Section 6: text is UTF-8 (RFC 6455 §8.1), after Markus Kuhn's stress test for decoders.

A relay does not look; what the far end says of it reaches the sender: 1007.
"""

from collections.abc import Iterator
from typing import Final

from tests.relay.autobahn.case import CONT, TEXT, Case, ends, fragments, well
from tests.relay.autobahn.framing import HELLO
from tests.relay.raw import frame

GREEK: Final = "κόσμε".encode()
MIXED: Final = "Hello-µ@ßöäüàá-UTF-8!!".encode()
# U+FFFE and U+FFFF of a plane: no characters, and right all the same.
_NO_CHARACTERS: Final = [chr(plane << 16 | last).encode() for plane in (0, 1, 2, 15, 16) for last in (0xFFFE, 0xFFFF)]
_SPECIALS: Final = [chr(0xFFF9 + number).encode() for number in range(5)]

RIGHT: Final = {
    "6.2 text": [MIXED, GREEK, b"\xef\xbb\xbf[2]", "\U0001f50c".encode()],
    "6.7 the first of each length": [bytes.fromhex(one) for one in ("00", "c280", "e0a080", "f0908080")],
    "6.9 the last of each length": [bytes.fromhex(one) for one in ("7f", "dfbf", "efbfbf", "f48fbfbf")],
    "6.11 beside the bounds": [bytes.fromhex(one) for one in ("ed9fbf", "ee8080", "efbfbd", "f48fbfbf")],
    "6.22 no characters": _NO_CHARACTERS,
    "6.23 specials": _SPECIALS,
}
_INCOMPLETE: Final = "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf".split()
_LONELY: Final = [
    b"".join(bytes([start, 0x20]) for start in starts)
    for starts in (range(0xC0, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF8), range(0xF8, 0xFC), range(0xFC, 0xFE))
]
_SURROGATES: Final = "eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf".split()
_PAIRS: Final = [
    first + second for first in ("eda080", "edadbf", "edae80", "edafbf") for second in ("edb080", "edbfbf")
]
WRONG: Final = {
    "6.3 a surrogate in text": [GREEK + bytes.fromhex("eda080") + b"edited"],
    "6.8 the first of lengths that there are not": [bytes.fromhex(one) for one in ("f888808080", "fc8480808080")],
    "6.10 the last of them": [bytes.fromhex(one) for one in ("f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf")],
    "6.11 beyond the last": [bytes.fromhex("f4908080")],
    "6.12 continuations of nothing": [
        *(bytes.fromhex("80bf80bf80bf80")[:size] for size in range(1, 8)),
        b"\xbf",
        bytes(range(0x80, 0xC0)),
    ],
    "6.13 starts of nothing": _LONELY,
    "6.14 the last byte is missing": [bytes.fromhex(one) for one in _INCOMPLETE],
    "6.15 all of these": [bytes.fromhex("".join(_INCOMPLETE))],
    "6.16 impossible bytes": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "6.17 a slash too long": [bytes.fromhex(one) for one in "c0af e080af f08080af f8808080af fc80808080af".split()],
    "6.18 the longest of these": [bytes.fromhex(one) for one in "c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf".split()],
    "6.19 a NUL too long": [bytes.fromhex(one) for one in "c080 e08080 f0808080 f880808080 fc8080808080".split()],
    "6.20 surrogates": [bytes.fromhex(one) for one in _SURROGATES],
    "6.21 pairs of them": [bytes.fromhex(one) for one in _PAIRS],
}


def cases() -> Iterator[Case]:
    """All of them whole; some in fragments, which may cut a character."""
    yield well("6.1 empty", [frame(TEXT)], (TEXT, b""))
    yield well("6.1 empty fragments", [frame(TEXT, fin=False), frame(CONT, fin=False), frame(CONT)], (TEXT, b""))
    middle = [frame(TEXT, fin=False), frame(CONT, HELLO, fin=False), frame(CONT)]
    yield well("6.1 between empty fragments", middle, (TEXT, HELLO))
    for size in (1, 2, 5, len(MIXED) - 1):
        yield well(f"6.2 in fragments of {size}", fragments(TEXT, MIXED, size), (TEXT, MIXED))
    for cut in range(1, len(GREEK) + 1):
        try:
            GREEK[:cut].decode()
        except UnicodeDecodeError:
            yield ends(f"6.6 cut behind {cut}", [frame(TEXT, GREEK[:cut])], 1007)
        else:
            yield well(f"6.6 cut behind {cut}", [frame(TEXT, GREEK[:cut])], (TEXT, GREEK[:cut]))
    for group, texts in RIGHT.items():
        for number, text in enumerate(texts, 1):
            yield well(f"{group} {number}", [frame(TEXT, text)], (TEXT, text))
    for group, texts in WRONG.items():
        for number, text in enumerate(texts, 1):
            yield ends(f"{group} {number}", [frame(TEXT, text)], 1007)
        yield ends(f"{group}, in fragments", fragments(TEXT, GREEK + texts[0], 1), 1007)
    early = [frame(TEXT, GREEK, fin=False), frame(CONT, b"\xf4\x90\x80\x80", fin=False), frame(CONT, HELLO)]
    yield ends("6.4 wrong in the middle", early, 1007)
    yield ends("6.4 wrong, and more behind it", [frame(TEXT, b"\xff"), frame(TEXT, HELLO)], 1007)
