"""The read-only file system that FTP clients see: folders and files of the catalogue, nothing of the disk.

Rules: the catalogue in, made-up ``stat`` results out. A file is opened by a transfer, not here.
"""

import errno
import os
import stat
from typing import Final, NoReturn
from zlib import crc32

from pyftpdlib.filesystems import AbstractedFS

from localctl.serve.paths import Folder, find
from localctl.store.catalogue import Catalogue, PublishedFile

OWNER: Final = "localctl"


class PublishedFiles(AbstractedFS):  # type: ignore[misc]  # pyftpdlib carries no types
    """What pyftpdlib asks of a file system; a path is the same inside and outside."""

    catalogue: Catalogue  # set by the class made for each server

    def ftp2fs(self, ftppath: str) -> str:
        """An absolute path without ``.`` and ``..``."""
        return str(self.ftpnorm(ftppath))

    def fs2ftp(self, fspath: str) -> str:
        """The path itself."""
        return fspath

    def validpath(self, path: str) -> bool:  # noqa: ARG002
        """Any path: none leads to the disk."""
        return True

    def realpath(self, path: str) -> str:
        """The path itself: there are no links."""
        return path

    def open(self, filename: str, mode: str) -> NoReturn:
        """Never: RETR lends."""
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), filename, mode)

    def chdir(self, path: str) -> None:
        """Make ``path`` the current folder. Raises OSError where it is none."""
        self._folder(path)
        self.cwd = path

    def listdir(self, path: str) -> list[str]:
        """The names in the folder. Raises OSError where it is none."""
        return list(self._folder(path).names)

    def isfile(self, path: str) -> bool:
        """Whether a file is published there."""
        return isinstance(find(self.catalogue, path), PublishedFile)

    def isdir(self, path: str) -> bool:
        """Whether it is a folder."""
        return isinstance(find(self.catalogue, path), Folder)

    def lexists(self, path: str) -> bool:
        """Whether there is anything."""
        return find(self.catalogue, path) is not None

    def getsize(self, path: str) -> int:
        """Bytes. Raises OSError where there is nothing."""
        return self.stat(path).st_size

    def getmtime(self, path: str) -> float:
        """Unix seconds. Raises OSError where there is nothing."""
        return self.stat(path).st_mtime

    def stat(self, path: str) -> os.stat_result:
        """What LIST and MLSD are made of. Raises OSError where there is nothing."""
        match find(self.catalogue, path):
            case PublishedFile() as file:
                return _stat(stat.S_IFREG | 0o444, file.checksum, file.size, file.published_at)
            case Folder() as folder:
                return _stat(stat.S_IFDIR | 0o555, path, 0, folder.changed_at)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    lstat = stat

    def get_user_by_uid(self, uid: int) -> str:  # noqa: ARG002
        """One owner for all."""
        return OWNER

    get_group_by_gid = get_user_by_uid

    def _folder(self, path: str) -> Folder:
        folder = find(self.catalogue, path)
        if not isinstance(folder, Folder):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return folder


def _stat(mode: int, unique: str, size: int, changed_at: float) -> os.stat_result:
    inode = crc32(unique.encode(errors="replace"))  # the fact `unique` of MLSD
    return os.stat_result((mode, inode, 0, 1, 0, 0, size, changed_at, changed_at, changed_at))
