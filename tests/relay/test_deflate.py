"""Compression agreed on and translated, against `websockets`' own codecs; handshakes are told in their fields."""

from collections.abc import Sequence
from typing import Final

import pytest
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import CloseCode, Frame, Opcode
from websockets.headers import parse_extension

from localctl.relay.deflate import Agreement, Translator, towards_csms
from localctl.relay.frames import Fault, split
from localctl.traffic import MESSAGE_TYPES, OTHER
from tests.relay.raw import frame

LIMIT: Final = 1500
BOOT: Final = b'[2,"1","BootNotification",{}]'
OURS: Final = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"
PARAMETERS: Final = (
    "",
    "; server_no_context_takeover",
    "; client_no_context_takeover",
    "; server_no_context_takeover; client_no_context_takeover",
    "; client_max_window_bits",
    *(f"; server_max_window_bits={bits}; client_max_window_bits={bits}" for bits in range(9, 16)),
)


def answer(field: str) -> tuple[str, PerMessageDeflate | None]:
    """What a CSMS that compresses answers to that offer; and what `websockets` makes of it on our side."""
    for name, parameters in parse_extension(field) if field else []:
        agreed, _ = ServerPerMessageDeflateFactory().process_request_params(parameters, [])
        said = "; ".join([name, *(key if value is None else f"{key}={value}" for key, value in agreed)])
        for factory in towards_csms([field], compress=False).factories:
            return said, factory.process_response_params(agreed, [])
    return "", None


# What is offered.


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("compress", [True, False])
def test_offers_go_on_in_the_stations_words(*, parameters: str, compress: bool) -> None:
    """OCPP-J 3.3, Part 4 §6.1: with its blanks and its fields, whether we would compress or not."""
    field = f"permessage-deflate  {parameters}"
    offers = towards_csms([field, "permessage-deflate"], compress=compress)
    assert (offers.field, offers.passed_on, len(offers.factories)) == (f"{field}, permessage-deflate", True, 2)


@pytest.mark.parametrize(
    "other",
    [
        "x-webkit-deflate-frame",
        "permessage-bzip2; level=9",
        "permessage-deflate; no_such_parameter",
        "permessage-deflate; server_max_window_bits=99",
        "permessage-deflate; server_max_window_bits=many",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    ],
)
def test_what_is_not_known_is_left_out(other: str) -> None:
    """RFC 7692 §5.1: an extension that we could not read, were the CSMS to take it, is not offered to it."""
    offers = towards_csms([f"{other}, permessage-deflate; client_max_window_bits=10"], compress=False)
    assert (offers.field, offers.passed_on) == ("permessage-deflate; client_max_window_bits=10", True)
    assert towards_csms([other], compress=False).field == ""
    assert towards_csms([other], compress=True).field == OURS


@pytest.mark.parametrize("values", [[], [""], ["=,;"], ["permessage-deflate; server_max_window_bits="]])
def test_where_the_station_offers_nothing_we_do(values: list[str]) -> None:
    """Only where the configuration wants it; what cannot be read is nothing."""
    assert (towards_csms(values, compress=True).field, towards_csms(values, compress=True).passed_on) == (OURS, False)
    assert (towards_csms(values, compress=False).field, towards_csms(values, compress=False).factories) == ("", [])


# What is agreed on.


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_alike_frames_pass_as_they_are(parameters: str) -> None:
    """The station is told what the CSMS has answered to its offer; there is nothing to translate."""
    field = f"permessage-deflate{parameters}"
    said, csms = answer(field)
    agreed = towards_csms([field], compress=True).agreement([said], csms)
    assert agreed == Agreement(said)
    assert agreed.translators(LIMIT) == (None, None)


def test_nobody_compresses() -> None:
    """Frames pass as they are."""
    agreed = towards_csms([], compress=True).agreement([], None)
    assert (agreed.field, agreed.translators(LIMIT)) == ("", (None, None))


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_only_the_station_compresses(parameters: str) -> None:
    """OCPP-J 3.3, on its leg: in a window of our own that it can bear, though the CSMS answers with none."""
    agreed = towards_csms([f"permessage-deflate{parameters}"], compress=True).agreement([], None)
    ((name, given),) = parse_extension(agreed.field)
    told = dict(given)
    assert name == "permessage-deflate"
    assert int(told["server_max_window_bits"] or 0) <= 12
    assert ("server_no_context_takeover" in parameters) <= ("server_no_context_takeover" in told)
    assert agreed.station is not None
    assert agreed.csms is None
    assert None not in agreed.translators(LIMIT)


