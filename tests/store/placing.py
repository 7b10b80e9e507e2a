"""A program that takes one file through its whole life, and says each step once it has returned.

Arguments: the state directory, and optionally the last step to take. What it says goes to file descriptor 1 with a
write of its own, so that a trace of its system calls shows what had been done by then.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from localctl.errors import StorageError
from localctl.metrics import Metrics
from localctl.store.catalogue import Catalogue
from localctl.store.database import Database
from localctl.store.disk import Disk
from localctl.store.files import FirmwareFiles
from localctl.store.intake import Intake
from localctl.store.records import State
from localctl.store.shelf import Shelf
from tests.store.samples import BODY, CHECKSUM, file_record, notification, publication

STEPS = ("downloading", "verified", "renamed", "published", "withdrawn")


async def place(state_dir: Path, last: str) -> None:
    """Fetch, verify, rename, publish, withdraw; as far as ``last``."""
    files = FirmwareFiles(state_dir)
    files.prepare()
    with ThreadPoolExecutor(1) as thread:
        database = await Database.open(state_dir / "localctl.db")
        metrics = Metrics(CollectorRegistry(), "0")
        shelf = Shelf(database, files, Catalogue(10), thread, metrics, Disk(files, metrics).failed)
        try:
            await _live(database, files, shelf, thread, STEPS[: STEPS.index(last) + 1])
        except StorageError as fault:
            _say(f"failed {fault.operation}")
        finally:
            await database.close()
    _say("done")


async def _live(
    database: Database, files: FirmwareFiles, shelf: Shelf, thread: ThreadPoolExecutor, steps: tuple[str, ...]
) -> None:
    kept = replace(await database.add_publication(publication()), state=State.DOWNLOADING)
    for step in steps:
        match step:
            case "downloading":
                await database.record(kept)
                intake = await Intake.open(files.partial(kept.id), 0, thread)
                await intake.feed(BODY)
                digests = await intake.finish()
            case "verified":
                assert (digests.md5, digests.size) == (CHECKSUM, len(BODY))
                kept = replace(kept, state=State.VERIFIED)
                await database.record(kept)
            case "renamed":
                await shelf.rename(kept)
            case "published":
                kept = replace(kept, state=State.PUBLISHED)
                await shelf.add(kept, file_record(), [notification("Published")])
            case "withdrawn":
                await shelf.withdraw(CHECKSUM)
        _say(step)


def _say(step: str) -> None:
    os.write(1, f"{step}\n".encode())


if __name__ == "__main__":
    asyncio.run(place(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else STEPS[-1]))
