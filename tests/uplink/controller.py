"""The uplink in one process: a real connection, with the mirror's part played by the test."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CollectorRegistry

from localctl.config import Controller as Who
from localctl.config import Csms as Settings
from localctl.errors import StorageError
from localctl.metrics import Metrics
from localctl.ocpp.frames import Payload
from localctl.ocpp.messages import PublishFirmwareRequest, PublishStatus, answer
from localctl.store.records import Notification
from localctl.uplink.connection import Clock, Uplink
from localctl.uplink.dial import Dialler
from localctl.uplink.handlers import Handlers, Then
from localctl.uplink.outbox import Outbox
from tests.actors.csms import Csms
from tests.actors.link import CallError, Link
from tests.actors.news import TIMEOUT

LC: Final = "LC-0001"
STATUS: Final = "PublishFirmwareStatusNotification"
MD5: Final = "d41d8cd98f00b204e9800998ecf8427e"
PUBLISH: Final = {"location": "http://files.example.com/fw.bin", "checksum": MD5, "requestId": 7}


async def until(condition: Callable[[], object]) -> None:
    """Return when ``condition`` holds, which nobody tells of; other tasks run meanwhile."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110  nobody would set an event
            await asyncio.sleep(0.002)


class Steady:
    """A steady clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


@dataclass
class Mirror:
    """What the handlers ask; a test may put its own functions in place of these."""

    asked: list[Any] = field(default_factory=list)
    failures: list[StorageError] = field(default_factory=list)

    async def publish(self, request: PublishFirmwareRequest) -> tuple[Payload, Then]:
        """Accept."""
        self.asked.append(request.requestId)
        return answer("Accepted"), lambda: self.asked.append("begin")

    async def withdraw(self, checksum: str) -> str:
        """Withdraw."""
        self.asked.append(checksum)
        return "Unpublished"


@dataclass
class Controller:
    """A running uplink, and what it has done."""

    uplink: Uplink
    outbox: Outbox
    metrics: Metrics
    clock: Steady
    settled: list[Notification]
    task: asyncio.Task[None]

    def notify(self, *statuses: PublishStatus, request_id: int = 7) -> list[Notification]:
        """These are kept, and are to be sent."""
        number = len(self.settled) + len(self.outbox)
        notes = [
            Notification(number + at, request_id, status, ("http://10.0.0.1/f",) if status == "Published" else (), 1.0)
            for at, status in enumerate(statuses, 1)
        ]
        self.uplink.notify(notes)
        return notes

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.ahead += seconds
        self.uplink._sender.wake()

    def count(self, name: str, **labels: str) -> float:
        """The value of a series, without its prefix."""
        value = self.metrics.registry.get_sample_value(f"localctl_{name}", labels)
        assert value is not None, f"no series {name} {labels}"
        return value


def dialler(url: str, tls: ssl.SSLContext | None = None, identity: str = LC, **keys: Any) -> Dialler:
    """Who dials ``url``; keyword arguments are keys of [csms]."""
    settings = Settings(url=url, **{"retry_backoff_wait_minimum_seconds": 0.01, **keys})
    return Dialler(identity, settings, tls, "localctl/test", lambda: 1e9)


@asynccontextmanager
async def controller(
    url: str,
    *,
    mirror: Mirror | None = None,
    settle: Callable[[Notification], Awaitable[None]] | None = None,
    new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    **keys: Any,
) -> AsyncIterator[Controller]:
    """An uplink to ``url``, stopped as the daemon stops it; keyword arguments are keys of [csms]."""
    settled: list[Notification] = []

    async def settling(notification: Notification) -> None:
        if settle is not None:
            await settle(notification)
        settled.append(notification)

    outbox, metrics, clock = Outbox(), Metrics(CollectorRegistry(), "0"), Steady()
    dials = dialler(url, **{"retry_backoff_random_range_seconds": 0, **keys})
    who = Who(identity=LC, serial_number="SN-1", state_dir="/state")
    times = Clock(lambda: 1e9, clock, lambda: 0.5, new_id)
    uplink = Uplink(dials, who, dials.settings, outbox, settling, metrics, times)
    room = mirror or Mirror()
    handlers = Handlers(
        uplink.session, room.publish, room.withdraw, uplink.trigger, uplink.boot_again, room.failures.append
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(uplink.run(handlers), name="uplink")
        try:
            yield Controller(uplink, outbox, metrics, clock, settled, task)
        finally:
            task.cancel()


async def call(csms: Csms, action: str, payload: dict[str, Any]) -> dict[str, Any] | CallError:
    """The answer of the controller to a CALL."""
    return await csms.call(LC, action, payload)


async def trigger(csms: Csms, requested: str) -> dict[str, Any]:
    """Trigger a message; its payload."""
    before = len(csms.received(LC, requested))
    assert await call(csms, "TriggerMessage", {"requestedMessage": requested}) == {"status": "Accepted"}
    await csms.until(lambda: len(csms.received(LC, requested)) > before, requested)
    return csms.received(LC, requested)[-1]


def told(csms: Csms) -> list[str]:
    """The statuses that the CSMS has received, repetitions as well."""
    return [payload["status"] for payload in csms.received(LC, STATUS)]


def gone(link: Link) -> None:
    """The link's connection breaks, without a word."""
    link.connection.transport.abort()
