"""Bytes on their way in: hashed while they are written, and on the disk before anybody relies on them.

The loop hands over pieces as they come; a worker thread writes and hashes a block while the loop collects the next, so
that memory holds two blocks however large the file is (L03.FR.02: the MD5 is that of the whole file). A fsync that
failed is final: the file is not to be trusted after it, whatever a second fsync would say.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from localctl.errors import StorageError
from localctl.store.files import sync_folder

BLOCK: Final = 512 * 1024
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
Result = TypeVar("Result")


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
        self._descriptor = -1
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._block = bytearray()
        self._writing: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, path: Path, offset: int, executor: Executor) -> "Intake":
        """Continue the file at ``path`` after its first ``offset`` bytes, which are hashed again; what lies beyond
        them, or a file shorter than that, is not trusted: then ``.offset`` is 0. Raises StorageError.
        """
        intake = cls(path, executor)
        await intake._run("write", lambda: intake._begin(offset))
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
        await self._run("fsync", lambda: os.fsync(self._descriptor))
        return self.offset

    async def finish(self) -> Digests:
        """Put everything on the disk, close, and say what it is. Raises StorageError."""
        try:
            await self.checkpoint()
            await self._run("fsync", lambda: sync_folder(self._path.parent))
        finally:
            await self.close()
        return Digests(self._md5.hexdigest(), self._sha256.hexdigest(), self.offset)

    async def close(self) -> None:
        """Close the file, whatever became of it."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()  # it was raised already, or nobody relies on it any more
            self._writing = None
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    async def _flush(self) -> None:
        """Give the block to the worker, once it is done with the one before."""
        await self._settle()
        block, self._block = self._block, bytearray()
        if block:
            self.offset += len(block)
            run = asyncio.get_running_loop().run_in_executor
            self._writing = run(self._executor, _guarded("write", self._path, lambda: self._write(block)))

    async def _settle(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                self._writing = writing  # still at work: close waits for it
                raise

    async def _run(self, operation: str, work: Callable[[], Result]) -> Result:
        guarded = _guarded(operation, self._path, work)
        return await asyncio.get_running_loop().run_in_executor(self._executor, guarded)

    def _begin(self, offset: int) -> None:
        self._descriptor = os.open(self._path, _FLAGS, 0o644)
        for block in _blocks(self._descriptor, offset):
            self._hash(block)
            self.offset += len(block)
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

    def _hash(self, block: bytes | bytearray) -> None:
        self._md5.update(block)
        self._sha256.update(block)


def digest_file(path: Path) -> Digests:
    """Hash a whole file; blocks, so it belongs into a worker thread. Raises FileNotFoundError or StorageError."""

    def work() -> Digests:
        md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            for block in _blocks(descriptor, None):
                md5.update(block)
                sha256.update(block)
                size += len(block)
        finally:
            os.close(descriptor)
        return Digests(md5.hexdigest(), sha256.hexdigest(), size)

    return _guarded("read", path, work)()


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


def _guarded(operation: str, path: Path, work: Callable[[], Result]) -> Callable[[], Result]:
    def run() -> Result:
        try:
            return work()
        except FileNotFoundError:
            raise
        except OSError as fault:
            raise StorageError(operation, str(path), fault) from fault

    return run
