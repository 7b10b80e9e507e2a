"""Bytes on their way in."""

import asyncio
import errno
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from hashlib import md5, sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localctl.errors import StorageError
from localctl.store import intake as module
from localctl.store.intake import BLOCK, Digests, Intake, digest_file
from tests.store.samples import file_size_limit, got, put
from tests.store.traced import placed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the bytes go."""
    return tmp_path / "1"


@pytest.fixture
def executor() -> Iterator[Executor]:
    """More threads than an intake may use at once."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def digests_of(body: bytes) -> Digests:
    """What they must be."""
    return Digests(md5(body).hexdigest(), sha256(body).hexdigest(), len(body))


def body_of(size: int) -> bytes:
    """Bytes that tell their place."""
    return (b"%07d " * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]


async def taken_in(path: Path, executor: Executor, body: bytes, piece: int, offset: int = 0) -> Digests:
    """Take ``body`` in, in pieces."""
    intake = await Intake.open(path, offset, executor)
    for start in range(intake.offset, len(body), piece):
        await intake.feed(body[start : start + piece])
    return await intake.finish()


async def fed(intake: Intake, size: int) -> None:
    """Feed it, block after block."""
    for _ in range(0, size, BLOCK):
        await intake.feed(bytes(BLOCK))


def is_open(path: Path) -> bool:
    """Whether this process has it open."""
    return str(path) in {each.path for each in psutil.Process().open_files()}


