"""Who holds a TCP port or a lock file, as far as /proc and systemd tell (proc(5)). Edge, but for the readers of text.

Another user's processes are seen by root only; systemd's socket unit by everybody.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOCKET_UNIT: Final = "localctl.socket"
_LISTENING: Final = "0A"  # TCP_LISTEN
_SYSTEMCTL_SECONDS: Final = 2
_LISTEN: Final = re.compile(r"^Listen=\S*?:(\d+) \(Stream\)", re.MULTILINE)
_ANONYMOUS_MAJOR: Final = 0  # of a file system without a device of its own: /proc/locks has another number for it


@dataclass(frozen=True, slots=True)
class Handed:
    """The ports that systemd has for localctl; ``held`` already, else from when localctl is started."""

    ports: frozenset[int] = frozenset()
    held: bool = False


def processes_on(port: int, proc: Path = Path("/proc")) -> list[str]:
    """The processes that listen on a TCP port, such as ``nginx (process 812)``."""
    wanted: set[str] = set()
    for table in ("net/tcp", "net/tcp6"):
        with suppress(OSError):
            wanted |= listening_inodes((proc / table).read_text(encoding="ascii"), port)
    links = {f"socket:[{inode}]" for inode in wanted}
    return sorted(f"{name} (process {pid})" for pid, name in _owners(links, proc)) if links else []


def listening_inodes(table: str, port: int) -> set[str]:
    """The inodes of the sockets that listen on ``port``, of a table such as /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port}


def lock_holder(path: Path, locks: Path = Path("/proc/locks")) -> int | None:
    """The process that has locked ``path`` (flock(2)); None where none has, or nobody tells. It is not tried: a daemon
    that starts at this moment would find the lock taken.
    """
    try:
        file, text = path.stat(), locks.read_text(encoding="ascii")
    except OSError:
        return None
    return locked_by(text, file.st_dev, file.st_ino)


def locked_by(text: str, device: int, inode: int) -> int | None:
    """The process with a lock on that file, of what /proc/locks says; it has the numbers of a device in hex."""
    major, minor = os.major(device), os.minor(device)
    for row in (line.split() for line in text.splitlines()):
        if "FLOCK" not in row or "->" in row:  # waits for it
            continue
        at = row.index("FLOCK")
        found_major, found_minor, found_inode = row[at + 4].split(":")
        same = (int(found_major, 16), int(found_minor, 16)) == (major, minor) or major == _ANONYMOUS_MAJOR
        if same and int(found_inode) == inode:
            return int(row[at + 3])
    return None


def handed_over() -> Handed:
    """What systemd has for localctl, where its socket unit is active or enabled."""
    command = ("systemctl", "show", SOCKET_UNIT, "--property=ActiveState,UnitFileState,Listen")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SYSTEMCTL_SECONDS)  # noqa: S603  a constant
    except (OSError, subprocess.TimeoutExpired):  # no systemd
        return Handed()
    return listened_by(done.stdout)


def listened_by(shown: str) -> Handed:
    """The ports of a socket unit that is active or enabled, of what ``systemctl show`` says."""
    lines = shown.splitlines()
    held = "ActiveState=active" in lines
    if not held and "UnitFileState=enabled" not in lines:
        return Handed()
    return Handed(frozenset(int(port) for port in _LISTEN.findall(shown)), held)


def _owners(links: set[str], proc: Path) -> Iterator[tuple[int, str]]:
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if any(os.readlink(each) in links for each in (folder / "fd").iterdir()):  # noqa: PTH115  no path
                yield int(folder.name), (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
