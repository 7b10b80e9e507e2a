"""A store after a start, as the daemon makes it."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from localctl.errors import NotPublished
from localctl.metrics import Metrics
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.disk import Disk
from localctl.store.files import FirmwareFiles
from localctl.store.records import Publication, Snapshot, State
from localctl.store.shelf import Shelf
from tests.store.samples import BODY, CHECKSUM, NOW, file_record, notification, publication, put

ON_DISK = {f"firmware/{CHECKSUM}", f"firmware/{CHECKSUM}/fw.bin"}  # BODY published


@dataclass(frozen=True)
class Store:
    """Its parts, and what was kept when it started."""

    database: Database
    files: FirmwareFiles
    catalogue: Catalogue
    threads: ThreadPoolExecutor
    shelf: Shelf
    metrics: Metrics
    snapshot: Snapshot

    async def verified(self, checksum: str = CHECKSUM) -> Publication:
        """A publication whose bytes are collected and verified."""
        kept = await self.database.add_publication(publication(checksum=checksum))
        put(self.files.partial(kept.id), BODY)
        kept = replace(kept, state=State.VERIFIED)
        await self.database.record(kept)
        return kept

    async def published(self) -> Publication:
        """BODY, published."""
        kept = await self.verified()
        await self.shelf.rename(kept)
        done = replace(kept, state=State.PUBLISHED)
        await self.shelf.add(done, file_record(), [notification("Published")])
        return done

    def on_disk(self) -> set[str]:
        """What lies in the two folders."""
        both = [self.files.root / "firmware", self.files.root / "partial"]
        return {str(each.relative_to(self.files.root)) for folder in both for each in folder.rglob("*")}

    def value(self, name: str, **labels: str) -> float | None:
        """A metric's value."""
        return self.metrics.registry.get_sample_value(f"localctl_{name}", labels)

    def is_lent(self) -> bool:
        """Whether a station gets BODY."""
        try:
            self.catalogue.end(self.catalogue.lend(CHECKSUM, "fw.bin", "http", "192.0.2.1", NOW))
        except NotPublished:
            return False
        return True


@asynccontextmanager
async def started(state_dir: Path) -> AsyncIterator[Store]:
    """Start on what is there; stop at the end."""
    files, catalogue, metrics = FirmwareFiles(state_dir), Catalogue(10), Metrics(CollectorRegistry(), "0")
    files.prepare()
    with ThreadPoolExecutor(2) as threads:
        database = await Database.open(state_dir / "localctl.db")
        try:
            snapshot = await database.load()
            shelf = Shelf(database, files, catalogue, threads, metrics, Disk(files, metrics).failed)
            for record in await shelf.recover(snapshot):
                lost = publication(checksum=record.checksum, state=State.PUBLISH_FAILED)
                await shelf.condemn(lost, ())
            yield Store(database, files, catalogue, threads, shelf, metrics, snapshot)
        finally:
            await database.close()
