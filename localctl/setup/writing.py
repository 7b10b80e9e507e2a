"""Files that only localctl's user and root may read, written whole or not at all. Edge.

A draft beside the file is written, fsynced and renamed. Root gives it to the group ``localctl`` where there is one,
else what stands there keeps its group.
"""

import contextlib
import grp
import os
import tempfile
from pathlib import Path
from typing import Final

from localctl.errors import SetupRefused

MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
_GROUP: Final = "localctl"


def write(path: Path, content: str) -> None:
    """Put ``content`` at ``path``, and the folder with it where there is none. Raises SetupRefused."""
    path = path.resolve()  # what a link leads to is replaced, not the link
    try:
        _folder(path.parent)
        _replace(path, content.encode())
    except OSError as fault:
        raise SetupRefused(f"{path} cannot be written: {fault.strerror}") from fault


def keep_copy(path: Path, stamp: str) -> Path:
    """A copy of ``path`` beside it, of the same mode and owner; where it is. Raises SetupRefused."""
    copy = path.with_name(f"{path.name}.bak-{stamp}")
    try:
        status = path.stat()
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123  of a descriptor
            file.write(path.read_bytes())
            with contextlib.suppress(PermissionError):  # whoever may write here need not be the owner
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            os.fchmod(file.fileno(), status.st_mode & 0o777)
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise SetupRefused(f"{path} cannot be copied to {copy}: {fault.strerror}") from fault
    return copy


def group_of(path: Path) -> int | None:
    """The group that a file at ``path`` shall have; None: whichever this user gives."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            return grp.getgrnam(_GROUP).gr_gid
    with contextlib.suppress(OSError):
        return path.stat().st_gid
    return None


def _folder(folder: Path) -> None:
    if not folder.is_dir():
        group = group_of(folder)
        folder.mkdir(_FOLDER_MODE, parents=True)
        if group is not None:
            os.chown(folder, -1, group)


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  of a descriptor
            file.write(content)
            file.flush()
            _give(file.fileno(), path)
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _give(descriptor: int, path: Path) -> None:
    """Its group, and then its mode: nobody else may read it in between."""
    group = group_of(path)
    if group is not None:
        with contextlib.suppress(PermissionError):  # no member of that group: it stays this user's
            os.fchown(descriptor, -1, group)
    os.fchmod(descriptor, MODE)
