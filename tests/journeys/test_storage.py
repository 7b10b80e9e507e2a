"""Rows 5 and 6 of the faults: the real daemon on a disk that is full, turns read-only, or fails to fsync."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.actors.csms import Csms
from tests.actors.daemon import Daemon
from tests.actors.fault import Spot, injected
from tests.actors.link import CallError
from tests.actors.origin import Origin, Reply
from tests.actors.site import LC, Firmware, OpenSite, Site, firmware, get
from tests.actors.station import Station
from tests.actors.volume import Breakable, Volume
from tests.test_cli import localctl

MIB = 2**20


@asynccontextmanager
async def site_on(volume: Volume, tmp_path: Path, **settings: Any) -> AsyncIterator[Site]:
    """A site whose daemon has its state on ``volume``; keyword arguments are keys of [firmware]."""
    async with Csms() as csms, Origin() as origin:
        daemon = Daemon(tmp_path, csms.url, {"firmware": settings}, wrapper=volume.wrapper)
        daemon.state_dir = volume.seen
        async with daemon:
            await daemon.ready()
            yield Site(csms, daemon, origin)


@asynccontextmanager
async def undisturbed(site: Site, file: Firmware) -> AsyncIterator[None]:
    """Meanwhile a station is relayed and ``file`` is served, before and after as it was."""
    async with Station(site.daemon.stations_url, "CS-1", "1.6") as station:
        await station.boot()
        yield
        await station.boot()
        assert await get(_uri(site, file)) == (200, file.body)


def _uri(site: Site, file: Firmware) -> str:
    return f"http://{site.daemon.listeners['publish.http']}/firmware/{file.checksum}/{file.name}"


async def _emptied(site: Site) -> None:
    """Wait until no partial file is left: it goes after the last word of its publication."""
    async with asyncio.timeout(10):
        while list((site.daemon.state_dir / "partial").iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _reasons(site: Site) -> list[str]:
    code, body = await site.daemon.get("/readyz")
    reasons: list[str] = json.loads(body)["reasons"]
    assert (code == 200) == (not reasons)
    return reasons


async def test_row_5_a_disk_known_to_be_full(tmp_path: Path) -> None:
    """Row 5: what would not leave min_free_space is Rejected/OutOfStorage where that is known at once, DownloadFailed
    where the origin tells; with room it is published. None of it makes us not ready.
    """
    async with (
        Volume(tmp_path / "state", 16 * MIB) as volume,
        site_on(volume, tmp_path, min_free_space="4MiB") as site,
    ):
        before, large, small = firmware(300_000, 1), firmware(13 * MIB, 2), firmware(1_000_000, 3)
        await site.published(before)
        async with undisturbed(site, before):
            request_id, answer = await site.publish(site.origin.script("/x", Reply(large.body)), large.checksum)
            assert answer == {"status": "Accepted"}
            await site.csms.wait_status(request_id, "DownloadFailed")
            assert site.statuses(request_id) == ["Downloading", "DownloadFailed"]
            await _emptied(site)
            filler = volume.fill(3 * MIB)
            location = site.origin.script("/y", Reply(small.body))
            _, answer = await site.publish(location, small.checksum)
            assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "OutOfStorage")
            assert await _reasons(site) == []
            filler.unlink()
        await site.published(small)
        assert await get(_uri(site, small)) == (200, small.body)


async def test_row_5_full_in_mid_download(tmp_path: Path) -> None:
    """Row 5: a body of unknown length that does not fit: DownloadFailed, and its partial file is removed."""
    async with (
        Volume(tmp_path / "state", 8 * MIB) as volume,
        site_on(volume, tmp_path, min_free_space=0) as site,
    ):
        before, large = firmware(300_000, 1), firmware(12 * MIB, 2)
        await site.published(before)
        async with undisturbed(site, before):
            location = site.origin.script("/x", Reply(large.body, framing="chunked"))
            request_id, _ = await site.publish(location, large.checksum)
            await site.csms.wait_status(request_id, "DownloadFailed")
            assert site.statuses(request_id) == ["Downloading", "DownloadFailed"]
            assert await get(_uri(site, large)) == (404, b"")
            await _emptied(site)
            assert await _reasons(site) == []
        await site.published(firmware(4 * MIB, 3))


async def test_row_5_no_room_for_the_database(tmp_path: Path) -> None:
    """Row 5: with no byte left, what cannot be kept is answered InternalError and changes nothing; room makes it good,
    without a restart.
    """
    async with (
        Volume(tmp_path / "state", 8 * MIB) as volume,
        site_on(volume, tmp_path, min_free_space=0) as site,
    ):
        before, new = firmware(300_000, 1), firmware(300_000, 2)
        await site.published(before)
        async with undisturbed(site, before):
            filler = volume.fill()
            request = {"requestId": 1, "location": site.origin.script("/x", Reply(new.body)), "checksum": new.checksum}
            for action, payload in (("PublishFirmware", request), ("UnpublishFirmware", {"checksum": before.checksum})):
                answer = await site.csms.call(LC, action, payload)
                assert isinstance(answer, CallError)
                assert answer.code == "InternalError"
                assert "full" in answer.description
            assert await _reasons(site) == []
            assert await site.daemon.metric("localctl_storage_errors_total", operation="commit") >= 2
            filler.unlink()
        await site.published(new)
        assert await site.withdrawn(before.checksum) == "Unpublished"
        assert await get(_uri(site, before)) == (404, b"")


async def test_row_6_a_disk_that_turns_read_only(tmp_path: Path) -> None:
    """Row 6: in mid-download, as Linux does it to a file system that had an error: DownloadFailed, what is published
    stays served, not ready and why; all is well after what a reboot does.
    """
    async with (
        Breakable(tmp_path / "state", 32 * MIB) as volume,
        site_on(volume, tmp_path, min_free_space=0) as site,
    ):
        before, coming = firmware(300_000, 1), firmware(3_000_000, 2)
        await site.published(before)
        async with undisturbed(site, before):
            location = site.origin.script("/x", Reply(coming.body, stall_after=2_000_000), Reply(coming.body))
            request_id, _ = await site.publish(location, coming.checksum)
            await site.origin.until(lambda: site.origin.requests[-1].sent == 2_000_000)
            volume.break_()
            site.origin.release()
            await site.csms.wait_status(request_id, "DownloadFailed")
            assert await get(_uri(site, coming)) == (404, b"")
            (reason,) = await _reasons(site)
            assert reason.startswith("the disk has turned read-only: see the kernel's log")
            assert await get(_uri(site, before)) == (200, before.body)
            answer = await site.withdrawal(before.checksum)
            assert isinstance(answer, CallError)
            assert answer.code == "InternalError"
        await site.daemon.kill()
        volume.mend()
        await site.daemon.start()
        await site.daemon.ready()
        assert await get(_uri(site, before)) == (200, before.body)
        await site.csms.controller()
        await site.withdrawn(coming.checksum)  # what the disk would not keep of its end, it may go on with
        await site.published(firmware(300_000, 3))


async def test_row_6_a_disk_that_turns_read_only_while_nothing_goes_on(tmp_path: Path) -> None:
    """Row 6: it is seen by looking, long before a publication fails; nothing is written for that."""
    async with (
        Breakable(tmp_path / "state", 32 * MIB) as volume,
        site_on(volume, tmp_path, min_free_space=0) as site,
    ):
        await site.daemon.get("/metrics")
        volume.break_()
        async with asyncio.timeout(60):  # a look comes every 30 s
            while not await _reasons(site):  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert (await _reasons(site))[0].startswith("the disk has turned read-only")


Where = Callable[[Path, str], Path]
STEPS: dict[str, tuple[str, Where, str]] = {
    "DownloadFailed": ("fsync", lambda state, _: state / "partial" / "1", "error=EIO"),
    "PublishFailed": ("fsync", lambda state, checksum: state / "firmware" / checksum, "error=EIO"),
    "read-only": ("openat", lambda state, _: state / "partial" / "1", "error=EROFS"),
}


@pytest.mark.parametrize(("call", "where", "failure"), STEPS.values(), ids=STEPS)
async def test_row_6_not_ready_until_the_disk_is_well(
    call: str, where: Where, failure: str, open_site: OpenSite, tmp_path: Path
) -> None:
    """Row 6: a publication that the disk fails ends so, and we are not ready, in ``localctl status`` too, until the
    disk takes again what is written: a fsync that failed is not made good by one that succeeds.
    """
    site = await open_site()
    file = firmware(100_000)
    state = site.daemon.state_dir
    spot = Spot(call, (where(state, file.checksum), state / "probe"))
    async with injected(site.daemon.pid, spot, failure, tmp_path / "trace"):
        request_id, _ = await site.publish(site.origin.script("/x", Reply(file.body)), file.checksum)
        ended = "PublishFailed" if "firmware" in str(spot.paths[0]) else "DownloadFailed"
        await site.csms.wait_status(request_id, ended)
        (reason,) = await _reasons(site)
        assert "see the kernel's log, check or replace it" in reason
        code, told, _ = await localctl("status", "--config", str(site.daemon.config_file))
        assert code == 1
        assert "see the kernel's log" in told
        assert (await site.daemon.logged("not ready: "))["level"] == "error"
    await site.daemon.ready()
    await site.daemon.logged("the disk takes again what is written")
    assert site.statuses(request_id)[-1] == ended
    assert await get(f"http://{site.daemon.listeners['publish.http']}/firmware/{file.checksum}/x") == (404, b"")
    assert not (state / "probe").exists()
    await site.published(file)
