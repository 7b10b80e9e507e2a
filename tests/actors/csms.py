"""A CSMS: WebSockets by ``websockets``, answers by the package ``ocpp``, and every frame on record.

It answers as an ordinary CSMS does until a test tells it otherwise, and it can be told at any time. A frame from one
of its ``controllers`` that OCPP does not allow is a fault, and faults fail the test when the CSMS is left.
"""

import asyncio
import base64
import ssl
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.actors.answers import Answers
from tests.actors.link import Call, CallError, Handshake, Link, answer_frame, call_frame, handshake_of
from tests.actors.news import TIMEOUT
from tests.actors.ports import HeldPort
from tests.actors.record import Record
from tests.actors.schemas import check_frame

PREFIX: Final = "/ocpp/"


class Silence(Enum):
    """What a hook returns to leave a CALL unanswered."""

    IGNORE = "ignore"


IGNORE: Final = Silence.IGNORE
Answer = dict[str, Any] | CallError | Silence
Hook = Callable[[Call], Awaitable[Answer | None]]


class Csms(Record):
    """A CSMS on 127.0.0.1, for as long as its ``async with`` lasts.

    All of these may be changed while it runs:

    - ``boot_status`` and ``boot_interval`` (seconds): what a BootNotification is answered with.
    - ``subprotocols``: what it speaks; of these the first that the client offers is chosen.
    - ``passwords``: by identity; a client without the right one gets 401. ``refusals``: an HTTP status by identity.
    - ``door``: awaited with each handshake before it is answered; the HTTP status to refuse it with, or None.
    - ``hooks``: by action, awaited with each CALL; returns the answer to send, unchecked; IGNORE for none; or None for
      the ordinary one. A hook that waits delays that answer only.
    """

    def __init__(
        self,
        *,
        controllers: Sequence[str] = ("LC-0001",),
        passwords: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = ("ocpp2.1", "ocpp2.0.1", "ocpp1.6"),
        tls: ssl.SSLContext | None = None,
        max_size: int = 2**20,
        deflate: bool = True,
    ) -> None:
        super().__init__(controllers)
        self.passwords = dict(passwords or {})
        self.subprotocols = tuple(subprotocols)
        self.boot_status = "Accepted"
        self.boot_interval = 300
        self.refusals: dict[str, int] = {}
        self.door: Callable[[Handshake], Awaitable[int | None]] | None = None
        self.hooks: dict[str, Hook] = {}
        self.handshakes: list[Handshake] = []
        self.faults: list[str] = []
        self._seen: dict[str, set[str]] = {}
        self._port = HeldPort()
        self._tls = tls
        self._max_size = max_size
        self._compression = "deflate" if deflate else None
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """Its port, the same after each start."""
        return self._port.number

    @property
    def url(self) -> str:
        """What a station's or a controller's own identity is appended to, after a slash."""
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}{PREFIX.rstrip('/')}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        self._port.close()
        if self.faults and error is not None:
            error.add_note("\n".join(self.faults))
        assert error is not None or not self.faults, "\n".join(self.faults)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        assert self._server is None, "it has been started already"
        self._server = await serve(
            self._attend,
            sock=self._port.listening(),
            process_request=self._admit,
            select_subprotocol=self._choose,
            ssl=self._tls,
            ping_interval=None,
            max_size=self._max_size,
            compression=self._compression,
        )

    async def stop(self, *, abruptly: bool = False) -> None:
        """End every connection, with 1001 or ``abruptly`` without a word, and refuse new ones."""
        server, self._server = self._server, None
        if server is None:
            return
        if abruptly:
            for link in self.links:
                link.connection.transport.abort()
        server.close()
        await server.wait_closed()

    async def call(
        self, identity: str, action: str, payload: dict[str, Any], timeout: float = TIMEOUT
    ) -> dict[str, Any] | CallError:
        """Send a CALL, unchecked; the payload of its answer, or the CALLERROR."""
        message_id = str(uuid.uuid4())
        await self.send_raw(identity, call_frame(message_id, action, payload))
        return await self.answer(identity, message_id, timeout)

    async def send_raw(self, identity: str, data: str | bytes) -> None:
        """Send a frame as it stands, however wrong."""
        await self.link(identity).send(data)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Accept or refuse a handshake (Part 1 security profiles 1 and 2 for the password)."""
        handshake = handshake_of(request)
        self.handshakes.append(handshake)
        self.news.tell()
        known = handshake.path.startswith(PREFIX) and handshake.identity
        status = self.refusals.get(handshake.identity) if known else 404
        if status is None and not self._knows(handshake):
            status = 401
        if status is None and self.door is not None:
            status = await self.door(handshake)
        if status is None:
            return None
        refusal = connection.respond(HTTPStatus(status), "")
        if status == 401:
            refusal.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return refusal

    def _knows(self, handshake: Handshake) -> bool:
        password = self.passwords.get(handshake.identity)
        if password is None:
            return True
        credentials = base64.b64encode(f"{handshake.identity}:{password}".encode()).decode()
        return handshake.headers.get("Authorization") == f"Basic {credentials}"

    def _choose(self, _connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((name for name in offered if name in self.subprotocols), None)

    async def _attend(self, connection: ServerConnection) -> None:
        """Read one connection to its end; each CALL is answered in a task of its own, so that reading never waits."""
        assert connection.request is not None
        link = Link(handshake_of(connection.request), connection, connection.subprotocol, self.news.tell)
        self.links.append(link)
        self.news.tell()
        if link.chosen is None:  # OCPP-J 3.2: the handshake completes without a subprotocol, then the socket is closed
            await connection.close(1002, "no common subprotocol")
        async with asyncio.TaskGroup() as tasks:
            answering: set[asyncio.Task[None]] = set()
            with suppress(ConnectionClosed):
                async for data in connection:
                    if call := self._take(link, data):
                        task = tasks.create_task(self._reply(link, call, data), name=f"answer {call.action}")
                        answering.add(task)
                        task.add_done_callback(answering.discard)
                    self.news.tell()
            for task in answering:  # a hook that waits for ever
                task.cancel()
        link.closed = (connection.close_code or 1006, connection.close_reason or "")
        self.news.tell()

    def _take(self, link: Link, data: str | bytes) -> Call | None:
        if link.identity in self.controllers:
            try:
                check_frame(link.version, data, link.calls, self._seen.setdefault(link.identity, set()))
            except AssertionError as fault:
                self.faults.append(f"{link.identity}: {fault}")
        return link.take(data)

    async def _reply(self, link: Link, call: Call, data: str | bytes) -> None:
        """Send the answer that a hook gives, or the ordinary one."""
        try:
            hook = self.hooks.get(call.action)
            answer = await hook(call) if hook else None
            if answer is None:
                ordinary = Answers(link.version, link.identity, link, lambda: (self.boot_status, self.boot_interval))
                await ordinary.give(data)
            elif not isinstance(answer, Silence):
                await link.send(answer_frame(call.message_id, answer))
        except Exception as fault:  # noqa: BLE001  what goes wrong in a hook is the test's, told when the CSMS is left
            self.faults.append(f"the answer to {call.action} failed: {fault!r}")
