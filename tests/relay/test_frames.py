"""The walker against `websockets`' own parser: the same frames and the same verdicts, in pieces of any size.

`Opaque` stands for permessage-deflate that is agreed on: what is compressed passes unread.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.typing import ExtensionName
from websockets.uri import parse_uri

from localctl.relay.frames import Fault, Walker, receiver, split
from localctl.traffic import BYTES, MESSAGE_TYPES, Tally, blank
from tests.relay.raw import frame

LIMIT: Final = 1500
Seen = list[tuple[Opcode, bool, bool, bytes]]
Verdict = tuple[Seen, int | None]


class Opaque(Extension):
    """What is compressed stays so."""

    name = ExtensionName("permessage-deflate")

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:  # noqa: ARG002  not read, so of any size
        """The frame without the mark; ``seen`` keeps it."""
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            return Frame(frame.opcode, frame.data, frame.fin, False, frame.rsv2, frame.rsv3)
        return frame

    def encode(self, frame: Frame) -> Frame:
        """Never called."""
        return frame


@dataclass
class Ours:
    """What a receiver before a Walker makes of it."""

    masked: bool
    deflate: bool = False
    limit: int = LIMIT
    seen: Seen = field(default_factory=list)
    tally: Tally = field(default_factory=blank)
    at: float = 1.0
    runs: list[bytes] = field(default_factory=list)
    code: int | None = None

    def __post_init__(self) -> None:
        self.walker = Walker(self.passed, self.control, self.limit, masked=self.masked, deflate=self.deflate)
        self.queue: list[Ours] = []
        self.queued = b""
        self.receive = receiver(self.walker, self, self.walker.feed, self.tally, self)

    @property
    def kinds(self) -> list[str]:
        """Of all messages, in their order in MESSAGE_TYPES."""
        return [kind for kind, number in zip(MESSAGE_TYPES, self.tally, strict=False) for _ in range(int(number))]

    @property
    def size(self) -> int:
        """Bytes of their payloads."""
        return int(self.tally[BYTES])

    def passed(self, run: bytes, kinds: tuple[int, ...], size: int) -> None:
        """Data frames, which are counted by whoever takes them."""
        for kind in kinds:
            self.tally[kind] += 1
        self.tally[BYTES] += size
        self.write(run)

    def write(self, run: bytes) -> None:
        """Data frames."""
        self.runs.append(run)
        self.seen += [(one.opcode, one.fin, False, bytes(one.data)) for one in split(run, masked=self.masked)]

    def control(self, opcode: int, payload: bytes) -> None:
        """A control frame."""
        self.seen.append((Opcode(opcode), True, False, payload))

    def feed(self, pieces: Sequence[bytes]) -> "Ours":
        """Until it is over, or faulty."""
        try:
            for piece in pieces:
                self.receive(piece)
                if self.queue:
                    self.write(self.queued)
                    self.queued = b""
                    self.queue.clear()
        except Fault as fault:
            self.code = int(fault.code)
        return self


def theirs(pieces: Sequence[bytes], *, masked: bool, deflate: bool, pad: bool) -> Verdict:
    """What `websockets` makes of it. ``pad``: frames that were found faulty by their head are whole at last."""
    protocol: ServerProtocol | ClientProtocol
    if masked:
        protocol = ServerProtocol(state=OPEN, max_size=LIMIT)
    else:
        protocol = ClientProtocol(parse_uri("ws://x/"), state=OPEN, max_size=LIMIT)
    protocol.extensions = [Opaque()] if deflate else []
    for piece in (*pieces, *((bytes(2**16),) if pad else ())):
        if protocol.parser_exc is None:
            protocol.receive_data(piece)
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    seen = [(frame.opcode, frame.fin, False, bytes(frame.data)) for frame in frames]
    sent = protocol.close_sent
    return seen, int(sent.code) if protocol.parser_exc is not None and sent is not None else None


def agree(stream: bytes, cuts: Sequence[int], *, masked: bool, deflate: bool = False) -> Ours:
    """Assert that both see the same in ``stream``, cut in pieces there."""
    at = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(at) if start != end]
    ours = Ours(masked, deflate).feed(pieces)
    expected = theirs(pieces, masked=masked, deflate=deflate, pad=ours.code is not None)
    if expected[1] is not None and ours.code is None:
        raise AssertionError(f"they end it with {expected[1]}, and we do not: {stream!r} in {at}")
    assert (ours.seen, ours.code) == expected, f"{stream!r} in {at}"
    if ours.code is None and all(opcode < Opcode.CLOSE for opcode, *_ in ours.seen):
        assert stream.startswith(b"".join(ours.runs))
    return ours


PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b'[2,"1","Heartbeat",{}]', b"", b"x" * 125, b"x" * 126, b"x" * 127, b"x" * (LIMIT + 1)]),
    st.integers(min_value=0, max_value=5100).map(lambda code: code.to_bytes(2, "big")),
)
FRAMES = st.builds(
    frame,
    st.sampled_from([0, 1, 1, 1, 2, 8, 9, 10, 3, 11]),
    PAYLOADS,
    masked=st.booleans(),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 0, 1, 2, 4]),
    wide=st.sampled_from([0, 0, 0, 2, 8]),
)


STREAMS = st.lists(st.one_of(FRAMES, st.binary(max_size=20)), max_size=6).map(b"".join)


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 10**4)))
@pytest.mark.parametrize("masked", [True, False])
def test_any_bytes_in_any_pieces(*, masked: bool, stream: bytes, cuts: list[int]) -> None:
    """Frames and what is none."""
    agree(stream, cuts, masked=masked)
    agree(stream, cuts, masked=masked, deflate=True)


def _conversation(chance: random.Random, size: int, *, masked: bool) -> Iterator[bytes]:
    """Frames that nearly all are right: a fuzz that ends at the first of them sees little."""
    message = False
    while size > 0:
        opcode = chance.choice([0] if message else [1, 1, 1, 2])
        control, fin = chance.random() < 0.2, chance.random() < 0.6
        if control:
            opcode, fin = chance.choice([9, 10]), True
        else:
            message = not fin
        length = chance.choice([0, 2, 6, 20, 125, 126, 127, 300]) if not control else chance.randrange(126)
        made = frame(opcode, chance.randbytes(length), masked=masked, fin=fin, wide=chance.choice([0, 0, 0, 0, 2, 8]))
        size -= len(made)
        if chance.random() < 0.02:
            at = chance.randrange(len(made[:14]))
            made = made[:at] + bytes([made[at] ^ 1 << chance.randrange(8)]) + made[at + 1 :]
        yield made


def test_fuzz(rounds: Callable[[int, int], int], chance: random.Random) -> None:
    """Random conversations, one bit in fifty frames wrong; thirty million bytes when run whole."""
    left = rounds(1_000_000, 30_000_000)
    while left > 0:
        masked, deflate = chance.random() < 0.5, chance.random() < 0.3
        stream = b"".join(_conversation(chance, chance.choice([200, 2000, 8000]), masked=masked))
        cuts = [chance.randrange(len(stream)) for _ in range(chance.choice([0, 0, 1, 5, 50]))]
        agree(stream, cuts, masked=masked, deflate=deflate)
        left -= len(stream)


TEXT = frame(1, b'[2,"1","A",{}]')


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (TEXT * 3, None),
        (frame(1, b"[2,", fin=False) + frame(9, b"?") + frame(0, b'"1"]'), None),
        (frame(1, b"a", fin=False) + TEXT, 1002),
        (frame(0, b"a"), 1002),
        (frame(1, b"a", masked=False), 1002),
        (frame(1, b"a", rsv=4), 1002),
        (frame(1, b"a", rsv=1), 1002),
        (frame(3), 1002),
        (frame(11), 1002),
        (frame(9, b"a" * 126), 1002),
        (frame(9, b"a", fin=False), 1002),
        (frame(1, b"a" * LIMIT), None),
        (frame(1, b"a" * (LIMIT + 1)), 1009),
        (frame(1, b"a" * LIMIT, fin=False) + frame(0, b"b"), 1009),
        (b"\x81\xff" + b"\xff" * 8, 1009),
        (frame(8), None),
        (frame(8, b"\x03"), 1002),
        (frame(8, b"\x03\xe8ok") + frame(3), None),
        (frame(8, b"\x03\xed"), 1002),
        (frame(8, b"\x03\xe8\xff"), 1007),
        (frame(1, b"a", fin=False) + frame(8), 1002),
    ],
)
def test_verdicts(stream: bytes, code: int | None) -> None:
    """RFC 6455 §5.1, 5.2, 5.4, 5.5; the same whether it comes at once or byte by byte."""
    assert agree(stream, [], masked=True).code == code
    assert agree(stream, range(len(stream)), masked=True).code == code


def test_what_is_right_passes_before_what_is_wrong() -> None:
    """What came before the fault was said (Part 4 §6.4)."""
    ours = Ours(masked=True).feed([TEXT + TEXT + frame(3)])
    assert (ours.runs, ours.kinds, ours.size, ours.code) == ([TEXT + TEXT], ["call", "call"], 28, 1002)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("size", [120, 126, 300, 2**16])
def test_a_message_in_two_pieces(*, masked: bool, size: int) -> None:
    """Wherever it is cut, in each form of its length (RFC 6455 §5.2): no piece is taken for a whole frame."""
    for wide in (2, 8) if size < 2**16 else (8,):
        stream = frame(1, b"[2," + bytes(size - 3), masked=masked, wide=wide)
        for cut in range(1, min(len(stream), 300)):
            ours = Ours(masked, limit=2**17).feed([stream[:cut], stream[cut:]])
            assert (ours.runs, ours.kinds, ours.code) == ([stream], ["call"], None), cut


@pytest.mark.parametrize("masked", [True, False])
def test_a_wrong_mask_is_seen_whatever_follows(*, masked: bool) -> None:
    """RFC 6455 §5.1: though with the bit of the mask the length might be that of all that came."""
    for size, behind in product(range(3, 126), range(120, 135)):
        ours = Ours(masked).feed([frame(1, b"[2," + bytes(size - 3), masked=not masked) + bytes(behind)])
        assert (ours.runs, ours.code) == ([], CloseCode.PROTOCOL_ERROR), (size, behind)


def test_what_cannot_be_passed_is_not_passed_again() -> None:
    """Nor anything that comes with it or behind it; what was before it went on once (Part 4 §6.4, B01.FR.12)."""
    tried: list[bytes] = []

    def passed(run: bytes, _kinds: tuple[int, ...], _size: int) -> None:
        tried.append(run)
        raise Fault(CloseCode.POLICY_VIOLATION, "held back")

    for pieces, passes in (([TEXT + TEXT + frame(9)], TEXT + TEXT), ([TEXT, TEXT, frame(9), frame(3)], TEXT)):
        walker = Walker(passed, lambda *_: tried.append(b"a ping"), LIMIT, masked=True)
        with pytest.raises(Fault, match="held back"):
            walker.feed(pieces[0])
        for piece in pieces[1:]:
            walker.feed(piece)
        assert tried == [passes]
        tried.clear()


def test_a_length_is_refused_before_it_is_kept() -> None:
    """Not one byte of a payload too large is waited for."""
    ours = Ours(masked=False).feed([b"\x81\x7f" + (2**40).to_bytes(8, "big")])
    assert ours.code == CloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("masked", [True, False])
def test_kinds_and_sizes(*, masked: bool) -> None:
    """What is counted, whole, in fragments, compressed, one by one and together."""

    def text(payload: bytes, **more: bool) -> bytes:
        return frame(1, payload, masked=masked, **more)

    said = [text(b'[2,"1"]'), text(b' [ 3 , "1"]'), text(b"[4," + b"x" * 300), text(b"[6]"), text(b"[5,{}]"), text(b"")]
    said += [text(b"[2,", fin=False) + frame(0, b'"9"]', masked=masked), frame(2, b"\0\1\2", masked=masked)]
    kinds = ["call", "callresult", "callerror", "other", "callresulterror", "other", "call", "other"]
    for pieces in (said, [b"".join(said)]):
        ours = Ours(masked).feed(pieces)
        assert (ours.kinds, ours.code) == (sorted(kinds, key=MESSAGE_TYPES.index), None)
        assert ours.size == 7 + 11 + 303 + 3 + 6 + 0 + 7 + 3
    squeezed = Ours(masked, deflate=True).feed([frame(1, b"[2,4", masked=masked, rsv=4)])
    assert (squeezed.kinds, squeezed.size) == (["other"], 4)


def test_frames_of_a_run() -> None:
    """``split`` gives back what was in it, with the mark of a compressed message."""
    run = frame(1, b"abc", fin=False, rsv=4) + frame(0, b"x" * 70_000)
    first, second = split(run, masked=True)
    assert (first.opcode, first.fin, first.rsv1, first.data) == (Opcode.TEXT, False, True, b"abc")
    assert (second.opcode, second.fin, second.rsv1, second.data) == (Opcode.CONT, True, False, b"x" * 70_000)


def test_close_frames_reach_control() -> None:
    """With their payload; nothing after them is looked at."""
    said = Close(CloseCode.GOING_AWAY, "ba").serialize()
    ours = Ours(masked=True).feed([frame(8, said), TEXT])
    assert ours.seen == [(Opcode.CLOSE, True, False, said)]
