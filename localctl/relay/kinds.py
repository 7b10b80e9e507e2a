"""What kind of message passes, seen from its first bytes. Rules: bytes in, a number out.

A relay looks and never parses: it must pass on what is no JSON, what has an unknown action and what comes with a
later OCPP (Part 4 §6.4). The kind is for the metrics only and decides nothing.
"""

import re
from typing import Final

from localctl.traffic import OTHER

FIRST: Final = ord("2")  # the digits of OCPP-J 4.1.3, and 5 and 6 of OCPP 2.1, in the order of MESSAGE_TYPES
LAST: Final = ord("6")
_START: Final = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*([2-6])[ \t\r\n]*,")


def kind_of(payload: bytes) -> int:
    """The kind of an OCPP-J message, an index of MESSAGE_TYPES; OTHER where it is none."""
    match = _START.match(payload)
    return OTHER if match is None else match[1][0] - FIRST
