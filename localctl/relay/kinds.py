"""What kind of message passes, seen from its first bytes. Rules: bytes in, a label out.

A relay looks and never parses: it must pass on what is no JSON, what has an unknown action and what comes with a
later OCPP (Part 4 §6.4). The kind is for the metrics only and decides nothing.
"""

import re
from typing import Final

# OCPP-J 4.1.3, and 5 and 6 of OCPP 2.1.
_KINDS: Final = {b"2": "call", b"3": "callresult", b"4": "callerror", b"5": "callresulterror", b"6": "send"}
_USUAL: Final = {b"[" + digit + b",": kind for digit, kind in _KINDS.items()}
_SPACED: Final = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*([2-6])[ \t\r\n]*,")


def message_type(payload: bytes) -> str:
    """The kind of an OCPP-J message, a label of relay_messages_total; ``other`` where it is none."""
    usual = _USUAL.get(payload[:3])
    if usual is not None:
        return usual
    match = _SPACED.match(payload)
    return "other" if match is None else _KINDS[match[1]]
