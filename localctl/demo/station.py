"""A charging station of the demo: it boots, and fetches its firmware where UpdateFirmware says. Edge.

It knows the controller's address only, and speaks with it as it would with a CSMS.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from localctl.demo import dialects
from localctl.demo.fetch import fetch
from localctl.demo.patience import DemoFailed
from localctl.demo.peer import QUIET, Peer, Reply
from localctl.demo.plan import Role
from localctl.errors import OcppFault
from localctl.ocpp.frames import Call, Payload


@dataclass(slots=True)
class Pause:
    """A stop in the middle of a download: ``at`` so many bytes, until ``over``."""

    at: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold(self) -> None:
        """Say that the stop is reached, and wait for its end."""
        self.reached.set()
        await self.over.wait()


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What came of a download: how many bytes, and their MD5."""

    received: int
    md5: str


class Station:
    """Plays ``role``. Reads ``rate`` bytes a second; ``show`` is told how many bytes it has."""

    def __init__(self, role: Role, rate: float, pause: Pause | None, show: Callable[[int], None]) -> None:
        self.role = role
        self.pause = pause
        self._rate = rate
        self._show = show
        self._order: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()

    async def live(self, url: str) -> Downloaded:
        """Connect to ``url``, boot, and update when told to. Raises DemoFailed."""
        role = self.role
        try:
            async with connect(
                f"{url}/{role.identity}",
                subprotocols=[Subprotocol(f"ocpp{role.version}")],
                proxy=None,
                close_timeout=2,
                logger=QUIET,
            ) as socket:
                return await self._attend(
                    Peer(f"the CSMS (asked by {role.identity})", role.version, socket, self._answer)
                )
        except (WebSocketException, OSError) as fault:
            raise DemoFailed(f"{role.identity} could not connect to the controller: {fault}") from fault

    async def _attend(self, csms: Peer) -> Downloaded:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(csms), name=f"{self.role.identity} reads")
            await csms.call("BootNotification", dialects.boot_notification(csms.version))
            done = await self._update(csms, await self._order)
            reading.cancel()
        return done

    async def _read(self, csms: Peer) -> None:
        await csms.run()
        raise DemoFailed(f"{self.role.identity} lost its connection to the controller")

    def _answer(self, call: Call) -> Reply:
        if call.action != "UpdateFirmware" or self._order.done():
            raise OcppFault("NotImplemented", f"the demo's station does not do {call.action} now")
        return Reply(dialects.update_answer(self.role.version), lambda: self._order.set_result(call.payload))

    async def _update(self, csms: Peer, request: Payload) -> Downloaded:
        await csms.call("FirmwareStatusNotification", dialects.firmware_status(csms.version, "Downloading", request))
        done = await self._download(str(dialects.firmware_location(csms.version, request)))
        await csms.call("FirmwareStatusNotification", dialects.firmware_status(csms.version, "Downloaded", request))
        return done

    async def _download(self, location: str) -> Downloaded:
        digest = hashlib.md5(usedforsecurity=False)
        loop = asyncio.get_running_loop()
        begun, received = loop.time(), 0

        async def take(piece: bytes) -> None:
            nonlocal received
            digest.update(piece)
            received += len(piece)
            self._show(received)
            if self.pause and received >= self.pause.at:
                await self.pause.hold()
            await asyncio.sleep(begun + received / self._rate - loop.time())

        await fetch(location, take)
        return Downloaded(received, digest.hexdigest())
