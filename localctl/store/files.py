"""Where firmware lies: ``STATE_DIR/firmware/MD5/NAME`` and, until it is verified, ``STATE_DIR/partial/ID``.

A file gets its published name only by rename, after its bytes are on the disk, and each change of a folder is fsynced
before anything relies on it. Every method blocks and belongs into a worker thread. Each failure is a StorageError that
names the operation.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from localctl.errors import StorageError
from localctl.store.names import is_checksum, is_name

FOLDER_MODE: Final = 0o755
Result = TypeVar("Result")


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
        sync_folder(self.root)

    def partial(self, publication_id: int) -> Path:
        """Where a publication's bytes are collected; a negative number is that of one by hand."""
        return self._partial / str(publication_id)

    def published(self, checksum: str, name: str) -> Path:
        """Where a published file lies."""
        return self._published / checksum / name

    def publish(self, publication_id: int, checksum: str, name: str) -> Path:
        """Give a verified, fsynced partial file its name; on the disk when this returns.

        It may have it already, where a kill came before the folders were fsynced.
        """
        source, target = self.partial(publication_id), self.published(checksum, name)
        _do("write", target.parent, partial(_make_folder, target.parent))
        sync_folder(self._published)  # first the folder, then what lies in it: a power cut finds the file here or there
        if _do("read", source, partial(os.path.lexists, source)):
            _do("rename", target, partial(source.rename, target))
        elif not self.holds(checksum, name):
            raise StorageError("rename", str(target), "the verified file is not there any more")
        for folder in (target.parent, self._partial):
            sync_folder(folder)
        return target

    def holds(self, checksum: str, name: str, size: int | None = None) -> bool:
        """Whether a regular file, of ``size`` bytes where that is given, lies there; a link is none."""
        path = self.published(checksum, name)

        def look() -> bool:
            if not stat.S_ISDIR(path.parent.lstat().st_mode):
                return False
            found = path.lstat()
            return stat.S_ISREG(found.st_mode) and size in {None, found.st_size}

        return _do("read", path, partial(_unless_missing, look))

    def remove(self, checksum: str) -> None:
        """Unlink what is published under ``checksum``; gone from the disk when this returns (L04.FR.01)."""
        folder = self._published / checksum
        _do("unlink", folder, partial(_remove, folder))
        sync_folder(self._published)

    def hand_over(self, giver: int, heir: int) -> None:
        """A publication's fsynced partial file becomes another's; on the disk when this returns."""
        source, target = self.partial(giver), self.partial(heir)
        _do("rename", target, partial(source.rename, target))
        sync_folder(self._partial)

    def discard(self, publication_id: int) -> None:
        """Throw a partial file away. A power cut may bring it back; the next ``sweep`` finds it then."""
        path = self.partial(publication_id)
        _do("unlink", path, partial(_remove, path))

    def sweep(self, checksums: Collection[str], publication_ids: Collection[int]) -> int:
        """Remove what belongs to none of these, left over by a kill; how many things that were.

        What does not bear a name of ours (a file system's ``lost+found``) is not ours to remove.
        """
        partials = {str(publication_id) for publication_id in publication_ids}
        strays = [
            *(each for each in _entries(self._published) if is_checksum(each.name) and each.name not in checksums),
            *(
                each
                for each in _entries(self._partial)
                if each.name.removeprefix("-").isdecimal() and each.name not in partials
            ),
        ]
        for stray in strays:
            _do("unlink", stray, partial(_remove, stray))
        return len(strays)

    def named(self) -> list[tuple[str, Path]]:
        """Each regular file that lies as a published one does, with the MD5 that its folder claims; links are none."""
        folders = [each for each in _entries(self._published) if is_checksum(each.name)]
        plain = [folder for folder in sorted(folders) if folder.is_dir() and not folder.is_symlink()]
        within = [(folder.name, path) for folder in plain for path in sorted(_entries(folder)) if is_name(path.name)]
        return [(checksum, path) for checksum, path in within if self.holds(checksum, path.name)]

    def space(self) -> tuple[int, int]:
        """Free bytes for us, and the size of the file system in bytes."""
        found = _do("read", self.root, partial(os.statvfs, self.root))
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def sync_folder(folder: Path) -> None:
    """Make a folder's entries last."""

    def sync() -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    _do("fsync", folder, sync)


def _entries(folder: Path) -> Iterable[Path]:
    return _do("read", folder, lambda: list(folder.iterdir()))


def _make_folder(path: Path) -> None:
    path.mkdir(FOLDER_MODE, exist_ok=True)
    if path.is_symlink():  # planted; not to be followed
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _unless_missing(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except (FileNotFoundError, NotADirectoryError):
        return False


def _remove(path: Path) -> None:
    """Whatever is there, nothing included; a link itself, never what it points to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _do(operation: str, path: Path, work: Callable[[], Result]) -> Result:
    try:
        return work()
    except OSError as fault:
        raise StorageError(operation, str(path), fault) from fault