def test_only_the_csms_compresses() -> None:
    """The station is told nothing of it."""
    said, csms = answer(towards_csms([], compress=True).field)
    agreed = towards_csms([], compress=True).agreement([said], csms)
    assert (agreed.field, agreed.station, agreed.csms) == ("", None, csms)
    assert None not in agreed.translators(LIMIT)


def test_each_compresses_by_itself() -> None:
    """A station whose messages are looked into has its offer kept from the CSMS, and answered by us."""
    offers = towards_csms([], compress=True)
    said, csms = answer(offers.field)
    assert offers.agreement([said], csms).csms is csms
    to_csms, to_station = offers.agreement([said], csms).translators(LIMIT, lambda _: None)
    assert to_csms is not None
    assert to_station is not None


def test_who_is_looked_into_is_translated() -> None:
    """Even where nobody compresses."""
    assert None not in towards_csms([], compress=False).agreement([], None).translators(LIMIT, lambda _: None)


# What is translated.


def codecs(field: str) -> tuple[PerMessageDeflate, PerMessageDeflate]:
    """A station's and ours on the same leg."""
    ((_, parameters),) = parse_extension(field)
    agreed, ours = ServerPerMessageDeflateFactory().process_request_params(parameters, [])
    theirs = ClientPerMessageDeflateFactory(client_max_window_bits=True).process_response_params(agreed, [])
    return theirs, ours


def said(payloads: Sequence[bytes], codec: PerMessageDeflate | None, *, masked: bool = True) -> bytes:
    """One text message in fragments, as who has that codec sends it."""
    frames = [
        Frame(Opcode.CONT if at else Opcode.TEXT, payload, fin=at == len(payloads) - 1)
        for at, payload in enumerate(payloads)
    ]
    return b"".join(one.serialize(mask=masked, extensions=[codec] if codec else None) for one in frames)


def heard(run: bytes, codec: PerMessageDeflate | None, *, masked: bool) -> list[bytes]:
    """The messages in a run, as who has that codec reads them."""
    messages: list[bytes] = []
    for one in split(run, masked=masked):
        plain = codec.decode(one) if codec else one
        assert not plain.rsv1
        begun = messages.pop() if plain.opcode is Opcode.CONT else b""
        messages.append(begun + bytes(plain.data))
    return messages


MESSAGES: Final = ([b'[2,"1","Heartbeat",{}]'], [b""], [b"[3", b',"1"', b",{}]"], [b"", BOOT, b""], [b"x" * LIMIT])
CALL, RESULT = (MESSAGE_TYPES.index(kind) for kind in ("call", "callresult"))
KINDS: Final = [CALL, OTHER, OTHER, OTHER, OTHER]  # by what their first frames hold


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("to_csms", [True, False])
@pytest.mark.parametrize("apart", ["unpacked", "packed", "packed anew"])
def test_messages_are_the_same_behind_a_translator(*, parameters: str, to_csms: bool, apart: str) -> None:
    """Part 4 §6.4: whole and in fragments, twice over, so that what the codecs remember counts."""
    field = f"permessage-deflate{parameters}"
    theirs, source = codecs(field) if apart != "packed" else (None, None)
    reader, target = codecs(field)[::-1] if apart != "unpacked" else (None, None)
    translator = Translator(source, target, LIMIT, to_csms=to_csms)
    for message in MESSAGES * 2:
        parts = list(translator.translate(said(message, theirs, masked=to_csms)))
        assert heard(b"".join(part for part, _, _ in parts), reader, masked=to_csms) == [b"".join(message)]
        assert [size for _, _, size in parts] == [len(fragment) for fragment in message]


def test_kinds_are_counted_from_plain_text() -> None:
    """With the frame that ends a message; of several in one run, each its own."""
    theirs, ours = codecs("permessage-deflate")
    run = b"".join(said(message, theirs) for message in MESSAGES)
    counted = [kinds for _, kinds, _ in Translator(ours, None, LIMIT, to_csms=True).translate(run)]
    assert [kind for kinds in counted for kind in kinds] == KINDS
    assert counted[2:5] == [(), (), (OTHER,)]
    parts = Translator(ours, None, LIMIT, to_csms=True).translate(said([b'[2,"1",', b'"A",{}]'], theirs))
    assert [(kinds, size) for _, kinds, size in parts] == [((), 7), ((CALL,), 7)]


