"""The WAN is dear: the download window and the rate, on the real daemon."""

from datetime import UTC, datetime, timedelta

from tests.actors.origin import Reply
from tests.actors.site import OpenSite, firmware

ORDINARY = ["Downloading", "Downloaded", "ChecksumVerified", "Published"]


def window(begin: float, end: float) -> str:
    """From so many hours from now to so many, by this machine's clocks."""
    now = datetime.now(UTC).astimezone()
    return "-".join(f"{now + timedelta(hours=hours):%H:%M}" for hours in (begin, end))


async def test_the_download_window(open_site: OpenSite) -> None:
    """L03: DownloadScheduled outside ``download_window``, also after a restart; within it, published."""
    site = await open_site("2.1", {"firmware": {"download_window": window(8, 12)}})
    file = firmware(100_000)
    location = site.origin.script(f"/{file.name}", Reply(file.body))
    request_id, answer = await site.publish(location, file.checksum)
    assert answer == {"status": "Accepted"}
    await site.csms.wait_status(request_id, "DownloadScheduled")
    await site.daemon.restart()
    await site.daemon.ready()
    await site.daemon.logged("waits for the download window")
    assert site.origin.requests == []
    await site.daemon.stop()
    site.daemon.configure({"firmware": {"download_window": window(-8, 8)}})
    await site.daemon.restart()
    await site.csms.wait_status(request_id, "Published")
    assert list(dict.fromkeys(site.statuses(request_id))) == ["DownloadScheduled", *ORDINARY]  # each at least once


async def test_what_waits_for_the_window_is_withdrawn(open_site: OpenSite) -> None:
    """L04.FR.04: what waits for the window is cancelled: Unpublished; a restart does not bring it back."""
    site = await open_site("2.0.1", {"firmware": {"download_window": window(8, 12)}})
    request_id, _ = await site.publish(f"{site.origin.url}/fw.bin", "a" * 32)
    await site.csms.wait_status(request_id, "DownloadScheduled")
    assert await site.unpublish("a" * 32) == "Unpublished"
    await site.daemon.restart()
    await site.daemon.ready()
    assert await site.unpublish("a" * 32) == "NoFirmware"
    assert set(site.statuses(request_id)) == {"DownloadScheduled"}


async def test_a_rate(open_site: OpenSite) -> None:
    """``max_rate``: 0.5 MB above the second's worth that is free take at least a second, and all of it arrives."""
    site = await open_site("2.1", {"firmware": {"max_rate": 500_000}})
    file = firmware(1_500_000)
    before = datetime.now(UTC)
    await site.published(file)
    assert (datetime.now(UTC) - before).total_seconds() >= 1.0
    assert await site.daemon.metric("localctl_download_bytes_total") == len(file.body)
