"""A program that starts and works on a full disk, and goes on when there is room again.

Its argument is a folder on a small file system of its own. It says what became of each step.
"""

import asyncio
import sys
from collections.abc import Awaitable
from pathlib import Path

from localctl.errors import StorageError
from localctl.store.intake import BLOCK, Intake
from tests.store.samples import publication
from tests.store.stores import started


async def work(state_dir: Path) -> None:
    """Publish, fill the disk, restart on it, fail, make room, succeed."""
    async with started(state_dir) as store:
        await store.published()
    filler = state_dir / "filler"
    fill(filler)
    async with started(state_dir) as store:
        print("started, lent:", store.is_lent())
        print("commit:", await outcome(store.database.add_publication(publication(2))))
        print("withdraw:", await outcome(store.shelf.withdraw(store.snapshot.files[0].checksum)))
        print("lent:", store.is_lent())
        intake = await Intake.open(store.files.partial(9), 0, store.threads)
        print("write:", await outcome(intake.feed(bytes(BLOCK))), await outcome(intake.finish()))
        filler.unlink()
        print("commit:", await outcome(store.database.add_publication(publication(2))))
        print("knows:", await store.database.knows_request(2, 0.0))


def fill(path: Path) -> None:
    """Leave no room for a byte more."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


async def outcome(step: Awaitable[object]) -> str:
    """Of the step: done, or what failed."""
    try:
        await step
    except StorageError as fault:
        return f"failed {fault.operation}"
    return "done"


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