class SlowDisk(Executor):
    """A thread that does nothing before ``go_on`` is set; ``busy`` counts what it was given and has not done."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.busy = 0
        self._thread = ThreadPoolExecutor(4)

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.busy += 1

        def late() -> Any:
            self.go_on.wait(60)
            try:
                return work(*args, **kwargs)
            finally:
                self.busy -= 1

        return self._thread.submit(late)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        self.go_on.set()
        self._thread.shutdown(wait, cancel_futures=cancel_futures)


@pytest.fixture
def slow_disk() -> Iterator[SlowDisk]:
    """A disk that lets us wait."""
    with SlowDisk() as disk:
        yield disk


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77])
@pytest.mark.parametrize("piece", [BLOCK // 7, BLOCK, 3 * BLOCK])
async def test_the_digests_are_those_of_the_whole_file(path: Path, executor: Executor, size: int, piece: int) -> None:
    """L03.FR.02: and what is on the disk is what came, whatever it came in."""
    body = body_of(size)
    assert await taken_in(path, executor, body, piece) == digests_of(body)
    assert digest_file(path) == digests_of(body)
    assert not is_open(path)


sessions = st.lists(st.tuples(st.lists(st.binary(max_size=40), max_size=12), st.booleans(), st.integers(0, 30)))


@settings(deadline=None)
@given(sessions, st.lists(st.binary(max_size=40), max_size=12))
def test_any_history_of_breaks_gives_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[list[bytes], bool, int]], rest: list[bytes]
) -> None:
    """Rows 1 and 13: pieces of any size, broken off with or without a checkpoint, with trash behind it, continued."""
    path = tmp_path_factory.mktemp("history") / "1"

    async def play(executor: Executor) -> None:
        body, durable = b"", 0
        for pieces, checked, trash in history:
            intake = await Intake.open(path, durable, executor)
            assert intake.offset == durable == intake.received
            body = body[:durable]
            for piece in pieces:
                await intake.feed(piece)
                body += piece
                assert intake.received == len(body)
            if checked:
                durable = await intake.checkpoint()
                assert durable == len(body)
            await intake.close()
            with path.open("ab") as file:  # written and never fsynced
                file.write(b"?" * trash)
        whole = body[:durable] + b"".join(rest)
        assert await taken_in(path, executor, whole, 7, durable) == digests_of(whole)
        assert path.read_bytes() == whole

    with ThreadPoolExecutor(2) as executor, patch.object(module, "BLOCK", 16):
        asyncio.run(play(executor))


async def test_a_shorter_file_is_begun_anew(path: Path, executor: Executor) -> None:
    """Less than was fsynced: the disk has lost some of it, and none of it is trusted."""
    put(path, b"x" * 99)
    intake = await Intake.open(path, 100, executor)
    assert (intake.offset, intake.received) == (0, 0)
    await intake.feed(b"anew")
    assert await intake.finish() == digests_of(b"anew")
    assert got(path) == b"anew"


@pytest.mark.parametrize("offset", [0, 10, BLOCK + 1])
async def test_what_lies_beyond_the_offset_is_cut_off(path: Path, executor: Executor, offset: int) -> None:
    """It was never fsynced."""
    body = body_of(2 * BLOCK)
    put(path, body)
    intake = await Intake.open(path, offset, executor)
    assert intake.offset == offset == len(got(path))
    assert await intake.finish() == digests_of(body[:offset])


async def test_many_at_once_do_not_mix(tmp_path: Path, executor: Executor) -> None:
    """Several publications share the threads."""
    bodies = [body_of(size * BLOCK // 3) for size in range(1, 9)]
    found = await asyncio.gather(
        *(taken_in(tmp_path / str(each), executor, body, BLOCK // 5) for each, body in enumerate(bodies))
    )
    assert found == [digests_of(body) for body in bodies]


async def test_memory_stays_flat(path: Path, executor: Executor) -> None:
    """Row 17: a few blocks, for 200 MiB."""
    piece = bytes(64 * 1024)
    intake = await Intake.open(path, 0, executor)
    tracemalloc.start()
    try:
        for _ in range(200 * 16):
            await intake.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await intake.close()
        os.truncate(path, 0)  # pytest keeps it for a while
    assert intake.offset == 200 * 2**20
    assert peak < 16 * BLOCK


@pytest.fixture
def victim(path: Path) -> Path:
    """What a planted link points to."""
    file = path.parent / "victim"
    file.write_bytes(b"victim")
    path.symlink_to(file)
    return file


async def test_a_planted_link_is_refused(victim: Path, path: Path, executor: Executor) -> None:
    """Row 38: O_NOFOLLOW; what it points to is untouched."""
    with pytest.raises(StorageError) as caught:
        await Intake.open(path, 0, executor)
    assert (caught.value.operation, caught.value.errno) == ("write", errno.ELOOP)
    assert got(victim) == b"victim"


@pytest.mark.parametrize("offset", [0, 10])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.parent.rmdir()], ids=["dir", "fifo", "gone"])
async def test_what_is_no_file_is_a_storage_error(
    path: Path, executor: Executor, make: Callable[[Path], None], offset: int
) -> None:
    """A folder, a pipe (which must not hold the thread), no parent: never anything but StorageError."""
    make(path)
    with pytest.raises(StorageError):
        await Intake.open(path, offset, executor)
    assert not is_open(path)


async def test_a_full_disk_is_never_a_success(path: Path, executor: Executor) -> None:
    """Row 5: a write that failed is told by the feed that comes after, and by everything from then on."""
    intake = await Intake.open(path, 0, executor)
    with file_size_limit(BLOCK + 100):
        with pytest.raises(StorageError) as caught:
            await fed(intake, 3 * BLOCK)
        assert (caught.value.operation, caught.value.errno) == ("write", errno.EFBIG)
    for attempt in (intake.checkpoint, intake.finish, intake.checkpoint):  # there is room again, and it is too late
        with pytest.raises(StorageError, match="File too large"):
            await attempt()
    assert not is_open(path)


@pytest.mark.parametrize("size", [100, BLOCK, 3 * BLOCK])
async def test_a_full_disk_is_told_by_finish_at_the_latest(path: Path, executor: Executor, size: int) -> None:
    """Row 5: the last block is no exception, nor is half of one that was still written."""
    intake = await Intake.open(path, 0, executor)
    with file_size_limit(size - 1):
        await intake.feed(bytes(size))
        with pytest.raises(StorageError, match="File too large"):
            await intake.finish()
    assert not is_open(path)


async def test_a_failed_fsync_is_final(path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 6: the kernel reports it once and forgets; we do not."""
    intake = await Intake.open(path, 0, executor)
    await intake.feed(b"x")
    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", lambda _: os.read(-1, 1))
        with pytest.raises(StorageError):
            await intake.checkpoint()
    for attempt in (intake.checkpoint, intake.finish):
        with pytest.raises(StorageError) as caught:
            await attempt()
        assert caught.value.operation == "fsync"
    assert not is_open(path)


@pytest.mark.parametrize(
    ("fault", "where", "said"),
    [
        ("fsync:error=EIO:when=1", "partial/1", "failed fsync"),
        ("fsync:error=EIO:when=1", "partial", "failed fsync"),
        ("write:error=ENOSPC:when=1", "partial/1", "failed write"),
        ("write:error=EROFS:when=1", "partial/1", "failed write"),
    ],
)
def test_a_disk_that_fails_is_told(fault: str, where: str, said: str, tmp_path: Path) -> None:
    """Rows 5 and 6, with the system call itself failing: the step is never said to be done."""
    assert placed(tmp_path / "state", fault, paths=(tmp_path / "state" / where,)) == [said, "done"]