@pytest.mark.parametrize("fragments", [[LIMIT + 1], [LIMIT, 1], [1, LIMIT], [LIMIT - 1, 1, 1], [100 * LIMIT]])
def test_a_message_that_unpacks_to_too_much(fragments: list[int]) -> None:
    """1009, though what came is small; one of just the limit passes, in fragments too (RFC 6455 §7.4.1)."""
    theirs, ours = codecs("permessage-deflate")
    translator = Translator(ours, None, LIMIT, to_csms=True)
    for right in ([LIMIT], [LIMIT, 0], [0, LIMIT], [LIMIT - 1, 1]):
        assert len(list(translator.translate(said([b"x" * size for size in right], theirs)))) == len(right)
    with pytest.raises(Fault) as fault:
        list(translator.translate(said([b"x" * size for size in fragments], theirs)))
    assert fault.value.code == CloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x06", b"\x00\x05\x00\x00\x00hello"])
def test_what_is_compressed_cannot_be_read(data: bytes) -> None:
    """1002, once what came before it has been passed."""
    theirs, ours = codecs("permessage-deflate")
    passed = Translator(ours, None, LIMIT, to_csms=True).translate(said([BOOT], theirs) + frame(1, data, rsv=4))
    part, kinds, _ = next(iter(passed))
    assert (heard(part, None, masked=True), kinds) == ([BOOT], (CALL,))
    with pytest.raises(Fault) as fault:
        next(iter(passed))
    assert fault.value.code == CloseCode.PROTOCOL_ERROR


def test_a_continuation_with_the_mark_of_a_first_frame() -> None:
    """RFC 7692 §6.1: it cannot be read."""
    _, ours = codecs("permessage-deflate")
    translator = Translator(ours, None, LIMIT, to_csms=False)
    run = frame(1, b"", masked=False, fin=False, rsv=4)
    list(translator.translate(run))
    with pytest.raises(Fault):
        list(translator.translate(frame(0, b"\0", masked=False, rsv=4)))


# What is looked into.


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("pieces", [1, 3, len(BOOT)])
def test_inspect_gets_whole_messages(*, compressed: bool, pieces: int) -> None:
    """Unpacked and put together, before their last frame is passed (B01.FR.11)."""
    seen: list[bytes] = []
    theirs, ours = codecs("permessage-deflate") if compressed else (None, None)
    translator = Translator(ours, None, LIMIT, to_csms=True, inspect=seen.append)
    step = -(-len(BOOT) // pieces)
    fragments = [BOOT[at : at + step] for at in range(0, len(BOOT), step)]
    for number, _ in enumerate(translator.translate(said(fragments, theirs) + said([b"[3]"], theirs)), 1):
        assert seen == ([] if number < len(fragments) else [BOOT] if number == len(fragments) else [BOOT, b"[3]"])


def test_empty_fragments_are_not_kept() -> None:
    """They count nothing towards the limit, so there may be any number of them."""
    seen: list[bytes] = []
    translator = Translator(None, None, LIMIT, to_csms=True, inspect=seen.append)
    for part in (frame(1, b"[", fin=False), *[frame(0, fin=False)] * 100):
        list(translator.translate(part))
    assert translator._fragments == [b"["]
    list(translator.translate(frame(0, b"3]")))
    assert seen == [b"[3]"]


@pytest.mark.parametrize("fragments", [[BOOT], [BOOT[:9], BOOT[9:]]])
def test_inspect_may_keep_a_message_back(fragments: list[bytes]) -> None:
    """The frame that ends it is not passed, nor what follows (B01.FR.12)."""

    def inspect(message: bytes) -> None:
        if message == BOOT:
            raise Fault(CloseCode.POLICY_VIOLATION, "no")

    translator = Translator(None, None, LIMIT, to_csms=True, inspect=inspect)
    passed: list[tuple[bytes, tuple[int, ...], int]] = []
    with pytest.raises(Fault, match="no"):
        passed.extend(translator.translate(said([b"[3,]"], None) + said(fragments, None) + said([b"[3,]"], None)))
    parts, kinds, _ = zip(*passed, strict=True)
    assert heard(b"".join(parts), None, masked=True) == [b"[3,]", *fragments[:-1]]
    assert sum(kinds, ()) == (RESULT,)
