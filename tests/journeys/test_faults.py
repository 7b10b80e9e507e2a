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


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A site; which version its CSMS speaks makes no difference here."""
    return await open_site()


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


async def test_row_8_a_log_damaged_behind_a_good_header(site: Site) -> None:
    """Row 8: commits that SQLite would pass over without a word: told, set aside; what was withdrawn by one of them is
    neither served nor fetched again, and what is whole is served.
    """
    gone, file = firmware(300_000, 1), firmware(300_000, 2)
    await site.published(gone)
    await site.published(file)
    assert await site.withdrawn(gone.checksum) == "Unpublished"
    await site.daemon.kill()
    log = site.daemon.state_dir / "localctl.db-wal"
    body = bytearray(log.read_bytes())
    body[len(body) // 2] ^= 1
    log.write_bytes(body)
    await site.daemon.start()
    await site.daemon.ready()
    assert (await site.daemon.logged("its write-ahead log was overwritten; set aside as"))["level"] == "error"
    assert await get(_uri(site, gone)) == (404, b"")
    assert await get(_uri(site, file)) == (200, file.body)
    assert len(site.origin.requests) == 2
    await site.csms.controller()
    assert await site.withdrawn(gone.checksum) == "NoFirmware"
    assert await site.withdrawn(file.checksum) == "Unpublished"


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


async def test_row_7_the_check_at_the_start_takes_its_time(open_site: OpenSite) -> None:
    """Row 7: it does not delay being ready, and reads no faster than integrity_rate; it finds even the last byte."""
    size, rate = 2 * 2**20, 512 * 2**10
    site = await open_site(overrides={"firmware": {"integrity_rate": rate}})
    file = firmware(size)
    await site.published(file)
    await site.daemon.kill()
    SPOILED["overwritten"](_stored(site, file))
    began = asyncio.get_running_loop().time()
    await site.daemon.start()
    await site.daemon.ready()
    assert await site.daemon.metric("localctl_firmware_integrity_failures_total") == 0
    await site.daemon.logged("has other bytes than were verified: it is withdrawn")
    assert asyncio.get_running_loop().time() - began >= size / rate
    await _repaired(site, file, 2)


async def test_what_belongs_to_nothing_is_removed_at_the_start(open_site: OpenSite) -> None:
    """Rows 1 to 4: partial files and published ones that no record knows are told and removed; the rest stays."""
    site = await open_site()
    file = firmware(300_000)
    await site.published(file)
    await site.daemon.kill()
    state = site.daemon.state_dir
    stray = state / "firmware" / ("0" * 32)
    stray.mkdir()
    strays = [stray / "fw.bin", state / "partial" / "999", state / "partial" / "-3"]
    others = [state / "firmware" / "lost+found", state / "note.txt"]
    for path in strays + others:
        path.write_bytes(b"left behind")
    await site.daemon.start()
    await site.daemon.ready()
    assert "removed 3 files" in (await site.daemon.logged("had left behind"))["message"]
    assert [path for path in strays if path.exists()] == []
    assert [path for path in others if not path.exists()] == []
    assert not stray.exists()
    assert await get(_uri(site, file)) == (200, file.body)


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
