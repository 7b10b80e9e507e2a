"""What the daemon's own user may do, where root asks: root may do everything, and finds nothing wrong otherwise. Edge.

By the mode's bits alone; access control lists are not looked at.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

SERVICE: Final = "localctl"  # User= of the unit
_BITS: Final = {"read": 4, "write": 2, "enter": 1}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, with the numbers that the kernel knows of them."""

    name: str
    uid: int
    groups: frozenset[int]


def service_user(pid: int | None) -> User | None:
    """Who the daemon runs as: the user of process ``pid``, else the one that the unit names. None where that is nobody,
    or where we are not root and can only find out what we may do ourselves.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid) if pid else pwd.getpwnam(SERVICE)
        groups = _groups(pid) if pid else os.getgrouplist(entry.pw_name, entry.pw_gid)
    except (KeyError, OSError):
        return None
    return User(entry.pw_name, entry.pw_uid, frozenset(groups))


def _groups(pid: int) -> list[int]:
    """Those that a process has, of which its unit may have given it some (SupplementaryGroups=). Raises OSError."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    return [int(number) for line in lines if line.startswith(("Gid:", "Groups:")) for number in line.split()[1:]]


def may(user: User, path: Path, right: Literal["read", "write", "enter"]) -> bool:
    """Whether the folders on the way, behind a link too, let ``user`` pass, and ``path`` itself be read, written or
    entered.

    Raises OSError where it is not there.
    """
    found = path.stat()
    folders = {*path.absolute().parents, *path.resolve().parents}
    enters = all(_has(user, folder.stat(), _BITS["enter"]) for folder in folders)
    return enters and _has(user, found, _BITS[right])


def _has(user: User, found: os.stat_result, bit: int) -> bool:
    if user.uid == 0:
        return True
    mode = stat.S_IMODE(found.st_mode)
    if user.uid == found.st_uid:
        return bool(mode >> 6 & bit)
    return bool(mode >> 3 & bit) if found.st_gid in user.groups else bool(mode & bit)
