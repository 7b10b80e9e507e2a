"""permessage-deflate on both legs (OCPP-J 3.3, RFC 7692): what is offered, and what differs translated. Rules.

The CSMS is asked first, with the station's own offers where it makes some: what the CSMS takes of them is what the
station is answered, and frames pass as they are. Where only one leg compresses, `websockets` translates each frame.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import InvalidHeader, NegotiationError, PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import CloseCode, Frame, Opcode
from websockets.headers import build_extension, parse_extension
from websockets.typing import ExtensionHeader

from localctl.relay.frames import Fault, split
from localctl.relay.kinds import kind_of
from localctl.traffic import OTHER

# A window of 4 KiB, and little memory beside it, do for messages of some hundred bytes that resemble each other.
_WINDOW_BITS: Final = 12
_SETTINGS: Final = {"memLevel": 5}
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"
_PEEK: Final = 32  # bytes of a message that tell its kind

Inspect = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed on with the station, as the header says, and the codecs where frames do not pass as they are."""

    field: str
    station: PerMessageDeflate | None = None
    csms: PerMessageDeflate | None = None

    def translators(
        self, limit: int, inspect: Inspect | None = None
    ) -> tuple["Translator | None", "Translator | None"]:
        """To the CSMS, and to the station; None: frames pass as they are."""
        if self.station is None and self.csms is None and inspect is None:
            return None, None
        return (
            Translator(self.station, self.csms, limit, to_csms=True, inspect=inspect),
            Translator(self.csms, self.station, limit, to_csms=False),
        )


@dataclass(frozen=True, slots=True)
class Offers:
    """What goes to the CSMS: the header's ``field``, empty for none, and how to read the answer.

    ``stations`` is what the station offers, ``passed_on`` whether that is what goes.
    """

    field: str
    factories: list[ClientPerMessageDeflateFactory]
    stations: list[ExtensionHeader]
    passed_on: bool = False

    def agreement(self, answered: Sequence[str], csms: PerMessageDeflate | None) -> Agreement:
        """What the station is told, once the CSMS has ``answered`` with these fields, which ``csms`` stands for."""
        if csms and self.passed_on:
            return Agreement(", ".join(answered))
        factory = ServerPerMessageDeflateFactory(server_max_window_bits=_WINDOW_BITS, compress_settings=_SETTINGS)
        for name, parameters in self.stations:
            if name == PerMessageDeflate.name:
                with suppress(NegotiationError):
                    answer, codec = factory.process_request_params(parameters, [])
                    return Agreement(build_extension([(name, answer)]), codec, csms)
        return Agreement("", None, csms)


def towards_csms(values: Sequence[str], *, compress: bool) -> Offers:
    """What the CSMS is offered: what the station does, in the words of its header's fields; else ours, where
    ``compress``.
    """
    offered = _extensions(values)
    readable = [(one, factory) for one in offered if (factory := _factory(one)) is not None]
    if readable:
        words = ", ".join(values) if len(readable) == len(offered) else build_extension([one for one, _ in readable])
        return Offers(words, [factory for _, factory in readable], offered, passed_on=True)
    if not compress:
        return Offers("", [], offered)
    own = ClientPerMessageDeflateFactory(
        server_max_window_bits=_WINDOW_BITS, client_max_window_bits=_WINDOW_BITS, compress_settings=_SETTINGS
    )
    return Offers(build_extension([(PerMessageDeflate.name, own.get_request_params())]), [own], offered)


def _extensions(values: Iterable[str]) -> list[ExtensionHeader]:
    """What a station offers, in its order; nothing where that cannot be read."""
    try:
        return [one for value in values for one in parse_extension(value)]
    except InvalidHeader:
        return []


def _factory(offer: ExtensionHeader) -> ClientPerMessageDeflateFactory | None:
    """That offer, as one of ours to the CSMS; None where it is none that we know."""
    name, parameters = offer
    given = dict(parameters)
    known = {"server_no_context_takeover", "client_no_context_takeover", _SERVER_BITS, _CLIENT_BITS}
    if name != PerMessageDeflate.name or len(given) != len(parameters) or not given.keys() <= known:
        return None
    server, client = given.get(_SERVER_BITS), given.get(_CLIENT_BITS)
    try:
        return ClientPerMessageDeflateFactory(
            "server_no_context_takeover" in given,
            "client_no_context_takeover" in given,
            None if server is None else int(server),
            int(client) if client is not None else _CLIENT_BITS in given or None,
            dict(_SETTINGS),
        )
    except ValueError:  # a window that there is not
        return None


class Translator:
    """One direction whose legs do not compress alike, or in which ``inspect`` is to see each message.

    ``source`` unpacks what comes, ``target`` packs what goes; None: as it is. ``to_csms``: both ways masked.
    ``inspect`` gets whole messages, before their last frame is passed; it raises Fault to keep it back.
    """

    def __init__(
        self,
        source: PerMessageDeflate | None,
        target: PerMessageDeflate | None,
        limit: int,
        *,
        to_csms: bool,
        inspect: Inspect | None = None,
    ) -> None:
        self._source = source
        self._target = target
        self._limit = limit
        self._masked = to_csms
        self._inspect = inspect
        self._kind = OTHER
        self._so_far = 0  # bytes of a message's fragments
        self._fragments: list[bytes] = []  # kept for ``inspect`` only

    def translate(self, run: bytes) -> Iterable[tuple[bytes, tuple[int, ...], int]]:
        """The frames of ``run`` as they go on; kinds of the messages that end in each, and bytes of its payload.

        Raises Fault, once the frames before are taken.
        """
        for frame in split(run, masked=self._masked):
            plain = self._unpacked(frame)
            if plain.opcode is not Opcode.CONT:
                self._kind, self._so_far = kind_of(bytes(plain.data[:_PEEK])), 0
            self._so_far += len(plain.data)
            if self._inspect:
                self._look(plain)
            data = plain.serialize(mask=self._masked, extensions=[self._target] if self._target else None)
            yield data, (self._kind,) if plain.fin else (), len(plain.data)

    def _unpacked(self, frame: Frame) -> Frame:
        if self._source is None:
            return frame
        left = self._limit - (self._so_far if frame.opcode is Opcode.CONT else 0)
        too_big = Fault(CloseCode.MESSAGE_TOO_BIG, f"a message of more than {self._limit} bytes")
        try:
            plain = self._source.decode(frame, max_size=left + 1)  # zlib takes 0 for no limit
        except PayloadTooBig:
            raise too_big from None
        except ProtocolError:
            raise Fault(CloseCode.PROTOCOL_ERROR, "what is compressed cannot be read") from None
        if len(plain.data) > left:
            raise too_big
        return plain

    def _look(self, plain: Frame) -> None:
        if plain.data:  # of empty ones there may be any number
            self._fragments.append(bytes(plain.data))
        if plain.fin and self._inspect:
            message, self._fragments = b"".join(self._fragments), []
            self._inspect(message)
