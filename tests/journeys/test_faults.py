"""Faults of the disk and of power, each test named by its row: the real daemon, killed and damaged on purpose."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.origin import Reply
from tests.actors.site import Firmware, OpenSite, Site, firmware, get


async def test_row_8_a_damaged_database(site: Site) -> None:
    """Row 8: set aside, made anew from what is whole, and work goes on: the file is served, withdrawn, published."""
    file = firmware(300_000)
    await site.published(file)
    await site.daemon.kill()
    for path in site.daemon.state_dir.glob("localctl.db*"):
        path.write_bytes(path.read_bytes()[:1000] + b"\xa5" * 20_000)
    await site.daemon.start()
    await site.daemon.ready()
    assert (await site.daemon.logged("set aside as"))["level"] == "error"
    assert list(site.daemon.state_dir.glob("localctl.db.damaged-*"))
    served = f"http://{site.daemon.listeners['publish.http']}/firmware/{file.checksum}/{file.name}"
    assert await get(served) == (200, file.body)
    assert await site.withdrawn(file.checksum) == "Unpublished"
    assert await get(served) == (404, b"")
    await site.published(file)


async def test_row_8_a_database_of_a_newer_version(tmp_path: Path) -> None:
    """Row 8: the daemon refuses to start, and says which version wrote it."""
    async with Csms() as csms, Daemon(tmp_path, csms.url) as daemon:
        await daemon.ready()
        assert await daemon.stop() == 0
        with contextlib.closing(sqlite3.connect(daemon.state_dir / "localctl.db")) as raw:
            raw.execute("PRAGMA user_version = 77")
        await daemon.start()
        await daemon.runs[-1].over()
        assert daemon.runs[-1].status == 1
        assert "its schema version is 77" in daemon.runs[-1].err[-1]


SPOILED: dict[str, Callable[[Path], object]] = {
    "overwritten": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "gone": lambda path: path.unlink(),
    "a link": lambda path: path.symlink_to(path.rename(path.with_name("x"))),
}


def _stored(site: Site, file: Firmware) -> Path:
    return site.daemon.state_dir / "firmware" / file.checksum / file.name


def _uri(site: Site, file: Firmware) -> str:
    return f"http://{site.daemon.listeners['publish.http']}/firmware/{file.checksum}/{file.name}"


async def _repaired(site: Site, file: Firmware, fetched: int) -> None:
    """Wait until the file has been fetched so many times, and is served."""
    async with asyncio.timeout(30):
        while len(site.origin.requests) < fetched or await get(_uri(site, file)) != (200, file.body):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # nothing tells of it: the CSMS hears of no repair


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
async def test_row_7_a_stored_file_spoiled_while_stopped(spoil: Callable[[Path], object], open_site: OpenSite) -> None:
    """Rows 7 and 38: found after the start, withdrawn, counted, fetched again; the CSMS is told nothing."""
    site = await open_site()
    file = firmware(300_000)
    request_id, _ = await site.published(file)
    told = site.statuses(request_id)
    await site.daemon.kill()
    spoil(_stored(site, file))
    await site.daemon.start()
    await site.daemon.ready()
    await _repaired(site, file, 2)
    assert await site.daemon.metric("localctl_firmware_integrity_failures_total") == 1
    assert set(site.statuses(request_id)) == set(told)  # killed, it may say its last once more
    assert await site.withdrawn(file.checksum) == "Unpublished"


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
async def test_row_7_a_stored_file_spoiled_while_running(spoil: Callable[[Path], object], open_site: OpenSite) -> None:
    """Row 7: found by the periodic pass, withdrawn, fetched again."""
    site = await open_site(overrides={"firmware": {"integrity_interval_seconds": 0.1}})
    file = firmware(300_000)
    request_id, _ = await site.published(file)
    spoil(_stored(site, file))
    await _repaired(site, file, 2)
    assert "Published" in site.statuses(request_id)
    assert "PublishFailed" not in site.statuses(request_id)


async def test_row_7_what_cannot_be_fetched_again(open_site: OpenSite) -> None:
    """Row 7, L03.FR.08: withdrawn, and PublishFailed under the requestId that it was published for."""
    site = await open_site(overrides={"firmware": {"integrity_interval_seconds": 0.1, "retries": 1}})
    file = firmware(300_000)
    request_id, _ = await site.published(file)
    site.origin.script(f"/{file.name}", Reply(status=404))
    SPOILED["cut"](_stored(site, file))
    await site.csms.wait_status(request_id, "PublishFailed")
    assert site.statuses(request_id)[-2:] == ["Published", "PublishFailed"]
    assert await get(_uri(site, file)) == (404, b"")
    assert await site.withdrawn(file.checksum) == "NoFirmware"


async def test_row_38_a_link_planted_in_the_store(open_site: OpenSite) -> None:
    """Row 38: what a link among the published files leads to is served by no name."""
    site = await open_site()
    secret = site.daemon.state_dir / "secret"
    secret.write_bytes(b"secret")
    folder = site.daemon.state_dir / "firmware" / ("0" * 32)
    folder.mkdir()
    (folder / "fw.bin").symlink_to(secret)
    http = site.daemon.listeners["publish.http"]
    for _ in range(2):
        assert await get(f"http://{http}/firmware/{'0' * 32}/fw.bin") == (404, b"")
        await site.daemon.restart()
        http = site.daemon.listeners["publish.http"]
    assert secret.read_bytes() == b"secret"
    assert not folder.exists()
