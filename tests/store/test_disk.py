"""The disk watched: in trouble once told so, tried until it takes again what is written."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from prometheus_client import CollectorRegistry

from localctl.errors import StorageError
from localctl.metrics import Metrics
from localctl.store import disk as module
from localctl.store.disk import Disk
from localctl.store.files import FirmwareFiles


def failed(number: int, operation: str = "fsync") -> StorageError:
    """A system call that failed."""
    return StorageError(operation, "/state/x", OSError(number, os.strerror(number)))


@pytest.fixture
def made(tmp_path: Path) -> tuple[Disk, Metrics]:
    """A disk that is well, and what is counted of it."""
    files, metrics = FirmwareFiles(tmp_path / "state"), Metrics(CollectorRegistry(), "0")
    files.prepare()
    return Disk(files, metrics), metrics


@pytest.fixture
async def watched(made: tuple[Disk, Metrics]) -> AsyncIterator[Disk]:
    """The same under watch, with pauses of a moment."""
    with patch.object(module, "pause", lambda _: 0.01):
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(made[0].watch())
            yield made[0]
            watch.cancel()


@contextmanager
def broken(number: int, call: str = "fsync") -> Iterator[None]:
    """Each such call of this process fails."""
    with patch.object(os, call, side_effect=OSError(number, os.strerror(number))):
        yield


async def until(condition: Callable[[], object]) -> None:
    """Return once it holds; nobody tells of it."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_its_space_is_known(watched: Disk, made: tuple[Disk, Metrics], tmp_path: Path) -> None:
    """In the status and in the metrics."""
    await until(lambda: watched.space["size"])
    assert watched.space["size"] >= watched.space["free"] > 0
    assert made[1].registry.get_sample_value("localctl_storage_size_bytes") == watched.space["size"]
    assert watched.troubles() == ()
    assert not (tmp_path / "state" / "probe").exists()


async def test_trouble_lasts_until_a_try_succeeds(watched: Disk, made: tuple[Disk, Metrics], tmp_path: Path) -> None:
    """Row 6: not before the disk takes a small file, which does not stay there."""
    with broken(errno.EIO):
        watched.failed(failed(errno.EIO, "unlink"))
        assert "unlink of /state/x" in watched.troubles()[0]
        await until(lambda: made[1].registry.get_sample_value("localctl_storage_errors_total", {"operation": "fsync"}))
        assert len(watched.troubles()) == 1
    await until(lambda: not watched.troubles())
    assert not (tmp_path / "state" / "probe").exists()


async def test_a_disk_that_turned_read_only_is_seen(watched: Disk) -> None:
    """Row 6: without a write, by what the file system says of itself when it is looked at."""
    await until(lambda: watched.space["size"])
    with patch.object(FirmwareFiles, "require_writable", side_effect=failed(errno.EROFS)):
        watched._told.set()  # the next look is due
        await until(watched.troubles)
        assert "read-only" in watched.troubles()[0]
    await until(lambda: not watched.troubles())


async def test_a_full_disk_is_not_in_trouble(made: tuple[Disk, Metrics]) -> None:
    """Row 5: it is counted; free space has a metric of its own."""
    disk, metrics = made
    disk.failed(failed(errno.ENOSPC, "write"))
    assert disk.troubles() == ()
    assert metrics.registry.get_sample_value("localctl_storage_errors_total", {"operation": "write"}) == 1


async def test_a_disk_that_is_full_meanwhile_has_been_tried(watched: Disk) -> None:
    """Row 5: that it has no room for the try speaks for it: it would say so of anything else first."""
    with broken(errno.ENOSPC, "write"):
        watched.failed(failed(errno.EIO))
        await until(lambda: not watched.troubles())
