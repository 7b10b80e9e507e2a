"""A small file system for a daemon's state, in a mount namespace that nobody else sees and that ends with its holder.

``wrapper`` runs a program in there; ``seen`` is where somebody out here finds a path of it.
"""

import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from tests.actors.process import Process

_OWN: Final = ("--user", "--map-root-user", "--mount")
_HOLD: Final = "&& echo mounted && exec sleep infinity"


class Volume:
    """A tmpfs of ``size`` bytes at ``folder``, while its ``async with`` lasts. Skips where none can be made."""

    enter: tuple[str, ...] = ("--user", "--preserve-credentials", "--mount")
    own: tuple[str, ...] = _OWN
    mount: str = 'mount -t tmpfs -o "size=$1,mode=755" tmpfs "$2"'

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._holder: Process

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["unshare", *self.own, "sh", "-c", f"{self.mount} {_HOLD}", "sh", str(self.size), str(self.folder)]
        self._holder = await Process.start(command)
        await self._holder.until(lambda: self._holder.out or not self._holder.running, "a mounted file system")
        if not self._holder.out:
            pytest.skip(f"no file system can be mounted here: {self._holder.err}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        await self._holder.over()

    @property
    def wrapper(self) -> tuple[str, ...]:
        """A command that runs the command behind it in there."""
        return ("nsenter", f"--target={self._holder.pid}", *self.enter, "--")

    @property
    def seen(self) -> Path:
        """``folder``, from out here."""
        return Path(f"/proc/{self._holder.pid}/root{self.folder}")

    def run(self, *command: str) -> None:
        """Run a command in there to its end."""
        subprocess.run([*self.wrapper, *command], check=True, capture_output=True)

    def fill(self, left: int = 0) -> Path:
        """Leave about ``left`` bytes of room, to the byte where that is 0; the file that takes it."""
        filler = self.seen / "filler"
        with filler.open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
            file.truncate(file.tell() - left)
        return filler


class Breakable(Volume):
    """An ext4 on a file: Linux shuts it for writing after an error, though it is in use. Only root can have one."""

    enter = ("--mount",)
    own = ("--mount",)
    mount = 'truncate -s "$1" "$2.img" && mkfs.ext4 -q -F "$2.img" && mount -o loop,errors=remount-ro "$2.img" "$2"'

    def break_(self) -> None:
        """Let it have had an error: from now on it cannot be written to."""
        self.run("mount", "-o", "remount,abort", str(self.folder))

    def mend(self) -> None:
        """What a reboot does. Nobody may be using it."""
        self.run("umount", str(self.folder))
        mended = 1  # fsck's exit status
        self.run("sh", "-c", f'fsck.ext4 -p "$1" || test $? = {mended}', "sh", f"{self.folder}.img")
        self.run("mount", "-o", "loop,errors=remount-ro", f"{self.folder}.img", str(self.folder))
