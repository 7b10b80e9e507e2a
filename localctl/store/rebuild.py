"""A start on a database that is damaged or gone. Edge: it sets aside, hashes and writes anew.

What stations need is in the files themselves: each lies in a folder named by its MD5. Those that still have it are
published again; where they came from is not known any more. What only the database knew is lost: publications under
way, statuses that wait for the CSMS, used requestIds. The new database gets its name only when it is whole, so that a
kill in mid-work is made up for by the next start.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path

from localctl.errors import DatabaseDamaged, StateError, StorageError
from localctl.store.database import Database
from localctl.store.files import FirmwareFiles, sync_folder
from localctl.store.intake import digest_file
from localctl.store.records import FileRecord
from localctl.store.soundness import set_aside

log = logging.getLogger("localctl.store")


async def open_or_rebuild(path: Path, files: FirmwareFiles, executor: Executor, now: Callable[[], float]) -> Database:
    """The database at ``path``, made anew from ``files`` where it is damaged or gone. ``now`` is Unix seconds.

    Raises DatabaseTooNew or StateError.
    """
    run = asyncio.get_running_loop().run_in_executor
    if await run(executor, _has_content, path):
        try:
            used = bool(await run(executor, files.named))  # without tables it would have them swept away
            return await Database.open(path, used=used)
        except DatabaseDamaged as fault:
            aside = await run(executor, set_aside, path, now())
            log.error("%s; set aside as %s. What was under way is forgotten; whole files are published", fault, aside)
    try:
        records = await run(executor, lambda: list(_survivors(files)))
        if records:
            log.error("%s is made anew from %d files whose MD5 is that of their folder", path, len(records))
            await _write(path, records, executor, now)
    except (OSError, StorageError) as fault:
        raise StateError(str(path), f"the database cannot be made anew: {fault}") from fault
    return await Database.open(path)


async def _write(path: Path, records: Iterable[FileRecord], executor: Executor, now: Callable[[], float]) -> None:
    """Raises StateError, StorageError or OSError."""
    run = asyncio.get_running_loop().run_in_executor
    draft = path.with_name(f"{path.name}.new")
    await run(executor, _unlink, draft)
    database = await Database.open(draft)
    try:
        await database.add_files(records)
    finally:
        await database.close()  # what is in the write-ahead log is in the database then

    def give_name() -> None:
        if path.exists() or path.with_name(f"{path.name}-wal").exists():
            set_aside(path, now())  # empty; and a log that is not the new one's must not be read into it
        draft.rename(path)
        sync_folder(path.parent)

    await run(executor, give_name)


def _has_content(path: Path) -> bool:
    """Whether anything was kept there; a kill at the very first start leaves an empty file."""
    try:
        return path.is_dir() or path.stat().st_size > 0
    except OSError:
        return False


def _unlink(draft: Path) -> None:
    """What a kill in mid-work left."""
    for ending in ("", "-wal"):
        draft.with_name(f"{draft.name}{ending}").unlink(missing_ok=True)


def _survivors(files: FirmwareFiles) -> Iterable[FileRecord]:
    """Each file that has the MD5 of its folder. Raises StorageError where the folders cannot be read."""
    for checksum, path in files.named():
        try:
            digests = digest_file(path)
            at = os.lstat(path).st_mtime
        except (OSError, StorageError) as fault:
            log.error("%s cannot be published again: %s", path, fault)
            continue
        if digests.md5 == checksum:
            yield FileRecord(checksum, path.name, digests.size, digests.sha256, "", at)
        else:
            log.error("%s cannot be published again: its MD5 is %s now", path, digests.md5)
