"""Where firmware lies: ``STATE_DIR/firmware/MD5/NAME`` and, until it is verified, ``STATE_DIR/partial/ID``.

A file gets its published name only by rename, after its bytes are on the disk, and each change of a folder is fsynced
before anything relies on it. Every method blocks and belongs into a worker thread. Each failure is a StorageError that
names the operation.
"""

import os
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from localctl.errors import StorageError

FOLDER_MODE: Final = 0o755


class FirmwareFiles:
    """The two folders below ``state_dir``."""

    def __init__(self, state_dir: Path) -> None:
        self.root = state_dir
        self._published = state_dir / "firmware"
        self._partial = state_dir / "partial"

    def prepare(self) -> None:
        """Make what is missing."""
        for folder in (self.root, self._published, self._partial):
            _do("write", folder, partial(folder.mkdir, FOLDER_MODE, parents=True, exist_ok=True))

    def partial(self, publication_id: int) -> Path:
        """Where a publication's bytes are collected."""
        return self._partial / str(publication_id)

    def published(self, checksum: str, name: str) -> Path:
        """Where a published file lies."""
        return self._published / checksum / name

    def publish(self, publication_id: int, checksum: str, name: str) -> Path:
        """Give a verified, fsynced partial file its name; on the disk when this returns."""
        target = self.published(checksum, name)
        _do("write", target.parent, lambda: target.parent.mkdir(FOLDER_MODE, exist_ok=True))
        _do("rename", target, lambda: self.partial(publication_id).rename(target))
        for folder in (target.parent, self._published, self._partial):
            sync_folder(folder)
        return target

    def remove(self, checksum: str) -> None:
        """Unlink what is published under ``checksum``; gone from the disk when this returns (L04.FR.01)."""
        folder = self._published / checksum
        with suppress(FileNotFoundError):
            _do("unlink", folder, partial(_remove, folder))
        sync_folder(self._published)

    def discard(self, publication_id: int) -> None:
        """Throw a partial file away."""
        path = self.partial(publication_id)
        with suppress(FileNotFoundError):
            _do("unlink", path, path.unlink)

    def sweep(self, checksums: Collection[str], publication_ids: Collection[int]) -> int:
        """Remove what belongs to none of these, left over by a kill; how many things that were."""
        kept = set(checksums)
        strays = [entry for entry in self._published.iterdir() if entry.name not in kept]
        for entry in strays:
            _do("unlink", entry, partial(_remove, entry))
        ids = {str(publication_id) for publication_id in publication_ids}
        stale = [entry for entry in self._partial.iterdir() if entry.name not in ids and not entry.is_dir()]
        for entry in stale:
            _do("unlink", entry, entry.unlink)
        return len(strays) + len(stale)

    def space(self) -> tuple[int, int]:
        """Free bytes for us, and the size of the file system in bytes."""
        try:
            found = os.statvfs(self.root)
        except OSError as fault:
            raise StorageError("read", str(self.root), fault) from fault
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def sync_folder(folder: Path) -> None:
    """Make a folder's entries last."""

    def sync() -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    _do("fsync", folder, sync)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _do(operation: str, path: Path, work: Callable[[], object]) -> None:
    try:
        work()
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise StorageError(operation, str(path), fault) from fault
