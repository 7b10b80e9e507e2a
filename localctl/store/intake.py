"""Bytes on their way in: hashed while they are written, and on the disk before anybody relies on them.

The loop hands over pieces as they come; a worker thread writes and hashes a block while the loop collects the next, so
that memory holds two blocks however large the file is (L03.FR.02: the MD5 is that of the whole file). A fsync that
failed is final: the file is not to be trusted after it, whatever a second fsync would say. So is a write that failed.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localctl.errors import StorageError
from localctl.store.files import sync_folder
from localctl.store.unbroken import see_out

BLOCK: Final = 512 * 1024
_NO_TRAPS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a planted link is refused, a FIFO cannot hold us
_FLAGS: Final = os.O_RDWR | os.O_CREAT | _NO_TRAPS


@dataclass(frozen=True, slots=True)
class Digests:
    """What a whole file is: lower-case hex digests, size in bytes."""

    md5: str
    sha256: str
    size: int


class Intake:
    """One partial file being written. Made by ``open``; ended by ``finish`` or ``close``, the latter always safe."""

    def __init__(self, path: Path, executor: Executor) -> None:
        self.offset = 0  # bytes given to the worker
        self._path = path
        self._executor = executor
        self._descriptor = -1  # the worker's, as the digests are
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._block = bytearray()
        self._work: asyncio.Future[None] | None = None  # what the worker does; one thing at a time
        self._failed: BaseException | None = None
        self._closing = False

    @classmethod
    async def open(cls, path: Path, offset: int, executor: Executor) -> "Intake":
        """Continue the file at ``path`` after its first ``offset`` bytes, which are hashed again; what lies beyond
        them, or a file shorter than that, is not trusted: then ``.offset`` is 0. Raises StorageError.
        """
        intake = cls(path, executor)
        intake._begin("write", lambda: intake._open(offset))
        try:
            await intake._settle()
        except BaseException:
            await intake.close()
            raise
        return intake

    @property
    def received(self) -> int:
        """Bytes taken so far."""
        return self.offset + len(self._block)

    async def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises StorageError, for these or for earlier ones."""
        self._block += data
        if len(self._block) >= BLOCK:
            await self._flush()

    async def checkpoint(self) -> int:
        """Put on the disk what was taken so far; how many bytes that is. Raises StorageError."""
        await self._flush()
        await self._settle()
        self._begin("fsync", lambda: os.fsync(self._descriptor))
        await self._settle()
        return self.offset

    async def finish(self) -> Digests:
        """Put everything on the disk, close, and say what it is. Raises StorageError."""
        try:
            await self.checkpoint()
            self._begin("fsync", lambda: sync_folder(self._path.parent))
            await self._settle()
        finally:
            await self.close()
        return Digests(self._md5.hexdigest(), self._sha256.hexdigest(), self.offset)

    async def close(self) -> None:
        """Close the file, whatever became of it. When this returns or raises, no thread is at it any more: a
        cancellation has to wait for that.
        """
        self._closing = True
        try:
            await self._see_out()
        finally:
            if self._descriptor >= 0:
                self._begin("write", self._close)
                await self._see_out()

    async def _flush(self) -> None:
        """Give the block to the worker, once it is done with the one before."""
        await self._settle()
        block, self._block = self._block, bytearray()
        if block:
            self.offset += len(block)
            self._begin("write", lambda: self._write(block))

    def _begin(self, operation: str, work: Callable[[], None]) -> None:
        """The worker's next piece of work; ``_settle`` or ``_see_out`` must have been awaited before."""
        guarded = _guarded(operation, self._path, work)
        self._work = asyncio.get_running_loop().run_in_executor(self._executor, guarded)

    async def _settle(self) -> None:
        """Wait for the worker. Raises its first failure, now and whenever it is asked again."""
        if (work := self._work) is not None:
            await asyncio.wait([work])  # where this is cancelled the worker goes on, and close waits for it
            self._judge(work)
        if self._failed is not None:
            raise self._failed

    async def _see_out(self) -> None:
        if (work := self._work) is not None:
            try:
                await see_out(work)
            finally:
                self._judge(work)

    def _judge(self, done: asyncio.Future[None]) -> None:
        self._work = None
        self._failed = self._failed or done.exception()

    # The worker's.

    def _open(self, offset: int) -> None:
        self._descriptor = os.open(self._path, _FLAGS, 0o644)
        for block in _blocks(self._descriptor, offset):
            self._hash(block)
            self.offset += len(block)
            if self._closing:
                return
        if self.offset < offset:
            self.offset = 0
            self._md5, self._sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        os.ftruncate(self._descriptor, self.offset)
        os.lseek(self._descriptor, self.offset, os.SEEK_SET)

    def _write(self, block: bytearray) -> None:
        view = memoryview(block)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._hash(block)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        with suppress(OSError):  # what was fsynced is safe, and on the rest nobody relies
            os.close(descriptor)

    def _hash(self, block: bytes | bytearray) -> None:
        self._md5.update(block)
        self._sha256.update(block)


def digest_file(path: Path, given_up: Callable[[], bool] = lambda: False) -> Digests:
    """Hash a whole file; blocks, so it belongs into a worker thread. Raises FileNotFoundError or StorageError, the
    latter also once ``given_up`` says that nobody waits for it any more.
    """
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_TRAPS)
        try:
            for block in _blocks(descriptor, None):
                md5.update(block)
                sha256.update(block)
                size += len(block)
                if given_up():
                    raise InterruptedError("nobody waits for it any more")
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise StorageError("read", str(path), fault) from fault
    return Digests(md5.hexdigest(), sha256.hexdigest(), size)


def _blocks(descriptor: int, length: int | None) -> Iterator[bytes]:
    """The first ``length`` bytes of a file (None: all of it), in blocks."""
    left = length
    while left is None or left > 0:
        block = os.read(descriptor, BLOCK if left is None else min(BLOCK, left))
        if not block:
            return
        if left is not None:
            left -= len(block)
        yield block


def _guarded(operation: str, path: Path, work: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        except OSError as fault:
            raise StorageError(operation, str(path), fault) from fault

    return run
