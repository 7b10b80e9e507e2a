"""What a case is: what a raw client sends, and what is to come of it.

``echoes`` are the messages that an echo sends back, ``pongs`` the payloads of its pongs. Their order among each other
is left open: a relay answers pings itself (OCPP-J 5.2), so a pong may come before the echo of what was said before it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from websockets.frames import Opcode

from tests.relay.raw import frame

TEXT: Final = Opcode.TEXT
BINARY: Final = Opcode.BINARY
CLOSE: Final = Opcode.CLOSE
PING: Final = Opcode.PING
PONG: Final = Opcode.PONG
CONT: Final = Opcode.CONT
NORMAL: Final = 1000
NO_CODE: Final = 1005  # of a close frame without one

Message = tuple[Opcode, bytes]


@dataclass(frozen=True)
class Wait:
    """Until so many messages and pongs have come."""

    messages: int = 0
    pongs: int = 0


Step = bytes | Wait


@dataclass(frozen=True)
class Case:
    """``code`` is that of the close frame that comes back. Where it is the answer to ours, which ends each case that
    does not end by itself, ``bye`` is set.

    ``hasty``: the end is said in the same breath as a message, whose echo it may overtake. Then fewer echoes do.
    """

    name: str
    steps: tuple[Step, ...]
    echoes: tuple[Message, ...] = ()
    pongs: tuple[bytes, ...] = ()
    code: int = NORMAL
    bye: bool = True
    hasty: bool = False


def well(name: str, steps: Iterable[Step], *echoes: Message, pongs: Iterable[bytes] = ()) -> Case:
    """All is answered, and we say goodbye."""
    return Case(name, tuple(steps), echoes, tuple(pongs))


def ends(
    name: str, steps: Iterable[Step], code: int, *echoes: Message, pongs: Iterable[bytes] = (), hasty: bool = False
) -> Case:
    """What is sent ends the connection, with that code."""
    return Case(name, tuple(steps), echoes, tuple(pongs), code, bye=False, hasty=hasty)


def close(code: int | None = NORMAL, reason: bytes = b"") -> bytes:
    """A close frame, right or wrong; None: an empty one."""
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


def fragments(opcode: int, payload: bytes, size: int, *, rsv: int = 0) -> list[bytes]:
    """The frames of a message in fragments of that size, the last of which may be shorter."""
    cut = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    return [
        frame(CONT if at else opcode, part, fin=at == len(cut) - 1, rsv=0 if at else rsv) for at, part in enumerate(cut)
    ]


def chopped(frames: Iterable[bytes], size: int) -> Iterator[bytes]:
    """All of that in pieces of that size."""
    stream = b"".join(frames)
    return (stream[at : at + size] for at in range(0, len(stream), size))


def at_once(frames: Iterable[bytes]) -> list[bytes]:
    """In one piece."""
    return [b"".join(frames)]


def octets(frames: Iterable[bytes]) -> list[bytes]:
    """Byte by byte."""
    return list(chopped(frames, 1))


CHOPS: Final[dict[str, Callable[[Iterable[bytes]], list[bytes]]]] = {
    "at once": at_once,
    "by frames": list,
    "by octets": octets,
}
