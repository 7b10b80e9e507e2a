"""WebSocket frames in a stream of bytes: where each ends, and whether it may be passed on. Rules: no I/O, no clock.

Data frames stay the bytes that they came as. A station's frames are masked by a client and go on as a client's, so the
mask stays valid (RFC 6455 §5.3) and nothing is unmasked. What protects us is looked at before anything is kept:
masking, reserved bits, opcodes, fragmentation, the size of control frames, and the length that a header announces.
Whether text is UTF-8 is the far end's to say; its close code reaches the sender all the same. The verdicts are those of
`websockets`' own parser.
"""

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final, Protocol

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

from localctl.relay.kinds import FIRST, LAST, kind_of
from localctl.traffic import AT, BYTES, OTHER, Tally

# The first two bytes of a frame (RFC 6455 §5.2).
_FIN: Final = 0x80
_RSV1: Final = 0x40
_RSV23: Final = 0x30
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_CONTROL: Final = 0x08  # opcodes from here on
_TWO_BYTES: Final = 126  # lengths that say how long the length is
_EIGHT_BYTES: Final = 127
_LARGEST_CONTROL: Final = 125
_KEY: Final = 4  # bytes of a mask

_WHOLE_TEXT: Final = _FIN | Opcode.TEXT
_OPCODES: Final = frozenset(Opcode)
_PEEK: Final = 32  # bytes of a message that tell its kind

# How the quick look reads a frame: its two first bytes, its length where that is a long one, and in one number the
# mask, where there is one, and the payload's first four bytes; then by how many bits to shift the mask onto them.
_MASKED_HEADS: Final = (Struct("!HQ"), Struct("!HHQ"), 32)
_PLAIN_HEADS: Final = (Struct("!HI"), Struct("!HHI"), 64)
_THREE: Final = 0xFFFFFF00  # of those four bytes
_KINDS: Final = {
    int.from_bytes(b"[%c,\0" % digit, "big"): digit - FIRST for digit in range(FIRST, LAST + 1)
}  # by the three, as nearly every message begins

Passed = Callable[[bytes, tuple[int, ...], int], None]
Control = Callable[[int, bytes], None]


class Link(Protocol):
    """Who is sent to: ``queued`` is what goes when the turn ends."""

    queued: bytes


class Turn(Protocol):
    """One of the loop: ``at`` is when it began, Unix seconds, ``queue`` who is to be sent what is queued."""

    at: float
    queue: list[Any]  # of links, and nothing else


class Fault(Exception):
    """What came is none of the WebSocket's: ``code`` is the close code for who sent it."""

    def __init__(self, code: CloseCode, why: str) -> None:
        super().__init__(why)
        self.code = code


