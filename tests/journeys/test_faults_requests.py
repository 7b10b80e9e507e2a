"""Requests that cross what is under way, rows 31 and 32 of the faults, against the real daemon."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from tests.actors.ftp_origin import FtpOrigin, Sending
from tests.actors.origin import Reply
from tests.actors.site import LC, OpenSite, Site, firmware
from tests.journeys.outcome import AGAIN, ORDINARY, served

FILE: Final = firmware(300_000)
WHOLE: Final = Reply(FILE.body)
STALLED: Final = Reply(FILE.body, stall_after=100_000)
NONE: Final = "0" * 32


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A site whose controller fetches one file at a time."""
    return await open_site(overrides={"firmware": {"max_concurrent_downloads": 1}})


async def accepted(site: Site, request_id: int, location: str, status: str, checksum: str, **more: Any) -> None:
    """Have a file published, and wait until it is in the state of this status."""
    _, answer = await site.publish(location, checksum, requestId=request_id, **more)
    assert answer == {"status": "Accepted"}
    await site.csms.wait_status(request_id, status)


async def rejected(site: Site, request_id: int) -> None:
    """See a requestId that was used before Rejected, whatever else is asked for."""
    _, answer = await site.publish(f"{site.origin.url}/again.bin", NONE, requestId=request_id)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "DuplicateRequestId")


def tomorrow() -> str:
    """A download window that is closed now, by this machine's clock."""
    now = datetime.now(UTC).astimezone()
    return "-".join(f"{now + timedelta(hours=hours):%H:%M}" for hours in (8, 12))


async def test_row_31_while_its_bytes_flow(site: Site) -> None:
    """Row 31, L04.FR.04: DownloadOngoing, in either case of the MD5, and it goes on to Published."""
    await accepted(site, 1, site.origin.script("/fw.bin", STALLED), "Downloading", FILE.checksum)
    await site.origin.until(lambda: site.origin.requests and site.origin.requests[0].sent == 100_000)
    for checksum in (FILE.checksum, FILE.checksum.upper()):
        assert await site.unpublish(checksum) == "DownloadOngoing"
    assert await served(site, FILE.checksum, "fw.bin") == (404, b"")
    site.origin.release()
    await site.csms.wait_status(1, "Published")
    assert tuple(site.statuses(1)) == ORDINARY
    assert await served(site, FILE.checksum, "fw.bin") == (200, FILE.body)


async def test_row_31_while_its_bytes_flow_from_ftp(site: Site) -> None:
    """Row 31, L04.FR.04: the same from an FTP origin; once its last try has failed, there is no such firmware."""
    async with FtpOrigin() as ftp:
        location = ftp.script("/fw.bin", Sending(FILE.body, stall_after=100_000))
        await accepted(site, 1, location, "Downloading", FILE.checksum, retries=0)
        await ftp.until(lambda: ftp.retrievals and ftp.retrievals[0].sent == 100_000)
        assert await site.unpublish(FILE.checksum) == "DownloadOngoing"
    await site.csms.wait_status(1, "DownloadFailed")
    assert await site.unpublish(FILE.checksum) == "NoFirmware"


async def test_row_31_while_another_of_the_same_file_waits(site: Site) -> None:
    """Row 31: one flows and one of the same checksum waits: DownloadOngoing, and neither is cancelled."""
    await accepted(site, 1, site.origin.script("/fw.bin", STALLED), "Downloading", FILE.checksum)
    await accepted(site, 2, f"{site.origin.url}/fw.bin", "DownloadScheduled", FILE.checksum)
    assert await site.unpublish(FILE.checksum) == "DownloadOngoing"
    site.origin.release()
    for request_id in (1, 2):
        await site.csms.wait_status(request_id, "Published")


async def _scheduled(site: Site) -> tuple[str, ...]:
    await accepted(site, 9, site.origin.script("/busy.bin", STALLED), "Downloading", NONE)
    await accepted(site, 1, site.origin.script("/fw.bin", WHOLE), "DownloadScheduled", FILE.checksum)
    return ("DownloadScheduled",)


async def _outside_the_window(site: Site) -> tuple[str, ...]:
    site.daemon.configure({"firmware": {"download_window": tomorrow()}})
    await site.daemon.restart()
    await site.daemon.ready()
    await accepted(site, 1, site.origin.script("/fw.bin", WHOLE), "DownloadScheduled", FILE.checksum)
    return ("DownloadScheduled",)


async def _paused(site: Site) -> tuple[str, ...]:
    location = site.origin.script("/fw.bin", Reply(FILE.body, cut_after=100_000), WHOLE)
    await accepted(site, 1, location, "DownloadPaused", FILE.checksum, retries=1, retryInterval=3600)
    return AGAIN


@pytest.mark.parametrize("reach", [_scheduled, _outside_the_window, _paused])
async def test_row_31_what_waits_is_cancelled(site: Site, reach: Callable[[Site], Any]) -> None:
    """Row 31, L04.FR.04: Unpublished; nothing of it is left, told, asked for, or brought back by a restart; the file
    can be asked for again, and its requestId cannot.
    """
    so_far = await reach(site)
    asked = len(site.origin.requests)
    assert await site.unpublish(FILE.checksum) == "Unpublished"
    left = {path.name for path in (site.daemon.state_dir / "partial").iterdir()}
    assert len(left) == (reach is _scheduled)  # the other's
    assert await site.unpublish(FILE.checksum) == "NoFirmware"
    site.daemon.configure({"firmware": {"download_window": None, "max_concurrent_downloads": 2}})
    await site.daemon.restart()
    await site.daemon.ready()
    assert await site.unpublish(FILE.checksum) == "NoFirmware"
    assert tuple(dict.fromkeys(site.statuses(1))) == so_far
    assert len([request for request in site.origin.requests[asked:] if request.target == "/fw.bin"]) == 0
    await rejected(site, 1)
    await accepted(site, 2, site.origin.script("/fw.bin", WHOLE), "Published", FILE.checksum)


