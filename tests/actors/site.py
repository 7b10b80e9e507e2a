"""A site: the real daemon between a CSMS on the package ``ocpp`` and an origin that does as it is told."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.link import CallError
from tests.actors.origin import Origin, Reply

LC = "LC-0001"


@dataclass(frozen=True, slots=True)
class Firmware:
    """A file at the origin."""

    body: bytes = field(repr=False)
    name: str = "fw-1.2.3.bin"

    @property
    def checksum(self) -> str:
        """Its MD5."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()


def firmware(size: int, seed: int = 0) -> Firmware:
    """Random bytes, the same for the same seed."""
    return Firmware(random.Random(seed).randbytes(size))


@dataclass(slots=True)
class Site:
    """What a journey needs. ``publish`` and ``unpublish`` are the CSMS's requests."""

    csms: Csms
    daemon: Daemon
    origin: Origin
    ids: "count[int]" = field(default_factory=lambda: count(101))

    async def publish(self, location: str, checksum: str, **more: Any) -> tuple[int, dict[str, Any]]:
        """Send PublishFirmware; its requestId and the answer."""
        payload = {"requestId": next(self.ids), "location": location, "checksum": checksum, **more}
        answer = await self.csms.call(LC, "PublishFirmware", payload)
        assert not isinstance(answer, CallError), answer
        return payload["requestId"], answer

    async def published(self, file: Firmware) -> tuple[int, list[str]]:
        """Publish a file that the origin serves properly; the requestId and the URIs."""
        location = self.origin.script(f"/{file.name}", Reply(file.body))
        request_id, answer = await self.publish(location, file.checksum)
        assert answer == {"status": "Accepted"}
        return request_id, (await self.csms.wait_status(request_id, "Published"))["location"]

    async def unpublish(self, checksum: str) -> str:
        """Send UnpublishFirmware; the status of its answer."""
        answer = await self.csms.call(LC, "UnpublishFirmware", {"checksum": checksum})
        assert not isinstance(answer, CallError), answer
        return str(answer["status"])

    async def withdrawal(self, checksum: str) -> dict[str, Any] | CallError:
        """Send UnpublishFirmware until no download that has just come to its end stands against it; its answer."""
        request, ongoing = {"checksum": checksum}, {"status": "DownloadOngoing"}
        async with asyncio.timeout(20):
            while (answer := await self.csms.call(LC, "UnpublishFirmware", request)) == ongoing:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return answer

    async def withdrawn(self, checksum: str) -> str:
        """The same; its status."""
        answer = await self.withdrawal(checksum)
        assert not isinstance(answer, CallError), answer
        return str(answer["status"])

    def statuses(self, request_id: int | None) -> list[str]:
        """The statuses reported of a publication, in order."""
        return [str(told["status"]) for told in self.csms.statuses(request_id)]

    async def triggered(self, message: str) -> dict[str, Any]:
        """Send TriggerMessage, see it Accepted; the payload of the message that came of it."""
        before = len(self.csms.received(LC, message))
        answer = await self.csms.call(LC, "TriggerMessage", {"requestedMessage": message})
        assert answer == {"status": "Accepted"}
        await self.csms.until(lambda: len(self.csms.received(LC, message)) > before, message)
        return self.csms.received(LC, message)[-1]


OpenSite = Callable[..., Awaitable["Site"]]


async def get(url: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of an HTTP URL."""
    async with aiohttp.request("GET", url, headers=headers) as answer:
        return answer.status, await answer.read()


@asynccontextmanager
async def downloading(url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """A station in the middle of its download, and not reading on."""
    connector = aiohttp.TCPConnector()
    async with aiohttp.ClientSession(connector=connector, read_bufsize=4096) as session, session.get(url) as answer:
        await answer.content.readany()
        yield answer