async def test_a_write_cut_short_is_gone_on_with(path: Path, executor: Executor) -> None:
    """A system call may take less than it was given."""
    body = body_of(BLOCK + 5)
    write = os.write
    with patch.object(os, "write", lambda descriptor, data: write(descriptor, data[:100_000])):
        assert await taken_in(path, executor, body, BLOCK) == digests_of(body)
    assert got(path) == body


async def test_a_cancelled_feed_loses_nothing(path: Path, slow_disk: SlowDisk) -> None:
    """A stop in mid-write: what was taken can still be put on the disk, in its order."""
    body = body_of(3 * BLOCK)
    slow_disk.go_on.set()
    intake = await Intake.open(path, 0, slow_disk)
    slow_disk.go_on.clear()
    await intake.feed(body[:BLOCK])
    async with asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(intake.feed(body[BLOCK:]))
        await asyncio.sleep(0)
        assert not feeding.done()
        feeding.cancel()
    slow_disk.go_on.set()
    assert await intake.checkpoint() == len(body)
    assert await intake.finish() == digests_of(body)
    assert got(path) == body


@pytest.mark.parametrize("act", ["feed", "checkpoint", "finish"])
async def test_no_thread_writes_after_close(act: str, path: Path, slow_disk: SlowDisk) -> None:
    """However it was cancelled: close waits for the thread, lets a cancellation wait too, and leaves nothing open."""
    slow_disk.go_on.set()
    intake = await Intake.open(path, 0, slow_disk)
    slow_disk.go_on.clear()
    await intake.feed(bytes(BLOCK))
    calls = {"feed": lambda: intake.feed(bytes(BLOCK)), "checkpoint": intake.checkpoint, "finish": intake.finish}
    async with asyncio.TaskGroup() as tasks:
        acting = tasks.create_task(_ended_by_close(intake, calls[act]))
        for _ in range(3):
            await asyncio.sleep(0)
            acting.cancel()
        await asyncio.sleep(0)
        assert slow_disk.busy == 1
        assert not acting.done()
        slow_disk.go_on.set()
    assert acting.cancelled()
    assert slow_disk.busy == 0
    assert not is_open(path)
    await intake.close()


async def _ended_by_close(intake: Intake, call: Callable[[], Any]) -> None:
    try:
        await call()
    finally:
        await intake.close()


async def test_a_cancelled_open_leaves_nothing_open(path: Path, slow_disk: SlowDisk) -> None:
    """A stop while a large file is hashed again: the thread ends early, and the descriptor with it."""
    put(path, bytes(4 * BLOCK))
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(Intake.open(path, 4 * BLOCK, slow_disk))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.sleep(0)
        with patch.object(os, "read", wraps=os.read) as read:
            slow_disk.go_on.set()
            await asyncio.wait([opening])
    assert opening.cancelled()
    assert read.call_count == 1
    assert not is_open(path)
    assert len(got(path)) == 4 * BLOCK  # what is resumed later is still there


async def test_after_close_nothing_succeeds(path: Path, executor: Executor) -> None:
    """Closing twice does no harm; a checkpoint of a closed file is a StorageError, never an offset."""
    intake = await Intake.open(path, 0, executor)
    await intake.feed(b"x")
    await intake.close()
    await intake.close()
    for attempt in (intake.checkpoint, intake.finish):
        with pytest.raises(StorageError):
            await attempt()
    assert got(path) == b""


def test_a_file_is_hashed_whole(path: Path) -> None:
    """Row 2: what a restart finds is hashed again."""
    for size in (0, 1, BLOCK, 2 * BLOCK + 3):
        path.write_bytes(body_of(size))
        assert digest_file(path) == digests_of(body_of(size))


def test_hashing_is_given_up_between_two_blocks(path: Path) -> None:
    """A stop must not wait for gigabytes: not one block more is read."""
    path.write_bytes(bytes(4 * BLOCK))
    asked = iter([False, True])
    with patch.object(os, "read", wraps=os.read) as read, pytest.raises(StorageError, match="nobody waits"):
        digest_file(path, lambda: next(asked))
    assert read.call_count == 2


def test_hashing_what_is_missing_says_so(path: Path) -> None:
    """Missing is one thing, unreadable another."""
    with pytest.raises(FileNotFoundError):
        digest_file(path)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/etc/passwd")], ids=["dir", "link"])
def test_hashing_what_is_no_file_is_a_storage_error(path: Path, make: Callable[[Path], None]) -> None:
    """Row 38: a link is not followed."""
    make(path)
    with pytest.raises(StorageError) as caught:
        digest_file(path)
    assert caught.value.operation == "read"


def test_hashing_a_pipe_ends(path: Path) -> None:
    """It must not hold the thread; whatever its digests are, they are not the file's."""
    os.mkfifo(path)
    assert digest_file(path) == digests_of(b"")