async def test_row_31_an_unknown_checksum(site: Site) -> None:
    """Row 31, L04.FR.03: NoFirmware for what was never asked for, has failed, was wrong, or is withdrawn already."""
    assert await site.unpublish(NONE) == "NoFirmware"
    await accepted(site, 1, f"{site.origin.url}/none.bin", "DownloadFailed", NONE)
    await accepted(site, 2, site.origin.script("/fw.bin", WHOLE), "InvalidChecksum", "1" * 32)
    await accepted(site, 3, f"{site.origin.url}/fw.bin", "Published", FILE.checksum)
    assert await site.withdrawn(FILE.checksum) == "Unpublished"
    for checksum in (NONE, "1" * 32, FILE.checksum):
        assert await site.unpublish(checksum) == "NoFirmware"


async def test_row_32_a_request_id_twice(site: Site) -> None:
    """Row 32: Rejected/DuplicateRequestId while it waits, runs, and after every end, a restart too; nothing is told."""
    await accepted(site, 1, f"{site.origin.url}/none.bin", "DownloadFailed", NONE)
    await accepted(site, 2, site.origin.script("/fw.bin", STALLED), "Downloading", FILE.checksum)
    await accepted(site, 3, f"{site.origin.url}/none.bin", "DownloadScheduled", "3" * 32)
    for request_id in (1, 2, 3):
        await rejected(site, request_id)
    site.origin.release()
    await site.csms.wait_status(2, "Published")
    await site.csms.wait_status(3, "DownloadFailed")
    before = {request_id: site.statuses(request_id) for request_id in (1, 2, 3)}
    await site.daemon.restart()
    await site.daemon.ready()
    for request_id in (1, 2, 3):
        await rejected(site, request_id)
    assert {request_id: list(dict.fromkeys(site.statuses(request_id))) for request_id in (1, 2, 3)} == before
    assert "/again.bin" not in {request.target for request in site.origin.requests}


async def test_row_32_a_checksum_that_is_published(site: Site) -> None:
    """Row 32: Accepted, and only Published with the URIs first given, from wherever it is said to come; no download."""
    await accepted(site, 1, site.origin.script("/fw.bin", WHOLE), "Published", FILE.checksum)
    for request_id, location in {2: f"{site.origin.url}/fw.bin", 3: "ftp://127.0.0.1:1/other.bin"}.items():
        await accepted(site, request_id, location, "Published", FILE.checksum.upper())
        (told,) = site.csms.statuses(request_id)
        assert told["location"] == site.csms.statuses(1)[-1]["location"]
    assert len(site.origin.requests) == 1
    assert await site.withdrawn(FILE.checksum) == "Unpublished"  # one withdraws it for all
    assert await site.unpublish(FILE.checksum) == "NoFirmware"


async def test_row_32_a_checksum_that_is_being_fetched(open_site: OpenSite) -> None:
    """Row 32: the second one waits for the first, though a slot is free, and is Published without a second download."""
    site = await open_site()
    await accepted(site, 1, site.origin.script("/fw.bin", STALLED), "Downloading", FILE.checksum)
    await accepted(site, 2, f"{site.origin.url}/fw.bin", "DownloadScheduled", FILE.checksum)
    site.origin.release()
    told = await site.csms.wait_status(2, "Published")
    assert told["location"] == site.csms.statuses(1)[-1]["location"]
    assert site.statuses(2) == ["DownloadScheduled", "Published"]
    assert len(site.origin.requests) == 1


async def test_row_32_a_checksum_whose_first_origin_fails(open_site: OpenSite) -> None:
    """Row 32: the second one has its own location and its own tries, where the first comes to nothing."""
    site = await open_site()
    busy = site.origin.script("/busy.bin", Reply(silent=True, status=404))
    await accepted(site, 1, busy, "Downloading", FILE.checksum)
    await accepted(site, 2, site.origin.script("/fw.bin", WHOLE), "DownloadScheduled", FILE.checksum)
    site.origin.release()
    await site.csms.wait_status(2, "Published")
    assert site.statuses(1) == ["Downloading", "DownloadFailed"]
    assert tuple(site.statuses(2)) == ("DownloadScheduled", *ORDINARY)


async def test_row_32_a_third_while_two_run(open_site: OpenSite) -> None:
    """Row 32: DownloadScheduled first; it begins when either of the two ends, and not before."""
    site = await open_site()
    files = [firmware(20_000, seed) for seed in range(3)]
    locations = [
        site.origin.script(f"/{number}.bin", Reply(file.body, stall_after=10_000)) for number, file in enumerate(files)
    ]
    for number, status in enumerate(("Downloading", "Downloading", "DownloadScheduled")):
        await accepted(site, number, locations[number], status, files[number].checksum)
    assert {request.target for request in site.origin.requests} <= {"/0.bin", "/1.bin"}
    site.origin.release()
    for number in range(3):
        await site.csms.wait_status(number, "Published")
    assert tuple(site.statuses(2)) == ("DownloadScheduled", *ORDINARY)
    sequence = [
        (told["requestId"], told["status"]) for told in site.csms.received(LC, "PublishFirmwareStatusNotification")
    ]
    begun = sequence.index((2, "Downloading"))
    assert begun > min(sequence.index((number, "Downloaded")) for number in (0, 1))
