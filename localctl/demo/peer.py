"""One OCPP-J connection, the same seen from the CSMS and from a station. Edge.

Calls go out one at a time (Part 4, 4.1.1) and are answered in the order in which they came.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed

from localctl.demo.patience import DemoFailed, within
from localctl.demo.plan import Version
from localctl.errors import OcppFault
from localctl.ocpp import frames
from localctl.ocpp.frames import Payload
from localctl.ocpp.ledger import Ledger

ANSWER_SECONDS: Final = 20.0
# The library's account of connections that end as they may would only spoil the picture.
QUIET: Final = logging.getLogger("localctl.demo.websockets")
QUIET.setLevel(logging.CRITICAL + 1)

_Answer = frames.CallResult | frames.CallError


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call, and what happens once it is on its way."""

    payload: Payload
    then: Callable[[], None] = lambda: None


class Peer:
    """Whoever is at the other end, under its ``name``. ``answer`` is asked for each call; it may raise OcppFault."""

    def __init__(self, name: str, version: Version, socket: Connection, answer: Callable[[frames.Call], Reply]) -> None:
        self.name = name
        self.version = version
        self._socket = socket
        self._answer = answer
        self._turn = asyncio.Lock()
        self._ledger: Ledger[asyncio.Future[_Answer]] = Ledger()

    async def run(self) -> None:
        """Read until the connection is over, however it ends."""
        try:
            while True:
                await self._take(await self._socket.recv(decode=True))
        except ConnectionClosed:
            waiting = self._ledger.end()
            if waiting is not None and not waiting.done():
                waiting.set_exception(DemoFailed(f"{self.name} ended its connection instead of an answer"))

    async def call(self, action: str, payload: Payload) -> Payload:
        """The answer to a call. Raises DemoFailed where there is none, or a refusal."""
        async with self._turn, within(ANSWER_SECONDS, f"{self.name}'s answer to {action}"):
            call = frames.Call(str(uuid.uuid4()), action, payload)
            answered: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
            self._ledger.open(call.id, answered)
            try:
                await self._socket.send(frames.encode(call))
                frame = await answered
            except ConnectionClosed as fault:
                raise DemoFailed(f"{action} could not be sent to {self.name}: {fault}") from fault
            finally:
                self._ledger.end()
        if isinstance(frame, frames.CallError):
            raise DemoFailed(f"{self.name} answered {action} with {frame.code}: {frame.description}")
        return frame.payload

    async def _take(self, text: str) -> None:
        try:
            # 1.6 frames are those of 2.0.1
            match frames.parse(text, "2.1" if self.version == "2.1" else "2.0.1"):
                case frames.Call() as call:
                    await self._reply(call)
                case (frames.CallResult() | frames.CallError()) as answer:
                    waiting = self._ledger.settle(answer.id)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
        except OcppFault as fault:
            await self._socket.send(frames.encode(frames.CallError(fault.message_id, fault.code, fault.description)))

    async def _reply(self, call: frames.Call) -> None:
        try:
            reply = self._answer(call)
        except OcppFault as fault:
            raise OcppFault(fault.code, fault.description, call.id) from fault
        await self._socket.send(frames.encode(frames.CallResult(call.id, reply.payload)))
        reply.then()