class Walker:
    """Walks along one direction's bytes, in pieces of any size.

    ``passed`` gets whole data frames, one or more, with the kinds of the messages that end in them and the bytes of
    their payloads; ``control`` the opcode and payload of each control frame. After a close frame nothing is looked at.
    ``masked``: the peer is a client. ``deflate``: permessage-deflate is agreed on. ``limit``: bytes of a message.
    """

    __slots__ = (
        "_control",
        "_deflate",
        "_held",
        "_kind",
        "_kinds",
        "_needed",
        "_over",
        "_passed",
        "_size",
        "_so_far",
        "between",
        "limit",
        "masked",
    )

    def __init__(self, passed: Passed, control: Control, limit: int, *, masked: bool, deflate: bool = False) -> None:
        self._passed = passed
        self._control = control
        self.limit = limit
        self.masked = masked
        self._deflate = deflate
        self._held: bytearray | None = None  # the beginning of a frame
        self._needed = 0  # bytes of it, before it is worth looking at again
        self._so_far: int | None = None  # bytes of the fragments of a message whose end has not come
        self._kind = OTHER
        self._kinds: list[int] = []  # of the frames to be passed next
        self._size = 0
        self._over = False
        self.between = True  # the next byte begins a message, and may be looked at quickly

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises Fault, once the whole frames before it have been passed; no more is looked at then."""
        if self._over or not data:
            return
        if self._held is not None:
            self._held += data
            if len(self._held) < self._needed:
                return
            data, self._held = bytes(self._held), None
        try:
            self._walk(data)
        except Fault:
            self._over = True
            raise

    def _walk(self, data: bytes) -> None:
        begin = at = 0  # of the frames to be passed next, and where we are
        self.between = False
        try:
            while not self._over and (head := self._head(data, at)):
                opcode, start, end = head
                if opcode & _CONTROL:
                    run, begin = data[begin:at], end  # should passing it fail, it is not passed again
                    self._pass(run)
                    self._obey(opcode, _unmasked(data, start, end) if self.masked else data[start:end])
                else:
                    self._follow(data, at, start, end)
                at = end
        finally:
            self._pass(data[begin:at])
        if at < len(data) and not self._over:
            self._held = bytearray(data[at:])
        self.between = self._held is None and self._so_far is None and not self._over

    def _head(self, data: bytes, at: int) -> tuple[int, int, int] | None:
        """The opcode, where the payload begins and where it ends; None while the frame is not whole."""
        self._needed = 2
        if len(data) - at < self._needed:
            return None
        first, second = data[at], data[at + 1]
        length = second & _LENGTH
        wide = {_TWO_BYTES: 2, _EIGHT_BYTES: 8}.get(length, 0)
        opcode = first & _OPCODE
        if opcode not in _OPCODES:
            raise Fault(CloseCode.PROTOCOL_ERROR, f"opcode {opcode}")
        if bool(second & _MASKED) != self.masked:
            raise Fault(CloseCode.PROTOCOL_ERROR, "a frame that is not masked" if self.masked else "a masked frame")
        self._needed += wide
        if len(data) - at < self._needed:
            return None
        if wide:
            length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
        if length > self.limit - (self._so_far or 0):
            raise Fault(CloseCode.MESSAGE_TOO_BIG, f"a message of more than {self.limit} bytes")
        self._check(first, opcode, length)
        start = at + self._needed + (_KEY if self.masked else 0)
        self._needed = start + length - at
        return (opcode, start, start + length) if start + length <= len(data) else None

    def _check(self, first: int, opcode: int, length: int) -> None:
        """RFC 6455 §5.2, 5.4, 5.5; RFC 7692 §6: the bit of a compressed message stands in its first frame."""
        compressible = self._deflate and opcode in (Opcode.TEXT, Opcode.BINARY)
        if first & _RSV23 or (first & _RSV1 and not compressible):
            raise Fault(CloseCode.PROTOCOL_ERROR, "a reserved bit is set")
        if opcode & _CONTROL:
            if length > _LARGEST_CONTROL or not first & _FIN:
                raise Fault(CloseCode.PROTOCOL_ERROR, "a control frame that is long or fragmented")
        elif (opcode == Opcode.CONT) != (self._so_far is not None):
            raise Fault(CloseCode.PROTOCOL_ERROR, "a fragment out of order")

    def _obey(self, opcode: int, payload: bytes) -> None:
        if opcode == Opcode.CLOSE:
            try:
                Close.parse(payload)
            except ProtocolError as fault:
                raise Fault(CloseCode.PROTOCOL_ERROR, str(fault)) from None
            except UnicodeDecodeError:
                raise Fault(CloseCode.INVALID_DATA, "a close reason that is no UTF-8") from None
            if self._so_far is not None:
                raise Fault(CloseCode.PROTOCOL_ERROR, "closed in the middle of a message")
            self._over = True
        self._control(opcode, payload)

    def _follow(self, data: bytes, at: int, start: int, end: int) -> None:
        """A data frame, which is to be passed on."""
        if self._so_far is None:
            self._kind = OTHER if data[at] & _RSV1 else self.kind_at(data, start, end)
        self._size += end - start
        if data[at] & _FIN:
            self._so_far = None
            self._kinds.append(self._kind)
        else:
            self._so_far = (self._so_far or 0) + end - start

    def _pass(self, run: bytes) -> None:
        if run:
            kinds, size = tuple(self._kinds), self._size
            self._kinds, self._size = [], 0
            self._passed(run, kinds, size)

    def kind_at(self, data: bytes, start: int, end: int) -> int:
        """The kind of the message whose payload is there."""
        end = min(end, start + _PEEK)
        return kind_of(_unmasked(data, start, end) if self.masked else data[start:end])


def receiver(
    walker: Walker, sink: Link, feed: Callable[[bytes], None], tally: Tally, turn: Turn
) -> Callable[[bytes], None]:
    """What takes one direction's bytes as they come, and has nearly all of them sent on with one look.

    What is one whole text message of no great size is queued for ``sink``, to be sent when this ``turn`` ends, and
    counted into ``tally``; all else goes to ``feed``, which is to feed the ``walker``. This is the relay's hot path:
    one function without detours, which looks at a frame's header, mask and first four bytes in one step.
    """
    limit, kinds, kind_at, queue = walker.limit, _KINDS.get, walker.kind_at, turn.queue.append
    short, long, fold = _MASKED_HEADS if walker.masked else _PLAIN_HEADS
    read_short, read_long = short.unpack_from, long.unpack_from
    key = _KEY if walker.masked else 0
    before_short, before_long = 2 + key, 4 + key  # bytes before the payload
    least, least_long = short.size, before_short + _TWO_BYTES
    is_short = _WHOLE_TEXT << 8 | (_MASKED if walker.masked else 0)  # what such a frame begins with, and its length
    is_long = is_short + _TWO_BYTES

    def receive(data: bytes) -> None:
        size = len(data)
        if size >= least_long:
            begin, length, head = read_long(data)
            whole = begin == is_long and length + before_long == size
        elif size >= least:
            begin, head = read_short(data)
            length = size - before_short
            whole = begin == is_short + length
        else:
            whole = False
        if whole and walker.between and length <= limit:
            kind = kinds((head >> fold ^ head) & _THREE)
            if kind is None:
                kind = kind_at(data, size - length, size)
            if sink.queued:
                sink.queued += data
            else:
                sink.queued = data
                queue(sink)
            tally[kind] += 1
            tally[BYTES] += length
            tally[AT] = turn.at
        else:
            feed(data)

    return receive


def _unmasked(data: bytes, start: int, end: int) -> bytes:
    """The payload there, without the mask that stands before it (RFC 6455 §5.3)."""
    size = end - start
    key = (data[start - _KEY : start] * (size // _KEY + 1))[:size]
    return (int.from_bytes(data[start:end], "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def split(run: bytes, *, masked: bool) -> Iterator[Frame]:
    """The frames of a run that a Walker has passed, unmasked."""
    at = 0
    while at < len(run):
        first, length = run[at], run[at + 1] & _LENGTH
        wide = {_TWO_BYTES: 2, _EIGHT_BYTES: 8}.get(length, 0)
        if wide:
            length = int.from_bytes(run[at + 2 : at + 2 + wide], "big")
        start = at + 2 + wide + (_KEY if masked else 0)
        at = start + length
        payload = _unmasked(run, start, at) if masked else run[start:at]
        yield Frame(Opcode(first & _OPCODE), payload, bool(first & _FIN), bool(first & _RSV1))
