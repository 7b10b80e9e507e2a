"""Section 7: how a WebSocket ends. RFC 6455 §5.5.1, §7."""

from collections.abc import Iterator

from tests.relay.autobahn.case import (
    CHOPS,
    CLOSE,
    CONT,
    NO_CODE,
    PING,
    TEXT,
    Case,
    Wait,
    at_once,
    close,
    ends,
)
from tests.relay.autobahn.framing import HEARD, HELLO, SAID
from tests.relay.raw import frame

RIGHT_CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
WRONG_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)


def cases() -> Iterator[Case]:
    """After a close frame nothing counts."""
    yield ends("7.1 a message, then a close", [SAID, Wait(1), close()], 1000, HEARD)
    yield ends("7.1 both at once", at_once([SAID, close()]), 1000, HEARD, hasty=True)
    for name, chop in CHOPS.items():
        yield ends(f"7.1 two closes {name}", chop([close(), close(1001)]), 1000)
        yield ends(f"7.1 a ping behind {name}", chop([close(), frame(PING, b"late")]), 1000)
        yield ends(f"7.1 a message behind {name}", chop([close(), SAID]), 1000)
        yield ends(f"7.1 rubbish behind {name}", chop([close(), b"\xff" * 50]), 1000)
        within = chop([frame(TEXT, HELLO, fin=False), close(), frame(CONT, HELLO)])
        yield ends(f"7.1 within a message {name}", within, 1002)
    large = (TEXT, b"*" * 2**18)
    yield ends("7.1 256 KiB, then a close and a ping", [frame(*large), Wait(1), close() + frame(PING)], 1000, large)
    yield ends(
        "7.1 256 KiB, a close and a ping at once",
        at_once([frame(*large), close(), frame(PING)]),
        1000,
        large,
        hasty=True,
    )
    yield ends("7.3 no code", [close(None)], NO_CODE)
    yield ends("7.3 half a code", [frame(CLOSE, b"\x03")], 1002)
    for size in (0, 1, 122, 123):
        yield ends(f"7.3 a reason of {size} bytes", [close(1000, b"*" * size)], 1000)
    yield ends("7.3 a reason of 124 bytes", [close(1000, b"*" * 124)], 1002)
    yield ends("7.5 a reason in Greek", [close(1000, "κόσμε".encode())], 1000)
    yield ends(
        "7.5 a reason that is no UTF-8",
        [close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80")],
        1007,
    )
    for code in RIGHT_CODES:
        yield ends(f"7.7 {code}", [close(code)], code)
        yield ends(f"7.7 {code} with a reason", [close(code, b"reason")], code)
    for code in WRONG_CODES:
        yield ends(f"7.9 {code}", [close(code)], 1002)
        yield ends(f"7.13 {code} with a reason", [close(code, b"reason")], 1002)
    yield ends("7 a close in fragments", [frame(CLOSE, b"\x03", fin=False), frame(CONT, b"\xe8")], 1002)
