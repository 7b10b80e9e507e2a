"""The state directory: whether it can be written to, has room, and is on a disk that keeps what it is given. Edge.

Nothing is left in it, and none is made.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from localctl.checking.access import User, may
from localctl.checking.verdict import Check, size
from localctl.config import Config

_FEW: Final = 1000  # names that a file system can still take
_DAMAGED: Final = "localctl.db.damaged-*"
_FORGETS: Final = "What is stored there is gone after a restart: use a folder on a disk, or a volume of the container."
_CARELESS: Final = "It knows no owners and loses files in a power cut: format it as ext4."
_REMOTE: Final = "A database on a network's disk is damaged sooner or later: use a disk of this machine."
_UNFIT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("tmpfs", "ramfs", "overlay", "squashfs"), _FORGETS),
    **dict.fromkeys(("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk"), _CARELESS),
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "9p"), _REMOTE),
}
_ADVICE: Final[Mapping[int | None, str]] = {
    errno.EROFS: "The disk is shut for writing. After an error Linux does that itself: does it tell of one (dmesg)?",
    errno.ENOSPC: "Make room on the disk: it is full, or has no room for more names (df -h, df -i).",
    errno.EIO: "The disk fails: replace the card (dmesg tells more).",
}


def of_state(config: Config, user: User | None) -> Iterator[Check]:
    """What is found of ``controller.state_dir``; ``user`` is the daemon's, where root asks."""
    path = Path(config.controller.state_dir)
    what = f"controller.state_dir: {path}"
    try:
        nearest = next(folder for folder in (path, *path.parents) if folder.exists())
        yield _writable(what, path, nearest, user)
        yield _room(what, shutil.disk_usage(nearest).free, config.firmware.min_free_space)
        yield from _names_left(what, os.statvfs(nearest))
    except OSError as fault:
        owner = user.name if user else "localctl"
        advice = f"It must be a folder that localctl's user may write to (install -d -o {owner} {path})."
        if fault.errno == errno.EACCES and os.geteuid() != 0:
            advice += " You may not; whether that user may, only root finds out (sudo)."
        yield Check("FAIL", f"{what}: {fault.strerror}", _ADVICE.get(fault.errno, advice))
        return
    yield from suits(what, kind_of(nearest.resolve()))
    yield from _remains(path, user)


def _writable(what: str, path: Path, nearest: Path, user: User | None) -> Check:
    """Raises OSError where it is not."""
    if nearest == path:
        tempfile.TemporaryFile(dir=path).close()
        if user and not (may(user, path, "write") and may(user, path, "enter")):
            raise PermissionError(errno.EACCES, f"{user.name}, as whom the daemon runs, may not write to it")
        return Check("ok", f"{what} is writable")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"does not exist, and {nearest} may not be written to")
    return Check("ok", f"{what} can be made")


def _room(what: str, free: int, kept: int) -> Check:
    if free - kept > 0:
        return Check("ok", f"{what}: {size(free)} free, for files of up to {size(free - kept)} together")
    advice = "Make room on the disk: until then no firmware is fetched; stations are relayed all the same."
    return Check("FAIL", f"{what}: {size(free)} free, firmware.min_free_space asks for {size(kept)}", advice)


def _names_left(what: str, found: os.statvfs_result) -> Iterator[Check]:
    """A disk of many small files can be full with bytes left; some file systems have no such limit, and say 0."""
    if found.f_files and found.f_favail < _FEW:
        advice = "Remove small files (df -i; du --inodes -d 1 / shows where they are)."
        yield Check("warn", f"{what}: the file system can take only {found.f_favail} more files", advice)


def suits(what: str, kind: str) -> Iterator[Check]:
    """A warning where a file system of that kind does not suit."""
    if advice := _UNFIT.get(kind):
        yield Check("warn", f"{what} is on {kind}", advice)


def kind_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system that holds ``path`` (absolute, without links), such as ``ext4``; empty if unknown."""
    try:
        rows = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    found = [(len(row[4]), row[row.index("-") + 1]) for row in rows if path.is_relative_to(_unescaped(row[4]))]
    longest = max((length for length, _ in found), default=0)
    return next((kind for length, kind in reversed(found) if length == longest), "")  # the last mount hides the others


def _unescaped(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _remains(path: Path, user: User | None) -> Iterator[Check]:
    """What an accident has left behind: databases that were damaged, files that are root's."""
    try:
        damaged = sorted(path.glob(_DAMAGED))
        inside = [*path.iterdir()] if path.is_dir() else []
    except OSError:  # told already
        return
    for each in damaged:
        what = f"controller.state_dir: {each.name} was found damaged, and the database made anew"
        advice = f"Does the disk fail (dmesg, smartctl)? When you have looked at it: rm {each}"
        yield Check("warn", what, advice)
    others = [each.name for each in inside if user and not _writes(user, each)]
    if user and others:
        what = f"controller.state_dir: {', '.join(others)} cannot be written to by {user.name}"
        yield Check("FAIL", what, f"Was localctl run as root once? chown -R {user.name}: {path}")


def _writes(user: User, path: Path) -> bool:
    try:
        return may(user, path, "write")
    except OSError:  # gone meanwhile
        return True
