"""A CSMS for the demo: it accepts everybody, and keeps what it is told for whoever asks. Edge.

The controller and the stations come to the same address, each under its identity; the stations through the controller.
"""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from localctl.demo import dialects
from localctl.demo.patience import DemoFailed, within
from localctl.demo.peer import QUIET, Peer, Reply
from localctl.demo.plan import Version
from localctl.errors import OcppFault
from localctl.ocpp.frames import Call, Payload

_VERSIONS: Final[dict[str, Version]] = {"ocpp2.1": "2.1", "ocpp2.0.1": "2.0.1", "ocpp1.6": "1.6"}


class Csms:
    """Listens on a free port of 127.0.0.1 for as long as its ``async with`` lasts."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._told: defaultdict[tuple[str, str], asyncio.Queue[Payload]] = defaultdict(asyncio.Queue)
        self._server: Server

    async def __aenter__(self) -> Self:
        subprotocols = [Subprotocol(name) for name in _VERSIONS]
        self._server = await serve(
            self._attend, "127.0.0.1", 0, subprotocols=subprotocols, server_header=None, close_timeout=2, logger=QUIET
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """What an identity is appended to, after a slash."""
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ocpp"

    def version(self, identity: str) -> Version:
        """The OCPP version that ``identity`` speaks with us. Raises DemoFailed where it is not connected."""
        return self._peer(identity).version

    async def call(self, identity: str, action: str, payload: Payload) -> Payload:
        """The answer to a call. Raises DemoFailed where there is none."""
        return await self._peer(identity).call(action, payload)

    async def hear(self, identity: str, action: str, seconds: float) -> Payload:
        """The next message of that kind from ``identity``, in the order sent. Raises DemoFailed after ``seconds``."""
        async with within(seconds, f"{action} of {identity}"):
            return await self._told[identity, action].get()

    def unheard(self, identity: str, action: str) -> list[Payload]:
        """The messages of that kind that nobody has asked for."""
        told = self._told[identity, action]
        return [told.get_nowait() for _ in range(told.qsize())]

    def _peer(self, identity: str) -> Peer:
        if identity not in self._peers:
            raise DemoFailed(f"{identity} is not connected to the CSMS")
        return self._peers[identity]

    async def _attend(self, connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        identity = unquote(path.rpartition("/")[2])
        version = _VERSIONS[connection.subprotocol or ""]  # the handshake has made sure of it
        peer = Peer(identity, version, connection, lambda call: self._answer(identity, call))
        self._peers[identity] = peer
        try:
            await peer.run()
        finally:
            if self._peers.get(identity) is peer:
                del self._peers[identity]

    def _answer(self, identity: str, call: Call) -> Reply:
        payload = dialects.csms_answer(call.action, now())
        if payload is None:
            raise OcppFault("NotImplemented", f"the demo's CSMS does not know {call.action}")
        return Reply(payload, lambda: self._told[identity, call.action].put_nowait(call.payload))


def now() -> str:
    """The time, as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
