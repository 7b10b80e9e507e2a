"""The mirror in one process: its real database, disk, threads and HTTP client, and notifications kept for the test."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry

from localctl.config import Firmware
from localctl.metrics import Metrics
from localctl.mirror.download import Downloading
from localctl.mirror.gate import Gate
from localctl.mirror.origins.schemes import Origins
from localctl.mirror.publisher import Publisher
from localctl.mirror.slots import Slots
from localctl.mirror.throttle import Throttle
from localctl.mirror.workshop import Workshop
from localctl.ocpp.frames import Payload
from localctl.ocpp.messages import PublishFirmwareRequest
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.disk import Disk
from localctl.store.files import FirmwareFiles
from localctl.store.names import published_uri
from localctl.store.records import Notification, Snapshot
from localctl.store.shelf import Shelf
from localctl.tls import origins_context
from tests.actors.news import TIMEOUT, News

T = TypeVar("T")
ENDS: Final = {"Published", "DownloadFailed", "InvalidChecksum", "PublishFailed"}


def image(size: int, seed: int = 0) -> bytes:
    """Random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def md5(body: bytes) -> str:
    """The checksum of a body."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def series(metrics: Metrics, name: str, **labels: str) -> float:
    """The value of a series, without its prefix."""
    value = metrics.registry.get_sample_value(f"localctl_{name}", labels)
    assert value is not None, f"no series {name} {labels}"
    return value


class _Stopped(Exception):  # how the task group is told to end
    pass


@dataclass
class Mirror:
    """One run of the mirror; ``snapshot`` is what it found at its start, ``told`` every notification since."""

    publisher: Publisher
    shop: Workshop
    files: FirmwareFiles
    metrics: Metrics
    snapshot: Snapshot
    told: list[Notification]
    news: News

    async def ask(self, location: str, checksum: str, request_id: int = 1, **more: Any) -> Payload:
        """The answer to a PublishFirmware, without what ``more`` has as None; what follows an Accepted has begun."""
        payload = {"requestId": request_id, "location": location, "checksum": checksum, "retryInterval": 0, **more}
        given = {key: value for key, value in payload.items() if value is not None}
        answered, then = await self.publisher.accept(PublishFirmwareRequest.model_validate(given))
        if then:
            then()
        return answered

    async def publish(self, location: str, checksum: str, request_id: int = 1, **more: Any) -> None:
        """Ask, and see it Accepted."""
        assert await self.ask(location, checksum, request_id, **more) == {"status": "Accepted"}

    def statuses(self, request_id: int = 1) -> list[str]:
        """What was reported of a publication in this run, in order."""
        return [each.status for each in self.told if each.request_id == request_id]

    async def until(self, condition: Callable[[], T], what: str = "what was waited for", timeout: float = TIMEOUT) -> T:
        """Wait until ``condition()`` holds, asking at each notification; its value."""
        return await self.news.until(condition, what, timeout)

    async def status(self, status: str, request_id: int = 1, times: int = 1) -> None:
        """Wait until a status was reported so many times."""
        what = f"{status} of publication {request_id}"
        await self.until(lambda: self.statuses(request_id).count(status) >= times, what)

    async def ended(self, request_id: int = 1) -> list[str]:
        """All that was reported of a publication, once it has ended."""
        await self.until(lambda: ENDS & set(self.statuses(request_id)), f"the end of publication {request_id}")
        return self.statuses(request_id)

    def count(self, name: str, **labels: str) -> float:
        """The value of a series."""
        return series(self.metrics, name, **labels)

    async def kept(self) -> Snapshot:
        """What the database holds now."""
        return await self.shop.database.load()

    def refuse_writes(self, *, refuse: bool) -> None:
        """Let the database fail each commit, or no longer."""
        self.shop.database._connection.execute(f"PRAGMA query_only = {int(refuse)}")

    def partial(self) -> list[Path]:
        """The partial files on the disk."""
        return sorted((self.files.root / "partial").iterdir())

    def published(self) -> list[Path]:
        """The published files on the disk."""
        return sorted(path for path in (self.files.root / "firmware").rglob("*") if path.is_file())


def uris(checksum: str, name: str) -> tuple[str, ...]:
    """As two listeners would have it."""
    return tuple(published_uri(scheme, "10.0.0.1", 1, checksum, name) for scheme in ("http", "ftp"))


async def until(condition: Callable[[], object]) -> None:
    """Return when ``condition`` holds, which nobody tells of; other tasks run meanwhile."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110  nobody would set an event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def mirror(state_dir: Path, *, files: FirmwareFiles | None = None, **more: Any) -> AsyncIterator[Mirror]:
    """A mirror on ``state_dir``, going on with what it finds there; stopped as the daemon stops it.

    Of ``more``, the fields of a Workshop and ``monotonic`` replace its own; the rest are keys of [firmware].
    """
    async with AsyncExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(4))
        own = {"uris", "notify", "random", "now", "monotonic", "gate", "throttle"}
        parts = {key: more.pop(key) for key in own & set(more)}
        settings = Firmware(**{"allowed_origins": ("127.0.0.1",), "min_free_space": 0, **more})
        metrics = Metrics(CollectorRegistry(), "0")
        disk = files or FirmwareFiles(state_dir)
        disk.prepare()
        database = await Database.open(state_dir / "localctl.db")
        stack.push_async_callback(database.close)
        catalogue = Catalogue(10)
        failed = Disk(disk, metrics).failed
        shelf = Shelf(database, disk, catalogue, threads, metrics, failed)
        snapshot = await database.load()
        damaged = await shelf.recover(snapshot)
        origin = Origins(settings, origins_context(""), "localctl/test")
        stack.push_async_callback(origin.close)
        loop = asyncio.get_running_loop()
        told: list[Notification] = []
        news = News(lambda: f"told: {told}")

        def notify(kept: Iterable[Notification]) -> None:
            told.extend(kept)
            news.tell()

        monotonic = parts.pop("monotonic", loop.time)
        throttle = parts.pop("throttle", None) or Throttle(settings.max_rate, monotonic)
        shop = Workshop(
            database,
            shelf,
            catalogue,
            Downloading(settings, origin, disk, threads, metrics, monotonic, throttle),
            Slots(settings.max_concurrent_downloads),
            parts.pop("gate", None) or Gate(None, lambda: 1e9),
            **{"uris": uris, "notify": notify, "now": lambda: 1e9, "random": lambda: 0.5, "failed": failed, **parts},
        )
        async with _tasks() as tasks:
            made = Mirror(Publisher(shop, tasks), shop, disk, metrics, snapshot, told, news)
            made.publisher.go_on(snapshot.publications)
            for record in damaged:
                await made.publisher.repair(record.checksum)
            yield made


@asynccontextmanager
async def _tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that is cancelled at the end, as the daemon's is; what a test raises comes out as it is."""
    raised: list[Exception] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                yield tasks
            except Exception as fault:  # noqa: BLE001  a group would hide it
                raised.append(fault)
            raise _Stopped
    except* _Stopped:
        pass
    if raised:
        raise raised[0]
