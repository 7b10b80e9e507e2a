"""One WebSocket to the CSMS: how it was asked for, and every frame that passed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

from tests.actors.schemas import CALL, CALLERROR, CALLRESULT


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client asked for. ``path`` is raw, with its query; ``identity`` its last segment, percent-decoded."""

    identity: str
    path: str
    headers: Headers
    offered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, as it was on the wire."""

    direction: Literal["received", "sent"]
    data: str | bytes


@dataclass(frozen=True, slots=True)
class CallError:
    """A CALLERROR, received or to be sent."""

    code: str
    description: str = ""
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A CALL that was received."""

    identity: str
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(slots=True, eq=False)
class Link:
    """One connection: ``chosen`` is its subprotocol, ``closed`` the close code and reason once it is over.

    ``calls`` holds the actions of what was sent and awaits an answer, ``answers`` what was answered, by message id.
    """

    handshake: Handshake
    connection: ServerConnection
    chosen: str | None
    tell: Callable[[], None]
    frames: list[Frame] = field(default_factory=list)
    received: list[Call] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, Any] | CallError] = field(default_factory=dict)
    booted: bool = False
    closed: tuple[int, str] | None = None

    @property
    def identity(self) -> str:
        """Whose connection it is."""
        return self.handshake.identity

    @property
    def version(self) -> str:
        """The OCPP version that the subprotocol names."""
        return (self.chosen or "").removeprefix("ocpp")

    async def send(self, data: str | bytes) -> None:
        """Send a frame as it stands; a peer that is gone does not get it."""
        self._note_sent(decoded(data))
        self.frames.append(Frame("sent", data))
        try:
            await self.connection.send(data)
        except ConnectionClosed:
            return
        self.tell()

    def take(self, data: str | bytes) -> Call | None:
        """Record a frame that was received; the CALL in it, if it is one."""
        self.frames.append(Frame("received", data))
        match decoded(data):
            case [2, str(message_id), str(action), dict(payload)]:
                call = Call(self.identity, message_id, action, payload)
                self.received.append(call)
                return call
            case [3, str(message_id), dict(payload)]:
                self.answers[message_id] = payload
            case [4, str(message_id), str(code), str(description), dict(details)]:
                self.answers[message_id] = CallError(code, description, details)
        return None

    def _note_sent(self, frame: Any) -> None:
        """Which answers may follow, and whether this one accepts the peer's boot."""
        match frame:
            case [3, str(message_id), {"status": "Accepted"}]:
                boots = (call.message_id for call in self.received if call.action == "BootNotification")
                self.booted = self.booted or message_id in boots
            case [int(kind), str(message_id), *rest] if self._may_be_answered(kind):
                self.calls[message_id] = rest[0] if rest and isinstance(rest[0], str) else ""

    def _may_be_answered(self, kind: int) -> bool:
        """OCPP 2.1 never answers CALLRESULTERROR and SEND; 2.0.1 knows neither and answers with a CALLERROR."""
        return kind not in {CALLRESULT, CALLERROR} and not (self.version == "2.1" and kind in {5, 6})


def handshake_of(request: Request) -> Handshake:
    """What the opening request asks for."""
    raw = request.path.partition("?")[0]
    offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
    names = tuple(name.strip() for name in offered.split(",") if name.strip())
    return Handshake(unquote(raw.rpartition("/")[2]), request.path, request.headers, names)


def decoded(data: str | bytes) -> Any:
    """A frame's JSON, or None where it is none."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def call_frame(message_id: str, action: str, payload: dict[str, Any]) -> str:
    """A CALL on the wire."""
    return json.dumps([CALL, message_id, action, payload])


def answer_frame(message_id: str, answer: dict[str, Any] | CallError) -> str:
    """A CALLRESULT or a CALLERROR on the wire."""
    if isinstance(answer, CallError):
        return json.dumps([CALLERROR, message_id, answer.code, answer.description, answer.details])
    return json.dumps([CALLRESULT, message_id, answer])
