"""Faults of the disk and of power, each test named by its row: the real daemon, killed and damaged on purpose."""

import contextlib
import sqlite3
from pathlib import Path

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.site import Site, firmware, get


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
    assert await site.unpublish(file.checksum) == "Unpublished"
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
