"""Reading what is published again, slowly."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from localctl.config import Firmware
from localctl.store.inspector import Inspector
from tests.store.samples import BODY, CHECKSUM, NOW, got, put
from tests.store.stores import Store, started


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """One in which BODY is published."""
    async with started(tmp_path) as made:
        await made.published()
        yield made


def inspecting(store: Store, condemned: list[str], **settings: float) -> Inspector:
    """An inspector that tells what it condemns."""

    async def condemn(checksum: str) -> None:
        assert not store.is_lent()
        condemned.append(checksum)

    firmware = Firmware.model_validate({"integrity_interval_seconds": 0.01, **settings})
    return Inspector(firmware, store.catalogue, store.threads, store.metrics, condemn, time.monotonic)


def _flip(path: Path) -> None:
    put(path, got(path)[:-1] + b"?")


def _cut(path: Path) -> None:
    os.truncate(path, len(BODY) - 1)


def _link(path: Path) -> None:
    put(path.with_name("other"), got(path))
    path.unlink()
    path.symlink_to(path.with_name("other"))


def _linked_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("spoil", [_flip, _cut, Path.unlink, _link, _linked_folder])
async def test_a_damaged_file_is_withdrawn_at_once(spoil: Callable[[Path], None], store: Store) -> None:
    """Rows 7 and 38: found by a periodic pass, not lent any more, counted; a transfer under way keeps its loan."""
    condemned: list[str] = []
    loan = store.catalogue.lend(CHECKSUM, "fw.bin", "http", "192.0.2.1", NOW)
    async with asyncio.TaskGroup() as tasks:
        passes = tasks.create_task(inspecting(store, condemned).run())
        spoil(store.files.published(CHECKSUM, "fw.bin"))
        async with asyncio.timeout(20):
            while not condemned:  # noqa: ASYNC110  nobody would set an event
                await asyncio.sleep(0.005)
        passes.cancel()
    assert condemned == [CHECKSUM]
    assert store.catalogue.loans() == (loan,)
    assert store.value("firmware_integrity_failures_total") == 1


async def test_a_whole_file_is_left_alone(store: Store) -> None:
    """And nothing is left open."""
    condemned: list[str] = []
    (file,) = store.catalogue.files()
    await inspecting(store, condemned).inspect(file)
    assert store.is_lent()
    assert not condemned
    assert str(file.path) not in {each.path for each in psutil.Process().open_files()}


async def test_a_want_of_descriptors_is_no_damage(store: Store) -> None:
    """Row 40: what cannot be opened for want of ours is looked at another time."""
    condemned: list[str] = []
    (file,) = store.catalogue.files()
    with patch.object(os, "open", side_effect=OSError(24, "Too many open files")):
        await inspecting(store, condemned).inspect(file)
    assert store.is_lent()
    assert not condemned


async def test_what_was_withdrawn_meanwhile_is_not_condemned(store: Store) -> None:
    """Nor what was published anew under the same checksum: the look was at another file."""
    condemned: list[str] = []
    (file,) = store.catalogue.files()
    _flip(Path(file.path))
    await store.shelf.withdraw(CHECKSUM)
    await inspecting(store, condemned).inspect(file)
    assert not condemned


async def test_reading_keeps_to_its_rate(store: Store) -> None:
    """Row 7: never more than ``integrity_rate`` bytes a second."""
    (file,) = store.catalogue.files()
    began = time.monotonic()
    await inspecting(store, [], integrity_rate=len(BODY) * 4).inspect(file)
    assert time.monotonic() - began >= 0.25


async def test_another_interval_counts_at_once(store: Store) -> None:
    """Though the pause for the one before has begun."""
    condemned: list[str] = []
    inspector = inspecting(store, condemned, integrity_interval_seconds=86400)
    async with asyncio.TaskGroup() as tasks:
        passes = tasks.create_task(inspector.run())
        while not _is_resting(inspector):  # noqa: ASYNC110  nobody would set an event
            await asyncio.sleep(0.005)
        _flip(store.files.published(CHECKSUM, "fw.bin"))
        inspector.reconfigure(Firmware.model_validate({"integrity_interval_seconds": 0.01}))
        async with asyncio.timeout(20):
            while not condemned:  # noqa: ASYNC110  nobody would set an event
                await asyncio.sleep(0.005)
        passes.cancel()


def _is_resting(inspector: Inspector) -> bool:
    """Whether it waits for another interval, or for the end of this one."""
    return bool(inspector._changed._waiters)
